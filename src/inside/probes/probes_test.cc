#include "inside/probes/probes.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <thread>

#include "base/files/file.h"
#include "inside/gate/gate.h"
#include "inside/probes/calls.h"
#include "inside/probes/exchange.h"
#include "inside/probes/routes.h"

namespace bottle::inside {
namespace {

TEST(Probes, JudgePrivileges) {
  std::string good =
      "Name:\tinside\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
      "CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n";
  EXPECT_TRUE(judge_privileges(good, false).ok);
  auto changed = [&](std::string from, std::string to) {
    std::string text = good;
    text.replace(text.find(from), from.size(), to);
    return text;
  };
  EXPECT_FALSE(judge_privileges(changed("CapBnd:\t0000000000000000", "CapBnd:\t00000000a80425fb"), false).ok);
  EXPECT_FALSE(judge_privileges(changed("CapEff:\t0000000000000000\n", ""), true).ok);
  EXPECT_FALSE(judge_privileges(changed("NoNewPrivs:\t1", "NoNewPrivs:\t0"), true).ok);
  EXPECT_FALSE(judge_privileges(changed("Seccomp:\t2", "Seccomp:\t0"), false).ok);
  EXPECT_TRUE(judge_privileges(changed("Seccomp:\t2", "Seccomp:\t0"), true).ok);
  EXPECT_FALSE(judge_privileges("", false).ok);
}

TEST(Probes, JudgeIpv6) {
  std::string lo = "00000000000000000000000000000001 01 80 10 80       lo\n";
  std::string reject =
      "00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 "
      "ffffffff 00000001 00000000 00200200       lo\n";
  EXPECT_TRUE(judge_ipv6("", "").ok);
  EXPECT_TRUE(judge_ipv6(lo, reject).ok);
  EXPECT_FALSE(judge_ipv6(lo + "fe80000000000000004211fffe000002 02 40 20 80     eth0\n", "").ok);
  std::string route = reject;
  route.replace(route.find("      lo"), 8, "    eth0");
  EXPECT_FALSE(judge_ipv6(lo, route).ok);
}

TEST(Probes, ACallIsRefusedBeforeItsArgumentsAreRead) {
  for (int number : {EPERM, EACCES, ENOSYS, EAFNOSUPPORT}) EXPECT_TRUE(judge_call("x", -1, number).ok) << number;
  for (int number : {EFAULT, EINVAL, ENOKEY, ENOMEM, EMFILE}) EXPECT_FALSE(judge_call("x", -1, number).ok) << number;
  EXPECT_FALSE(judge_call("x", 3, 0).ok);
}

TEST(Probes, RefuseInvalidSurroundings) {
  EXPECT_TRUE(surroundings({.guard = "10.0.0.2:3128", .gateway = "10.0.0.1", .hosts = "172.17.0.1,"}));
  EXPECT_FALSE(surroundings({.guard = "", .gateway = "10.0.0.1"}));
  EXPECT_FALSE(surroundings({.guard = "10.0.0.2:99999", .gateway = "10.0.0.1"}));
  EXPECT_FALSE(surroundings({.guard = "10.0.0.2:3128", .gateway = ""}));
  EXPECT_FALSE(surroundings({.guard = "10.0.0.2:3128", .gateway = "10.0.0.1", .hosts = "host"}));
}

TEST(Exchange, ParsesDnsAnswers) {
  std::string head("\x12\x34\x81\x83\x00\x01\x00\x00\x00\x01\x00\x00", 12);
  EXPECT_EQ(parse_dns(head, 0x1234)->rcode, 3);
  EXPECT_FALSE(parse_dns(head, 0x1235));
  EXPECT_FALSE(parse_dns(head.substr(0, 11), 0x1234));
  EXPECT_FALSE(parse_dns(head, 0x1234)->from_public_root);
  EXPECT_TRUE(parse_dns(head + std::string("\x01\x61\x0croot-servers\x03net\x00", 20), 0x1234)->from_public_root);
}

// Returns an answer to the question for "a.b" with these records.
std::string dns_message(int answers, const std::string& records) {
  std::string head("\x12\x34\x81\x80\0\1\0", 7);
  return head + static_cast<char>(answers) + std::string("\0\0\0\0\1a\1b\0\0\1\0\1", 13) + records;
}

TEST(Exchange, ReadsTheAddressInADnsAnswer) {
  const std::string record("\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\xe7\0\2", 16);
  const std::string spelled("\1a\1b\0\0\1\0\1\0\0\0\x3c\0\4\x0a\xe7\0\2", 19);
  auto address = [](const std::string& message) { return parse_dns(message, 0x1234)->address; };
  for (const auto& each : {record, spelled}) {
    ASSERT_TRUE(address(dns_message(1, each)));
    EXPECT_EQ(address(dns_message(1, each))->s_addr, ::inet_addr("10.231.0.2"));
    for (size_t size = 0; size < each.size(); ++size) EXPECT_FALSE(address(dns_message(1, each.substr(0, size))));
  }
  EXPECT_FALSE(address(dns_message(0, record)));
  EXPECT_FALSE(address(dns_message(2, record + record))) << "one of them may be false";
  std::string alias = record;
  alias[3] = 5;  // CNAME
  EXPECT_FALSE(address(dns_message(1, alias)));
}

TEST(Probes, OnlyTheGuardMayAnswerARandomName) {
  in_addr guard{::inet_addr("10.231.0.2")}, other{::inet_addr("10.231.0.3")};
  auto passes = [&](const DnsAnswer& answer) { return judge_dns("dns", answer, guard).ok; };
  EXPECT_TRUE(passes({.rcode = 0, .answers = 1, .address = guard}));
  EXPECT_TRUE(passes({.rcode = 2})) << "the engine passes no questions on";
  EXPECT_TRUE(passes({.rcode = 5}));
  EXPECT_FALSE(passes({.rcode = 3})) << "a resolver that knows that .invalid has no names (RFC 6761)";
  EXPECT_FALSE(passes({.rcode = 3, .from_public_root = true}));
  EXPECT_FALSE(passes({.rcode = 0})) << "a name without an address";
  EXPECT_FALSE(passes({.rcode = 0, .answers = 1, .address = other}));
  EXPECT_FALSE(passes({.rcode = 0, .answers = 2}));
  EXPECT_FALSE(passes({.rcode = 2, .from_public_root = true}));
}

TEST(Exchange, ReadsTheHttpStatusOfAListener) {
  UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto address = *parse_address("127.0.0.1", 0);
  ASSERT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(listener.get(), 4), 0);
  socklen_t size = sizeof address;
  ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
  std::thread server([&] {
    UniqueFd c(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    char buffer[256];
    (void)!::read(c.get(), buffer, sizeof buffer);
    (void)write_all(c.get(), "HTTP/1.1 403 No\r\n\r\n");
  });
  auto status = http_status(address, "CONNECT x:1 HTTP/1.1\r\n\r\n", Deadline::in_ms(60'000));
  server.join();
  ASSERT_TRUE(status) << status.error().what;
  EXPECT_EQ(*status, 403);
  ::shutdown(listener.get(), SHUT_RDWR);  // nobody else gets its port
  EXPECT_FALSE(http_status(address, "GET / HTTP/1.0\r\n\r\n", Deadline::in_ms(500)));
}

TEST(Exchange, ARefusalIsAnAnswerAndAnErrorOfThisKernelIsNot) {
  UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto address = *parse_address("127.0.0.1", 0);
  ASSERT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  socklen_t size = sizeof address;
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
  EXPECT_TRUE(has_answered(address, Deadline::in_ms(60'000))) << "nothing listens there yet";
  ASSERT_EQ(::listen(socket.get(), 4), 0);
  EXPECT_TRUE(has_answered(address, Deadline::in_ms(60'000)));
  EXPECT_FALSE(has_answered(*parse_endpoint("255.255.255.255:9"), Deadline::in_ms(60'000)));
}

TEST(Routes, LoopbackIsOnTheLink) {
  auto route = route_to(parse_address("127.0.0.1", 0)->sin_addr);
  ASSERT_TRUE(route) << route.error().what;
  EXPECT_TRUE(route->exists);
  EXPECT_FALSE(route->gateway);
  auto entry = neighbor(parse_address("198.51.100.77", 0)->sin_addr);
  ASSERT_TRUE(entry) << entry.error().what;
  EXPECT_EQ(*entry, Neighbor::absent);
}
// Runs in a child process, which has a network without a guard.
TEST(Probes, FailWithoutAGuard) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd out(ends[0]), in(ends[1]);
  pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) ::_exit(1);
    auto probes = run_probes(*surroundings({.guard = "127.0.0.1:9", .gateway = "127.0.0.1"}), 100);
    (void)write_all(in.get(), frame_report(wire::report_of(probes)));
    ::_exit(wire::report_of(probes).ok ? 0 : 2);
  }
  in.reset();
  std::string report;
  char buffer[4096];
  for (ssize_t n; (n = ::read(out.get(), buffer, sizeof buffer)) > 0;) report.append(buffer, static_cast<size_t>(n));
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 2) << report;
  EXPECT_NE(report.find("the guard at 127.0.0.1:9 does not answer"), std::string::npos) << report;
  EXPECT_EQ(report.find("{\"ok\":true,\"probes\""), std::string::npos);
}

// The operator may have set a limit that leaves no room for the threads of the self-test.
TEST(Probes, SayThatThereCanBeNoThreads) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd out(ends[0]), in(ends[1]);
  pid_t child = ::fork();
  if (child == 0) {
    rlimit one{1, 1};
    if (::geteuid() == 0 && ::setresuid(4711, 4711, 4711) != 0) ::_exit(1);
    if (::setrlimit(RLIMIT_NPROC, &one) != 0) ::_exit(2);
    auto probes = run_probes(*surroundings({.guard = "127.0.0.1:9", .gateway = "127.0.0.1"}), 100);
    bool said = probes.size() == 1 && probes[0].name == wire::kThreadsProbe && !probes[0].ok;
    if (!said) (void)write_all(in.get(), frame_report(wire::report_of(probes)));
    ::_exit(said ? 0 : 3);
  }
  in.reset();
  std::string report = read_all(out.get(), "the report").value();
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status)) << status;
  EXPECT_EQ(WEXITSTATUS(status), 0) << report;
}

// Serves as a guard on `listener` that answers a CONNECT only after 0.7 s, as on a busy machine.
void serve_slowly(int listener) {
  for (;;) {
    int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    std::thread([fd] {
      UniqueFd client(fd);
      char head[512];
      ssize_t n = ::read(fd, head, sizeof head);
      bool connects = std::string_view(head, n > 0 ? static_cast<size_t>(n) : 0).starts_with("CONNECT");
      if (connects) std::this_thread::sleep_for(std::chrono::milliseconds(700));
      (void)write_all(fd, connects ? "HTTP/1.1 403 No\r\n\r\n" : "HTTP/1.1 200 OK\r\n\r\n");
    }).detach();
  }
}

// Runs in a child process, whose network has only the guard.
TEST(Probes, WaitForAGuardOnABusyMachine) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd out(ends[0]), in(ends[1]);
  pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) ::_exit(1);
    UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ifreq loopback{};
    std::strcpy(loopback.ifr_name, "lo");
    loopback.ifr_flags = IFF_UP;
    auto address = *parse_address("127.0.0.1", 0);
    socklen_t size = sizeof address;
    if (::ioctl(listener.get(), SIOCSIFFLAGS, &loopback) != 0 ||
        ::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener.get(), 16) != 0 ||
        ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
      ::_exit(1);
    std::thread(serve_slowly, listener.get()).detach();
    auto probes = run_probes(*surroundings({.guard = to_string(address), .gateway = "127.0.0.1"}), 10000);
    auto found = std::ranges::find(probes, "forbidden_connect", &Probe::name);
    (void)write_all(in.get(), found == probes.end() ? "it was not tried" : found->detail);
    ::_exit(found != probes.end() && found->ok ? 0 : 2);
  }
  in.reset();
  char detail[4096] = "";
  (void)!::read(out.get(), detail, sizeof detail - 1);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0) << detail;
}

}  // namespace
}  // namespace bottle::inside
