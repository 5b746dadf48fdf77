// An exchange is a message and an answer, each with a length of 4 bytes before it (draft-miller-ssh-agent). Messages
// have no numbers, so after an error, a connection cannot be used again, because a late answer would be mistaken for
// the answer to the next request.
#include "session/credentials/agent_client.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>
#include <string_view>

#include "base/ids.h"
#include "base/os/descriptors.h"
#include "base/os/poller.h"
#include "base/unix_address.h"
#include "sshagent/wire.h"

namespace bottle::session {
namespace {

// OpenSSH's own client has the same limit for an answer (MAX_AGENT_REPLY_LEN in authfd.c).
constexpr size_t kMostAnswer = 256 << 10;
constexpr int kListPatience = 5000;

std::unexpected<Error> too_late() { return fail(Code::timed_out, "no answer in time"); }

bool is_for_later(int error) { return error == EINTR || error == EAGAIN || error == EWOULDBLOCK; }

// Writes everything before the deadline, because an ssh-agent may hang.
Result<> send(int fd, std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    if (!wait_writable(fd, deadline)) return too_late();
    ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 && !is_for_later(errno)) return fail_errno("writing");
    if (n > 0) bytes.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

// Returns exactly `size` bytes.
Result<std::string> receive(int fd, size_t size, Deadline deadline) {
  std::string bytes(size, '\0');
  for (size_t at = 0; at < size;) {
    if (!wait_readable(fd, deadline)) return too_late();
    ssize_t n = ::recv(fd, bytes.data() + at, size - at, MSG_DONTWAIT);
    if (n < 0 && !is_for_later(errno)) return fail_errno("reading");
    if (n == 0) return fail(Code::closed, "it closed the connection");
    if (n > 0) at += static_cast<size_t>(n);
  }
  return bytes;
}

}  // namespace

Result<AgentClient> AgentClient::connect(const std::string& socket, int patience_ms) {
  sockaddr_un address = TRY(unix_address(socket));
  UniqueFd fd = open_socket(AF_UNIX, SOCK_STREAM);
  if (!fd) return fail_errno("making a socket");
  timeval patience{patience_ms / 1000, static_cast<suseconds_t>(patience_ms % 1000) * 1000};
  // The limit is set before connect(2), which also waits: a full backlog of a Unix socket blocks it for as long as
  // SO_SNDTIMEO says.
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return fail_errno("connecting to the ssh-agent at " + socket);
  return AgentClient(std::move(fd), socket, patience_ms);
}

Result<std::string> AgentClient::exchange(std::string_view message) {
  std::string framed;
  sshagent::put_string(framed, message);
  auto deadline = Deadline::in_ms(patience_ms_);
  auto answer = [&]() -> Result<std::string> {
    TRY(send(fd_.get(), framed, deadline));
    std::string head = TRY(receive(fd_.get(), 4, deadline));
    uint32_t size = sshagent::Reader(head).number();
    if (size == 0 || size > kMostAnswer)
      return fail(Code::protocol, "its answer has " + std::to_string(size) + " bytes");
    return receive(fd_.get(), size, deadline);
  }();
  return during("asking the ssh-agent at " + socket_, std::move(answer));
}

Result<std::vector<sshagent::Key>> list_agent_keys(const std::string& socket) {
  auto client = TRY(AgentClient::connect(socket, kListPatience));
  std::string answer = TRY(client.exchange(sshagent::list_request()));
  return sshagent::parse_list(answer);
}

Result<bool> confirms_unverified(const std::string& socket, const std::string& host_key) {
  // The connection is used for nothing else, because a bind would stay with it.
  auto client = TRY(AgentClient::connect(socket, kListPatience));
  std::string answer = TRY(client.exchange(sshagent::forged_bind_request(host_key, random_hex(16))));
  return sshagent::is_confirmation(answer);
}

}  // namespace bottle::session
