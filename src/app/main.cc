// Selects the role of the process (app/roles/roles.h). The roles that are not for people come first, because they are
// unknown to the parser. The check of who can write to the operator's directories comes before everything that reads
// them.
#include <fcntl.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <exception>
#include <string>
#include <vector>

#include "app/cli.h"
#include "app/commands/commands.h"
#include "app/output/output.h"
#include "app/roles/roles.h"
#include "app/world/own_directories.h"
#include "app/world/world.h"
#include "base/os/hardening.h"
#include "base/os/this_program.h"
#include "machine/provider/state_owner.h"
#include "session/credentials/askpass.h"

namespace {

using namespace bottle::app;

// Returns whether the command may read the operator's directories. An unknown word may be a misspelled command that
// does.
bool reads_places(const std::vector<std::string>& arguments) {
  if (arguments.empty() || arguments[0].starts_with('-')) return false;
  auto all = commands();
  auto found = std::ranges::find_if(all, [&](const auto& command) { return command.name == arguments[0]; });
  return found == all.end() || found->reads_places;
}

// Keeps the numbers of closed standard descriptors from being given to the next files and sockets, because messages
// would then be written into those. What takes their places fails in the same way as a closed descriptor.
void occupy_standard_descriptors() {
  for (int fd : {0, 1, 2})
    if (::fcntl(fd, F_GETFD) < 0) (void)!::open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

// Prepares the process, and then selects the role by the arguments.
int dispatch(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGCHLD, SIG_DFL);  // if a caller has ignored it, no exit status of a child can be read
  forget_relative_programs();
  forget_foreign_directories();
  // ssh-add runs the program instead of asking a person (session/credentials/askpass.h).
  if (std::getenv(bottle::session::kAskpassVariable)) return bottle::session::askpass();
  std::vector<std::string> arguments(argv + std::min(argc, 1), argv + argc);
  const Role* role = role_of(arguments);
  if (role && role->holds_secrets) bottle::restore_randomization(argv);
  const char* docker = std::getenv("DOCKER_CONFIG");
  if (role ? role->reads_places : reads_places(arguments)) {
    auto own = check_own_directories(bottle::app::directories(), docker ? docker : "");
    // Completion makes no files. It shows names, and removes nothing.
    if (own && !(role && role->is_silent))
      own = bottle::machine::bind_state(bottle::app::directories(), bottle::machine::MachineFacts::read());
    if (!own && role && role->is_silent) return 0;
    if (!own && role && role->refuse) role->refuse(own.error(), {arguments.begin() + 1, arguments.end()});
    if (!own) return report(own.error(), !role && asks_for_json(argc, argv));
  }
  if (!role) return run(argc, argv);
  arguments.erase(arguments.begin());
  return role->run(arguments);
}

}  // namespace

int main(int argc, char** argv) {
  occupy_standard_descriptors();
  bottle::remember_own_path(argv[0]);
  bottle::forbid_core_dumps();  // the operator's variables, and what is read from them, are secrets
  try {
    return dispatch(argc, argv);
  } catch (const std::exception& error) {
    // bottle's own interfaces return errors, so this comes from a library or is a bug in bottle.
    return bottle::app::report({bottle::Code::internal,
                                std::string("an internal error stopped bottle: ") + error.what(),
                                "run `bottle cleanup`, and report this as a bug"});
  }
}
