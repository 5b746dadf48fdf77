// Supports tests of the guard program. The guard runs between a client and origin servers on loopback, and
// the tests control it through its control channel.
#pragma once

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <atomic>
#include <condition_variable>
#include <cstring>
#include <fstream>
#include <functional>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>

#include <nlohmann/json.hpp>

#include "base/files/file.h"
#include "base/unique_fd.h"
#include "guard/core/config.h"
#include "guard/net/tls.h"
#include "http/body.h"
#include "pki/root.h"
#include "wire/guard/control.h"

extern char** environ;

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

// Sends small writes immediately, as the programs of agents do. Otherwise the second write waits up to 40 ms for an
// acknowledgment.
inline void send_at_once(int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

// Returns a bound socket on a free port, which listens if it is a stream socket.
inline UniqueFd listen_on_loopback(uint16_t& port, int type = SOCK_STREAM) {
  UniqueFd fd(socket(AF_INET, type | SOCK_CLOEXEC, 0));
  sockaddr_in a{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&a), sizeof a), 0);
  socklen_t size = sizeof a;
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&a), &size);
  port = ntohs(a.sin_port);
  if (type == SOCK_STREAM) {
    send_at_once(fd.get());  // accepted sockets inherit it
    listen(fd.get(), 64);
  }
  return fd;
}

// How long a test waits for what must come. A test that waits in vain fails and does not hang.
inline constexpr int kPatienceMs = 60'000;

// Waits until `done` returns true, and returns whether it did.
inline bool comes_true(const std::function<bool()>& done) {
  for (int waited = 0; waited < kPatienceMs && !done(); ++waited)
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return done();
}

// Returns an address of this machine that only this process uses, so that its ports are free.
inline std::string own_address() {
  auto id = static_cast<unsigned>(getpid());
  auto part = [](unsigned number) { return "." + std::to_string(number & 255); };
  return "127" + part(64 | (id >> 16 & 63)) + part(id >> 8) + part(id);
}

// Connects, and makes reads fail after kPatienceMs.
inline UniqueFd dial_loopback(uint16_t port, const std::string& address = "127.0.0.1") {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  timeval t{kPatienceMs / 1000, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
  send_at_once(fd.get());
  sockaddr_in a{.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, address.c_str(), &a.sin_addr);
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&a), sizeof a), 0);
  return fd;
}

class Listener;

// A blocking byte stream, with or without TLS.
struct TestPeer {
  UniqueFd fd;
  Ssl ssl;
  std::string in;
  std::shared_ptr<Listener> listed;  // destroyed before the descriptor is closed

  // Blocks until all bytes are written. Returns false if the connection ended.
  bool write(std::string_view bytes) {
    if (!ssl) return write_all(fd.get(), bytes).has_value();
    while (!bytes.empty()) {  // the guard's contexts may write only a part
      int n = SSL_write(ssl.get(), bytes.data(), static_cast<int>(bytes.size()));
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  // Blocks until bytes arrive, and appends them to `in`. Returns false at the end, after an error, and when reading
  // took too long.
  bool more() {
    char buffer[16384];
    ssize_t n = ssl ? SSL_read(ssl.get(), buffer, sizeof buffer) : recv(fd.get(), buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    in.append(buffer, static_cast<size_t>(n));
    return true;
  }
  // Reads until the connection ends, and returns everything since the last message.
  std::string to_end() {
    while (more()) {
    }
    return std::exchange(in, {});
  }
  // Reads only the head of a message.
  std::string head() {
    while (in.find("\r\n\r\n") == std::string::npos && more()) {
    }
    std::string whole = in.substr(0, in.find("\r\n\r\n") + 4);
    in.erase(0, whole.size());
    return whole;
  }
  // Reads one message with a Content-Length, with chunks (which are kept), or without a body.
  std::string message() {
    size_t end;
    while ((end = in.find("\r\n\r\n")) == std::string::npos)
      if (!more()) return std::exchange(in, {});
    size_t need = end + 4;
    if (in.find("Transfer-Encoding: chunked\r\n") < end) {
      auto trailers = [&] { return std::min(in.find("\r\n0\r\n", end + 2), in.size()); };
      while (in.find("\r\n\r\n", trailers() + 3) == std::string::npos && more()) {
      }
      need = std::min(in.find("\r\n\r\n", trailers() + 3), in.size() - 4) + 4;
    }
    if (size_t at = in.find("Content-Length: "); at < end) need += std::stoul(in.substr(at + 16));
    while (in.size() < need)
      if (!more()) break;
    std::string whole = in.substr(0, need);
    in.erase(0, need);
    return whole;
  }
  void close() {
    ssl.reset();
    listed.reset();
    fd.reset();
  }
};

// A server's socket on loopback, and the connections that it has accepted.
class Listener {
 public:
  // Blocks until a client connects. Returns no descriptor after end().
  TestPeer accept() {
    TestPeer wire{UniqueFd(accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC)), {}, {}};
    int fd = wire.fd.get();
    if (fd < 0) return wire;
    timeval t{kPatienceMs / 1000, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    std::lock_guard lock(mutex_);
    if (ended_) shutdown(fd, SHUT_RDWR);
    open_.insert(fd);
    wire.listed = std::shared_ptr<Listener>(this, [fd](Listener* self) {
      std::lock_guard lock(self->mutex_);
      self->open_.erase(fd);
      self->changed_.notify_all();
    });
    return wire;
  }
  // Waits until the server has closed all connections, for kPatienceMs at most.
  bool wait_until_closed() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(kPatienceMs), [&] { return open_.empty(); });
  }
  // Ends all connections, so that the server does not wait for clients that keep theirs.
  void end() {
    shutdown(socket_.get(), SHUT_RDWR);
    std::lock_guard lock(mutex_);
    ended_ = true;
    for (int fd : open_) shutdown(fd, SHUT_RDWR);
  }
  uint16_t port = 0;

 private:
  UniqueFd socket_ = listen_on_loopback(port);
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<int> open_;
  bool ended_ = false;
};

// An origin server that answers each message with the result of `handler`, which one connection at a time calls.
class Origin {
 public:
  Origin(SessionCa* ca, std::string host, std::function<std::string(const std::string&)> handler)
      : handler_(std::move(handler)) {
    port = listener_.port;
    thread_ = std::thread([this, ca, host = std::move(host)] {
      std::vector<std::thread> connections;
      while (true) {
        TestPeer wire = listener_.accept();
        if (!wire.fd) break;
        ++accepted;
        if (ca) wire.ssl = std::move(*ca->accept({host, false}, Offer::http1));
        connections.emplace_back([this, wire = std::move(wire)]() mutable { serve(wire); });
      }
      for (auto& connection : connections) connection.join();
    });
  }
  ~Origin() {
    listener_.end();
    thread_.join();
  }
  // Returns the message that arrived last, as it was on the wire.
  std::string last() {
    std::lock_guard lock(mutex_);
    return last_;
  }
  uint16_t port = 0;
  std::atomic<int> accepted = 0;

 private:
  void serve(TestPeer& wire) {
    if (wire.ssl) {
      SSL_set_fd(wire.ssl.get(), wire.fd.get());
      if (SSL_accept(wire.ssl.get()) != 1) return;
    }
    for (std::string request; !(request = wire.message()).empty();) {
      {
        std::lock_guard lock(mutex_);
        last_ = request;
      }
      std::unique_lock lock(handling_);
      std::string answer = handler_(request);
      lock.unlock();
      if (!wire.write(answer)) break;
    }
  }

  Listener listener_;
  std::string last_;
  std::function<std::string(const std::string&)> handler_;
  std::mutex mutex_, handling_;
  std::thread thread_;
};

// An origin server that passes each connection to `serve`, one after the other, after it has read the first message or
// its head.
class RawOrigin {
 public:
  enum class After { message, head };
  // Speaks no TLS if `ca` is null.
  RawOrigin(SessionCa* ca, std::string host, std::function<void(TestPeer&, const std::string& head)> serve,
            After after = After::message) {
    port = listener_.port;
    thread_ = std::thread([this, ca, host = std::move(host), serve = std::move(serve), after] {
      while (true) {
        TestPeer wire = listener_.accept();
        if (!wire.fd) return;
        if (ca) {
          wire.ssl = std::move(*ca->accept({host, false}, Offer::http1));
          SSL_set_fd(wire.ssl.get(), wire.fd.get());
          if (SSL_accept(wire.ssl.get()) != 1) continue;
        }
        ++accepted;
        std::string first = after == After::head ? wire.head() : wire.message();
        if (!first.empty()) serve(wire, first);
        if (wire.ssl) SSL_shutdown(wire.ssl.get());
      }
    });
  }
  ~RawOrigin() {
    listener_.end();
    thread_.join();
  }
  bool wait_until_closed() { return listener_.wait_until_closed(); }
  uint16_t port = 0;
  std::atomic<int> accepted = 0;

 private:
  Listener listener_;
  std::thread thread_;
};

inline std::string ok(std::string_view body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

// Returns the body of a message, decoded if it is chunked.
inline std::string body_of(const std::string& message) {
  size_t end = message.find("\r\n\r\n");
  if (end == message.npos) return "";
  std::string body = message.substr(end + 4), payload;
  if (message.find("Transfer-Encoding: chunked\r\n") > end) return body;
  http::Body reader(http::Body::Kind::chunked);
  EXPECT_TRUE(reader.read(body, payload) && reader.done()) << message.substr(0, 1000);
  return payload;
}

// Runs one guard, as its supervisor and as its client. A test changes `config_`, calls start(), and then speaks to the
// guard. At the end, the guard must exit by itself, and its audit must not contain kValue.
class GuardTest : public testing::Test {
 protected:
  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);
    ca_ = std::move(*SessionCa::self_signed());
    config_ = {
        {"listen", json::array({"127.0.0.1:0"})},
        {"egress",
         {{"allow", json::array()}, {"hosts", json::object()}, {"extra_ca", ca_->pem()}, {"resolver", "127.0.0.1:1"}}}};
  }
  void TearDown() override {
    if (!pid_) return;
    control_.reset();
    int status = -1;
    waitpid(pid_, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "the guard's exit at the end of stdin: " << status;
    std::string all = audit_;
    char buffer[4096];
    for (ssize_t n; (n = read(output_.get(), buffer, sizeof buffer)) > 0;) all.append(buffer, static_cast<size_t>(n));
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
    int in[2], out[2];
    ASSERT_EQ(pipe2(in, O_CLOEXEC), 0);
    ASSERT_EQ(pipe2(out, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    std::string script = "exec \"$0\"";
    if (descriptors_) script.insert(0, "ulimit -n " + std::to_string(descriptors_) + " && ");
    const char* argv[] = {"/bin/sh", "-c", script.c_str(), GUARD_PROGRAM, nullptr};
    setenv("ASAN_OPTIONS", "quarantine_size_mb=64", 0);  // so that what the guard itself holds can be measured
    ASSERT_EQ(posix_spawn(&pid_, argv[0], &actions, nullptr, const_cast<char**>(argv), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    control_.reset(in[1]);
    output_.reset(out[0]);
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
    EXPECT_EQ(clock_getcpuclockid(pid_, &clock), 0);
    EXPECT_EQ(clock_gettime(clock, &t), 0);
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
  }
  // Returns VmHWM, the guard's peak memory in bytes.
  size_t most_resident() const {
    std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
    for (std::string word; status >> word;)
      if (word == "VmHWM:") {
        size_t kilobytes = 0;
        status >> kilobytes;
        return kilobytes * 1024;
      }
    return 0;
  }
  // Signs the request of the guard's authority.
  void certify(const std::string& csr) {
    auto pem = root_->certify(csr);
    ASSERT_TRUE(pem) << pem.error().what;
    EXPECT_TRUE(write_all(control_.get(), json{{"type", "certificate"}, {"pem", *pem}}.dump() + "\n"));
  }
  // Sends `config_` again, and returns the guard's answer.
  json configure() {
    EXPECT_TRUE(write_all(control_.get(), json{{"type", "configure"}, {"config", config_}}.dump() + "\n"));
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
      pollfd p{output_.get(), POLLIN, 0};
      char buffer[4096];
      if (poll(&p, 1, patience_ms) != 1) return {{"type", "timeout"}};
      ssize_t n = read(output_.get(), buffer, sizeof buffer);
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

  std::unique_ptr<SessionCa> ca_;
  std::shared_ptr<const pki::Root> root_ = *pki::Root::make("test");
  std::string csr_;
  json config_;
  pid_t pid_ = 0;
  int descriptors_ = 0;  // the most that the guard may have, or 0 for as many as this process
  UniqueFd control_, output_;
  std::string audit_, answer_;
  std::map<std::string, json> used_;  // by host, as the guard said it last
  size_t read_ = 0;
  uint16_t port_ = 0;
  std::unique_ptr<SSL_CTX, FreeTls> roots_;
};

}  // namespace bottle::guard
