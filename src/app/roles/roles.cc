#include "app/roles/roles.h"

#include <algorithm>
#include <iterator>

#include "app/complete.h"
#include "app/place/rescue.h"
#include "app/roles/far.h"
#include "app/roles/supervise.h"
#include "app/world/own_rules.h"
#include "remote/far/far.h"

namespace bottle::app {
namespace {

using Arguments = std::vector<std::string>;

constexpr size_t kAny = SIZE_MAX;

constexpr Role kRoles[] = {
    // This process owns a session. `start` starts it with a socket as its stdin.
    {.word = "supervise",
     .most = 0,
     .reads_places = false,
     .holds_secrets = true,
     .run = [](const Arguments&) { return supervise(0); }},
    // The near side of a remote session runs this as its broker (remote/near/services/broker.h).
    {.word = "broker",
     .most = 0,
     .reads_places = false,
     .holds_secrets = true,
     .run = [](const Arguments&) { return run_broker(); }},
    // Compiles the operator's rules in a process that can be killed (world/own_rules.h).
    {.word = "compile-rules",
     .most = 0,
     .reads_places = false,
     .run = [](const Arguments&) { return compile_rules(); }},
    // Destroys a VM when its owner is dead (machine/reaper.h).
    {.word = "reap", .fewest = 1, .most = 1, .run = [](const Arguments& words) { return reap_vm(words[0]); }},
    // The bottle on another machine calls this over ssh.
    {.word = "far", .most = kAny, .run = run_far, .refuse = remote::far_refuse},
    // The completion scripts of the shells call this. A shell would show an error in the middle of a command line.
    {.word = "__complete", .most = kAny, .is_silent = true, .run = complete_main},
};

}  // namespace

const Role* role_of(const std::vector<std::string>& arguments) {
  if (arguments.empty()) return nullptr;
  size_t after = arguments.size() - 1;
  const auto* role = std::ranges::find(kRoles, arguments[0], &Role::word);
  return role != std::end(kRoles) && after >= role->fewest && after <= role->most ? role : nullptr;
}

}  // namespace bottle::app
