// Implements the process of the guard: its control channel, listeners, signals and single loop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/os/signals.h"
#include "base/unique_fd.h"
#include "guard/core/context.h"
#include "guard/dns_server.h"
#include "wire/guard/control.h"

namespace bottle::guard {

// Each of these structs is one way to start the process.

// The guard's owner, such as the supervisor of a session, is at the other end of stdin and stdout, which are the
// control channel.
struct Supervised {};

// This is like Supervised, but the guard does not listen: its owner passes connections to it, one descriptor per
// message.
struct AsBroker {
  UniqueFd connections;
};

// The guard has no owner and is its own authority.
struct Alone {
  UniqueFd config;         // the configuration, which is read once
  UniqueFd audit, ca_out;  // where the record and the CA's certificate (PEM) go; empty for nowhere
  // Returns the current configuration. Called on SIGHUP; the guard serves no requests during the call. Without it,
  // SIGHUP ends the process.
  std::function<Result<wire::GuardConfig>()> reload = {};
};

using Mode = std::variant<Supervised, AsBroker, Alone>;

// Owns everything that the connections share. A process has only one, as it has only one Loop.
class Server {
 public:
  explicit Server(Mode mode) : mode_(std::move(mode)), dns_(context_) {}
  // Runs until SIGTERM, SIGINT, a message to shut down, or the end of stdin. Returns the exit status.
  int run();

 private:
  struct Listener {
    policy::Endpoint at;
    std::unique_ptr<Source> source;
  };
  Result<> configure(const wire::GuardConfig& wanted);
  Result<std::vector<Listener>> open_new(const Config& config) const;
  void listen_on(std::vector<Listener> next);
  bool has_owner() const { return !std::holds_alternative<Alone>(mode_); }
  Result<> begin();
  Result<> stand_alone(Alone& alone);
  void accept(Source& listener);
  bool has_been_full() const;
  bool may_accept() const;
  bool accept_with_spare(Source& listener);
  void refuse(UniqueFd client);
  void take_connections();
  void find_limits();
  void read_control();
  void watch_signals(const Signals& signals);
  void take_signals(const Signals& signals);
  void reload();
  int turn();
  void take(const wire::Configure& message);
  void take(const wire::Certificate& message);
  void take(const wire::NearSideUp& message);
  void take(const wire::AgentAnswer& answer);
  void take(const wire::StreamPart& part);
  void take(const wire::Shutdown&);
  void say(wire::FromGuard message);
  int tell_usage();
  std::string listening() const;

  Mode mode_;
  Context context_;
  DnsServer dns_;
  std::vector<Listener> listeners_, retired_;
  Source control_, signals_, connections_;
  std::string control_in_;
  UniqueFd spare_;  // is closed for a moment if no other descriptor is left, so that a client can be refused
  bool accepting_ = true;
  int64_t pause_until_ = 0, usage_at_ = 0;
  // The time since when there has been no room, or kNever if the last connection was served.
  static constexpr int64_t kNever = -1;
  int64_t full_since_ = kNever;
};

}  // namespace bottle::guard
