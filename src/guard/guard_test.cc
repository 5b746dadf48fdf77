// The guard program, driven through its control channel, between a client and origin servers on loopback.
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <mutex>
#include <thread>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/unique_fd.h"
#include "guard/config.h"
#include "guard/tls.h"
#include "pki/root.h"

extern char** environ;

namespace bottle::guard {
namespace {

using nlohmann::json;

constexpr const char* kValue = "real-secret-value-0123456789";
constexpr const char* kPlaceholder = "placeholder-abcdefghij";

UniqueFd listen_on_loopback(uint16_t& port, int type = SOCK_STREAM) {
  UniqueFd fd(socket(AF_INET, type | SOCK_CLOEXEC, 0));
  sockaddr_in a{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<sockaddr*>(&a), sizeof a), 0);
  socklen_t size = sizeof a;
  getsockname(fd.get(), reinterpret_cast<sockaddr*>(&a), &size);
  port = ntohs(a.sin_port);
  if (type == SOCK_STREAM) listen(fd.get(), 64);
  return fd;
}

UniqueFd dial_loopback(uint16_t port) {
  UniqueFd fd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  timeval t{5, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
  sockaddr_in a{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  EXPECT_EQ(connect(fd.get(), reinterpret_cast<sockaddr*>(&a), sizeof a), 0);
  return fd;
}

// A blocking byte stream, with TLS or not.
struct Wire {
  UniqueFd fd;
  Ssl ssl;
  std::string in;

  bool write(std::string_view bytes) {
    if (!ssl) return write_all(fd.get(), bytes).has_value();
    while (!bytes.empty()) {  // the guard's contexts write in part
      int n = SSL_write(ssl.get(), bytes.data(), static_cast<int>(bytes.size()));
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }
  bool more() {
    char buffer[16384];
    ssize_t n = ssl ? SSL_read(ssl.get(), buffer, sizeof buffer) : recv(fd.get(), buffer, sizeof buffer, 0);
    if (n <= 0) return false;
    in.append(buffer, static_cast<size_t>(n));
    return true;
  }
  std::string to_end() {
    while (more()) {}
    return std::exchange(in, {});
  }
  // One message with a Content-Length, or none.
  std::string message() {
    size_t end;
    while ((end = in.find("\r\n\r\n")) == std::string::npos)
      if (!more()) return std::exchange(in, {});
    size_t need = end + 4;
    if (size_t at = in.find("Content-Length: "); at < end) need += std::stoul(in.substr(at + 16));
    while (in.size() < need)
      if (!more()) break;
    std::string whole = in.substr(0, need);
    in.erase(0, need);
    return whole;
  }
};

// An origin that answers each message with what `handler` says.
class Origin {
 public:
  Origin(SessionCa* ca, std::string host, std::function<std::string(const std::string&)> handler) : ca_(ca), host_(std::move(host)), handler_(std::move(handler)) {
    fd_ = listen_on_loopback(port);
    thread_ = std::thread([this] {
      while (true) {
        int fd = accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC);
        if (fd < 0) return;
        ++accepted;
        Wire wire{UniqueFd(fd), {}, {}};
        timeval t{3, 0};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
        if (ca_) {
          wire.ssl = std::move(*ca_->accept({host_, false}));
          SSL_set_fd(wire.ssl.get(), fd);
          if (SSL_accept(wire.ssl.get()) != 1) continue;
        }
        for (std::string request; !(request = wire.message()).empty();) {
          {
            std::lock_guard lock(mutex_);
            last_ = request;
          }
          if (!wire.write(handler_(request))) break;
        }
      }
    });
  }
  ~Origin() {
    shutdown(fd_.get(), SHUT_RDWR);
    thread_.join();
  }
  std::string last() {
    std::lock_guard lock(mutex_);
    return last_;
  }
  uint16_t port = 0;
  std::atomic<int> accepted = 0;

 private:
  SessionCa* ca_;
  std::string host_, last_;
  std::function<std::string(const std::string&)> handler_;
  std::mutex mutex_;
  UniqueFd fd_;
  std::thread thread_;
};

std::string ok(std::string_view body) { return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + std::string(body); }

class GuardTest : public testing::Test {
 protected:
  void SetUp() override {
    signal(SIGPIPE, SIG_IGN);
    ca_ = std::move(*SessionCa::self_signed());
    config_ = {{"listen", json::array({"127.0.0.1:0"})}, {"egress", {{"allow", json::array()}, {"hosts", json::object()}, {"extra_ca", ca_->pem()}, {"resolver", "127.0.0.1:1"}}}};
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
  void route(const std::string& host, uint16_t port) { config_["egress"]["hosts"][host] = json::array({"127.0.0.1:" + std::to_string(port)}); }
  void allow(json rule) { config_["egress"]["allow"].push_back(std::move(rule)); }
  void bind_secret(const std::string& host, std::string header = "") {
    config_["secrets"] = json::array({{{"name", "tok"}, {"value", kValue}, {"placeholder", kPlaceholder}, {"hosts", json::array({host})}, {"header", header}}});
  }
  void start() {
    int in[2], out[2];
    ASSERT_EQ(pipe2(in, O_CLOEXEC), 0);
    ASSERT_EQ(pipe2(out, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    char* argv[] = {const_cast<char*>(GUARD_PROGRAM), nullptr};
    ASSERT_EQ(posix_spawn(&pid_, GUARD_PROGRAM, &actions, nullptr, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(in[0]);
    close(out[1]);
    control_.reset(in[1]);
    output_.reset(out[0]);
    json ready = configure();
    ASSERT_EQ(ready["type"], "ready") << ready;
    std::string listen = ready["listen"];
    port_ = static_cast<uint16_t>(std::stoi(listen.substr(listen.rfind(':') + 1)));
    // This test is the supervisor: it signs what the guard asks for, and clients trust the root alone.
    csr_ = ready["csr"];
    certify(csr_);
    roots_.reset(make_upstream_context(root_->pem() + ca_->pem()));
  }
  void certify(const std::string& csr) {
    auto pem = root_->certify(csr);
    ASSERT_TRUE(pem) << pem.error().what;
    EXPECT_TRUE(write_all(control_.get(), json{{"type", "certificate"}, {"pem", *pem}}.dump() + "\n"));
  }
  json configure() {
    EXPECT_TRUE(write_all(control_.get(), json{{"type", "configure"}, {"config", config_}}.dump() + "\n"));
    while (true) {
      json line = next_line();
      if (line["type"] != "audit") return line;
    }
  }
  json next_line() {
    size_t end;
    while ((end = audit_.find('\n', read_)) == std::string::npos) {
      pollfd p{output_.get(), POLLIN, 0};
      char buffer[4096];
      if (poll(&p, 1, 5000) != 1) return {{"type", "timeout"}};
      ssize_t n = read(output_.get(), buffer, sizeof buffer);
      if (n <= 0) return {{"type", "end"}};
      audit_.append(buffer, static_cast<size_t>(n));
    }
    json line = json::parse(audit_.substr(read_, end - read_));
    read_ = end + 1;
    return line;
  }
  // The next audit line with this code.
  json audited(const std::string& code) {
    while (true) {
      json line = next_line();
      if (line["type"] != "audit" || line.value("code", "") == code) return line;
    }
  }
  std::string raw(const std::string& request) {
    Wire wire{dial_loopback(port_), {}, {}};
    wire.write(request);
    return wire.message();
  }
  Wire connect_to(const std::string& host, int port = 443) {
    Wire wire{dial_loopback(port_), {}, {}};
    std::string authority = host + ":" + std::to_string(port);
    wire.write("CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n\r\n");
    answer_ = wire.message();
    return wire;
  }
  // A tunnel with TLS in it; ssl is null if the handshake failed.
  Wire secure(const std::string& host, const std::string& sni = "") {
    Wire wire = connect_to(host);
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
  UniqueFd control_, output_;
  std::string audit_, answer_;
  size_t read_ = 0;
  uint16_t port_ = 0;
  std::unique_ptr<SSL_CTX, FreeTls> roots_;
};

TEST_F(GuardTest, denies_by_default_and_says_little) {
  start();
  std::string answer = raw("CONNECT secret.example.org:443 HTTP/1.1\r\nHost: secret.example.org:443\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 403")) << answer;
  EXPECT_NE(answer.find("X-Bottle-Deny: not_allowed"), answer.npos);
  json line = audited("not_allowed");
  EXPECT_EQ(line["action"], "deny");
  EXPECT_EQ(line["host"], "secret.example.org");
  EXPECT_NE(answer.find(line["id"].get<std::string>()), answer.npos);
  EXPECT_NE(raw("GET / HTTP/1.1\r\nHost: guard\r\n\r\n").find("bottle guard"), std::string::npos);
  EXPECT_NE(raw("GET http://example.org/ HTTP/1.1\r\nHost: example.org\r\n\r\n").find("403"), std::string::npos);
  EXPECT_NE(raw("GET http://a/ HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n").find("bad_request"), std::string::npos);
}

TEST_F(GuardTest, refuses_addresses_in_every_spelling) {
  uint16_t port;
  auto canary = listen_on_loopback(port);
  allow({{"host", "*"}, {"ports", {port, 443, 80}}});
  start();
  for (const char* host : {"127.0.0.1", "127.1", "0x7f.1", "2130706433", "017700000001", "127.0.0.1.", "[::1]", "[::ffff:127.0.0.1]", "169.254.169.254"}) {
    std::string authority = std::string(host) + ":" + std::to_string(port);
    EXPECT_NE(raw("CONNECT " + authority + " HTTP/1.1\r\nHost: " + authority + "\r\n\r\n").find("X-Bottle-Deny: ip_literal"), std::string::npos) << host;
    EXPECT_NE(raw("GET http://" + authority + "/ HTTP/1.1\r\nHost: " + authority + "\r\n\r\n").find("X-Bottle-Deny: ip_literal"), std::string::npos) << host;
  }
  // c-ares answers localhost by itself, without a question.
  EXPECT_NE(raw("CONNECT x.localhost:443 HTTP/1.1\r\nHost: x.localhost:443\r\n\r\n").find("403"), std::string::npos);
  pollfd p{canary.get(), POLLIN, 0};
  EXPECT_EQ(poll(&p, 1, 100), 0) << "somebody reached loopback";
}

TEST_F(GuardTest, asks_no_resolver_about_what_is_denied_and_checks_what_it_answers) {
  uint16_t resolver_port;
  auto resolver = listen_on_loopback(resolver_port, SOCK_DGRAM);
  config_["egress"]["resolver"] = "127.0.0.1:" + std::to_string(resolver_port);
  allow("rebind.example.org");
  start();
  raw("CONNECT leak.example.net:443 HTTP/1.1\r\nHost: leak.example.net:443\r\n\r\n");
  raw("CONNECT rebind.example.org:22 HTTP/1.1\r\nHost: rebind.example.org:22\r\n\r\n");
  pollfd p{resolver.get(), POLLIN, 0};
  EXPECT_EQ(poll(&p, 1, 100), 0) << "a denied name was resolved";
  std::thread server([&] {
    while (poll(&p, 1, 2000) == 1) {
      char buffer[512];
      sockaddr_in from;
      socklen_t size = sizeof from;
      ssize_t n = recvfrom(resolver.get(), buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (n < 12) return;
      std::string reply(buffer, static_cast<size_t>(n));
      size_t end = reply.find('\0', 12) + 5;
      bool a = reply[end - 3] == 1;
      reply.resize(end);
      reply[2] = '\x81', reply[3] = '\x80', reply[7] = a ? 1 : 0, reply[9] = reply[11] = 0;
      if (a) reply += std::string("\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x0a\1\2\3", 16);
      sendto(resolver.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  });
  std::string answer = raw("CONNECT rebind.example.org:443 HTTP/1.1\r\nHost: rebind.example.org:443\r\n\r\n");
  EXPECT_NE(answer.find("X-Bottle-Deny: address"), answer.npos) << answer;
  server.join();
}

TEST_F(GuardTest, tunnels_tls_blindly_and_nothing_else) {
  Origin origin(ca_.get(), "blind.test", [](auto&) { return ok(std::string(3'000'000, 'x')); });
  route("blind.test", origin.port);
  allow("blind.test");
  start();
  Wire wire = secure("blind.test");
  ASSERT_TRUE(wire.ssl);
  wire.write("GET / HTTP/1.1\r\nHost: blind.test\r\n\r\n");
  EXPECT_EQ(wire.message().size(), ok(std::string(3'000'000, 'x')).size());
  wire = {};
  EXPECT_EQ(audited("")["action"], "close");
  Wire plain = connect_to("blind.test");
  EXPECT_TRUE(answer_.starts_with("HTTP/1.1 200")) << answer_;
  plain.write("GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(plain.to_end(), "");
  EXPECT_EQ(audited("tls_only")["action"], "deny");
  EXPECT_FALSE(secure("blind.test", "other.test").ssl);
  EXPECT_EQ(audited("sni")["action"], "deny");
  connect_to("blind.test", 80);
  EXPECT_NE(answer_.find("tls_only"), answer_.npos);
}

TEST_F(GuardTest, inspects_by_method_and_path) {
  Origin origin(ca_.get(), "api.test", [](const std::string& request) { return ok(request.substr(0, request.find('\r'))); });
  route("api.test", origin.port);
  allow({{"host", "api.test"}, {"methods", {"GET"}}, {"paths", {"/mine/**"}}});
  start();
  Wire wire = secure("api.test");
  ASSERT_TRUE(wire.ssl);
  for (const char* path : {"/mine/a", "/mine/b"}) {
    wire.write("GET " + std::string(path) + " HTTP/1.1\r\nHost: api.test\r\n\r\n");
    EXPECT_TRUE(wire.message().ends_with("GET " + std::string(path) + " HTTP/1.1"));
  }
  for (const char* line : {"POST /mine/a", "GET /yours", "GET /mine/../yours", "GET /mine/%2e%2e/yours", "GET /mine/..%2fyours"}) {
    wire.write(std::string(line) + " HTTP/1.1\r\nHost: api.test\r\n\r\n");
    EXPECT_TRUE(wire.message().starts_with("HTTP/1.1 403")) << line;
  }
  wire.write("GET /mine/c HTTP/1.1\r\nHost: elsewhere.test\r\n\r\n");
  EXPECT_NE(wire.message().find("host_mismatch"), std::string::npos);
  wire.write("GET /mine/d HTTP/1.1\r\nHost: api.test\r\n\r\n");
  EXPECT_TRUE(wire.message().ends_with("/mine/d HTTP/1.1"));
  EXPECT_EQ(origin.accepted, 1) << "the upstream connection is kept";
}

TEST_F(GuardTest, swaps_the_secret_in_for_its_host_only) {
  Origin mine(ca_.get(), "mine.test", [](auto&) { return ok("fine"); }), other(ca_.get(), "other.test", [](auto&) { return ok("fine"); }),
      plain(nullptr, "", [](auto&) { return ok("fine"); });
  route("mine.test", mine.port);
  route("other.test", other.port);
  route("plain.test", plain.port);
  allow("mine.test");
  allow("plain.test");
  allow({{"host", "other.test"}, {"inspect", true}});
  bind_secret("mine.test");
  start();
  Wire wire = secure("mine.test");
  ASSERT_TRUE(wire.ssl);
  wire.write("GET / HTTP/1.1\r\nHost: mine.test\r\nAuthorization: Bearer " + std::string(kPlaceholder) + "\r\nAccept-Encoding: gzip\r\n\r\n");
  EXPECT_TRUE(wire.message().ends_with("fine"));
  EXPECT_NE(mine.last().find("Authorization: Bearer " + std::string(kValue) + "\r\n"), std::string::npos) << mine.last();
  EXPECT_NE(mine.last().find("Accept-Encoding: identity\r\n"), std::string::npos);
  EXPECT_EQ(mine.last().find("gzip"), std::string::npos);
  wire.write("GET / HTTP/1.1\r\nHost: mine.test\r\nAuthorization: Basic " + base64_encode("me:" + std::string(kPlaceholder)) + "\r\n\r\n");
  wire.message();
  EXPECT_NE(mine.last().find(base64_encode("me:" + std::string(kValue))), std::string::npos) << mine.last();
  for (std::string secret : {kPlaceholder, kValue}) {
    std::string body = std::string(100'000, 'x') + secret + "yyy";
    for (const std::string& request : {
             "GET /?q=" + secret + " HTTP/1.1\r\nHost: other.test\r\n\r\n", "GET / HTTP/1.1\r\nHost: other.test\r\nX-A: b" + secret + "\r\n\r\n",
             "GET / HTTP/1.1\r\nHost: other.test\r\nAuthorization: Basic " + base64_encode(secret) + "\r\n\r\n",
             "POST / HTTP/1.1\r\nHost: other.test\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body,
             "POST / HTTP/1.1\r\nHost: other.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n" + secret.substr(0, 5) + "\r\n9\r\n" + secret.substr(5, 9) + "\r\n8\r\n" + secret.substr(14, 8) + "\r\n6\r\n" +
                 (secret.size() > 22 ? secret.substr(22, 6) : "zzzzzz") + "\r\n0\r\n\r\n"}) {
      Wire to_other = secure("other.test");
      ASSERT_TRUE(to_other.ssl);
      to_other.write(request);
      EXPECT_NE(to_other.message().find("X-Bottle-Deny: secret\r\n"), std::string::npos) << request.substr(0, 120);
    }
    EXPECT_EQ(other.last().find(secret), std::string::npos);
    // Not even to its own host where nothing proves that it is that host.
    EXPECT_NE(raw("GET http://plain.test/ HTTP/1.1\r\nHost: plain.test\r\nX: " + secret + "\r\n\r\n").find("X-Bottle-Deny: secret"), std::string::npos);
  }
  EXPECT_EQ(plain.accepted, 0);
}

TEST_F(GuardTest, sets_the_header_from_its_template) {
  Origin origin(ca_.get(), "mine.test", [](auto&) { return ok("fine"); });
  route("mine.test", origin.port);
  allow("mine.test");
  bind_secret("mine.test", "X-Key: v={};");
  start();
  Wire wire = secure("mine.test");
  ASSERT_TRUE(wire.ssl);
  wire.write("GET / HTTP/1.1\r\nHost: mine.test\r\nx-key: mine\r\n\r\n");
  wire.message();
  EXPECT_NE(origin.last().find("X-Key: v=" + std::string(kValue) + ";\r\n"), std::string::npos);
  EXPECT_EQ(origin.last().find("x-key: mine"), std::string::npos);
}

TEST_F(GuardTest, never_answers_with_the_value) {
  Origin origin(ca_.get(), "mine.test", [](const std::string& request) {
    if (request.starts_with("GET /head")) return "HTTP/1.1 200 OK\r\nX: " + std::string(kValue) + "\r\nContent-Length: 0\r\n\r\n";
    return ok("your token is " + std::string(kValue));
  });
  route("mine.test", origin.port);
  allow("mine.test");
  bind_secret("mine.test");
  start();
  for (const char* path : {"/head", "/body"}) {
    Wire wire = secure("mine.test");
    ASSERT_TRUE(wire.ssl);
    wire.write("GET " + std::string(path) + " HTTP/1.1\r\nHost: mine.test\r\n\r\n");
    std::string answer = wire.to_end();
    EXPECT_EQ(answer.find(std::string(kValue).substr(0, 12)), answer.npos) << answer;
    EXPECT_EQ(audited("secret_in_answer")["action"], "deny");
  }
  config_["egress"]["on_secret"] = "redact";
  EXPECT_EQ(configure()["type"], "ready");
  for (const char* path : {"/head", "/body"}) {
    Wire wire = secure("mine.test");
    ASSERT_TRUE(wire.ssl);
    wire.write("GET " + std::string(path) + " HTTP/1.1\r\nHost: mine.test\r\n\r\n");
    std::string answer = wire.message();
    EXPECT_NE(answer.find(std::string(strlen(kValue), '*')), answer.npos) << answer;
  }
}

TEST_F(GuardTest, verifies_the_upstream) {
  auto stranger = std::move(*SessionCa::self_signed());
  Origin wrong_ca(stranger.get(), "a.test", [](auto&) { return ok("no"); }), wrong_name(ca_.get(), "other.test", [](auto&) { return ok("no"); });
  route("a.test", wrong_ca.port);
  route("b.test", wrong_name.port);
  allow({{"host", "*.test"}, {"inspect", true}});
  start();
  for (const char* host : {"a.test", "b.test"}) {
    Wire wire = secure(host);
    ASSERT_TRUE(wire.ssl);
    wire.write("GET / HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n");
    EXPECT_NE(wire.message().find("upstream_tls"), std::string::npos) << host;
  }
}

TEST_F(GuardTest, forwards_plain_http_and_upgrades) {
  Origin origin(nullptr, "", [](const std::string& request) {
    if (request.find("Upgrade: websocket") != request.npos) return std::string("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nraw bytes");
    return std::string("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
  });
  route("plain.test", origin.port);
  allow("plain.test");
  start();
  Wire wire{dial_loopback(port_), {}, {}};
  wire.write("GET http://plain.test/a HTTP/1.1\r\nHost: plain.test\r\nProxy-Connection: x\r\nConnection: X-Drop\r\nX-Drop: 1\r\n\r\n");
  while (wire.in.find("0\r\n\r\n") == std::string::npos && wire.more()) {}
  EXPECT_TRUE(wire.in.ends_with("5\r\nhello\r\n0\r\n\r\n")) << wire.in;
  EXPECT_TRUE(origin.last().starts_with("GET /a HTTP/1.1\r\nHost: plain.test\r\n")) << origin.last();
  EXPECT_EQ(origin.last().find("Drop"), std::string::npos);
  wire.in.clear();
  wire.write("GET http://plain.test/ws HTTP/1.1\r\nHost: plain.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  while (wire.in.find("raw bytes") == std::string::npos && wire.more()) {}
  EXPECT_TRUE(wire.in.starts_with("HTTP/1.1 101")) << wire.in;
}

TEST_F(GuardTest, takes_new_rules_and_refuses_broken_ones) {
  start();
  allow("late.test");
  route("late.test", 1);
  EXPECT_EQ(configure()["type"], "ready");
  EXPECT_EQ(raw("CONNECT late.test:443 HTTP/1.1\r\nHost: late.test:443\r\n\r\n").find("not_allowed"), std::string::npos);
  auto before = config_;
  config_["egress"]["allow"] = json::array({{{"host", "*"}, {"method", {"GET"}}}});
  EXPECT_EQ(configure()["type"], "error") << "a restriction that is not understood must not be dropped";
  config_ = before;
  config_["egress"]["on_secret"] = 7;
  EXPECT_EQ(configure()["type"], "error");
  EXPECT_NE(raw("CONNECT no.test:443 HTTP/1.1\r\nHost: no.test:443\r\n\r\n").find("not_allowed"), std::string::npos) << "the old rules stand";
}

TEST_F(GuardTest, goes_through_a_parent_proxy) {
  Origin parent(nullptr, "", [](const std::string& request) { return request.starts_with("CONNECT") ? std::string("HTTP/1.1 200 OK\r\n\r\n") : ok("from the parent"); });
  config_["egress"]["parent_proxy"] = "http://u:p@127.0.0.1:" + std::to_string(parent.port);
  allow("far.example.org");
  start();
  EXPECT_NE(raw("GET http://far.example.org/x HTTP/1.1\r\nHost: far.example.org\r\nConnection: close\r\n\r\n").find("from the parent"), std::string::npos);
  EXPECT_TRUE(parent.last().starts_with("GET http://far.example.org/x HTTP/1.1\r\n")) << parent.last();
  EXPECT_NE(parent.last().find("Proxy-Authorization: Basic " + base64_encode("u:p")), std::string::npos);
  connect_to("far.example.org");
  EXPECT_TRUE(answer_.starts_with("HTTP/1.1 200"));
  EXPECT_TRUE(parent.last().starts_with("CONNECT far.example.org:443 HTTP/1.1\r\n"));
}

TEST_F(GuardTest, sigterm_ends_it_cleanly) {
  start();
  kill(pid_, SIGTERM);
  EXPECT_EQ(next_line()["type"], "end");
}

TEST_F(GuardTest, ACertificateIsTakenOnceAndOnlyForItsOwnKey) {
  Origin origin(ca_.get(), "inspected.example.org", [](const std::string&) { return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"; });
  allow({{"host", "inspected.example.org"}, {"inspect", true}});
  route("inspected.example.org", origin.port);
  start();
  auto refused = [&](const std::string& pem) {
    EXPECT_TRUE(write_all(control_.get(), json{{"type", "certificate"}, {"pem", pem}}.dump() + "\n"));
    for (json line;;)
      if ((line = next_line())["type"] != "audit") return line["type"] == "error";
  };
  // A second one, one for another key, and no certificate at all: none of them changes what clients see.
  EXPECT_TRUE(refused(*root_->certify(csr_)));
  EXPECT_TRUE(refused(ca_->pem()));
  EXPECT_TRUE(refused("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
  Wire wire = secure("inspected.example.org");
  ASSERT_TRUE(wire.ssl);
  STACK_OF(X509)* chain = SSL_get_peer_cert_chain(wire.ssl.get());
  ASSERT_EQ(sk_X509_num(chain), 2) << "the leaf and the guard's own authority; the root is with the client";
  wire.write("GET / HTTP/1.1\r\nHost: inspected.example.org\r\n\r\n");
  EXPECT_TRUE(wire.message().ends_with("ok"));
}

TEST_F(GuardTest, CarriesWholeAgentMessagesAndNothingWithoutPermission) {
  start();
  std::string ask = "GET /ssh-agent HTTP/1.1\r\nHost: guard\r\n\r\n";
  EXPECT_TRUE(raw(ask).starts_with("HTTP/1.1 403 "));
  config_["ssh_agent"] = true;
  EXPECT_EQ(configure()["type"], "ready");
  Wire wire{dial_loopback(port_), {}, {}};
  wire.write(ask);
  EXPECT_TRUE(wire.message().starts_with("HTTP/1.1 101 "));
  auto line = [&] {
    json next;
    do next = next_line();
    while (next["type"] == "audit");
    return next;
  };
  // In pieces and two at once: one request goes out, the second waits for the first's answer.
  wire.write(std::string("\0\0", 2));
  wire.write(std::string("\0\2ab\0\0\0\1c", 9));
  json first = line();
  EXPECT_EQ(first["type"], "ssh-agent");
  EXPECT_EQ(first["request"], base64_encode("ab"));
  auto answer = [&](const json& number, const json& text) {
    EXPECT_TRUE(write_all(control_.get(), json{{"type", "ssh-agent"}, {"connection", number}, {"answer", text}}.dump() + "\n"));
  };
  answer(99, "YWE=");  // nobody's
  answer(first["connection"], base64_encode("yes"));
  while (wire.in.size() < 7) ASSERT_TRUE(wire.more());
  EXPECT_EQ(std::exchange(wire.in, {}), std::string("\0\0\0\3yes", 7));
  json second = line();
  EXPECT_EQ(second["request"], base64_encode("c"));
  answer(second["connection"], nullptr);  // no answer: closed
  EXPECT_EQ(wire.to_end(), "");
  EXPECT_EQ(line()["closed"], true);
  // A length that is no agent's.
  Wire large{dial_loopback(port_), {}, {}};
  large.write(ask);
  large.message();
  large.write(std::string("\1\0\0\0", 4));
  EXPECT_EQ(large.to_end(), "");
}

TEST_F(GuardTest, RelayedHostsGoByTheControlChannelOrNotAtAll) {
  config_["relay"] = {"lan.example.org"};
  allow({{"host", "lan.example.org"}, {"ports", {80}}, {"methods", {"GET"}}});
  start();
  std::string ask = "GET http://lan.example.org/x HTTP/1.1\r\nHost: lan.example.org\r\nConnection: close\r\n\r\n";
  auto say = [&](json message) { EXPECT_TRUE(write_all(control_.get(), message.dump() + "\n")); };
  auto line = [&] {
    json next;
    do next = next_line();
    while (next["type"] == "audit");
    return next;
  };
  std::string away = raw(ask);
  EXPECT_TRUE(away.starts_with("HTTP/1.1 503 ")) << away;
  EXPECT_NE(away.find("X-Bottle-Error: operator_away"), std::string::npos) << away;
  say({{"type", "relay"}, {"up", true}});
  ASSERT_EQ(configure()["type"], "ready");  // lines are taken in their order: the one before has been
  auto begin = [&](Wire& wire) {
    wire.write(ask);
    json open = line(), data = line();
    EXPECT_EQ(open["open"], true);
    EXPECT_EQ(data["stream"], open["stream"]);
    EXPECT_TRUE(base64_decode(data.value("data", "")).value_or("").starts_with("GET http://lan.example.org/x HTTP/1.1\r\n")) << data;
    return open["stream"];
  };
  Wire wire{dial_loopback(port_), {}, {}};
  json number = begin(wire);
  say({{"type", "stream"}, {"stream", number}, {"data", base64_encode("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n")}});
  say({{"type", "stream"}, {"stream", 99}, {"data", base64_encode("nobody's")}});
  // What was sent before the end still counts.
  say({{"type", "stream"}, {"stream", number}, {"data", base64_encode("ok")}});
  say({{"type", "stream"}, {"stream", number}, {"closed", true}});
  EXPECT_TRUE(wire.message().ends_with("ok"));
  // More than the window, not base64, the other side gone: the stream ends, and so does the request.
  for (const json& bad : {json{{"type", "stream"}, {"data", base64_encode(std::string(300000, 'x'))}}, json{{"type", "stream"}, {"data", "%%%"}}, json{{"type", "relay"}, {"up", false}}}) {
    Wire other{dial_loopback(port_), {}, {}};
    json message = bad, its = begin(other);
    if (message["type"] == "stream") message["stream"] = its;
    say(message);
    EXPECT_TRUE(other.to_end().starts_with("HTTP/1.1 502 ")) << bad.dump().substr(0, 60);
    while (message["type"] == "stream" && line()["type"] != "stream") {}
  }
  EXPECT_TRUE(raw(ask).starts_with("HTTP/1.1 503 "));
  // The rules hold as for any host.
  EXPECT_TRUE(raw("POST http://lan.example.org/x HTTP/1.1\r\nHost: lan.example.org\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").starts_with("HTTP/1.1 403 "));
}

TEST_F(GuardTest, WithoutANetworkEveryHostIsRelayed) {
  config_["relay"] = {"*"};
  // Fixed addresses, the resolver, literal ssh hosts: none of them is dialled from here.
  config_["egress"]["hosts"] = {{"fixed.example.org", {"127.0.0.1:9"}}};
  config_["ssh"] = {{{"host", "192.168.1.9"}, {"port", 22}, {"key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBA="}}};
  allow({{"host", "fixed.example.org"}});
  allow({{"host", "named.example.org"}});
  start();
  for (const char* to : {"fixed.example.org:443", "named.example.org:443", "192.168.1.9:22"}) {
    std::string answer = raw(std::string("CONNECT ") + to + " HTTP/1.1\r\nHost: " + to + "\r\n\r\n");
    EXPECT_NE(answer.find("X-Bottle-Error: operator_away"), std::string::npos) << to << answer;
  }
  EXPECT_TRUE(raw("CONNECT other.example.org:443 HTTP/1.1\r\nHost: other.example.org:443\r\n\r\n").starts_with("HTTP/1.1 403 "));
}

TEST_F(GuardTest, ShowsThatItLivesUntilItDoesNot) {
  start();
  Wire wire{dial_loopback(port_), {}, {}};
  wire.write("GET /alive HTTP/1.1\r\nHost: guard\r\n\r\n");
  EXPECT_TRUE(wire.message().starts_with("HTTP/1.1 200 "));
  pollfd p{wire.fd.get(), POLLIN, 0};
  EXPECT_EQ(poll(&p, 1, 200), 0) << "it ended early";
  EXPECT_TRUE(write_all(control_.get(), "{\"type\":\"shutdown\"}\n"));
  EXPECT_EQ(poll(&p, 1, 5000), 1);
  EXPECT_FALSE(wire.more());
}

TEST_F(GuardTest, ALanRouteMustBeAServiceOfTheLocalNetworkUnderANameOfItsOwn) {
  start();
  allow("taken.example.org");
  auto says = [&](json route) {
    config_["egress"]["lan"] = json::array({route});
    json answer = configure();
    return answer["type"] == "error" ? answer["what"].get<std::string>() : answer["type"].get<std::string>();
  };
  EXPECT_EQ(says({{"name", "tracker.bottle"}, {"to", "192.168.1.20:8080"}, {"methods", {"GET"}}, {"paths", {"/issues/**"}}}), "ready");
  for (std::string to : {"127.0.0.1:80", "0.0.0.0:80", "169.254.169.254:80", "224.0.0.1:80", "255.255.255.255:80", "[::1]:80", "[::ffff:127.0.0.1]:80", "[::127.0.0.1]:80", "[fe80::1]:80", "[ff02::1]:80",
                         "192.168.1.20", "tracker:80", ""})
    EXPECT_NE(says({{"name", "tracker.bottle"}, {"to", to}}), "ready") << to;
  EXPECT_NE(says({{"name", "taken.example.org"}, {"to", "192.168.1.20:80"}}), "ready");
  EXPECT_NE(says({{"name", "10.0.0.1"}, {"to", "192.168.1.20:80"}}), "ready");
  EXPECT_NE(says({{"name", "tracker.bottle"}, {"to", "192.168.1.20:80"}, {"method", {"GET"}}}), "ready") << "a restriction that is misspelt";
  // Only the name and the port it is for, by its rule.
  EXPECT_EQ(says({{"name", "tracker.bottle"}, {"to", "192.168.1.20:8080"}, {"methods", {"GET"}}, {"paths", {"/issues/**"}}}), "ready");
  EXPECT_TRUE(raw("POST http://tracker.bottle/issues/1 HTTP/1.1\r\nHost: tracker.bottle\r\n\r\n").starts_with("HTTP/1.1 403"));
  EXPECT_TRUE(raw("GET http://tracker.bottle/admin HTTP/1.1\r\nHost: tracker.bottle\r\n\r\n").starts_with("HTTP/1.1 403"));
  EXPECT_TRUE(raw("GET http://tracker.bottle:8080/issues/1 HTTP/1.1\r\nHost: tracker.bottle:8080\r\n\r\n").starts_with("HTTP/1.1 403"));
  EXPECT_TRUE(raw("GET http://192.168.1.20:8080/issues/1 HTTP/1.1\r\nHost: 192.168.1.20:8080\r\n\r\n").starts_with("HTTP/1.1 403"));
  EXPECT_TRUE(raw("CONNECT tracker.bottle:443 HTTP/1.1\r\nHost: tracker.bottle:443\r\n\r\n").starts_with("HTTP/1.1 403"));
}

}  // namespace
}  // namespace bottle::guard
