// Changes the policy while the agent works. The running guard gets a new configuration, which applies from
// the next request on.
#pragma once

#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "manifest/manifest.h"
#include "wire/event.h"
#include "wire/guard/config.h"
#include "wire/request.h"

namespace bottle::session {

// Names a host of ssh. The rules know it by its real name, and the operator also by its name in the manifest.
struct SshService {
  std::string host;  // the real name, or an address
  uint16_t port = 22;
  std::string alias = {};  // the name in the manifest; empty if it is the real name
};

// Returns the hosts of the manifest's `ssh`. Pure.
std::vector<SshService> ssh_services(const std::vector<manifest::SshHost>& hosts);

// Holds what the manifest lets the agent reach without a rule in egress.allow.
struct Services {
  std::vector<wire::GuardRule> rules = {};  // the rule of each service of the operator's network (egress.lan)
  bool have_routes = true;  // the guard makes these rules from its routes; otherwise they are in the `allow` list
  std::vector<SshService> ssh = {};  // the guard lets ssh to them through without a rule
};

// Returns whether these rules deny ssh to the host with this name in the manifest. Pure. Returns true for a name that
// is not one of `hosts`.
bool denies_ssh(const std::vector<wire::GuardRule>& allow, const std::vector<SshService>& hosts,
                const std::string& name);

// Returns the egress settings of a guard's configuration after a change. Pure. Fails with Code::invalid if the guard
// would refuse the change.
//
// An `Allow` adds a rule and removes a denial of the same pattern. A `Deny` removes the rules of its pattern and
// forbids what the pattern matches. Both keep the limits and reactions of what they remove, the strictest of each. An
// `Allow` for a service of the operator's network gives it its own rule back; another is added only if it names methods
// or paths. An `Allow` for the ssh port of a host, or for a denied host of ssh without methods and paths, adds no rule,
// except to keep such settings; it fails if these would need a rule for the port of ssh.
//
// A `Deny` of a pattern that covers the alias of a host of ssh also denies its real name. An `Allow` of that alias, for
// ssh, undoes that and adds no rule; it fails if nothing is denied, because a rule for the alias would be for another
// host.
//
// The host of a `LimitChange` stands for the rules with this host or, if there are none, for those whose hosts its
// pattern covers. It fails if there are none of these either.
Result<wire::GuardEgress> changed_egress(wire::GuardEgress egress, const wire::PolicyChange& change,
                                         const Services& services);

// Holds the policy of a running session and the changes that the guard has not answered yet. watch() makes it and
// calls it on one thread. It changes the configuration in place, so that a restarted guard gets the same
// configuration.
class LivePolicy {
 public:
  using Tell = std::function<void(const wire::Event& event)>;
  using Send = std::function<Result<>(const wire::GuardConfig& config)>;

  // `config` is what the next guard would also get; it outlives this object, as do both callbacks. `send` fails if
  // there is no guard that could be told.
  LivePolicy(wire::GuardConfig& config, Services services, Send send, Tell tell)
      : config_(config), services_(std::move(services)), send_(std::move(send)), tell_(std::move(tell)) {}

  // Applies an operator's change. Every client gets the result as the event PolicyChanged.
  void request(const wire::PolicyChange& change);

  // Returns whether the policy denies ssh to the host with this name in the manifest. A change counts from its request
  // on.
  bool denies_ssh(const std::string& name) const {
    return session::denies_ssh(config_.egress.allow, services_.ssh, name);
  }

  // Adds the root (PEM) of the broker of a new near side. Does nothing if `root` is empty or known. If the guard is
  // dead, the next one gets it. The root stays unless the guard refuses this change itself.
  void trust(const std::string& root);

  // Sets the reason why nothing more may be let through, which is that it could not be recorded; an empty string
  // allows it again. If the reason has changed, tells the guard and sends RecordFull or RecordBack to every client.
  // If the guard is dead, the next one gets the reason. Call it often, because a refusal by the guard undoes it.
  void set_unrecorded(const std::string& why);

  // Tells the guard about its machine's networks (texts_of()), if they have changed. If the guard is dead, the next
  // one gets them. Call it often.
  void set_host_networks(const std::vector<std::string>& networks);

  // These functions take the guard's answers, in the order of the requests. refused() returns false if no operator
  // requested the change. A refusal also undoes the later changes of operators, but not those of the supervisor.
  // guard_is_gone() undoes the changes of operators that were not answered.
  void accepted();
  bool refused(const std::string& what);
  void guard_is_gone();
  // Call it when a new guard is up. `started` is the configuration that it was started with. Sends what has changed
  // since.
  void guard_is_back(const wire::GuardConfig& started);

 private:
  struct Change {
    std::string id, what;                           // `what` is empty if no operator asked for the change
    wire::GuardConfig before;                       // the configuration without this change and the later ones
    std::function<void(wire::GuardConfig&)> apply;  // makes a change that no operator asked for; may be empty
    bool is_undone = false;                         // a change before it was refused
  };
  void change(std::function<void(wire::GuardConfig&)> apply);
  std::function<void(wire::GuardConfig&)> keep_config() const;
  bool undo(std::deque<Change> changes, const std::string& why);
  // Sends the outcome of an operator's change to every client.
  void tell(const std::string& id, bool ok, const std::string& what) { tell_(wire::PolicyChanged{id, ok, what}); }

  wire::GuardConfig& config_;
  Services services_;
  Send send_;
  Tell tell_;
  std::deque<Change> pending_;
};

}  // namespace bottle::session
