// ssh-add has no option to read a passphrase from stdin. It runs the program in SSH_ASKPASS instead, which is bottle
// itself, and which passes on a line of the stdin that it inherits from ssh-add.
#include "session/credentials/askpass.h"

#include <unistd.h>

#include "base/os/this_program.h"

namespace bottle::session {

std::map<std::string, std::string> askpass_environment() {
  return {{"SSH_ASKPASS", path_to_self()}, {"SSH_ASKPASS_REQUIRE", "force"}, {kAskpassVariable, "1"}};
}

int askpass() {
  char c;
  // ssh-add may run this program several times with the same stdin, so each run takes one line and not a byte more.
  // 4096 bytes are the longest line that a terminal passes on.
  for (int left = 4096; left > 0 && ::read(0, &c, 1) == 1; --left) {
    (void)!::write(1, &c, 1);
    if (c == '\n') return 0;
  }
  return 1;
}

}  // namespace bottle::session
