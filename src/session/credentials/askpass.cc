// ssh-add has no option to read a passphrase from stdin. It runs the program in SSH_ASKPASS instead, which is bottle
// itself, and which passes on a line of the stdin that it inherits from ssh-add.
#include "session/credentials/askpass.h"

#include <fcntl.h>
#include <unistd.h>

#include <string>

#include "base/os/this_program.h"

namespace bottle::session {
namespace {

constexpr int kSelf = 9;  // the descriptor of this program in ssh-add

}  // namespace

UniqueFd ask_this_program(Command& command) {
  UniqueFd self;
  std::string path = path_to_self();
  // After an upgrade, only a descriptor leads from ssh-add to the program that runs.
  if (is_file_replaced()) self.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (self) {
    command.passed.emplace_back(self.get(), kSelf);
    path = "/dev/fd/" + std::to_string(kSelf);
  }
  command.env.insert({{"SSH_ASKPASS", path}, {"SSH_ASKPASS_REQUIRE", "force"}, {kAskpassVariable, "1"}});
  return self;
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
