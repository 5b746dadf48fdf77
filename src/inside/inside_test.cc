#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/files/file.h"
#include "base/os/descriptors.h"
#include "base/os/poller.h"
#include "base/unix_address.h"
#include "inside/agent.h"
#include "inside/companion.h"
#include "inside/gate/gate.h"
#include "inside/locale.h"
#include "inside/probes/calls.h"
#include "inside/probes/exchange.h"
#include "inside/probes/probes.h"
#include "inside/probes/routes.h"
#include "inside/through_guard.h"

namespace bottle::inside {
namespace {

using nlohmann::json;

Result<Go> go_from(const std::string& bytes, bool close_after = true) {
  int p[2];
  EXPECT_EQ(::pipe2(p, O_CLOEXEC), 0);
  UniqueFd in(p[0]), out(p[1]);
  EXPECT_TRUE(write_all(out.get(), bytes));
  if (close_after) out.reset();
  return read_go(in.get(), 100);
}

std::string framed(const std::string& body) {
  char length[9];
  std::snprintf(length, sizeof length, "%08zx", body.size());
  return length + body;
}

TEST(Locale, IsFoundLikeTheCLibraryFindsIt) {
  char name[] = "/tmp/inside_locale_XXXXXX";
  std::string root = ::mkdtemp(name);
  EXPECT_FALSE(has_locale(root + "/absent", "de_DE.UTF-8"));
  std::filesystem::create_directories(root + "/C.utf8");
  std::ofstream(root + "/C.utf8/LC_CTYPE") << "x";
  EXPECT_TRUE(has_locale(root, "C.UTF-8"));
  EXPECT_FALSE(has_locale(root, "de_DE.UTF-8"));
  // Writes the head of an archive whose names begin at offset 28.
  const uint32_t head[] = {0xde020109, 0, 0, 0, 0, 28, 30};
  std::ofstream archive(root + "/locale-archive", std::ios::binary);
  archive.write(reinterpret_cast<const char*>(head), sizeof head);
  archive << std::string("de_DE.utf8\0en_DK\0nl_NL@euro\0\0\0", 30);
  archive.close();
  for (const char* has : {"de_DE.UTF-8", "de_DE.utf8", "en_DK", "nl_NL@euro"})
    EXPECT_TRUE(has_locale(root, has)) << has;
  for (const char* has_not : {"de_DE", "DE.utf8", "fr_FR.UTF-8", "", "../C.utf8", "nl_NL"})
    EXPECT_FALSE(has_locale(root, has_not)) << has_not;
  std::ofstream(root + "/locale-archive") << "short";
  EXPECT_FALSE(has_locale(root, "en_DK"));
  std::filesystem::remove_all(root);
}

TEST(Gate, ReportIsOneFramedObject) {
  std::string r = frame_report(wire::report_of({{"a", true, "x\x1b\x07\xff"}}));
  EXPECT_TRUE(r.starts_with("\x1b]bottle;{"));
  EXPECT_EQ(r.find('\x07'), r.size() - 1);
  EXPECT_EQ(r.find('\x1b', 1), std::string::npos);
  auto j = json::parse(r.substr(9, r.size() - 10));
  EXPECT_EQ(j["ok"], true);
  EXPECT_FALSE(wire::report_of({}).ok);
  EXPECT_FALSE(wire::report_of({{"a", true, ""}, {"b", false, ""}}).ok);
}

TEST(Gate, ReadsExactlyTheGoMessage) {
  int p[2];
  ASSERT_EQ(::pipe2(p, O_CLOEXEC), 0);
  UniqueFd in(p[0]), out(p[1]);
  ASSERT_TRUE(write_all(out.get(), framed(R"({"argv":["a","b"],"env":{"K":"v=1"},"cwd":"/w","ca":"","stdin":"",)"
                                          R"("files":[{"path":"/x/y","mode":384,"text":"t"}]})") +
                                       "rest"));
  auto go = read_go(in.get(), 100);
  ASSERT_TRUE(go) << go.error().what;
  EXPECT_EQ(go->argv, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(go->env.at("K"), "v=1");
  EXPECT_EQ(go->stdin_text, "");
  EXPECT_EQ(go->files[0].mode, 0600);
  char rest[8];
  EXPECT_EQ(::read(in.get(), rest, sizeof rest), 4);
}

// Returns a go message that is valid except for one field, so that each case shows that its own check works.
std::string go_with(const std::string& key, const json& value) {
  json go = {{"argv", {"sh"}}, {"env", json::object()}, {"cwd", ""}, {"ca", ""}, {"files", json::array()}};
  if (!key.empty()) go[key] = value;
  return go.dump();
}

TEST(Gate, RefusesMalformedGo) {
  ASSERT_TRUE(go_from(framed(go_with("", {}))));
  auto file = [](const char* path, int mode) { return json{{{"path", path}, {"mode", mode}, {"text", ""}}}; };
  for (const std::string& body :
       {std::string("[]"), std::string("{}"), go_with("argv", json::array()), go_with("argv", {""}),
        go_with("argv", "sh"), go_with("argv", {std::string("a\0b", 3)}), go_with("env", {{"A=B", "c"}}),
        go_with("env", {{"A", 1}}), go_with("env", {{"", "c"}}), go_with("cwd", "rel"), go_with("surprise", true),
        go_with("files", file("rel", 420)), go_with("files", file("/a/", 420)), go_with("files", file("/a", 2541))}) {
    auto go = go_from(framed(body));
    ASSERT_FALSE(go) << body;
    EXPECT_EQ(go.error().code, Code::protocol) << body;
  }
  EXPECT_EQ(go_from(framed("")).error().code, Code::invalid);
  EXPECT_EQ(go_from("zzzzzzzz{}").error().code, Code::protocol);
  EXPECT_EQ(go_from("-0000002{}").error().code, Code::protocol);
  EXPECT_EQ(go_from("ffffffff").error().code, Code::limit);
  EXPECT_EQ(go_from("000000ff{").error().code, Code::closed);
  EXPECT_EQ(go_from("0000", false).error().code, Code::timed_out);
}

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
  EXPECT_TRUE(surroundings("10.0.0.2:3128", "10.0.0.1", "172.17.0.1,", ""));
  EXPECT_FALSE(surroundings("", "10.0.0.1", "", ""));
  EXPECT_FALSE(surroundings("10.0.0.2:99999", "10.0.0.1", "", ""));
  EXPECT_FALSE(surroundings("10.0.0.2:3128", "", "", ""));
  EXPECT_FALSE(surroundings("10.0.0.2:3128", "10.0.0.1", "host", ""));
}

TEST(Wire, ParsesDnsAnswers) {
  std::string head("\x12\x34\x81\x83\x00\x01\x00\x00\x00\x01\x00\x00", 12);
  EXPECT_EQ(parse_dns(head, 0x1234)->rcode, 3);
  EXPECT_FALSE(parse_dns(head, 0x1235));
  EXPECT_FALSE(parse_dns(head.substr(0, 11), 0x1234));
  EXPECT_FALSE(parse_dns(head, 0x1234)->from_public_root);
  EXPECT_TRUE(parse_dns(head + std::string("\x01\x61\x0croot-servers\x03net\x00", 20), 0x1234)->from_public_root);
}

TEST(Wire, ReadsTheHttpStatusOfAListener) {
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
  auto status = http_status(address, "CONNECT x:1 HTTP/1.1\r\n\r\n", in_ms(60'000));
  server.join();
  ASSERT_TRUE(status) << status.error().what;
  EXPECT_EQ(*status, 403);
  ::shutdown(listener.get(), SHUT_RDWR);  // nobody else gets its port
  EXPECT_FALSE(http_status(address, "GET / HTTP/1.0\r\n\r\n", in_ms(500)));
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

// The agent runs in a child process, because run_agent reaps every child.
int agent_status(const Go& go) {
  pid_t pid = ::fork();
  if (pid == 0) {
    auto r = run_agent(go, false);
    ::_exit(r ? *r : 99);
  }
  int raw = 0;
  ::waitpid(pid, &raw, 0);
  return WIFEXITED(raw) ? WEXITSTATUS(raw) : -1;
}

Go shell(const std::string& script) {
  Go go;
  go.argv = {"sh", "-c", script};
  go.cwd = "/";
  return go;
}

TEST(Agent, ExitStatusIsReturned) {
  EXPECT_EQ(agent_status(shell("exit 7")), 7);
  EXPECT_EQ(agent_status(shell("kill -9 $$")), 137);
  Go missing;
  missing.argv = {"no-such-program-here"};
  EXPECT_EQ(agent_status(missing), 127);
  missing.argv = {"/etc/passwd"};
  EXPECT_EQ(agent_status(missing), 126);
}

TEST(Agent, GetsStdinEnvironmentAndSession) {
  Go go = shell(
      "read a; test \"$a\" = hello && test \"$K\" = v && test -z \"$BOTTLE_GUARD\" && test $(env | grep -c "
      "'^HOME=/home/agent') = 1");
  ::setenv("BOTTLE_GUARD", "x", 1);
  go.stdin_text = "hello\n" + std::string(1 << 20, 'x');
  go.env["K"] = "v";
  EXPECT_EQ(agent_status(go), 0);
  ::unsetenv("BOTTLE_GUARD");
  EXPECT_EQ(agent_status(shell("! read a")), 0);  // there is nothing to read
  EXPECT_EQ(agent_status(shell("test $(cut -d' ' -f6 /proc/$$/stat) = $$")), 0);
}

TEST(Agent, DoesNotWaitForABackgroundChild) {
  char path[] = "/tmp/inside-XXXXXX";
  UniqueFd said(::mkstemp(path));
  EXPECT_EQ(agent_status(shell(std::string("sleep 1000 >/dev/null 2>&1 & echo $! >") + path + "; exit 3")), 3);
  pid_t child = std::atoi(read_file(path).value_or("").c_str());
  ASSERT_GT(child, 1);
  EXPECT_EQ(::kill(child, SIGKILL), 0) << "it has ended";
  ::unlink(path);
}

TEST(Agent, DoesNotBeginIfThePreparationFails) {
  char path[] = "/tmp/inside-XXXXXX";
  ::close(::mkstemp(path));
  pid_t pid = ::fork();
  if (pid == 0) {
    auto ran = run_agent(shell(std::string("rm ") + path), false, [] { return fail(Code::limit, "no threads"); });
    ::_exit(!ran && ran.error().code == Code::limit ? 0 : 1);
  }
  int raw = 0;
  ::waitpid(pid, &raw, 0);
  EXPECT_EQ(WEXITSTATUS(raw), 0);
  EXPECT_EQ(::unlink(path), 0) << "the agent ran";
}

// The agent may use up all processes and threads of the container.
TEST(Companion, ContinuesIfThereCanBeNoMoreThreads) {
  char directory[] = "/tmp/inside-XXXXXX";
  ASSERT_TRUE(::mkdtemp(directory));
  std::string path = std::string(directory) + "/agent.sock";
  auto listener = open_agent_socket(path).value();
  auto limited = make_pipe().value();
  pid_t pid = ::fork();
  if (pid == 0) {
    limited.read.reset();
    rlimit one{1, 1};
    if (::geteuid() == 0 && ::setresuid(4711, 4711, 4711) != 0) ::_exit(1);
    if (::setrlimit(RLIMIT_NPROC, &one) != 0) ::_exit(2);
    // Root and some sandboxes have no such limit.
    pthread_t thread;
    if (::pthread_create(&thread, nullptr, [](void*) -> void* { return nullptr; }, nullptr) == 0) ::_exit(3);
    (void)write_all(limited.write.get(), "x");
    serve_agent_socket(std::move(listener), *parse_endpoint("127.0.0.1:9"));
  }
  listener.reset();
  limited.write.reset();
  char byte;
  if (::read(limited.read.get(), &byte, 1) != 1) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    std::filesystem::remove_all(directory);
    GTEST_SKIP() << "this system does not limit the threads of a user: status " << status;
  }
  sockaddr_un address = unix_address(path).value();
  for (int turn = 0; turn < 20; ++turn) {
    UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0) << turn;
    ASSERT_TRUE(wait_readable(client.get(), 60000)) << turn;
    EXPECT_EQ(::recv(client.get(), &byte, 1, 0), 0) << turn;
  }
  EXPECT_EQ(::kill(pid, SIGKILL), 0);
  int raw = 0;
  ::waitpid(pid, &raw, 0);
  EXPECT_TRUE(WIFSIGNALED(raw) && WTERMSIG(raw) == SIGKILL) << raw;
  std::filesystem::remove_all(directory);
}

// A reader that does not read must not stop the other direction.
TEST(ThroughGuard, EachDirectionIsCopiedAlone) {
  auto left = make_socket_pair().value(), right = make_socket_pair().value();
  // A socket counts as writable before all that the copier holds fits into it.
  int small = 8192;
  ASSERT_EQ(::setsockopt(right.theirs.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
  std::thread copier([&] {
    copy_both_ways(left.theirs.get(), left.theirs.get(), right.theirs.get(), right.theirs.get());
    left.theirs.reset();
    right.theirs.reset();
  });
  // Fills the way from left to right, until the copier takes no more.
  std::string much(1 << 16, 'x');
  ssize_t n;
  do {
    while ((n = ::send(left.ours.get(), much.data(), much.size(), MSG_DONTWAIT)) > 0) {
    }
  } while (wait_writable(left.ours.get(), 300));
  EXPECT_EQ(::send(right.ours.get(), "back", 4, 0), 4);
  bool arrived = wait_readable(left.ours.get(), 60000);
  EXPECT_TRUE(arrived);
  ::shutdown(left.ours.get(), SHUT_WR);
  ::shutdown(right.ours.get(), SHUT_WR);
  std::thread reader([&] {
    char bytes[65536];
    while (::read(right.ours.get(), bytes, sizeof bytes) > 0) {
    }
  });
  char bytes[65536];
  while (::read(left.ours.get(), bytes, sizeof bytes) > 0) {
  }
  copier.join();
  reader.join();
}

TEST(Agent, WritesFilesAndTheBundle) {
  char directory[] = "/tmp/inside_test_XXXXXX";
  ASSERT_TRUE(::mkdtemp(directory));
  std::string d = directory;
  Go go = shell("true");
  go.ca = "CERT\n";
  go.files = {{d + "/a/b/c", 0600, "text"}};
  ASSERT_EQ(::mkdir((d + "/store").c_str(), 0755), 0);
  ASSERT_EQ(::symlink((d + "/other").c_str(), (d + "/store/ca-certificates.crt").c_str()), 0);
  ASSERT_TRUE(write_files(go, d + "/run", d + "/store"));
  EXPECT_EQ(*read_file(d + "/a/b/c"), "text");
  EXPECT_EQ(*read_file(d + "/run/ca.pem"), "CERT\n");
  EXPECT_TRUE(read_file(d + "/run/ca-bundle.pem")->ends_with("CERT\n"));
  EXPECT_EQ(*read_file(d + "/store/ca-certificates.crt"), *read_file(d + "/run/ca-bundle.pem"));
  EXPECT_FALSE(read_file(d + "/other")) << "a link of the image was followed";
  EXPECT_TRUE(read_file(d + "/run/java-trust.jks")->starts_with("\xfe\xed\xfe\xed"));
  ASSERT_TRUE(write_files(go, d + "/run", d + "/none"));
  EXPECT_FALSE(read_file(d + "/none/ca-certificates.crt"));
  std::system(("rm -rf " + d).c_str());
}

// Runs the program itself and asks it for its report (with the empty line). It must never accept the surroundings that
// the tests have.
std::pair<std::string, int> program(const std::string& env, const std::string& input) {
  std::string command =
      "printf '\\n%s' '" + input + "' | env -i " + env + " " BOTTLE_INSIDE_PROGRAM " 2>/dev/null; echo $?";
  FILE* f = ::popen(command.c_str(), "r");
  std::string out;
  char buffer[4096];
  while (size_t n = std::fread(buffer, 1, sizeof buffer, f)) out.append(buffer, n);
  ::pclose(f);
  size_t end = out.find('\x07');
  return {out.substr(0, end == std::string::npos ? 0 : end + 1),
          std::stoi(out.substr(end == std::string::npos ? 0 : end + 1))};
}

TEST(Program, RefusesWithoutConfiguration) {
  auto [report, status] = program("", framed(R"({"argv":["touch","/tmp/never"]})"));
  EXPECT_EQ(status, 125);
  EXPECT_NE(report.find("\"ok\":false"), std::string::npos);
  EXPECT_NE(report.find("BOTTLE_GUARD"), std::string::npos);
}

// Runs in a child process, which has a network without a guard.
TEST(Probes, FailWithoutAGuard) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd out(ends[0]), in(ends[1]);
  pid_t child = ::fork();
  if (child == 0) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) ::_exit(1);
    auto probes = run_probes(*surroundings("127.0.0.1:9", "127.0.0.1", "", ""), 100);
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
    auto probes = run_probes(*surroundings("127.0.0.1:9", "127.0.0.1", "", ""), 100);
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
    auto probes = run_probes(*surroundings(to_string(address), "127.0.0.1", "", ""), 10000);
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
