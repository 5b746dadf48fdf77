// What a bottle on another machine may use of this one, and nothing else: hosts whose secrets stay here, services of
// the LAN that the manifest names, keys of ssh hosts; and where that machine has no network, what the plan allows. All
// of it comes as lines of the far guard's control channel, over the session's own connection, so nothing listens
// anywhere. The lines are hostile: the far machine may be the agent's by now.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/unique_fd.h"
#include "remote/near/broker.h"
#include "session/credentials/agent_relay.h"
#include "wire/decision.h"
#include "wire/job.h"
#include "wire/request.h"

struct pollfd;

namespace bottle::remote {

using session::AgentRelay, session::Job;

class NearServices {
 public:
  using Send = std::function<void(const nlohmann::json& to_the_far_guard)>;
  using Record = std::function<void(const wire::Decision& decision)>;

  // Null where the session needs none. `there`: the job as the other machine will get it; what stays here is taken out
  // of it.
  static Result<std::unique_ptr<NearServices>> make(const Job& job, Job& there, const std::string& directory, Send send,
                                                    Record record);
  ~NearServices();

  void add_to(std::vector<pollfd>& fds);
  void handle(const std::vector<pollfd>& fds);
  void take(const nlohmann::json& message);
  // A `policy` frame of the operator's: the rules here change with those over there, which nobody there need obey. What
  // is allowed counts here for what is served from here.
  void change_policy(const wire::PolicyChange& change);
  // Why nothing more may be let through from here, or empty.
  void set_unrecorded(const std::string& why);
  // What the other machine's guard must trust to speak with the broker here; empty: nothing more than it does.
  std::string root_pem() const { return root_ ? root_->pem() : ""; }
  // The connection broke: whatever was under way is over.
  void link_is_gone();

 private:
  static constexpr size_t kWindow = 128 * 1024;  // as in guard/core/relay.cc
  struct Flow {
    UniqueFd fd;
    std::string out;  // for the broker
    size_t credit = kWindow, taken = 0;
    bool ended = false;  // the far guard sends no more
    bool shut = false, read_all = false, over = false;
  };
  NearServices(Send send, Record record) : send_(std::move(send)), record_(std::move(record)) {}
  void take_stream(const nlohmann::json& message);
  void pump(uint32_t number, Flow& flow);
  Result<> start_broker();
  // This machine may move to another network during a session.
  void look_at_networks();
  bool serves(const std::string& host) const;

  Send send_;
  Record record_;
  nlohmann::json config_;  // the broker's; empty: none is needed
  bool relay_all_ = false;
  std::vector<std::string> served_;  // hosts and patterns, by the plan
  std::shared_ptr<const pki::Root> root_;
  std::unique_ptr<Broker> broker_;
  std::map<uint32_t, Flow> flows_;
  std::chrono::steady_clock::time_point networks_at_;
  size_t in_flight_ = 0;  // bytes sent to the far guard that it has not taken yet
  std::optional<AgentRelay> ssh_;
};

}  // namespace bottle::remote
