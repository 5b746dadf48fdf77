// Says where the bottle runs: with this machine's engine, or with that of a remote machine, over ssh.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "app/output/output.h"
#include "base/error.h"
#include "base/progress.h"
#include "base/unique_fd.h"
#include "manifest/manifest.h"
#include "plan/plan.h"
#include "remote/link/mosh.h"
#include "session/console/client.h"
#include "wire/start/hello.h"
#include "wire/start/job.h"

namespace bottle::app {

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
  // Called when the start is under way and the machine's hello has arrived. Fails if the machine is not what the plan
  // was made for. Values go to the machine only after this.
  virtual Result<> judge(const std::optional<wire::Hello>&) { return {}; }
  // Returns whether judge() failed because the machine has changed, so that a start with a new place would succeed.
  virtual bool has_changed() const { return false; }
  // Returns how the terminal's keystrokes reach the agent, or null if they use the session's own connection.
  virtual std::function<std::unique_ptr<session::Typing>()> typing(const std::string& session,
                                                                   const Progress& progress) = 0;
};

// Returns this machine as a place. An engine that does not answer is an error only once it is needed (not for
// --dry-run). A stop ends what the place waits for, with Code::canceled.
std::unique_ptr<Place> local_place(const Output& output, const std::stop_token& stop);

// Says what carries the terminal's keystrokes.
struct Transport {
  std::string name = "ssh";  // "ssh" or "mosh"
  remote::MoshOptions mosh;
  // Returns whether mosh carries the keystrokes.
  bool is_mosh() const { return name == "mosh"; }
};
// Fails if the transport cannot be used: its name must be known, its ports valid, and its client installed.
Result<> check(const Transport& transport);
// Returns a mosh for that session. If that is not possible, reports why with `progress` and returns null.
std::function<std::unique_ptr<session::Typing>()> mosh_typing(remote::FarSide far, const std::string& session,
                                                              const Transport& transport, const Progress& progress);

// Does the same for a session whose record says where it is. The returned function reads the record when it is called.
std::function<std::unique_ptr<session::Typing>()> recorded_typing(const std::string& session,
                                                                  const Transport& transport, const Progress& progress);

// Fails if the plan cannot run on another machine, which `where` names.
Result<> check_elsewhere(const plan::Plan& plan, const std::string& where, const Transport& transport);

// Returns how to reach another machine from this one, without its target, as for a VM that does not exist yet.
Result<wire::Far> far_from_here();
// Returns how to reach user@host[:port] from this machine.
Result<wire::Far> far_to(const std::string& target);

// Says where the values of secrets are while the agent runs on another machine.
enum class SecretsStay { there, here };

// Says how to reach a remote machine or a VM, and what may go there. Comes from the options of `bottle start`.
struct RemoteOptions {
  std::string target;       // user@host[:port]
  bool interactive = true;  // ssh may ask questions
  bool allow_vpn = false;
  bool fresh = false;  // ignore the cached hello of the machine
  SecretsStay secrets = SecretsStay::there;
  wire::Token token;  // how the sign-in token gets to the machine
  Transport transport;
  std::stop_token stop = {};  // ends what the place waits for, with Code::canceled

  // Returns whether the secrets stay on this machine (--secrets tunnel).
  bool tunnels() const { return secrets == SecretsStay::here; }
};
// Connects to the machine. Fails with Code::denied if the machine would be a way back to the operator.
Result<std::unique_ptr<Place>> remote_place(const RemoteOptions& options, const Progress& progress);

// Says which VM to make. Comes from the options of `bottle start --vm`.
struct VmOptions {
  std::string name;       // key in the manifest's `vms`
  std::string ttl, idle;  // override those of the manifest
  bool keep = false;
};
// Returns a VM that is made for the session and destroyed with it. Nothing is made before start(). `way` says how
// secrets and keystrokes get to it.
Result<std::unique_ptr<Place>> vm_place(const VmOptions& options, const RemoteOptions& way,
                                        const manifest::Manifest& manifest);

}  // namespace bottle::app
