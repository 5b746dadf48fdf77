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

// Returns whether the socket may have a listener. Only "refused" and "gone" prove that it has none. A socket for
// datagrams has a listener as long as it is open, and to connect to it with a stream then fails in another way.
bool may_listen(const std::string& path) {
  auto address = unix_address(path);
  if (!address) return true;  // the path is too long for this check, but not for an agent in a directory below
  UniqueFd fd = open_socket(AF_UNIX, SOCK_STREAM);
  if (!fd) return true;
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&*address), sizeof *address) == 0) return true;
  return errno != ECONNREFUSED && errno != ENOENT;
}

}  // namespace

Result<> check_no_service_listens(const std::string& directory) {
  constexpr uint64_t kMost = 20'000'000;  // entries
  const std::string doing = "looking for sockets in the workspace " + one_line(directory);
  std::error_code error;
  uint64_t seen = 0;
  // A directory that this user cannot read is closed to the agent too, which has the same user id.
  constexpr auto kHow = fs::directory_options::skip_permission_denied;
  for (fs::recursive_directory_iterator at(directory, kHow, error), end; !error && at != end; at.increment(error)) {
    if (++seen > kMost) return fail(Code::limit, doing + ": it has more than 20 million files");
    if (at->symlink_status(error).type() != fs::file_type::socket || !may_listen(at->path().string())) continue;
    return fail(Code::denied,
                "a process of this machine listens on the socket " + one_line(at->path().string()) +
                    " in the workspace, so the agent could reach it past the guard",
                "stop it, move its socket out of the workspace, or use `workspace: copy`");
  }
  if (error) return fail(Code::denied, doing + ": " + error.message());
  return {};
}

}  // namespace bottle::session
