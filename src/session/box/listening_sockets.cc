#include "session/box/listening_sockets.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <filesystem>

#include "base/os/descriptors.h"
#include "base/text/line.h"
#include "base/unix_address.h"

namespace bottle::session {
namespace {

namespace fs = std::filesystem;

// Returns whether the socket may have a listener. A socket for datagrams has one as long as it is open, and to connect
// to it with a stream then fails. A listener whose backlog is full would let a connection wait.
bool may_listen(const std::string& path) {
  auto address = unix_address(path);
  if (!address) return true;  // the path is too long for this check, but not for an agent in a directory below
  UniqueFd fd = open_socket(AF_UNIX, SOCK_STREAM, Waits::no);
  if (!fd) return true;
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0) return true;
  // The agent, which has the same user id, is denied as well.
  return errno != ECONNREFUSED && errno != ENOENT && errno != EACCES;
}

// Returns the first socket that may have a listener, or an empty string. Fails with Code::not_found if a directory
// disappears meanwhile.
Result<std::string> find_listener(const std::string& directory, const std::string& doing) {
  constexpr uint64_t kMost = 20'000'000;  // entries
  // A directory that this user cannot read is closed to the agent, too.
  constexpr auto kHow = fs::directory_options::skip_permission_denied;
  std::error_code error, gone;
  uint64_t seen = 0;
  for (fs::recursive_directory_iterator at(directory, kHow, error), end; !error && at != end; at.increment(error)) {
    if (++seen > kMost) return fail(Code::limit, doing + ": it has more than 20 million files");
    if (at->symlink_status(gone).type() == fs::file_type::socket && may_listen(at->path().string()))
      return at->path().string();
  }
  if (error) return fail_errno(doing, error.value());
  return "";
}

}  // namespace

Result<> check_no_service_listens(const std::string& directory) {
  constexpr int kMostWalks = 20;
  const std::string doing = "looking for sockets in the workspace " + one_line(directory);
  Result<std::string> found = "";
  for (int walks = 0; walks < kMostWalks; ++walks) {
    found = find_listener(directory, doing);
    // A build or git in the workspace may remove directories. If the workspace itself is gone, no walk helps.
    if (found || found.error().code != Code::not_found) break;
  }
  if (std::string socket = TRY(std::move(found)); !socket.empty())
    return fail(Code::denied,
                "a process of this machine listens on the socket " + one_line(socket) +
                    " in the workspace, so the agent could reach it past the guard",
                "stop it, move its socket out of the workspace, or use `workspace: copy`");
  return {};
}

}  // namespace bottle::session
