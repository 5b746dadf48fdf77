// Checks the length of a socket's path before it is copied. The limit is about 100 bytes, and a longer path would be
// cut silently.
#include "base/unix_address.h"

#include <cstring>

namespace bottle {

Result<sockaddr_un> unix_address(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(Code::limit, "the socket path " + path + " is longer than the system allows",
                "use a shorter directory (XDG_STATE_HOME, DOCKER_HOST)");
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

}  // namespace bottle
