// Implements small clients for one question and one answer. Each has a deadline for the whole exchange, and all
// sockets are non-blocking, so that a peer that answers slowly or never cannot delay the self-test. The code of an
// error separates silence (Code::timed_out) from a refusal by the kernel or the peer.
//
// What has arrived counts even after the deadline, because on a busy machine this process may have had no time to read
// it earlier. If a probe mistook an answer for silence, it would report a wall that does not exist. So each wait gets
// the milliseconds that are left, which may be 0, and not the deadline itself.

#include "inside/probes/exchange.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <sys/socket.h>

#include <cstring>

#include "base/ids.h"
#include "base/os/poller.h"
#include "base/text/parse.h"

namespace bottle::inside {
namespace {

std::unexpected<Error> no_answer() { return fail(Code::timed_out, "it did not answer"); }

// Sends everything before the deadline. A peer that reads nothing cannot hold the caller any longer.
Result<> send_all(int fd, std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EAGAIN) {
      if (!wait_writable(fd, deadline.ms_left())) return no_answer();
      continue;
    }
    if (n < 0 && errno != EINTR) return fail_errno("sending");
    if (n > 0) bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

// Reads once what is available. Returns an empty string at the end of the stream.
Result<std::string> receive_some(int fd, Deadline deadline) {
  for (;;) {
    if (!wait_readable(fd, deadline.ms_left())) return no_answer();
    char buffer[4096];
    ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
    if (n >= 0) return std::string(buffer, static_cast<size_t>(n));
    if (errno != EINTR && errno != EAGAIN) return fail_errno("receiving");
  }
}

// Returns where the name at `from` ends, or nothing if the message ends first. A pointer, whose two highest bits are
// set, ends a name (RFC 1035, section 4.1.4).
std::optional<size_t> end_of_name(std::string_view message, size_t from) {
  while (from < message.size()) {
    size_t length = static_cast<unsigned char>(message[from]);
    if (length >= 0xc0) return from + 2;
    from += 1 + length;
    if (length == 0) return from;
  }
  return std::nullopt;
}

// Returns the address of the only answer in a message with one question. The answer's name is skipped, because the
// other side copied it from our question.
std::optional<in_addr> only_address(std::string_view message) {
  auto question = end_of_name(message, 12);
  auto answer = question ? end_of_name(message, *question + 4) : std::nullopt;  // its type and class have four bytes
  // An A record of the class IN has a time to live of any four bytes, and four bytes of data.
  if (!answer || message.size() < *answer + 14) return std::nullopt;
  std::string_view record = message.substr(*answer);
  if (record.substr(0, 4) != std::string_view("\0\1\0\1", 4) || record.substr(8, 2) != std::string_view("\0\4", 2))
    return std::nullopt;
  in_addr address{};
  std::memcpy(&address, record.data() + 10, sizeof address);
  return address;
}

UniqueFd stream_socket() { return UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)); }

// Connects, and returns 0 or the number of the error. Returns nothing if the other side did not answer in time.
std::optional<int> connect_error(int fd, const sockaddr_in& to, Deadline deadline) {
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  if (!wait_writable(fd, deadline.ms_left())) return std::nullopt;
  // A socket becomes writable when the connection is there, and also when it has failed.
  int error = 0;
  socklen_t size = sizeof error;
  return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

}  // namespace

std::optional<sockaddr_in> parse_address(std::string_view ip, uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  if (::inet_pton(AF_INET, std::string(ip).c_str(), &address.sin_addr) != 1) return std::nullopt;
  return address;
}

std::optional<sockaddr_in> parse_endpoint(std::string_view text) {
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return std::nullopt;
  auto port = number_in<uint16_t>(text.substr(colon + 1));
  if (!port || *port == 0) return std::nullopt;
  return parse_address(text.substr(0, colon), *port);
}

std::string to_string(const sockaddr_in& address) {
  char text[INET_ADDRSTRLEN] = "";
  ::inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
  return std::string(text) + ":" + std::to_string(ntohs(address.sin_port));
}

Result<UniqueFd> dial(const sockaddr_in& to, Deadline deadline) {
  UniqueFd fd = stream_socket();
  if (!fd) return fail_errno("socket");
  auto error = connect_error(fd.get(), to, deadline);
  if (!error) return no_answer();
  if (*error != 0) return fail_errno("connecting", *error);
  return fd;
}

bool has_answered(const sockaddr_in& to, Deadline deadline) {
  UniqueFd fd = stream_socket();
  auto error = fd ? connect_error(fd.get(), to, deadline) : std::nullopt;
  return error == 0 || error == ECONNREFUSED;
}

Result<int> http_status(const sockaddr_in& to, std::string_view request, Deadline deadline) {
  UniqueFd fd = TRY(dial(to, deadline));
  TRY(send_all(fd.get(), request, deadline));
  std::string head;
  // The first line is enough, and 4 KB are more than any status line has.
  while (head.find('\n') == std::string::npos && head.size() < 4096) {
    std::string more = TRY(receive_some(fd.get(), deadline));
    if (more.empty()) break;
    head += more;
  }
  // "HTTP/1.x NNN"
  if (!head.starts_with("HTTP/1.") || head.size() < 12 || head[8] != ' ') return 0;
  return number_in<uint16_t>(std::string_view(head).substr(9, 3)).value_or(0);
}

Result<DnsAnswer> parse_dns(std::string_view m, uint16_t id) {
  auto at = [&](size_t i) { return static_cast<unsigned char>(m[i]); };
  // An answer begins with a header of 12 bytes with our id, and the bit QR, which marks a response (RFC 1035, section
  // 4.1.1).
  if (m.size() < 12 || at(0) != id >> 8 || at(1) != (id & 255) || !(at(2) & 0x80))
    return fail(Code::protocol, "the answer is not for the question");
  DnsAnswer answer;
  // After the id come two bytes of flags, and then the numbers of questions and of answers.
  answer.rcode = at(3) & 15;
  answer.answers = at(6) << 8 | at(7);
  bool has_one_question = at(4) == 0 && at(5) == 1;
  if (has_one_question && answer.answers == 1) answer.address = only_address(m);
  // Looking for the label is enough, because none of our names contains it.
  answer.from_public_root = m.find(std::string_view("\x0croot-servers\x03net", 17)) != std::string_view::npos;
  return answer;
}

Result<DnsAnswer> ask_dns(const sockaddr_in& server, const std::string& name, bool tcp, Deadline deadline) {
  std::string seed = random_hex(2);
  // Because the id is random, an old or a forged answer is not mistaken for the answer to this query.
  auto id = static_cast<uint16_t>(std::stoul(seed, nullptr, 16));
  std::string query;
  query += static_cast<char>(id >> 8);
  query += static_cast<char>(id & 255);
  query += std::string("\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00", 10);  // recursion desired, one question
  for (size_t from = 0; from <= name.size();) {
    size_t dot = std::min(name.find('.', from), name.size());
    // Each label of the name is preceded by its length.
    query += static_cast<char>(dot - from);
    query += name.substr(from, dot - from);
    from = dot + 1;
  }
  query += std::string("\0\0\1\0\1", 5);  // root, A, IN
  if (!tcp) {
    UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return fail_errno("socket");
    // With a connected socket, only answers from this address arrive, and a refusal becomes an error.
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&server), sizeof server) != 0)
      return fail_errno("connecting");
    if (::send(fd.get(), query.data(), query.size(), MSG_NOSIGNAL) < 0) return fail_errno("sending");
    return parse_dns(TRY(receive_some(fd.get(), deadline)), id);
  }
  UniqueFd fd = TRY(dial(server, deadline));
  // Over TCP, two bytes with the length come first (RFC 1035, section 4.2.2).
  std::string framed{static_cast<char>(query.size() >> 8), static_cast<char>(query.size() & 255)};
  TRY(send_all(fd.get(), framed + query, deadline));
  std::string message;
  for (;;) {
    std::string more = TRY(receive_some(fd.get(), deadline));
    if (more.empty()) return fail(Code::closed, "it closed the connection without an answer");
    message += more;
    if (message.size() < 2) continue;
    size_t size =
        static_cast<size_t>(static_cast<unsigned char>(message[0])) << 8 | static_cast<unsigned char>(message[1]);
    if (message.size() >= size + 2) return parse_dns(std::string_view(message).substr(2, size), id);
  }
}

}  // namespace bottle::inside
