// Supports tests of what happens if the disk has errors, or if descriptors are used up.
#pragma once

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <iterator>
#include <optional>

namespace bottle {

// Calls `body` in a child process in which each system call with this number fails with `error`. Returns what `body`
// returned, or nothing if this system cannot do that (qemu-user has no seccomp).
template <class Body>
std::optional<bool> with_failing(int call, int error, Body body) {
  constexpr int kCannot = 2;
  pid_t child = ::fork();
  if (child == 0) {
    sock_filter steps[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
                           BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1),
                           BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
                           BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    sock_fprog program{std::size(steps), steps};
    if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
      ::_exit(kCannot);
    ::_exit(body() ? 1 : 0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (WIFEXITED(status) && WEXITSTATUS(status) == kCannot) return std::nullopt;
  return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

// Does that for each attempt to list a directory.
template <class Body>
std::optional<bool> without_listings(Body body) {
  return with_failing(SYS_getdents64, EIO, body);
}

// Calls `body` while this process cannot open anything: each attempt fails with EMFILE. Returns what `body` returned.
template <class Body>
auto without_descriptors(Body body) {
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit none{0, before.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &none);
  auto result = body();
  ::setrlimit(RLIMIT_NOFILE, &before);
  return result;
}

}  // namespace bottle
