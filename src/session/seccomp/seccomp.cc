// Both profiles list what is allowed. Everything else fails with EPERM, and an engine skips names that its libseccomp
// does not support. Rules for the same call are alternatives. A call whose arguments matter, such as socket(2) or
// clone(2), must therefore not be in any of the lists below, because the rule without conditions would allow it.
#include "session/seccomp/seccomp.h"

#include <linux/netlink.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string_view>
#include <vector>

namespace bottle::session {
namespace {

using nlohmann::json;

// The calls are grouped by what programs use them for, and sorted by name within a group. The groups contain no calls
// that administer the machine (mounts, modules, clocks, swap, quotas, namespaces), reach kernel memory or trace the
// kernel (bpf, perf_event_open, kexec), are not separated by namespaces (key rings), or help attacks more than programs
// (io_uring, userfaultfd, modify_ldt, remap_file_pages).
constexpr std::string_view kMemory[] = {"brk",        "madvise",   "membarrier",    "mincore",         "mlock",
                                        "mlock2",     "mlockall",  "mmap",          "mprotect",        "mremap",
                                        "mseal",      "msync",     "munlock",       "munlockall",      "munmap",
                                        "pkey_alloc", "pkey_free", "pkey_mprotect", "map_shadow_stack"};

// The kernel itself makes restart_syscall after a signal, and uretprobe for a traced function; a program that is
// refused them would crash. The C library needs rseq, robust lists and, on x86, arch_prctl in each thread.
constexpr std::string_view kThreads[] = {
    "arch_prctl",      "exit",        "exit_group",        "futex",           "futex_requeue",
    "futex_wait",      "futex_waitv", "futex_wake",        "get_robust_list", "getcpu",
    "getpid",          "getppid",     "getrandom",         "gettid",          "prctl",
    "restart_syscall", "rseq",        "sched_getaffinity", "sched_yield",     "set_robust_list",
    "set_tid_address", "uretprobe"};

// Signals reach only processes of the container, which has its own PID namespace.
constexpr std::string_view kSignals[] = {"kill",
                                         "pause",
                                         "rt_sigaction",
                                         "rt_sigpending",
                                         "rt_sigprocmask",
                                         "rt_sigqueueinfo",
                                         "rt_sigreturn",
                                         "rt_sigsuspend",
                                         "rt_sigtimedwait",
                                         "rt_tgsigqueueinfo",
                                         "sigaltstack",
                                         "signalfd",
                                         "signalfd4",
                                         "tgkill",
                                         "tkill"};

// Programs may read clocks and wait. No call that sets a clock is listed.
constexpr std::string_view kTime[] = {
    "alarm",         "clock_getres",  "clock_gettime",  "clock_nanosleep", "getitimer",       "gettimeofday",
    "nanosleep",     "setitimer",     "time",           "timer_create",    "timer_delete",    "timer_getoverrun",
    "timer_gettime", "timer_settime", "timerfd_create", "timerfd_gettime", "timerfd_settime", "times"};

// These calls use descriptors of any kind and wait for them.
constexpr std::string_view kDescriptors[] = {
    "close",          "close_range", "dup",           "dup2",        "dup3",         "epoll_create",
    "epoll_create1",  "epoll_ctl",   "epoll_ctl_old", "epoll_pwait", "epoll_pwait2", "epoll_wait",
    "epoll_wait_old", "eventfd",     "eventfd2",      "fcntl",       "ioctl",        "pipe",
    "pipe2",          "poll",        "ppoll",         "pread64",     "preadv",       "preadv2",
    "pselect6",       "pwrite64",    "pwritev",       "pwritev2",    "read",         "readv",
    "select",         "sendfile",    "splice",        "tee",         "vmsplice",     "write",
    "writev"};

// socket(2) and socketpair(2) are missing: allow_sockets() says which of them are allowed.
constexpr std::string_view kSockets[] = {
    "accept",   "accept4",  "bind",    "connect",  "getpeername", "getsockname", "getsockopt", "listen",
    "recvfrom", "recvmmsg", "recvmsg", "sendmmsg", "sendmsg",     "sendto",      "setsockopt", "shutdown"};

// These calls inspect files. Every program makes them when it starts.
constexpr std::string_view kLooking[] = {"access",     "faccessat", "faccessat2", "fstat",   "fstatfs",
                                         "getcwd",     "getdents",  "getdents64", "lseek",   "lstat",
                                         "newfstatat", "open",      "openat",     "openat2", "readlink",
                                         "readlinkat", "stat",      "statfs",     "statx"};

// Without a capability, mknod makes pipes, sockets and regular files only. name_to_handle_at is harmless alone;
// open_by_handle_at, which opens files outside the container by such a handle, is missing.
constexpr std::string_view kFiles[] = {"cachestat",
                                       "chdir",
                                       "chmod",
                                       "chown",
                                       "copy_file_range",
                                       "creat",
                                       "fadvise64",
                                       "fallocate",
                                       "fchdir",
                                       "fchmod",
                                       "fchmodat",
                                       "fchmodat2",
                                       "fchown",
                                       "fchownat",
                                       "fdatasync",
                                       "fgetxattr",
                                       "flistxattr",
                                       "flock",
                                       "fremovexattr",
                                       "fsetxattr",
                                       "fsync",
                                       "ftruncate",
                                       "futimesat",
                                       "getxattr",
                                       "getxattrat",
                                       "inotify_add_watch",
                                       "inotify_init",
                                       "inotify_init1",
                                       "inotify_rm_watch",
                                       "lchown",
                                       "lgetxattr",
                                       "link",
                                       "linkat",
                                       "listxattr",
                                       "listxattrat",
                                       "llistxattr",
                                       "lremovexattr",
                                       "lsetxattr",
                                       "memfd_create",
                                       "mkdir",
                                       "mkdirat",
                                       "mknod",
                                       "mknodat",
                                       "name_to_handle_at",
                                       "readahead",
                                       "removexattr",
                                       "removexattrat",
                                       "rename",
                                       "renameat",
                                       "renameat2",
                                       "rmdir",
                                       "setxattr",
                                       "setxattrat",
                                       "symlink",
                                       "symlinkat",
                                       "sync",
                                       "sync_file_range",
                                       "syncfs",
                                       "truncate",
                                       "umask",
                                       "unlink",
                                       "unlinkat",
                                       "utime",
                                       "utimensat",
                                       "utimes"};

// This is the kernel's older interface to asynchronous files, which databases use.
constexpr std::string_view kAsynchronousFiles[] = {"io_cancel",     "io_destroy", "io_getevents",
                                                   "io_pgetevents", "io_setup",   "io_submit"};

// These calls start, end, trace (gdb, strace) and limit a program's own processes.
constexpr std::string_view kProcesses[] = {"capget",
                                           "capset",
                                           "execve",
                                           "execveat",
                                           "fork",
                                           "getegid",
                                           "geteuid",
                                           "getgid",
                                           "getgroups",
                                           "getpgid",
                                           "getpgrp",
                                           "getpriority",
                                           "getresgid",
                                           "getresuid",
                                           "getrlimit",
                                           "getrusage",
                                           "getsid",
                                           "getuid",
                                           "ioprio_get",
                                           "ioprio_set",
                                           "pidfd_getfd",
                                           "pidfd_open",
                                           "pidfd_send_signal",
                                           "prlimit64",
                                           "process_vm_readv",
                                           "process_vm_writev",
                                           "ptrace",
                                           "sched_get_priority_max",
                                           "sched_get_priority_min",
                                           "sched_getattr",
                                           "sched_getparam",
                                           "sched_getscheduler",
                                           "sched_rr_get_interval",
                                           "sched_setaffinity",
                                           "sched_setattr",
                                           "sched_setparam",
                                           "sched_setscheduler",
                                           "setfsgid",
                                           "setfsuid",
                                           "setgid",
                                           "setgroups",
                                           "setpgid",
                                           "setpriority",
                                           "setregid",
                                           "setresgid",
                                           "setresuid",
                                           "setreuid",
                                           "setrlimit",
                                           "setsid",
                                           "setuid",
                                           "sysinfo",
                                           "uname",
                                           "vfork",
                                           "wait4",
                                           "waitid"};

// With these calls, a program restricts itself or its children.
constexpr std::string_view kOwnWalls[] = {"landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self",
                                          "seccomp"};

// These calls communicate between processes of the container, which has its own IPC namespace.
constexpr std::string_view kBetweenProcesses[] = {
    "mq_getsetattr", "mq_notify",  "mq_open", "mq_timedreceive", "mq_timedsend", "mq_unlink",
    "msgctl",        "msgget",     "msgrcv",  "msgsnd",          "semctl",       "semget",
    "semop",         "semtimedop", "shmat",   "shmctl",          "shmdt",        "shmget"};

// A guard needs these calls for its sockets, threads and two pipes, and a container runtime needs them after it has
// loaded the filter.
constexpr std::string_view kGuardFiles[] = {"execve",       "fchdir",  "getrlimit", "prlimit64", "sysinfo",
                                            "uname",        "geteuid", "getegid",   "getuid",    "getgid",
                                            "memfd_create", "capget",  "capset"};

constexpr uint64_t kSocketType = 0xf;            // without SOCK_CLOEXEC and SOCK_NONBLOCK
constexpr uint64_t kNewNamespaces = 0x7e020000;  // CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET}
constexpr int kNoSuchCall = 38;                  // ENOSYS

// Describes a condition on an argument of a call. For SCMP_CMP_MASKED_EQ, `value` is the mask and `second` what must be
// left.
json argument(int index, uint64_t value, const char* op, uint64_t second = 0) {
  return {{"index", index}, {"value", value}, {"valueTwo", second}, {"op", op}};
}

json allowed(const json& names, json args = json::array()) {
  return {{"names", names}, {"action", "SCMP_ACT_ALLOW"}, {"args", std::move(args)}};
}

// Rules for one call are alternatives. Only the protocols of IPv4 and IPv6 that programs use are allowed. For SCTP,
// DCCP, MPTCP, SMC and L2TP, the kernel would load a module for any process that asks.
void allow_internet_sockets(json& rules, int family) {
  auto allow = [&](int type, int protocol) {
    rules.push_back(
        allowed({"socket"}, json::array({argument(0, static_cast<uint64_t>(family), "SCMP_CMP_EQ"),
                                         argument(1, kSocketType, "SCMP_CMP_MASKED_EQ", static_cast<uint64_t>(type)),
                                         argument(2, static_cast<uint64_t>(protocol), "SCMP_CMP_EQ")})));
  };
  for (int protocol : {0, int{IPPROTO_TCP}}) allow(SOCK_STREAM, protocol);
  for (int protocol : {0, int{IPPROTO_UDP}, int{IPPROTO_ICMP}, int{IPPROTO_ICMPV6}}) allow(SOCK_DGRAM, protocol);
}

// Allows sockets between processes, and those of the internet's protocols.
void allow_sockets(json& rules) {
  json local = json::array({argument(0, AF_UNIX, "SCMP_CMP_EQ")});
  rules.push_back(allowed({"socket", "socketpair"}, std::move(local)));
  for (int family : {AF_INET, AF_INET6}) allow_internet_sockets(rules, family);
}

// Allows netlink sockets for the kernel's list of interfaces and routes, and for no other protocol of this family.
// getifaddrs(3) has no other way to get the list; os.networkInterfaces() of Node and the start of Chromium use it.
void allow_list_of_interfaces(json& rules) {
  rules.push_back(allowed(
      {"socket"}, json::array({argument(0, AF_NETLINK, "SCMP_CMP_EQ"), argument(2, NETLINK_ROUTE, "SCMP_CMP_EQ")})));
}

// Allows threads and processes, but no new namespaces. A filter cannot see the arguments of clone3(2), because they are
// in memory. ENOSYS makes programs fall back to clone(2).
void allow_clone(json& rules) {
  rules.push_back(allowed({"clone"}, json::array({argument(0, kNewNamespaces, "SCMP_CMP_MASKED_EQ", 0)})));
  rules.push_back({{"names", {"clone3"}}, {"action", "SCMP_ACT_ERRNO"}, {"errnoRet", kNoSuchCall}});
}

// Allows only the 64-bit calls of each machine. A filter cannot read the arguments of some 32-bit calls (socketcall(2)
// on x86), and the 32-bit calls lead to less tested code.
json profile(json rules) {
  return {{"defaultAction", "SCMP_ACT_ERRNO"},
          {"archMap",
           {{{"architecture", "SCMP_ARCH_X86_64"}, {"subArchitectures", json::array()}},
            {{"architecture", "SCMP_ARCH_AARCH64"}, {"subArchitectures", json::array()}}}},
          {"syscalls", std::move(rules)}};
}

template <typename... Lists>
json all_of(const Lists&... lists) {
  json names = json::array();
  (..., [&] {
    for (auto name : lists) names.push_back(name);
  }());
  return names;
}

}  // namespace

json agent_seccomp() {
  json rules = json::array({allowed(all_of(kMemory, kThreads, kSignals, kTime, kDescriptors, kSockets, kLooking, kFiles,
                                           kAsynchronousFiles, kProcesses, kOwnWalls, kBetweenProcesses))});
  allow_sockets(rules);
  allow_list_of_interfaces(rules);
  // These are the ordinary persona and the value that asks for the current one.
  for (uint64_t persona : {0x0ull, 0xffffffffull})
    rules.push_back(allowed({"personality"}, json::array({argument(0, persona, "SCMP_CMP_EQ")})));
  allow_clone(rules);
  return profile(std::move(rules));
}

json guard_seccomp() {
  json rules =
      json::array({allowed(all_of(kMemory, kThreads, kSignals, kTime, kDescriptors, kSockets, kLooking, kGuardFiles))});
  allow_sockets(rules);
  allow_clone(rules);
  return profile(std::move(rules));
}

std::string seccomp_option(const json& profile) { return "seccomp=" + profile.dump(); }

}  // namespace bottle::session
