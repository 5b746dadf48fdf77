// Defines the place where a bottle runs: with this machine's engine, or with that of a remote machine, over ssh.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <variant>

#include "app/output/output.h"
#include "app/place/options.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/unique_fd.h"
#include "manifest/manifest.h"
#include "plan/plan.h"
#include "session/console/client.h"
#include "wire/start/hello.h"
#include "wire/start/job.h"

namespace bottle::app {

// Says whether the machine is still what the plan was made for.
struct Fits {};
struct Changed {
  Error why;  // a start with a new place would succeed
};
using Fit = std::variant<Fits, Changed>;

// Represents where a bottle will run. A start uses one place for one session and calls describe(), check(), prepare()
// and start() in this order; judge() is called during the start.
class Place {
 public:
  virtual ~Place() = default;
  // Adds the facts about the place that the plan needs.
  virtual Result<> describe(const manifest::Manifest& manifest, plan::Facts& facts) = 0;
  // Fails if this plan cannot run in this place. May add warnings to the plan.
  virtual Result<> check(plan::Plan& plan) = 0;
  // Prepares the place for a start: removes leftovers and provides the agent's image. Blocks; the first time takes
  // minutes.
  virtual Result<> prepare(const plan::Plan& plan, const Progress& progress) = 0;
  // Starts the session's supervisor. Returns the launcher's end of the connection to it.
  virtual Result<UniqueFd> start(wire::Job job) = 0;
  // Called when the start is under way and the machine's hello has arrived. Fails if the machine must not get a bottle
  // at all. Values go to the machine only if it fits.
  virtual Result<Fit> judge(const std::optional<wire::Hello>&) { return Fits{}; }
  // Returns how the terminal's keystrokes reach the agent, or null if they use the session's own connection.
  virtual session::BeginTyping typing(const std::string& session, const Progress& progress) = 0;
};

// Returns this machine as a place. An engine that does not answer is an error only once it is needed (not for
// --dry-run). A stop ends what the place waits for, with Code::canceled.
std::unique_ptr<Place> local_place(const Output& output, const std::stop_token& stop);

// Connects to the machine. Fails with Code::denied if the machine would be a way back to the operator.
Result<std::unique_ptr<Place>> remote_place(const RemoteOptions& options, const Progress& progress);

// Returns a VM that is made for the session and destroyed with it. Nothing is made before start(). `way` says how
// secrets and keystrokes get to it.
Result<std::unique_ptr<Place>> vm_place(const VmOptions& options, const RemoteOptions& way,
                                        const manifest::Manifest& manifest);

// Fails if the plan cannot run on another machine, which `where` names.
Result<> check_elsewhere(const plan::Plan& plan, const std::string& where, const Transport& transport);

// Returns the address of a machine that is not known yet, such as a VM to be made: it names this program, and no
// target.
Result<wire::MachineAddress> address_without_target();
// Returns the address of the machine user@host[:port].
Result<wire::MachineAddress> address_of(const std::string& target);

}  // namespace bottle::app
