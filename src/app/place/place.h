// Where the bottle will run: this machine's engine, or another machine's, over ssh.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "app/output/output.h"
#include "base/error.h"
#include "manifest/manifest.h"
#include "plan/plan.h"
#include "remote/link/mosh.h"
#include "session/console/client.h"
#include "wire/hello.h"
#include "wire/job.h"

namespace bottle::app {

using Say = std::function<void(const std::string& line)>;

class Place {
 public:
  virtual ~Place() = default;
  // What the plan must know of it.
  virtual Result<> describe(const manifest::Manifest& manifest, plan::Facts& facts) = 0;
  // Whether this plan can run there; may add warnings to it.
  virtual Result<> check(plan::Plan& plan) = 0;
  // What must be there before the start: no leftovers, the agent's image. Blocking, minutes the first time.
  virtual Result<> prepare(const plan::Plan& plan, const Say& say) = 0;
  // Starts the session's supervisor. The launcher's end of the connection to it.
  virtual Result<int> start(session::Job job) = 0;
  // The start is under way, and the machine shows itself: whether it is what the plan was made for. Values go there
  // only after this.
  virtual Result<> judge(const std::optional<wire::Hello>&) { return {}; }
  // It is not, but a place that is made anew would be.
  virtual bool has_changed() const { return false; }
  // How the terminal's keystrokes get to the agent other than by the session's own connection; null where that is it.
  virtual std::function<std::unique_ptr<session::Typing>()> typing(const std::string& session, const Say& say) = 0;
};

// This machine. An engine that does not answer is an error only once it is needed (not for --dry-run).
std::unique_ptr<Place> local_place(const Output& output);

// What carries the terminal's keystrokes.
struct Transport {
  std::string name = "ssh";  // or mosh
  remote::MoshOptions mosh;
  bool is_mosh() const { return name == "mosh"; }
};
// Whether it can be: a name that is known, ports that are ports, a client that is here.
Result<> check(const Transport& transport);
// A mosh for that session, or why not said by `say` and null.
std::function<std::unique_ptr<session::Typing>()> mosh_typing(remote::FarSide far, const std::string& session,
                                                              const Transport& transport, const Say& say);

// The same for a session whose record says where it is, once it is asked for.
std::function<std::unique_ptr<session::Typing>()> recorded_typing(const std::string& session,
                                                                  const Transport& transport, const Say& say);

// How to reach user@host[:port] from here.
Result<session::Far> far_to(const std::string& target);

struct RemoteOptions {
  std::string target;       // user@host[:port]
  bool interactive = true;  // ssh may ask
  bool allow_vpn = false;
  bool fresh = false;    // nothing that is remembered of it counts
  bool tunnel = false;   // secrets stay here
  session::Token token;  // how the sign-in token gets there
  Transport transport;
};
// Connects; Code::denied for a machine that would be a way back to the operator.
Result<std::unique_ptr<Place>> remote_place(const RemoteOptions& options, const Say& say);

struct VmOptions {
  std::string name;       // of the manifest's vms:
  std::string ttl, idle;  // over the manifest's
  bool keep = false;
};
// A machine that is made for the session and destroyed with it. Nothing is made before start(). `way`: how secrets and
// keystrokes get there.
Result<std::unique_ptr<Place>> vm_place(const VmOptions& options, const RemoteOptions& way,
                                        const manifest::Manifest& manifest);

}  // namespace bottle::app
