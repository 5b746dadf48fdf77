// Drives the near side of a session. It tells session_state.h what happened, and performs the actions that
// follow.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "remote/link/far_link.h"
#include "remote/near/clients/input_pause.h"
#include "remote/near/clients/kept_frames.h"
#include "remote/near/conclusion.h"
#include "remote/near/last_step.h"
#include "remote/near/near_audit.h"
#include "remote/near/near_record.h"
#include "remote/near/services/near_services.h"
#include "remote/near/state/session_state.h"
#include "remote/near/transfers/transfers.h"
#include "remote/near/vm.h"
#include "remote/near/words.h"
#include "session/console/clients.h"
#include "session/ledger/ledger.h"

namespace bottle::remote {

using session::Clients, session::Ledger, wire::Values;

// Holds the parts of one near side that have effects: the connection, the clients, the ledger, the VM and the
// transfers.
class Driver {
 public:
  // `job` and `clients` must outlive this object. `channel` is the same as for run_near_side().
  Driver(const Job& job, Clients& clients, std::optional<Channel> channel);

  // Creates the session's record on this machine, or takes over the existing one, and begins.
  void open();
  // Returns whether the clients were told how the session ended.
  bool is_over() const { return remote::is_over(state_); }
  // Requests the end of the session.
  void stop() { feed(input::StopRequested{}); }
  // Adds the descriptors that the poller should watch, and returns how long it may wait, in milliseconds.
  int add_to(Poller& poller);
  // Handles what happened. Call it after each wait of the poller. Blocks for a minute at most.
  void handle(const Poller& poller);

 private:
  // Takes a step, performs its actions, and does the same with the inputs that they lead to.
  void feed(Input first);

  // These functions find out what happened (driver.cc).
  Result<input::Opened> open_record();
  Result<input::Opened> adopt_record();
  std::optional<input::VmLife> take_over_vm();
  Result<> make_record();
  void take(FarLink::HelloRead& read);
  void take(FarLink::FrameCame& came);
  void take(FarLink::Lost& lost);
  void take(FarLink::Failed& failed);
  void take(FarLink::Back&);
  void take_from_far(const Frame& frame);
  void take_event();
  void tell_lost_input();
  void take_result();
  void take_failure();
  void warn_of_far(const std::string& what);
  void take_from_client(const Frame& frame);
  void poll_vm();
  void take_vm(ReadyVm made);
  void poll_delivery();
  void tell_warnings(const Delivered& delivered);
  bool finish_delivery();
  void poll_checkpoint();

  // These functions perform actions (driver_actions.cc). An input to which an action leads waits until all actions of
  // the step are performed, so that steps are never nested.
  void perform(Do action);
  void perform(Note what);
  void perform(Show state);
  void perform(const Tell& tell);
  void perform(const FetchWork& how);
  void perform(const TellFailure& failed);
  void lead_to(Input input) { inputs_.push_back(std::move(input)); }
  void make_vm();
  Result<> begin_vm();
  void send_job();
  Result<> try_to_send_job();
  Job job_for_far_side() const;
  void send_values();
  void send_work();
  std::function<std::optional<MachineAddress>()> finder() const;
  void note_address(const ssh::Target& now);
  void attach();
  void answer_guard();
  void pass_to_clients();
  void remove_unused_results();
  void remove_record();
  void save_result();
  void account_for_vm();
  Result<> make_services(Job& there);
  void open_services();
  void offer_services();
  void send_kept();
  Result<> note_may_run();
  Result<> note(const wire::LedgerRecord& record);
  Conclusion& conclusion();
  // Takes a last step of the session on another thread. Nothing else may use the conclusion until poll_last_step() has
  // its outcome, so this is the last action of a step of the state machine.
  void begin_last_step(std::function<Input(Conclusion&)> take);
  void poll_last_step();
  SessionNames names() const {
    return {session_, record_.address.target.to_string(), record_.vm_name, record_.directory};
  }

  const Job& job_;
  Clients& clients_;
  std::string session_;
  SessionKind kind_;
  State state_;
  std::deque<Input> inputs_;  // those that wait for their steps
  NearRecord record_;
  std::optional<Ledger> ledger_;

  std::optional<PendingVm> pending_vm_;
  std::optional<FarSide> side_;     // set until the job is sent
  std::optional<Channel> channel_;  // the channel over which the job will be sent
  std::optional<Values> values_;    // set until they are sent
  std::optional<Token> token_;      // how the sign-in token reaches a VM
  bool offline_ = false;            // the VM has no network

  FarLink link_;
  Transfers transfers_{job_};
  NearAudit audit_;
  std::unique_ptr<NearServices> services_;  // null if nothing stays on this machine
  uint64_t position_ = 0;                   // how much of the agent's output has come, in bytes
  InputPause input_pause_;
  KeptFrames kept_;
  int far_warnings_ = 0;
  const Frame* frame_ = nullptr;               // the frame that is being handled
  std::optional<wire::Event> event_;           // the event in that frame
  std::optional<wire::Hello> hello_;           // the far side's hello; empty if it has not come or was not valid
  std::optional<wire::SessionResult> result_;  // the far side's result; empty until the agent has ended
  std::optional<Conclusion> conclusion_;
  LastStep last_step_;
};

}  // namespace bottle::remote
