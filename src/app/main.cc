// One program plays all roles, so that a supervisor, a broker or a far side always has the same version as the
// launcher that starts it. The roles that are not for people are handled first, because they are unknown to the
// parser. The check of who can write to the operator's directories comes before everything that reads them.
#include <signal.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>

#include "app/cli.h"
#include "app/complete.h"
#include "app/output/output.h"
#include "app/place/rescue.h"
#include "app/supervise.h"
#include "app/world/own_directories.h"
#include "app/world/own_rules.h"
#include "app/world/world.h"
#include "base/os/hardening.h"
#include "base/os/this_program.h"
#include "session/credentials/askpass.h"

namespace {

// Returns whether the command only shows text, or reads none of the operator's directories.
bool needs_no_place(const char* command) {
  for (const char* each : {"help", "man", "completion", "schema", "guard", "broker", "compile-rules"})
    if (std::strcmp(command, each) == 0) return true;
  return command[0] == '-';
}

// Prepares the process, and then selects the role by the arguments.
int dispatch(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGCHLD, SIG_DFL);  // if a caller has ignored it, no exit status of a child can be read
  bottle::app::forget_relative_programs();
  bottle::app::forget_foreign_directories();
  // The next two are not commands for people: the program that ssh-add runs instead of asking a person
  // (session/credentials/askpass.h), and the process that owns a session, which `start` starts with a socket as its
  // stdin.
  if (std::getenv(bottle::session::kAskpassVariable)) return bottle::session::askpass();
  if (argc == 2 && std::strcmp(argv[1], "supervise") == 0) {
    bottle::restore_randomization(argv);
    return bottle::app::supervise(0);
  }
  bool is_completion = argc >= 2 && std::strcmp(argv[1], "__complete") == 0;
  // On a failure, completion prints nothing, because a shell would show the error in the middle of a command line.
  const char* docker = std::getenv("DOCKER_CONFIG");
  if (argc >= 2 && !needs_no_place(argv[1]))
    if (auto own = bottle::app::check_own_directories(bottle::app::directories(), docker ? docker : ""); !own)
      return is_completion ? 0 : bottle::app::report(own.error());
  // The completion scripts of the shells call this.
  if (is_completion) return bottle::app::complete_main({argv + 2, argv + argc});
  // This destroys a VM when its owner is dead (machine/reaper.h).
  if (argc == 3 && std::strcmp(argv[1], "reap") == 0) return bottle::app::reap_vm(argv[2]);
  // Compiles the operator's rules in a process that can be killed (world/own_rules.h).
  if (argc == 2 && std::strcmp(argv[1], "compile-rules") == 0) return bottle::app::compile_rules();
  // The bottle on another machine calls this over ssh.
  if (argc >= 2 && std::strcmp(argv[1], "far") == 0) return bottle::app::run_far({argv + 2, argv + argc});
  // The near side of a remote session runs this as its broker (remote/near/services/broker.h).
  if (argc == 2 && std::strcmp(argv[1], "broker") == 0) {
    bottle::restore_randomization(argv);
    return bottle::app::run_broker();
  }
  return bottle::app::run(argc, argv);
}

}  // namespace

int main(int argc, char** argv) {
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
