#include "session/credentials/askpass.h"

#include <unistd.h>

namespace bottle::session {

std::map<std::string, std::string> askpass_environment() {
  char path[4096];
  ssize_t n = ::readlink("/proc/self/exe", path, sizeof path);
  return {{"SSH_ASKPASS", n > 0 ? std::string(path, static_cast<size_t>(n)) : "bottle"},
          {"SSH_ASKPASS_REQUIRE", "force"},
          {kAskpassVariable, "1"}};
}

int askpass() {
  char c;
  for (int left = 4096; left > 0 && ::read(0, &c, 1) == 1; --left) {
    (void)!::write(1, &c, 1);
    if (c == '\n') return 0;
  }
  return 1;
}

}  // namespace bottle::session
