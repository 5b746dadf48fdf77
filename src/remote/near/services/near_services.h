// Provides what a bottle on another machine may use on this one: hosts whose secrets stay on the near side, services
// of the LAN that the manifest names, keys of ssh hosts, and, if that machine has no network, everything that the
// plan allows. The far guard asks for all of it with lines of its control channel, over the session's own connection,
// so no port is opened. The lines are hostile, because the agent may have taken over the far machine.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/os/poller.h"
#include "base/os/this_program.h"
#include "base/unique_fd.h"
#include "remote/near/services/broker.h"
#include "session/credentials/ssh_agent_link.h"
#include "session/policy/policy_change.h"
#include "session/policy/usage_book.h"
#include "wire/guard/control.h"
#include "wire/guard/stream_window.h"
#include "wire/request.h"
#include "wire/start/job.h"

namespace bottle::remote {

using session::SshAgentLink, wire::Job;

// Runs the services of one session in the near side's loop. No call blocks much longer than starting a
// broker may take (Broker::start).
class NearServices {
 public:
  using Send = std::function<void(const wire::ToFarGuard& message)>;
  using Record = std::function<void(const wire::Decision& decision)>;
  using Program = std::function<std::string()>;

  // Returns null if the session needs no services. `there` is the job that the other machine will get; what stays on
  // this machine is removed from it. The broker continues to count what earlier near sides left in `directory`, the
  // session's directory. `program` returns the program that can run as the broker, and is asked before each start of
  // one: an upgrade may have replaced the file that the session began with, and an old near side cannot talk to a new
  // broker.
  static Result<std::unique_ptr<NearServices>> make(const Job& job, Job& there, const std::string& directory, Send send,
                                                    Record record, Program program = path_to_self);
  // Ends the broker, and records its last decisions. Blocks for at most a few seconds.
  ~NearServices();

  // Adds the descriptors to watch, and handles what the poller found. If the connection is `behind`, reads nothing more
  // of the streams.
  void add_to(Poller& poller, bool behind);
  void handle(const Poller& poller, bool behind);
  // Takes a line of the far guard. Ignores one that it cannot read.
  void take(std::string_view line);
  // Applies the operator's `policy` frame to the rules on this machine. The far side gets the same change, but it may
  // not obey. A rule that is added affects only what this side serves.
  void change_policy(const wire::PolicyChange& change);
  // Sets the reason why this side may let nothing more through. An empty string allows it again.
  void set_unrecorded(const std::string& why);
  // Returns the root that the other machine's guard must trust to talk to the broker, or an empty string if it needs no
  // other root.
  std::string root_pem() const { return root_ ? root_->pem() : ""; }
  // Ends all streams and requests. Call it when the connection breaks.
  void link_is_gone();
  // Returns what the broker said was used, which is up to 20 ms old.
  const session::UsageBook& usage() const { return usage_; }

 private:
  struct Flow {
    UniqueFd fd;
    wire::StreamWindow window;  // what the far guard sent waits in it for the broker
    bool shut = false;          // the broker was told that the far guard has sent everything
    bool over = false;          // to be removed
  };
  NearServices(Send send, Record record) : send_(std::move(send)), record_(std::move(record)) {}
  using Part = wire::StreamPart;
  void take_stream(const Part& part);
  void open_stream(uint32_t number);
  // Each takes a part of a stream that is open.
  void take(uint32_t, Flow&, const Part::Open&) {}
  void take(uint32_t stream, Flow& flow, const Part::Data& data);
  void take(uint32_t stream, Flow& flow, const Part::Taken& taken);
  // What came before the end is passed on first.
  void take(uint32_t, Flow& flow, const Part::End&) { flow.window.end(); }
  // The far guard's connection is gone, so no answer is needed.
  void take(uint32_t, Flow& flow, const Part::Closed&) { flow.over = true; }
  void say(uint32_t stream, decltype(Part::what) what) { send_(Part{stream, std::move(what)}); }
  void pass_on(uint32_t number, Flow& flow);
  void pump(uint32_t number, Flow& flow);
  bool denies_ssh(const std::string& host) const {
    return session::denies_ssh(rules_.session, rules_.services.ssh, host);
  }
  Result<> start_broker();
  void configure_broker();
  void read_broker();
  void take_all(const std::vector<wire::FromGuard>& messages);
  void keep_usage();
  // Reads the networks again, because this machine may move to another network during a session.
  void update_networks();

  Send send_;
  Program program_;
  Record record_;
  std::optional<wire::GuardConfig> config_;  // the broker's configuration; nullopt if no broker is needed
  session::UsageBook usage_;                 // of the broker
  std::string usage_path_;                   // where it is kept for the next near side
  std::optional<std::chrono::steady_clock::time_point> keep_at_;  // set if it has changed since it was written
  BrokerRules rules_;                                             // with the changes of the operator
  std::shared_ptr<const pki::Root> root_;
  std::unique_ptr<Broker> broker_;
  std::map<uint32_t, Flow> flows_;
  std::chrono::steady_clock::time_point networks_at_;
  size_t in_flight_ = 0;  // bytes sent to the far guard that it has not taken yet
  std::optional<SshAgentLink> ssh_;
};

}  // namespace bottle::remote
