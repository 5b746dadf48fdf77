// Turns what happens into inputs of the state machine. It makes no decisions: remote/near/state decides whether a frame
// is allowed in this state, what a lost connection means and what follows, and a test explores all of it. A frame or an
// event that is being handled is kept in a member, so that an action such as Do::pass_to_clients can refer to it
// without carrying it.
#include "remote/near/driver.h"

#include <unistd.h>

#include <chrono>

#include "base/files/file.h"
#include "base/os/system_facts.h"
#include "remote/link/far_message.h"
#include "session/ledger/files.h"
#include "session/ledger/info.h"
#include "session/ledger/ledger.h"
#include "wire/codec/failure.h"
#include "wire/metrics.h"

namespace bottle::remote {

using session::Owner, session::read_ledger;

namespace {

using namespace std::chrono_literals;

constexpr int kMostFarWarnings = 50;

Now now() {
  return {std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(), boot_seconds()};
}

// Converts the record's calendar time to the boot clock, because the calendar clock of this machine may be set to
// another time during the session.
input::VmLife life_of(const machine::Record& vm) {
  return {boot_seconds() + static_cast<double>(vm.until - machine::now_seconds()),
          static_cast<double>(vm.vm.wanted.ttl)};
}

SessionKind kind_of(const wire::RemoteJob& remote) {
  SessionKind kind;
  if (remote.vm) kind.machine = remote.vm->keep ? SessionKind::Machine::kept_vm : SessionKind::Machine::vm;
  if (remote.task == wire::RemoteJob::Task::begin_unseen)
    kind.judge = remote.vm ? SessionKind::Judge::near_side : SessionKind::Judge::launcher;
  kind.adopted = remote.adopts();
  return kind;
}

}  // namespace

Driver::Driver(const Job& job, Clients& clients, std::optional<Channel> channel)
    : job_(job),
      clients_(clients),
      session_(job.plan.session),
      kind_(kind_of(*job.remote)),
      record_{job.remote->address, "", job.directories.session(session_)},
      channel_(std::move(channel)),
      audit_(job.directories.results_of(session_) + "/" + session::kNearAudit, clients) {}

void Driver::feed(Input first) {
  inputs_.push_back(std::move(first));
  for (; !inputs_.empty(); inputs_.pop_front()) {
    auto next = step(kind_, std::move(state_), inputs_.front(), now());
    state_ = std::move(next.state);
    for (const auto& action : next.actions) std::visit([this](const auto& each) { perform(each); }, action);
  }
}

// -- opening

void Driver::open() {
  // The stop comes first, so that a session that is adopted only to be stopped opens no services.
  if (job_.remote->task == wire::RemoteJob::Task::adopt_and_stop) stop();
  auto opened = open_record();
  if (opened) feed(*opened);
  else feed(input::OpenFailed{std::move(opened.error()), ledger_.has_value()});
}

// The ledger comes first. If this process dies, later commands learn from it where to look.
Result<input::Opened> Driver::open_record() {
  input::Opened opened;
  if (kind_.adopted) opened = TRY(adopt_record());
  else TRY(make_record());
  TRY(make_directories(job_.directories.results_of(session_)));
  TRY(clients_.listen(record_.directory + "/" + session::kSocket));
  session::write_info(job_, kind_.adopted ? wire::SessionState::running : wire::SessionState::starting,
                      record_.address.target.to_string());
  return opened;
}

Result<input::Opened> Driver::adopt_record() {
  ledger_ = TRY(Ledger::adopt(record_.directory, Owner::self()));
  // The dead near side's socket no longer has a listener, and a new one cannot be bound to the same path.
  ::unlink((record_.directory + "/" + session::kSocket).c_str());
  auto view = TRY(read_ledger(job_.directories, session_));
  transfers_.was_sent(view.base);
  offline_ = view.near_share.offline;
  if (view.vm) record_.vm_name = view.vm->name;
  if (view.worked()) record_.engine_id = view.engine_id;
  // The command that adopts the session may have found the VM at another address than the ledger has.
  if (view.vm && view.machine && !same_address(view.machine->target, record_.address.target))
    (void)note({.machine = record_.address});
  // The far side may have forgotten such a session, so it is not asked how the session ended.
  auto earlier = result_of_home(view, job_.directories.results_of(session_));
  input::Opened opened{.home = earlier.has_value(), .ran = view.ran == session::LedgerView::Ran::yes || view.exit};
  if (record_.vm_name.empty()) kind_.machine = SessionKind::Machine::standing;
  else opened.vm = take_over_vm();
  if (earlier) conclusion().was_home(std::move(*earlier));
  return opened;
}

std::optional<input::VmLife> Driver::take_over_vm() {
  // The job of an adopted session may lack what the ledger records, and the reverse.
  if (kind_.machine == SessionKind::Machine::standing) kind_.machine = SessionKind::Machine::vm;
  // If the VM is gone, reconnecting fails and reports it.
  (void)machine::take_over(record_.vm_name, job_.directories);
  auto vm = machine::load(record_.vm_name, job_.directories);
  return vm ? std::optional(life_of(*vm)) : std::nullopt;
}

Result<> Driver::make_record() {
  ledger_ = TRY(Ledger::create(record_.directory, Owner::self(), job_.id));
  return ledger_->note({.session = session_,
                        .machine = record_.address,
                        .plan = job_.plan,
                        .secrets_stay = job_.near_share.secrets_stay});
}

// -- a turn of the loop

int Driver::add_to(Poller& poller) {
  poller.watch(link_.fd());
  poller.watch_writable(link_.fd_behind());
  // A client that sends much waits while the connection is slow or the agent does not read.
  clients_.add_to(poller, !input_pause_.update(link_.is_behind(), std::chrono::steady_clock::now()));
  if (services_) services_->add_to(poller, link_.is_behind());
  // The loop must poll for the outcome of a future, which has no descriptor.
  return link_.is_coming() || last_step_.is_under_way() ? 20 : 250;
}

void Driver::handle(const Poller& poller) {
  for (auto& news : link_.read_news(poller.readable(link_.fd()))) {
    std::visit([this](auto& each) { take(each); }, news);
    if (is_over()) return;
  }
  clients_.handle(poller, [&](const Frame& frame) { take_from_client(frame); });
  if (services_) services_->handle(poller, link_.is_behind());
  // The services learn of a full disk in the same turn.
  const std::string& unrecorded = audit_.retry_disk();
  if (services_) services_->set_unrecorded(unrecorded);
  poll_vm();
  poll_delivery();
  if (agent_runs(state_)) link_.keep_alive();
  poll_checkpoint();
  poll_last_step();
  feed(input::Tick{});
  // This comes last, because the frames of a launcher that has exited since then must be handled first.
  if (needs_launcher(kind_, state_) && clients_.launcher_is_gone()) feed(input::LauncherGone{});
}

void Driver::poll_vm() {
  if (!pending_vm_) return;
  for (const auto& line : pending_vm_->steps()) clients_.event(wire::Step{line});
  auto made = pending_vm_->result();
  if (!made) return;
  pending_vm_.reset();
  if (*made) take_vm(std::move(**made));
  else feed(input::VmFailed{std::move(made->error())});
}

void Driver::take_vm(ReadyVm made) {
  record_.address = made.address;
  offline_ = made.vm.offline;
  token_ = made.token;
  // From now on, another near side could continue this session.
  if (auto noted = note({.machine = record_.address, .offline = offline_}); !noted)
    return feed(input::VmFailed{std::move(noted.error())});
  const auto& timings = made.vm.timings;
  clients_.event(
      wire::VmMade{record_.vm_name, record_.address.target.to_string(), timings.created, timings.ssh, timings.rotated});
  hello_ = made.channel.hello;
  side_ = std::move(made.side);
  channel_ = std::move(made.channel);
  feed(input::VmMade{life_of(made.vm.record)});
}

void Driver::poll_delivery() {
  auto delivered = transfers_.poll_delivery();
  if (!delivered) return;
  if (!delivered->taken) return feed(input::DeliveryFailed{std::move(delivered->taken.error())});
  tell_warnings(*delivered);
}

void Driver::tell_warnings(const Delivered& delivered) {
  for (const auto& warning : delivered.warnings) clients_.event(wire::Warning{warning});
}

void Driver::poll_checkpoint() {
  auto done = transfers_.poll_checkpoint(agent_runs(state_) && link_.is_up() ? link_.side() : nullptr);
  if (!done) return;
  if (*done) feed(input::Checkpointed{**done});
  else feed(input::CheckpointFailed{std::move(done->error())});
}

void Driver::poll_last_step() {
  for (const auto& line : last_step_.said()) clients_.event(wire::Step{line});
  auto led_to = last_step_.result();
  if (!led_to) return;
  if (const auto& moved = conclusion().moved()) note_address(*moved);
  feed(std::move(*led_to));
}

void Driver::take_from_client(const Frame& frame) {
  frame_ = &frame;
  if (frame.type == FrameType::input) input_pause_.took(frame.bytes.size());
  // The change applies on both sides: on this one immediately, and on the far side when the frame below reaches it.
  if (frame.type == FrameType::policy && services_)
    if (auto change = wire::decode<wire::PolicyChange>(frame.bytes, wire::From::ours))
      services_->change_policy(*change);
  kept_.take(frame, agent_runs(state_) && link_.takes_frames());
  if (frame.type == FrameType::stop) stop();
  else if (frame.type == FrameType::values) feed(input::Admitted{});
  else feed(input::ClientFrame{});
  frame_ = nullptr;
}

// -- the connection

void Driver::take(FarLink::FrameCame& came) {
  frame_ = &came.frame;
  take_from_far(came.frame);
  frame_ = nullptr;
}

void Driver::take(FarLink::Lost& lost) {
  // Streams belong to one connection, and the far guard ends them, too.
  if (services_) services_->link_is_gone();
  input_pause_.reset();
  feed(input::LinkLost{std::move(lost.why)});
}

void Driver::take(FarLink::Failed& failed) {
  feed(input::LinkFailed{link_.attempts(), vm_is_gone(job_, record_), std::move(failed.why)});
}

void Driver::take(FarLink::Back&) {
  // A step on another thread reads the address, and nothing uses a connection that comes as late as that.
  if (const auto* side = link_.side(); side && !last_step_.is_under_way()) note_address(side->connection().target());
  tell_lost_input();
  feed(input::LinkBack{});
}

void Driver::take(FarLink::HelloRead& read) {
  hello_ = std::move(read.hello);
  // The launcher judges by the hello itself, which Do::pass_hello gives to it.
  input::Hello heard;
  if (kind_.judge == SessionKind::Judge::near_side)
    if (auto judged = judge_baked(hello_, job_, record_.vm_name, offline_); !judged)
      heard.refused = std::move(judged.error());
  feed(std::move(heard));
}

void Driver::take_from_far(const Frame& frame) {
  // No client has asked for anything yet, so these answer nothing.
  const bool is_answer =
      frame.type == FrameType::input || frame.type == FrameType::metrics || frame.type == FrameType::decisions;
  if (is_answer && keeps_values(state_)) return;
  switch (frame.type) {
    case FrameType::output:
    case FrameType::diagnostic:
      return feed(input::FarSpoke{});
    case FrameType::input:
      return input_pause_.far_side_says(frame.bytes == wire::kInputWaits, std::chrono::steady_clock::now());
    case FrameType::guard:
      return feed(input::FarGuardAsked{});
    case FrameType::event:
      return take_event();
    case FrameType::result:
      return take_result();
    case FrameType::failure:
      return take_failure();
    case FrameType::metrics:
      if (auto metrics = wire::decode<wire::Metrics>(frame_->bytes, wire::From::foreign))
        // Encoded again from what was parsed, so that no text of the far side reaches a client as it came.
        clients_.answer(FrameType::metrics, wire::encode(*metrics));
      return;
    case FrameType::decisions:
      if (auto latest = wire::decode<wire::LatestDecisions>(frame_->bytes, wire::From::foreign)) {
        for (auto& decision : latest->decisions)
          decision.near = false;  // none of them was made on this machine, even if the far side claims it
        clients_.answer(FrameType::decisions, wire::encode(*latest));
      }
      return;
    default:
      return;  // it is a pong
  }
}

void Driver::take_event() {
  auto event = read_far_event(frame_->bytes);
  if (!event) return warn_of_far(event.error().what);
  // A far side may not claim what only this side can know, such as that a checkpoint is safe on this machine.
  if (!comes_from_far(*event)) return;
  event_ = std::move(*event);
  if (const auto* changed = std::get_if<wire::PolicyChanged>(&*event_)) kept_.take(*changed);
  const auto* attached = std::get_if<wire::Attached>(&*event_);
  if (!attached && !std::holds_alternative<wire::AgentRuns>(*event_)) return feed(input::FarNotice{});
  const bool ran = agent_runs(state_);
  if (may_run(state_) && !finish_delivery()) feed(input::FarRunsWithoutWork{});
  else feed(attached ? Input(input::FarAttached{}) : input::FarRuns{});
  // attach() has sent this already.
  if (!attached && !ran && agent_runs(state_)) send_kept();
  if (!attached || !agent_runs(state_)) return;
  // The output continues from that position. The clients learn how much was dropped before it.
  position_ = attached->from;
  if (attached->missed) clients_.event(wire::OutputMissed{attached->missed});
}

// Tells the operator that input did not reach the agent. The agent would otherwise seem to ignore it.
void Driver::tell_lost_input() {
  if (size_t lost = kept_.take_lost())
    clients_.event(wire::Warning{std::to_string(lost) + (lost == 1 ? " byte" : " bytes") +
                                 " of input did not reach the agent, because it could not be reached"});
}

// Finishes the delivery. The agent runs, so the far side must have taken the workspace, and a failed delivery no longer
// matters.
bool Driver::finish_delivery() {
  if (!transfers_.await_delivery(60s)) return false;
  auto delivered = transfers_.poll_delivery();
  if (delivered && delivered->taken) tell_warnings(*delivered);
  return true;
}

// Takes the far side's result. A result that cannot be read is treated as an empty one, and the work still comes home.
void Driver::take_result() {
  // In any other state, there is no result that could be believed.
  if (may_run(state_) || agent_runs(state_)) {
    auto result = read_far_result(frame_->bytes);
    if (!result) warn_of_far(result.error().what);
    else if (!result->what.empty()) warn_of_far(result->what);
    result_ = result.value_or(wire::SessionResult());
  }
  feed(input::FarEnded{});
}

void Driver::take_failure() {
  auto error = wire::decode<Error>(frame_->bytes, wire::From::foreign)
                   .value_or(Error{Code::unavailable, "the remote machine gave no reason"});
  // Only this code has a meaning for the state machine. The far side may not choose any other.
  if (error.code != Code::not_found) error.code = Code::unavailable;
  feed(input::FarFailed{std::move(error)});
}

// Limits the warnings, because a machine that was taken over may send nonsense without end.
void Driver::warn_of_far(const std::string& what) {
  if (far_warnings_++ < kMostFarWarnings) clients_.event(wire::Warning{names().machine + ": " + what});
}

}  // namespace bottle::remote
