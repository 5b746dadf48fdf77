// Each function uses what Linux and glibc offer and ignores failures: a process without one of these protections still
// works, and no caller could do anything better than to go on.

#include "base/os/hardening.h"

#include <elf.h>
#include <link.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

namespace bottle {

void restore_randomization(char** argv) {
  constexpr unsigned long kAsk = 0xffffffff;
  int now = ::personality(kAsk);
  if (now < 0 || !(now & ADDR_NO_RANDOMIZE)) return;
  int wanted = now & ~ADDR_NO_RANDOMIZE;
  // Checks that the change took effect, because otherwise the program would execute itself forever.
  if (::personality(static_cast<unsigned long>(wanted)) < 0 || ::personality(kAsk) != wanted) return;
  // exec keeps the personality, so the new program starts with randomization. If it fails, this process continues
  // without it.
  ::execv("/proc/self/exe", argv);
}

void forbid_core_dumps() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_CORE, &limit) == 0) {
    // Only the soft limit changes, so that programs of the operator that this process starts can raise it again.
    limit.rlim_cur = 0;
    ::setrlimit(RLIMIT_CORE, &limit);
  }
  // The process also loses the ownership of its files in /proc, so other processes of the user cannot open
  // /proc/PID/mem.
  ::prctl(PR_SET_DUMPABLE, 0);
}

void wipe(void* bytes, size_t size) { ::explicit_bzero(bytes, size); }
void release_free_memory() { ::malloc_trim(0); }

void release_program_file() {
  // MADV_DONTNEED on a private mapping of a file drops the pages. The next access reads them from the file again,
  // which is right for code and constants, and would lose what was written.
  auto release = [](dl_phdr_info* program, size_t, void*) {
    const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    for (int i = 0; i < program->dlpi_phnum; ++i) {
      const auto& part = program->dlpi_phdr[i];
      if (part.p_type != PT_LOAD || (part.p_flags & PF_W)) continue;  // what was written is not in the file
      uintptr_t begin = program->dlpi_addr + part.p_vaddr, end = begin + part.p_filesz;
      // Only whole pages inside the segment count, because parts of a writable one may share its first and last page.
      begin = (begin + page - 1) / page * page;
      end = end / page * page;
      if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
    }
    return 1;  // the program is the first object
  };
  ::dl_iterate_phdr(release, nullptr);
}

void clear_environment() { ::clearenv(); }

}  // namespace bottle
