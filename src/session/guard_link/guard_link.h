// Implements the supervisor's end of the guard's control channel: JSON lines over the engine's attach stream.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "docker/engine.h"
#include "plan/plan.h"
#include "policy/address.h"
#include "wire/guard/control.h"
#include "wire/start/job.h"

namespace bottle::session {

// Owns the control channel of one guard. Destroying it closes the channel, and the guard exits. Only one thread may
// use it at a time.
class GuardLink {
 public:
  explicit GuardLink(docker::Attached attached) : attached_(std::move(attached)) {}

  // fd() is readable when read() does not block. send() blocks while the guard does not read, and fails once the
  // channel is closed; the caller sets a limit for that on the socket. After a failure, the guard ends.
  int fd() const { return attached_.fd(); }
  Result<> send(const wire::ToGuard& message);

  // Returns every whole message that one read yields. A line that cannot be decoded becomes a decision that says so
  // (audit_file.h, unreadable()). Blocks if there is nothing to read. Fails with Code::closed if the guard is gone.
  Result<std::vector<wire::FromGuard>> read();

  // Blocks until the guard sends Ready. Fails with the guard's own error if it sends one. Keeps the other messages
  // that arrive with it.
  Result<wire::Ready> await_ready(int timeout_ms);

  // Returns the messages that await_ready() kept, once. Use them before the first read: they may be decisions.
  std::vector<wire::FromGuard> take_early() { return std::exchange(early_, {}); }

 private:
  docker::Attached attached_;
  docker::Demux demux_;
  std::string partial_;
  std::vector<wire::FromGuard> early_;
};

// Takes the messages of the whole lines out of `partial`, which keeps the rest. Pure.
std::vector<wire::FromGuard> take_messages(std::string& partial);

// Describes what guard_config() adds to the plan's egress and secrets to make the guard's configuration.
struct GuardSettings {
  std::string guard_ip;
  std::string ca_bundle, extra_ca;
  std::map<std::string, std::string> secrets;  // from name to value
  wire::Side side = wire::Side::local;         // on the far side, LAN services are relayed
  wire::NearShare near_share = {};
  std::vector<policy::Prefix> host_networks;       // networks of the machine that this guard runs on (host_routes.h)
  std::vector<wire::GuardKnownSecret> known = {};  // known_secrets()
  wire::GuardOwnRules own_rules = {};
};
// Returns the values that must not leave, besides those of secrets. `env` contains the values of the agent's variables
// by name, and `files` those from the files of scan.secrets.
std::vector<wire::GuardKnownSecret> known_secrets(const plan::Plan& plan, const std::map<std::string, std::string>& env,
                                                  const std::map<std::string, std::string>& files);
// Returns the guard's form of a limit; 0 means no limit in both. The functions below are pure.
wire::GuardLimit guard_limit(const manifest::Limit& limit);
// Returns the guard's rule for a rule of the manifest.
wire::GuardRule guard_rule(const manifest::AllowRule& rule);
// Returns the guard's rule for each LAN service.
std::vector<wire::GuardRule> lan_rules(const plan::Plan& plan);
// Returns the hosts of ssh, under their real names.
std::vector<wire::GuardSshHost> ssh_hosts(const plan::Plan& plan);
// texts_of() returns networks as the configuration has them, such as "198.51.100.0/24". guard_config() returns the
// whole first configuration of a guard that does not use an ssh-agent.
std::vector<std::string> texts_of(const std::vector<policy::Prefix>& networks);
wire::GuardConfig guard_config(const plan::Plan& plan, const GuardSettings& settings);

}  // namespace bottle::session
