// Contains the servers and clients of scripts/bench that need more control over TLS than nginx and bench_load give.
// Prints one JSON line.
//
//   bench_site serve --listen P --cert FILE --key FILE
//     Serves GET /text/N, GET /packed/N and POST with HTTP/1.1.
//   bench_site events --listen P --cert FILE --key FILE --to Q --ca FILE --host NAME [--target HOST:PORT] --count N
//     Measures the delay of each of N server-sent events, from its server at P to its client, which connects to Q.
//   bench_site streams (the same options)
//     Sends N HTTP/2 requests in 5 connections, and idles until stdin ends. The server does not answer them.
//
// All addresses are in 127.0.0.0/8.
#include <fcntl.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <ctime>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "net.h"

namespace {

using namespace bench;

std::map<std::string, std::string> g_options;
SSL_CTX* g_server;
SSL_CTX* g_client;
std::atomic<size_t> g_requests;

int64_t nanoseconds() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1'000'000'000 + t.tv_nsec;
}

bool send_all(SSL* ssl, std::string_view bytes) {
  while (!bytes.empty()) {
    int n = SSL_write(ssl, bytes.data(), static_cast<int>(std::min<size_t>(bytes.size(), 64 << 10)));
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

// Reads until the text contains `end`. Returns the offset after it, or 0.
size_t read_until(SSL* ssl, std::string& text, std::string_view end) {
  char buffer[16384];
  while (true) {
    if (size_t at = text.find(end); at != text.npos) return at + end.size();
    int n = SSL_read(ssl, buffer, sizeof buffer);
    if (n <= 0) return 0;
    text.append(buffer, static_cast<size_t>(n));
  }
}

// --- the server ---

bool answer(SSL* ssl, std::string_view head, size_t length, std::string& in) {
  if (head.starts_with("POST ")) {
    static thread_local char buffer[64 << 10];
    for (size_t left = length - std::min(length, in.size()); left > 0;) {
      int n = SSL_read(ssl, buffer, static_cast<int>(std::min(left, sizeof buffer)));
      if (n <= 0) return false;
      left -= static_cast<size_t>(n);
    }
    in.clear();
    return send_all(ssl, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
  }
  bool packed = head.starts_with("GET /packed/");
  size_t size = std::strtoul(head.data() + head.find('/', 5) + 1, nullptr, 10);
  std::string type = packed ? "application/octet-stream" : "text/plain";
  if (!send_all(
          ssl, "HTTP/1.1 200 OK\r\nContent-Type: " + type + "\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n"))
    return false;
  for (std::string_view piece = content(packed); size > 0; size -= std::min(size, piece.size()))
    if (!send_all(ssl, piece.substr(0, size))) return false;
  return true;
}

void serve_http(SSL* ssl) {
  std::string in;
  while (size_t end = read_until(ssl, in, "\r\n\r\n")) {
    std::string head = in.substr(0, end);
    in.erase(0, end);
    char* length = strcasestr(head.data(), "\r\ncontent-length:");
    if (!answer(ssl, head, length ? std::strtoul(length + 17, nullptr, 10) : 0, in)) return;
  }
}

// Sends an event every few milliseconds, with the current time in it.
void serve_events(SSL* ssl) {
  std::string in;
  if (!read_until(ssl, in, "\r\n\r\n")) return;
  if (!send_all(ssl, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"))
    return;
  const std::string rest = R"(,"delta":{"type":"text_delta","text":" and a few words of an answer"}})";
  while (true) {
    usleep(3000);
    std::string event = "data: {\"at\":" + std::to_string(nanoseconds()) + rest + "\n\n";
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", event.size());
    if (!send_all(ssl, size + event + "\r\n")) return;
  }
}

// Counts requests without answering them.
void serve_streams(SSL* ssl) {
  std::string in;
  if (!send_all(ssl, std::string("\0\0\0\4\0\0\0\0\0", 9)) || !read_until(ssl, in, "SM\r\n\r\n")) return;
  in.erase(0, 24);
  char buffer[16384];
  while (true) {
    while (in.size() >= 9) {
      size_t size = static_cast<uint8_t>(in[0]) << 16 | static_cast<uint8_t>(in[1]) << 8 | static_cast<uint8_t>(in[2]);
      if (in.size() < 9 + size) break;
      if (in[3] == 1) ++g_requests;
      if (in[3] == 4 && !(in[4] & 1) && !send_all(ssl, std::string("\0\0\0\4\1\0\0\0\0", 9))) return;
      in.erase(0, 9 + size);
    }
    int n = SSL_read(ssl, buffer, sizeof buffer);
    if (n <= 0) return;
    in.append(buffer, static_cast<size_t>(n));
  }
}

int choose_h2(SSL*, const unsigned char** out, unsigned char* size, const unsigned char*, unsigned, void*) {
  *out = reinterpret_cast<const unsigned char*>("h2");
  *size = 2;
  return SSL_TLSEXT_ERR_OK;
}

// Listens, and serves each connection in a separate thread.
void start(void (*serve)(SSL*)) {
  g_server = SSL_CTX_new(TLS_server_method());
  if (SSL_CTX_use_certificate_file(g_server, g_options["--cert"].c_str(), SSL_FILETYPE_PEM) != 1 ||
      SSL_CTX_use_PrivateKey_file(g_server, g_options["--key"].c_str(), SSL_FILETYPE_PEM) != 1)
    die("reading the certificate");
  if (serve == serve_streams) SSL_CTX_set_alpn_select_cb(g_server, choose_h2, nullptr);
  int listener = listen_at(loopback(g_options["--listen"]));
  fcntl(listener, F_SETFL, 0);
  std::thread([listener, serve] {
    while (true) {
      int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      no_delay(fd);
      std::thread([fd, serve] {
        SSL* ssl = SSL_new(g_server);
        SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) == 1) serve(ssl);
        SSL_free(ssl);
        close(fd);
      }).detach();
    }
  }).detach();
}

// --- the clients ---

SSL* connect_to(bool h2) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to = loopback(g_options["--to"]);
  no_delay(fd);
  if (connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) die("connecting");
  if (std::string target = g_options["--target"]; !target.empty()) {
    std::string request = "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\n\r\n", head;
    if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) die("sending CONNECT");
    for (char c; head.find("\r\n\r\n") == head.npos;) {
      if (recv(fd, &c, 1, 0) != 1) die("the answer to CONNECT");
      head += c;
    }
    if (!head.starts_with("HTTP/1.1 200")) die("CONNECT was answered with " + head);
  }
  SSL* ssl = SSL_new(g_client);
  SSL_set_fd(ssl, fd);
  SSL_set_tlsext_host_name(ssl, g_options["--host"].c_str());
  SSL_set1_host(ssl, g_options["--host"].c_str());
  if (h2) SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>("\2h2"), 3);
  if (SSL_connect(ssl) != 1) die("the TLS handshake");
  return ssl;
}

void measure_events(size_t count) {
  SSL* ssl = connect_to(false);
  if (!send_all(ssl, "GET /events HTTP/1.1\r\nHost: " + g_options["--host"] + "\r\n\r\n")) die("sending the request");
  std::string in;
  in.erase(0, read_until(ssl, in, "\r\n\r\n"));
  std::vector<double> delays;
  while (delays.size() < count) {
    size_t end = read_until(ssl, in, "}}\n\n");
    if (!end) die("reading events");
    delays.push_back(static_cast<double>(nanoseconds() - std::atoll(in.data() + in.find("{\"at\":") + 6)) / 1000);
    in.erase(0, end);
  }
  std::ranges::sort(delays);
  std::printf("{\"count\": %zu, \"median_us\": %.2f}\n", count, delays[count / 2]);
}

void hold_streams(size_t count) {
  constexpr size_t kConnections = 5;
  std::string host = g_options["--host"], block = "\x82\x87";
  block += std::string("\x04\x02/x\x01", 5) + static_cast<char>(host.size()) + host;
  for (size_t c = 0; c < kConnections; ++c) {
    SSL* ssl = connect_to(true);
    std::string out = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + std::string("\0\0\0\4\0\0\0\0\0", 9);
    for (size_t i = 0; i < count / kConnections; ++i) {
      uint32_t id = static_cast<uint32_t>(2 * i + 1);
      out += {'\0',
              '\0',
              static_cast<char>(block.size()),
              '\1',
              '\5',
              '\0',
              '\0',
              static_cast<char>(id >> 8),
              static_cast<char>(id)};
      out += block;
    }
    if (!send_all(ssl, out)) die("sending requests");
  }
  for (int i = 0; g_requests < count / kConnections * kConnections; ++i) {
    if (i > 20'000) die("not all requests arrived");
    usleep(1000);
  }
  std::printf("{\"count\": %zu}\n", g_requests.load());
  std::fflush(stdout);
  char c;
  while (read(0, &c, 1) > 0) {
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  std::string mode = argv[1];
  for (int i = 2; i + 1 < argc; i += 2) g_options[argv[i]] = argv[i + 1];
  std::signal(SIGPIPE, SIG_IGN);
  size_t count = std::strtoul(g_options["--count"].c_str(), nullptr, 10);
  if (mode == "serve") {
    start(serve_http);
    while (true) pause();
  }
  g_client = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_verify(g_client, SSL_VERIFY_PEER, nullptr);
  if (SSL_CTX_load_verify_locations(g_client, g_options["--ca"].c_str(), nullptr) != 1) die("reading the roots");
  if (count == 0 || count > 10'000) return 2;
  if (mode == "events") {
    start(serve_events);
    measure_events(count);
  } else if (mode == "streams") {
    start(serve_streams);
    hold_streams(count);
  } else {
    return 2;
  }
}
