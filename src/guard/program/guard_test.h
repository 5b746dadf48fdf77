// Supports tests of the guard program. The guard runs between a client and origin servers on loopback, and
// the tests control it through its control channel.
#pragma once

#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <stdexcept>

#include <nlohmann/json.hpp>

#include "base/os/process.h"
#include "guard/core/config.h"
#include "guard/program/origins_test.h"
#include "pki/root.h"
#include "wire/guard/control.h"

namespace bottle::guard {

using nlohmann::json;

inline constexpr const char* kValue = "real-secret-value-0123456789";
inline constexpr const char* kPlaceholder = "placeholder-abcdefghij";

// The limit leaves room in the memory of a guard's container. AddressSanitizer keeps up to 64 MB of freed memory in
// addition (see start()), and memory around each allocation.
#if __has_feature(address_sanitizer)
inline constexpr size_t kMostMemory = (200u + 192u) << 20;
#else
inline constexpr size_t kMostMemory = 200u << 20;
#endif

// Runs one guard, as its supervisor and as its client. A test changes `config_`, calls start(), and then speaks to the
// guard. At the end, the guard must exit by itself, and its audit must not contain kValue.
class GuardTest : public testing::Test {
 protected:
  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);
    config_ = {
        {"listen", json::array({"127.0.0.1:0"})},
        {"egress",
         {{"allow", json::array()}, {"hosts", json::object()}, {"extra_ca", ca_->pem()}, {"resolver", "127.0.0.1:1"}}}};
  }
  void TearDown() override {
    if (!guard_ || guard_->pid() < 0) return;  // it was not started, or the test has killed it
    guard_->close_in();
    auto status = guard_->wait();
    EXPECT_TRUE(status && *status == 0) << "the guard's exit at the end of stdin: " << status.value_or(-1);
    std::string all = audit_;
    char buffer[4096];
    for (ssize_t n; (n = read(guard_->out(), buffer, sizeof buffer)) > 0;) all.append(buffer, static_cast<size_t>(n));
    EXPECT_EQ(all.find(kValue), std::string::npos) << "a secret in the audit";
  }
  // These change the configuration: where a host leads to, a rule (its host, or all of it), and the secret kValue.
  void route(const std::string& host, uint16_t port) {
    config_["egress"]["hosts"][host] = json::array({"127.0.0.1:" + std::to_string(port)});
  }
  void allow(const json& rule) { config_["egress"]["allow"].push_back(rule.is_string() ? json{{"host", rule}} : rule); }
  void bind_secret(const std::string& host, std::string header = "") {
    config_["secrets"] = json::array({{{"name", "tok"},
                                       {"value", kValue},
                                       {"placeholder", kPlaceholder},
                                       {"hosts", json::array({host})},
                                       {"header", header}}});
  }
  // Starts the guard without a configuration.
  void spawn() {
    setenv("ASAN_OPTIONS", "quarantine_size_mb=64", 0);  // so that what the guard itself holds can be measured
    Command command{.argv = {GUARD_PROGRAM}};
    if (descriptors_)
      command.argv = {"/bin/sh", "-c", "ulimit -n " + std::to_string(descriptors_) + " && exec \"$0\"", GUARD_PROGRAM};
    auto guard = Child::spawn(command, Child::pipe(), Child::pipe(), Child::inherit());
    ASSERT_TRUE(guard) << guard.error().what;
    guard_ = std::move(*guard);
  }
  // Starts the guard with `config_` and waits until it is ready. Throws if it does not start, which ends the test.
  void start() {
    spawn();
    json ready = configure();
    if (ready["type"] != "ready") throw std::runtime_error("the guard did not start: " + ready.dump());
    std::string listen = ready["listen"];
    port_ = static_cast<uint16_t>(std::stoi(listen.substr(listen.rfind(':') + 1)));
    // This test acts as the supervisor: it signs what the guard asks for, and clients trust only the root.
    csr_ = ready["csr"];
    certify(csr_);
    roots_.reset(make_upstream_context(root_->pem() + ca_->pem()));
  }
  // Returns the guard's CPU time, in seconds.
  double cpu() const {
    timespec t{};
    clockid_t clock = 0;
    EXPECT_EQ(clock_getcpuclockid(guard_->pid(), &clock), 0);
    EXPECT_EQ(clock_gettime(clock, &t), 0);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
  }
  // Returns VmHWM, the guard's peak memory in bytes.
  size_t most_resident() const {
    std::ifstream status("/proc/" + std::to_string(guard_->pid()) + "/status");
    for (std::string word; status >> word;)
      if (word == "VmHWM:") {
        size_t kilobytes = 0;
        status >> kilobytes;
        return kilobytes * 1024;
      }
    return 0;
  }
  // Waits until the guard and all other threads of this process sleep and `count` stays the same, so that nothing more
  // happens before this thread acts. Returns the count. All must be quiet for longer than the kernel delays an
  // acknowledgment.
  size_t settled(const std::function<size_t()>& count) const {
    auto sleeps = [](const std::filesystem::path& task) {
      std::ifstream file(task / "stat");
      std::string text(std::istreambuf_iterator<char>(file), {});
      size_t name_end = text.rfind(')');
      return name_end == text.npos || text.compare(name_end, 3, ") S") == 0;  // or the thread has just ended
    };
    auto all_sleep = [&] {
      const auto self = std::to_string(gettid());
      for (const auto& task : std::filesystem::directory_iterator("/proc/self/task"))
        if (task.path().filename() != self && !sleeps(task)) return false;
      return sleeps("/proc/" + std::to_string(guard_->pid()));
    };
    constexpr int kStepMs = 10, kQuiet = 10;
    size_t before = count();
    int quiet = 0;
    for (int waited = 0; waited < kPatienceMs && quiet < kQuiet; waited += kStepMs) {
      std::this_thread::sleep_for(std::chrono::milliseconds(kStepMs));
      size_t now = count();
      quiet = now == std::exchange(before, now) && all_sleep() ? quiet + 1 : 0;
    }
    EXPECT_EQ(quiet, kQuiet) << "it does not come to rest";
    return before;
  }
  // Signs the request of the guard's authority.
  void certify(const std::string& csr) {
    auto pem = root_->certify(csr);
    ASSERT_TRUE(pem) << pem.error().what;
    EXPECT_TRUE(write_all(guard_->in(), json{{"type", "certificate"}, {"pem", *pem}}.dump() + "\n"));
  }
  // Sends `config_` again, and returns the guard's answer.
  json configure() {
    EXPECT_TRUE(write_all(guard_->in(), json{{"type", "configure"}, {"config", config_}}.dump() + "\n"));
    while (true) {
      json line = next_line();
      if (line["type"] != "audit") return line;
    }
  }
  // Returns the guard's next line that does not only say what was used.
  json next_line(int patience_ms = kPatienceMs) {
    while (true)
      if (json line = next_message(patience_ms); line["type"] != "usage") return line;
  }
  // Returns the guard's next line of any kind, or one of the type `timeout` or `end`.
  json next_message(int patience_ms = kPatienceMs) {
    size_t end;
    while ((end = audit_.find('\n', read_)) == std::string::npos) {
      pollfd p{guard_->out(), POLLIN, 0};
      char buffer[4096];
      if (poll(&p, 1, patience_ms) != 1) return {{"type", "timeout"}};
      ssize_t n = read(guard_->out(), buffer, sizeof buffer);
      if (n <= 0) return {{"type", "end"}};
      audit_.append(buffer, static_cast<size_t>(n));
    }
    std::string text = audit_.substr(read_, end - read_);
    read_ = end + 1;
    json line = json::parse(text);
    if (line["type"] == "usage")  // comes at any time
      for (const auto& host : line["hosts"]) used_[host["host"]] = host;
    // For speed, the guard writes its audit without the codec. Its owner reads it with the codec.
    auto message = wire::decode<wire::FromGuard>(text, wire::From::ours);
    EXPECT_TRUE(message) << message.error().what << "\n" << text;
    return line;
  }
  // Returns the next audit line with this code.
  json audited(const std::string& code) {
    while (true) {
      json line = next_line();
      if (line["type"] != "audit" || line.value("code", "") == code) return line;
    }
  }
  // Sends a request on a new connection, and returns the answer.
  std::string raw(const std::string& request) {
    TestPeer wire{dial_loopback(port_), {}, {}};
    wire.write(request);
    return wire.message();
  }
  // Opens a tunnel. The guard's answer is then in `answer_`.
  TestPeer connect_to(const std::string& host, int port = 443) {
    TestPeer wire{dial_loopback(port_), {}, {}};
    std::string authority = host + ":" + std::to_string(port);
    wire.write("CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n\r\n");
    answer_ = wire.message();
    return wire;
  }
  // Opens a tunnel with TLS in it; `ssl` is null if the handshake failed.
  TestPeer secure(const std::string& host, const std::string& sni = "") {
    TestPeer wire = connect_to(host);
    wire.ssl = std::move(*connect_tls(roots_.get(), {sni.empty() ? host : sni, false}, 443));
    SSL_set_fd(wire.ssl.get(), wire.fd.get());
    if (SSL_connect(wire.ssl.get()) != 1) wire.ssl.reset();
    return wire;
  }

  // All tests of a process have the same authorities.
  const std::shared_ptr<SessionCa> ca_ = [] {
    static const std::shared_ptr<SessionCa> made = std::move(*SessionCa::self_signed());
    return made;
  }();
  const std::shared_ptr<const pki::Root> root_ = [] {
    static const auto made = *pki::Root::make("test");
    return made;
  }();
  std::string csr_;
  json config_;
  std::optional<Child> guard_;
  int descriptors_ = 0;  // the most that the guard may have, or 0 for as many as this process
  std::string audit_, answer_;
  std::map<std::string, json> used_;  // by host, as the guard said it last
  size_t read_ = 0;
  uint16_t port_ = 0;
  std::unique_ptr<SSL_CTX, FreeTls> roots_;
};

}  // namespace bottle::guard
