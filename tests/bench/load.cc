// The client side of scripts/bench. It blocks, uses one connection per thread at a time, and never resumes a TLS
// session. It prints one JSON line.
//
//   bench_load connect --to P --target HOST:PORT --answer BYTES --count N
//     Sends CONNECT and a ClientHello, reads the answer and closes, N times.
//   bench_load bulk --to P --target HOST:PORT --seconds S
//     Reads an endless answer from one tunnel per thread.
//   bench_load hold --to P --target HOST:PORT --answer BYTES --count N
//     Opens N tunnels, and idles until stdin ends.
//   bench_load handshake --to P --host NAME --ca FILE [--target HOST:PORT] --count N
//     Makes a TLS handshake, sends one GET and closes, N times.
//   bench_load get --to P --host NAME --ca FILE [--target HOST:PORT] --seconds S
//     Sends GETs on one kept connection per thread.
//   bench_load hold-tls --to P --host NAME --ca FILE [--target HOST:PORT] --count N
//     Opens N connections, sends one GET on each, and idles.
//   bench_load first --to P --target HOST:PORT -- COMMAND...
//     Starts COMMAND, and measures the time from then until the answer to a CONNECT.
//   bench_load down|up --to P --host NAME --ca FILE [--target HOST:PORT] --path PATH --bytes N --count N
//       [--body text|packed]
//     Makes one transfer to warm up, then N transfers on the same connection.
//
// With --target, TLS runs inside a CONNECT; without it, TLS goes straight to P. --threads N has the default 8. All
// addresses are in 127.0.0.0/8.
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "net.h"

namespace {

using namespace bench;
using Clock = std::chrono::steady_clock;

struct Options {
  std::string mode, target, host, ca, path = "/1k";
  // The host, with the target's port unless it is the usual one. squid connects to the host in the Host header.
  std::string authority;
  sockaddr_in to{};
  std::string body;  // the body of an upload, which is sent repeatedly
  size_t answer = 0, count = 0, bytes = 0;
  int threads = 8;
  double seconds = 0;
};

Options g;
std::atomic<size_t> g_done, g_bytes;

int dial() {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  timeval patience{20, 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  no_delay(fd);
  if (fd < 0 || connect(fd, reinterpret_cast<sockaddr*>(&g.to), sizeof g.to) != 0) die("connecting");
  return fd;
}

void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) die("sending");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
}

int tunnel() {
  int fd = dial();
  if (g.target.empty()) return fd;
  send_all(fd, "CONNECT " + g.target + " HTTP/1.1\r\nHost: " + g.target + "\r\n\r\n");
  char head[2048];
  size_t have = 0;
  while (have < sizeof head - 1) {
    ssize_t n = recv(fd, head + have, sizeof head - 1 - have, 0);
    if (n <= 0) die("the answer to CONNECT");
    have += static_cast<size_t>(n);
    head[have] = 0;
    if (std::strstr(head, "\r\n\r\n")) break;
  }
  errno = 0;
  if (std::strncmp(head, "HTTP/1.1 200", 12) != 0 && std::strncmp(head, "HTTP/1.0 200", 12) != 0)
    die("CONNECT was answered with " + std::string(head, have));
  return fd;
}

// --- blind tunnels, with a real ClientHello that is made once

std::string client_hello() {
  std::string name = g.target.substr(0, g.target.rfind(':'));
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL* ssl = SSL_new(context);
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
  SSL_set_tlsext_host_name(ssl, name.c_str());
  SSL_set_connect_state(ssl);
  SSL_do_handshake(ssl);
  char* data = nullptr;
  long size = BIO_get_mem_data(out, &data);
  std::string hello(data, static_cast<size_t>(size));
  SSL_free(ssl);
  SSL_CTX_free(context);
  return hello;
}

int blind(const std::string& hello) {
  int fd = tunnel();
  send_all(fd, hello);
  char buffer[16384];
  for (size_t got = 0; got < g.answer;) {
    ssize_t n = recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0) die("the tunnel's answer");
    got += static_cast<size_t>(n);
  }
  return fd;
}

// --- TLS

SSL_CTX* g_tls;

struct Tls {
  int fd = tunnel();
  SSL* ssl = SSL_new(g_tls);

  Tls() {
    SSL_set_fd(ssl, fd);
    SSL_set_tlsext_host_name(ssl, g.host.c_str());
    SSL_set1_host(ssl, g.host.c_str());
    if (SSL_connect(ssl) != 1) {
      ERR_print_errors_fp(stderr);
      die("the TLS handshake");
    }
  }
  Tls(const Tls&) = delete;
  ~Tls() {
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
  }

  void get() {
    std::string request =
        "GET " + g.path + " HTTP/1.1\r\nHost: " + g.authority + "\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n";
    if (SSL_write(ssl, request.data(), static_cast<int>(request.size())) <= 0) die("sending a request");
    char buffer[16384];
    size_t have = 0, whole = 0;
    do {
      int n = SSL_read(ssl, buffer + have, static_cast<int>(sizeof buffer - 1 - have));
      if (n <= 0) die("reading an answer");
      have += static_cast<size_t>(n);
      buffer[have] = 0;
      char* end = std::strstr(buffer, "\r\n\r\n");
      if (whole || !end) continue;
      char* length = strcasestr(buffer, "\r\ncontent-length:");
      errno = 0;
      if (std::strncmp(buffer, "HTTP/1.1 200", 12) != 0 || !length || length > end)
        die("the answer " + std::string(buffer, static_cast<size_t>(end - buffer)));
      whole = static_cast<size_t>(end + 4 - buffer) + std::strtoul(length + 17, nullptr, 10);
    } while (!whole || have < whole);
    g_bytes += have;
  }
};

// Receives an answer of g.bytes bytes, or sends that many in a request.
void transfer(Tls& tls, bool up) {
  static thread_local char buffer[64 * 1024];
  std::string head =
      (up ? "POST " : "GET ") + g.path + (up ? "" : std::to_string(g.bytes)) + " HTTP/1.1\r\nHost: " + g.authority;
  if (up) head += "\r\nContent-Type: application/octet-stream\r\nContent-Length: " + std::to_string(g.bytes);
  head += "\r\n\r\n";
  if (SSL_write(tls.ssl, head.data(), static_cast<int>(head.size())) <= 0) die("sending a request");
  for (size_t sent = 0; up && sent < g.bytes;) {
    size_t at = sent % (g.body.size() / 2);
    int n = SSL_write(tls.ssl, g.body.data() + at, static_cast<int>(std::min(g.bytes - sent, g.body.size() / 2)));
    if (n <= 0) die("sending a body");
    sent += static_cast<size_t>(n);
  }
  size_t body = 0, whole = up ? 2 : g.bytes;
  for (std::string start; body < whole;) {
    int n = SSL_read(tls.ssl, buffer, sizeof buffer);
    if (n <= 0) die("reading an answer");
    if (body > 0) {
      body += static_cast<size_t>(n);
      continue;
    }
    start.append(buffer, static_cast<size_t>(n));
    errno = 0;
    if (start.size() > 12 && !start.starts_with("HTTP/1.1 200")) die("the answer " + start.substr(0, 200));
    if (size_t end = start.find("\r\n\r\n"); end != start.npos) body = start.size() - end - 4;
  }
  g_bytes += g.bytes;
}

void in_threads(const std::function<void()>& work) {
  std::vector<std::thread> threads;
  for (int i = 0; i < g.threads; ++i) threads.emplace_back(work);
  for (auto& each : threads) each.join();
}

void count_down(const std::function<void()>& once) {
  std::atomic<long> left = static_cast<long>(g.count);
  in_threads([&] {
    while (left-- > 0) {
      once();
      ++g_done;
    }
  });
}

// Starts the measurement only when all threads are connected, warmed up and waiting.
void for_seconds(const std::function<void(const std::function<bool()>& more)>& work, double& seconds) {
  std::atomic<int> ready = 0;
  std::atomic<bool> go = false, stop = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < g.threads; ++i)
    threads.emplace_back([&] {
      bool first = true;
      work([&] {
        if (first) {
          first = false;
          ++ready;
          go.wait(false);
          return true;
        }
        return !stop.load(std::memory_order_relaxed);
      });
    });
  while (ready < g.threads) usleep(1000);
  g_done = g_bytes = 0;
  auto begun = Clock::now();
  go = true;
  go.notify_all();
  std::this_thread::sleep_for(std::chrono::duration<double>(g.seconds));
  stop = true;
  seconds = std::chrono::duration<double>(Clock::now() - begun).count();
  size_t done = g_done, bytes = g_bytes;
  for (auto& each : threads) each.join();
  g_done = done;
  g_bytes = bytes;
}

void say(double seconds) {
  std::printf("{\"count\": %zu, \"bytes\": %zu, \"seconds\": %.6f}\n", g_done.load(), g_bytes.load(), seconds);
  std::fflush(stdout);
}

// Starts the command, and asks until it answers. Ends the command by its pid, even if the measurement ends early. The
// time before the process is made also counts.
double first_answer(char** command) {
  auto begun = Clock::now();
  static pid_t pid = 0;
  std::atexit([] {
    if (pid > 0) kill(pid, SIGTERM);
  });
  if (!command[0] || posix_spawnp(&pid, command[0], nullptr, nullptr, command, environ) != 0)
    die("starting the command");
  while (true) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool up = connect(fd, reinterpret_cast<sockaddr*>(&g.to), sizeof g.to) == 0;
    close(fd);
    if (up) break;
    if (waitpid(pid, nullptr, WNOHANG) != 0 || Clock::now() - begun > std::chrono::seconds(20))
      die("the command did not come up");
    usleep(100);
  }
  close(tunnel());
  double seconds = std::chrono::duration<double>(Clock::now() - begun).count();
  kill(pid, SIGTERM);
  waitpid(pid, nullptr, 0);
  return seconds;
}

void until_told() {
  char c;
  while (read(0, &c, 1) > 0) {
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  g.mode = argv[1];
  std::map<std::string, std::string> given;
  int i = 2;
  for (; i + 1 < argc && std::strcmp(argv[i], "--") != 0; i += 2) given[argv[i]] = argv[i + 1];
  char** command = argv + std::min(i + 1, argc);
  g.to = loopback(given["--to"]);
  g.target = given["--target"];
  g.host = g.authority = given["--host"];
  if (!g.target.empty() && !g.target.ends_with(":443")) g.authority += g.target.substr(g.target.rfind(':'));
  g.ca = given["--ca"];
  g.answer = std::strtoul(given["--answer"].c_str(), nullptr, 10);
  g.count = std::strtoul(given["--count"].c_str(), nullptr, 10);
  g.seconds = std::atof(given["--seconds"].c_str());
  if (given.contains("--threads")) g.threads = std::atoi(given["--threads"].c_str());
  g.bytes = std::strtoul(given["--bytes"].c_str(), nullptr, 10);
  if (given.contains("--body")) g.body = content(given["--body"] == "packed");
  if (given.contains("--path")) g.path = given["--path"];
  if (g.count > 100000 || g.seconds > 60 || g.threads > 64) {
    errno = 0;
    die("more than the bench ever asks for");
  }
  std::signal(SIGPIPE, SIG_IGN);
  if (!g.ca.empty()) {
    g_tls = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_session_cache_mode(g_tls, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(g_tls, SSL_VERIFY_PEER, nullptr);
    if (SSL_CTX_load_verify_locations(g_tls, g.ca.c_str(), nullptr) != 1) die("reading " + g.ca);
  }
  std::string hello = g.target.empty() ? "" : client_hello();
  auto begun = Clock::now();
  double seconds = 0;
  if (g.mode == "first") {
    seconds = first_answer(command);
  } else if (g.mode == "connect") {
    count_down([&] { close(blind(hello)); });
  } else if (g.mode == "handshake") {
    count_down([] { Tls().get(); });
  } else if (g.mode == "down" || g.mode == "up") {
    Tls tls;
    transfer(tls, g.mode == "up");
    g_bytes = 0;
    begun = Clock::now();
    for (; g_done < g.count; ++g_done) transfer(tls, g.mode == "up");
  } else if (g.mode == "bulk") {
    g.answer = 1;
    for_seconds(
        [&](const auto& more) {
          int fd = blind(hello);
          static thread_local char buffer[256 * 1024];
          while (more()) {
            ssize_t n = recv(fd, buffer, sizeof buffer, 0);
            if (n <= 0) die("the tunnel's answer");
            g_bytes += static_cast<size_t>(n);
          }
          close(fd);
        },
        seconds);
  } else if (g.mode == "get") {
    for_seconds(
        [](const auto& more) {
          Tls tls;
          for (int i = 0; i < 20; ++i) tls.get();
          while (more()) {
            tls.get();
            ++g_done;
          }
        },
        seconds);
  } else if (g.mode == "hold") {
    std::vector<int> held;
    for (; g_done < g.count; ++g_done) held.push_back(blind(hello));
    say(0);
    until_told();
    return 0;
  } else if (g.mode == "hold-tls") {
    std::vector<std::unique_ptr<Tls>> held;
    for (; g_done < g.count; ++g_done) {
      held.push_back(std::make_unique<Tls>());
      held.back()->get();
    }
    say(0);
    until_told();
    return 0;
  } else {
    return 2;
  }
  if (seconds == 0) seconds = std::chrono::duration<double>(Clock::now() - begun).count();
  say(seconds);
}
