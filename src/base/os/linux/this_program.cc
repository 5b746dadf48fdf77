// Finds this program's own file through the kernel. An upgrade may replace the file while a supervisor runs. Its path
// then leads to another version or to nothing, but the kernel's link still refers to the old file.

#include "base/os/this_program.h"

#include <elf.h>
#include <limits.h>
#include <link.h>
#include <unistd.h>

#include <string_view>

#include "base/ids.h"
#include "base/text/path_parts.h"

namespace bottle {
namespace {

constexpr const char* kLink = "/proc/self/exe";
constexpr std::string_view kDeleted = " (deleted)";

// Returns the target of the kernel's link, or an empty string. It ends with " (deleted)" if the file was replaced.
std::string own_path() {
  char path[PATH_MAX];
  ssize_t n = ::readlink(kLink, path, sizeof path);
  return n > 0 ? std::string(path, static_cast<size_t>(n)) : "";
}

}  // namespace

std::string path_to_self() {
  std::string self = own_path();
  if (self.empty()) return "bottle";
  // The path no longer exists, but the link still refers to the running program.
  return self.ends_with(kDeleted) ? kLink : self;
}

bool is_file_replaced() { return own_path().ends_with(kDeleted); }

std::string directory_of_self() { return parent_of(own_path()); }

std::string build_id() {
  std::string id;
  ::dl_iterate_phdr(
      [](dl_phdr_info* object, size_t, void* to) {
        for (int i = 0; i < object->dlpi_phnum; ++i) {
          const auto& segment = object->dlpi_phdr[i];
          if (segment.p_type != PT_NOTE) continue;
          const char* at = reinterpret_cast<const char*>(object->dlpi_addr + segment.p_vaddr);
          // A note is a header, a name and a description, the last two padded to four bytes (elf(5)).
          for (const char* end = at + segment.p_memsz; at + sizeof(ElfW(Nhdr)) <= end;) {
            const auto* note = reinterpret_cast<const ElfW(Nhdr)*>(at);
            auto padded = [](size_t n) { return (n + 3) & ~size_t{3}; };
            const char* bytes = at + sizeof *note + padded(note->n_namesz);
            if (note->n_type == NT_GNU_BUILD_ID) *static_cast<std::string*>(to) += to_hex({bytes, note->n_descsz});
            at = bytes + padded(note->n_descsz);
          }
        }
        return 1;  // the first object is the program itself
      },
      &id);
  return id;
}

bool can_be_far_side() { return true; }

void remember_own_path(const char*) {}

}  // namespace bottle
