// An exchange is a message with a length of 4 bytes before it, and an answer of the same form (draft-miller-ssh-agent).
// Messages have no numbers, so after an error a connection cannot be used again: a late answer would be taken for the
// answer to the next request.
#include "session/credentials/agent_client.h"

#include <sys/socket.h>
#include <sys/time.h>

#include "base/files/file.h"
#include "base/os/descriptors.h"
#include "base/unix_address.h"
#include "sshagent/wire.h"

namespace bottle::session {
namespace {

// OpenSSH's own client has the same limit for an answer (MAX_AGENT_REPLY_LEN in authfd.c).
constexpr size_t kMostAnswer = 256 << 10;

// Returns exactly `size` bytes. Waits for each part of them as long as the socket's limit says.
Result<std::string> receive(int fd, size_t size) {
  std::string bytes(size, '\0');
  for (size_t at = 0; at < size;) {
    ssize_t n = ::recv(fd, bytes.data() + at, size - at, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return fail(Code::timed_out, "no answer in time");
    if (n < 0) return fail_errno("reading");
    if (n == 0) return fail(Code::closed, "it closed the connection");
    at += static_cast<size_t>(n);
  }
  return bytes;
}

}  // namespace

Result<AgentClient> AgentClient::connect(const std::string& socket, int patience_ms) {
  sockaddr_un address = TRY(unix_address(socket));
  UniqueFd fd = open_socket(AF_UNIX, SOCK_STREAM);
  if (!fd) return fail_errno("making a socket");
  timeval patience{patience_ms / 1000, patience_ms % 1000 * 1000};
  // The limits are set before connect(2), which also waits: a full backlog of a Unix socket blocks it for as long as
  // SO_SNDTIMEO says.
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return fail_errno("connecting to the ssh-agent at " + socket);
  return AgentClient(std::move(fd), socket);
}

Result<std::string> AgentClient::exchange(std::string_view message) {
  std::string framed;
  sshagent::put_string(framed, message);
  auto answer = [&]() -> Result<std::string> {
    TRY(write_all(fd_.get(), framed));
    std::string head = TRY(receive(fd_.get(), 4));
    uint32_t size = sshagent::Reader(head).number();
    if (size == 0 || size > kMostAnswer)
      return fail(Code::protocol, "its answer has " + std::to_string(size) + " bytes");
    return receive(fd_.get(), size);
  }();
  if (!answer) return std::unexpected(std::move(answer.error()).during("asking the ssh-agent at " + socket_));
  return answer;
}

Result<std::vector<sshagent::Key>> list_agent_keys(const std::string& socket) {
  auto client = TRY(AgentClient::connect(socket, 5000));
  std::string answer = TRY(client.exchange(sshagent::list_request()));
  return sshagent::parse_list(answer);
}

}  // namespace bottle::session
