#include "session/seccomp/seccomp.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <set>

namespace bottle::session {
namespace {

using nlohmann::json;

// Returns the rules that allow a call.
std::vector<json> rules_for(const json& profile, const std::string& call) {
  std::vector<json> found;
  for (const auto& rule : profile["syscalls"])
    for (const auto& name : rule["names"])
      if (name == call && rule["action"] == "SCMP_ACT_ALLOW") found.push_back(rule);
  return found;
}

std::set<uint64_t> families(const json& profile, const std::string& call) {
  std::set<uint64_t> all;
  for (const auto& rule : rules_for(profile, call)) {
    EXPECT_FALSE(rule["args"].empty()) << call << " with any family";
    EXPECT_EQ(rule["args"][0]["index"], 0);
    EXPECT_EQ(rule["args"][0]["op"], "SCMP_CMP_EQ");
    all.insert(rule["args"][0]["value"].get<uint64_t>());
  }
  return all;
}

TEST(Seccomp, CallsThatAreNotNamedAreDenied) {
  for (const auto& profile : {agent_seccomp(), guard_seccomp()}) {
    EXPECT_EQ(profile["defaultAction"], "SCMP_ACT_ERRNO");
    for (const auto& machine : profile["archMap"]) EXPECT_TRUE(machine["subArchitectures"].empty());
    for (const char* call : {"io_uring_setup",
                             "io_uring_enter",
                             "io_uring_register",
                             "keyctl",
                             "add_key",
                             "request_key",
                             "userfaultfd",
                             "bpf",
                             "perf_event_open",
                             "mount",
                             "umount2",
                             "move_mount",
                             "open_tree",
                             "fsopen",
                             "pivot_root",
                             "chroot",
                             "unshare",
                             "setns",
                             "init_module",
                             "finit_module",
                             "kexec_load",
                             "open_by_handle_at",
                             "fanotify_init",
                             "syslog",
                             "swapon",
                             "reboot",
                             "settimeofday",
                             "clock_settime",
                             "adjtimex",
                             "quotactl",
                             "acct",
                             "iopl",
                             "ioperm",
                             "modify_ldt",
                             "socketcall",
                             "ipc",
                             "sethostname",
                             "vhangup",
                             "mbind",
                             "memfd_secret",
                             "kcmp",
                             "clone3"})
      EXPECT_TRUE(rules_for(profile, call).empty()) << call;
  }
}

// Returns whether the profile lets a program make a socket with these arguments. Reads the rules as libseccomp does.
bool allows_socket(const json& profile, uint64_t family, uint64_t type, uint64_t protocol) {
  const uint64_t given[] = {family, type, protocol};
  for (const auto& rule : rules_for(profile, "socket")) {
    bool matches = !rule["args"].empty();
    for (const auto& argument : rule["args"]) {
      uint64_t value = argument["value"], is = given[argument["index"].get<size_t>()];
      matches &= argument["op"] == "SCMP_CMP_MASKED_EQ" ? (is & value) == argument["valueTwo"] : is == value;
    }
    if (matches) return true;
  }
  return false;
}

TEST(Seccomp, OnlyKnownSocketFamiliesAreAllowed) {
  using Set = std::set<uint64_t>;
  EXPECT_EQ(families(agent_seccomp(), "socket"), (Set{AF_UNIX, AF_INET, AF_INET6, AF_NETLINK}));
  EXPECT_EQ(families(guard_seccomp(), "socket"), (Set{AF_UNIX, AF_INET, AF_INET6}));
  EXPECT_EQ(families(agent_seccomp(), "socketpair"), Set{AF_UNIX});
}

TEST(Seccomp, OnlyKnownProtocolsAreAllowed) {
  auto agent = agent_seccomp();
  for (uint64_t family : {AF_INET, AF_INET6}) {
    EXPECT_TRUE(allows_socket(agent, family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    EXPECT_TRUE(allows_socket(agent, family, SOCK_STREAM, IPPROTO_TCP));
    EXPECT_TRUE(allows_socket(agent, family, SOCK_DGRAM | SOCK_CLOEXEC, IPPROTO_UDP));
    EXPECT_TRUE(allows_socket(agent, family, SOCK_DGRAM, family == AF_INET ? 1 : 58)) << "ping";
    for (int protocol : {int{IPPROTO_SCTP}, int{IPPROTO_MPTCP}, int{IPPROTO_UDPLITE}, 115 /* L2TP */, 256 /* SMC */})
      for (uint64_t type : {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET})
        EXPECT_FALSE(allows_socket(agent, family, type, static_cast<uint64_t>(protocol))) << protocol;
    for (uint64_t type : {SOCK_RAW, SOCK_SEQPACKET, SOCK_DCCP, SOCK_PACKET})
      EXPECT_FALSE(allows_socket(agent, family, type, 0)) << type;
  }
  EXPECT_TRUE(allows_socket(agent, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  EXPECT_TRUE(allows_socket(agent, AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0));
  EXPECT_FALSE(allows_socket(agent, AF_NETLINK, SOCK_RAW, 12)) << "NETLINK_NETFILTER";
  EXPECT_FALSE(allows_socket(agent, AF_VSOCK, SOCK_STREAM, 0));
}

TEST(Seccomp, ProcessesAreAllowedButNoNamespaces) {
  for (const auto& profile : {agent_seccomp(), guard_seccomp()}) {
    auto rules = rules_for(profile, "clone");
    ASSERT_EQ(rules.size(), 1u);
    EXPECT_EQ(rules[0]["args"][0]["value"], 0x7e020000u);
    EXPECT_EQ(rules[0]["args"][0]["op"], "SCMP_CMP_MASKED_EQ");
  }
}

TEST(Seccomp, TheGuardMayMakeFewerCalls) {
  auto names = [](const json& profile) {
    std::multiset<std::string> all;
    for (const auto& rule : profile["syscalls"])
      if (rule["action"] == "SCMP_ACT_ALLOW" && rule["args"].empty())
        for (const auto& name : rule["names"]) all.insert(name.get<std::string>());
    return all;
  };
  auto agent = names(agent_seccomp()), guard = names(guard_seccomp());
  for (const auto& name : guard) EXPECT_EQ(agent.count(name), 1u) << name;
  EXPECT_LT(guard.size() + 80, agent.size());
  for (const char* call :
       {"ptrace", "process_vm_readv", "unlink", "rename", "mkdir", "link", "chmod", "shmget", "semget", "io_setup"})
    EXPECT_EQ(guard.count(call), 0u) << call;
  for (const char* call : {"execve", "epoll_pwait", "accept4", "splice", "futex"})
    EXPECT_EQ(guard.count(call), 1u) << call;
}

}  // namespace
}  // namespace bottle::session
