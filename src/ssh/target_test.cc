#include "ssh/target.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "ssh/connection.h"

namespace bottle::ssh {
namespace {

TEST(Target, ReadsTheSameTargetsAsSsh) {
  struct Case {
    const char *text, *user, *host;
    int port;
  };
  for (const Case& c : {Case{"me@vm.example.org", "me", "vm.example.org", 0},
                        {"vm", "", "vm", 0},
                        {"me@vm:2222", "me", "vm", 2222},
                        {"ssh://me@vm:22/", "me", "vm", 22},
                        {"me@[2001:db8::1]:2200", "me", "2001:db8::1", 2200},
                        {"2001:db8::1", "", "2001:db8::1", 0},
                        {"me@fe80::1%eth0", "me", "fe80::1%eth0", 0}}) {
    auto target = parse_target(c.text);
    ASSERT_TRUE(target) << c.text << ": " << target.error().what;
    EXPECT_EQ(target->user, c.user) << c.text;
    EXPECT_EQ(target->host, c.host) << c.text;
    EXPECT_EQ(target->port, c.port) << c.text;
  }
}

TEST(Target, RefusesTargetsThatBecomeOptionsOrCommands) {
  for (const char* text :
       {"", "@", "me@", "-oProxyCommand=id", "me@-oProxyCommand=id", "-l@vm", "vm;id", "vm`id`", "a b", "vm:", "vm:0",
        "vm:65536", "vm:22x", "[::1", "[::1]22", "me@vm\n", "$(id)@vm", "vm'", "me@vm/../x"})
    EXPECT_FALSE(parse_target(text)) << text;
}

TEST(Connection, ErrorsOfSshAreExplained) {
  Target target = *parse_target("me@vm.example.org");
  // A laptop without a network gets the same message, so it does not mean that the machine is gone.
  EXPECT_EQ(
      explain(target, "ssh: Could not resolve hostname vm.example.org: Temporary failure in name resolution\r\n").code,
      Code::unavailable);
  EXPECT_EQ(explain(target, "Host key verification failed.").code, Code::denied);
  // The text may come from a remote program that exits with ssh's own status.
  Error said = explain(target, "\x1b]52;c;aGk=\x07 \xff" + std::string(9000, 'x'));
  EXPECT_EQ(said.what.find_first_of("\x1b\x07\xff"), std::string::npos);
  EXPECT_LT(said.what.size(), 700u);
}

// Runs the command that a message names in backticks, with more options.
std::string run_advice(const Error& error, const std::string& more) {
  size_t from = error.todo.find('`'), to = error.todo.find('`', from + 1);
  if (to == std::string::npos) return "no command in: " + error.todo;
  std::string out, command = error.todo.substr(from + 1, to - from - 1);
  command.insert(command.find(' '), " " + more);
  FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  for (char buffer[4096]; size_t n = std::fread(buffer, 1, sizeof buffer, pipe);) out.append(buffer, n);
  ::pclose(pipe);
  return out;
}

TEST(Connection, SshAcceptsTheCommandsInAdvice) {
  Target target = *parse_target("DOMAIN\\me@vm.example.org:2222");
  // With -G, ssh prints what it would do.
  for (const char* complaint : {"Host key verification failed.", "Permission denied (publickey).", "something else",
                                "ssh: Could not resolve hostname vm.example.org: Name or service not known"}) {
    std::string would = run_advice(explain(target, complaint), "-G");
    EXPECT_NE(would.find("user DOMAIN\\me\nhostname vm.example.org\nport 2222\n"), std::string::npos) << would;
  }
  EXPECT_EQ(parse_target("::1")->command(), "ssh ::1");
}

TEST(Connection, TheCommandForAChangedHostKeyRemovesTheOldKey) {
  const std::string complaint = "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @";
  char file[] = "/tmp/known_hosts_XXXXXX";
  ASSERT_GE(::close(::mkstemp(file)), 0);
  const std::string key = " ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIHCzJ5ZJZ0rJ3kk0TzK3yO5ZmZl1yDPCM6TYYYJp0qX\n";
  std::ofstream(file) << "vm.example.org" << key << "[vm.example.org]:2222" << key;
  std::string said = run_advice(explain(*parse_target("vm.example.org:2222"), complaint), std::string("-f ") + file);
  EXPECT_NE(said.find("# Host [vm.example.org]:2222 found"), std::string::npos) << said;
  said = run_advice(explain(*parse_target("vm.example.org"), complaint), std::string("-f ") + file);
  EXPECT_NE(said.find("# Host vm.example.org found"), std::string::npos) << said;
  std::filesystem::remove(file);
  std::filesystem::remove(file + std::string(".old"));
  // The keys of a VM are in a separate file of bottle.
  Target vm = *parse_target("vm.example.org");
  vm.known_hosts = "/state/known_hosts";
  EXPECT_EQ(explain(vm, complaint).todo, "find out why first");
}

TEST(Connection, AProxyCommandThatFailsIsNamed) {
  Target target;
  target.host = "vm.example.org";
  Error said = explain_detour(target, "ProxyCommand nc %h", "nc: no route\r\nkex_exchange_identification: closed\r\n");
  EXPECT_EQ(said.code, Code::unavailable);
  EXPECT_EQ(said.what,
            "vm.example.org is reached through ProxyCommand nc %h, which ended without a connection: nc: no route");
  said = explain_detour(target, "ProxyJump \x1b[2J", "kex_exchange_identification: closed\r\n");
  EXPECT_TRUE(said.what.ends_with(", which ended without a connection")) << said.what;
  EXPECT_EQ(said.what.find('\x1b'), std::string::npos);
}

TEST(Connection, PathsAreQuotedInOptions) { EXPECT_EQ(option_path("/my state/100%/key"), "\"/my state/100%%/key\""); }

}  // namespace
}  // namespace bottle::ssh
