// Performs the actions of the state machine in the order in which step() returns them. Some are notes for the ledger,
// and these are on the disk before the next action begins: if this process is killed at any point, the ledger says at
// least as much as has happened.
//
// Each kind of action has its perform(), and its switch has no default. An action that is not performed does not
// compile.
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "base/ids.h"
#include "remote/near/driver.h"
#include "session/credentials/session_agent.h"
#include "session/credentials/ssh_keys.h"
#include "session/ledger/info.h"
#include "session/ledger/ledger_file.h"
#include "wire/codec/failure.h"
#include "wire/request.h"

#pragma clang diagnostic error "-Wswitch"

namespace bottle::remote {

using session::SessionAgent, wire::SshKey, wire::VmJob, session::end_agent, session::remove_session_directory;

namespace {

using namespace std::chrono_literals;

constexpr auto kEngineStarts = 330s;  // time for an engine to answer on a VM that boots, or to report that it does not

}  // namespace

void Driver::perform(Do action) {
  switch (action) {
    case Do::make_vm:
      return make_vm();
    case Do::send_job:
      return send_job();
    case Do::send_work:
      return send_work();
    case Do::send_values:
      return send_values();
    case Do::open_services:
      return open_services();
    case Do::end_services:
      return services_.reset();
    case Do::answer_guard:
      return answer_guard();
    case Do::pass_to_clients:
      return pass_to_clients();
    case Do::pass_to_far:
      return link_.send(frame_->type, frame_->bytes);
    case Do::pass_hello:
      return clients_.event(wire::HelloCame{hello_});
    case Do::tell_engine:
      return clients_.event(wire::EngineAnswers{hello_ ? hello_->engine_at : 0});
    case Do::connect:
      return link_.reconnect(record_.address, finder());
    case Do::attach:
      return attach();
    case Do::send_stop:
      return link_.send(FrameType::stop, "");
    case Do::begin_checkpoints:
      return transfers_.has_begun();
    case Do::close_link:
      return link_.close();
    case Do::end_delivery:
      return transfers_.end_delivery();
    case Do::stop_far_session:
      return begin_last_step([](Conclusion& c) { return Input(c.stop_far_session()); });
    case Do::forget_on_far_side:
      return begin_last_step([](Conclusion& c) { return Input(c.forget_on_far_side()); });
    case Do::destroy_vm:
      return begin_last_step([](Conclusion& c) { return Input(c.destroy_vm()); });
    case Do::hold_vm:
      return conclusion().hold_vm();
    case Do::remove_record:
      return remove_record();
    case Do::save_result:
      return save_result();
    case Do::account_for_vm:
      return account_for_vm();
    case Do::tell_result:
      return clients_.send(FrameType::result, wire::encode(*result_));
  }
}

// The session goes on even if a note between the first and the last cannot be written. The ledger then still says that
// there may be work, and a later command looks for the work.
void Driver::perform(Note what) {
  switch (what) {
    case Note::may_run:
      if (auto noted = note_may_run(); !noted) return lead_to(input::NoteFailed{std::move(noted.error())});
      return lead_to(input::MayRunNoted{});
    case Note::running:
      return (void)note({.running = true, .ran = true});
    case Note::never_ran:
      return (void)note({.running = false, .ran = false});
    case Note::ended:
      if (!result_) result_.emplace();
      return (void)note({.ended = result_->exit});
    case Note::home:
      if (auto noted = note({.home = true}); !noted)
        return lead_to(input::NoteFailed{std::move(noted.error()).during("recording that the work is home")});
      return lead_to(input::HomeNoted{});
  }
}

void Driver::perform(Show state) {
  auto show = [this](wire::SessionState shown) {
    session::write_info(job_, shown, record_.address.target.to_string());
  };
  switch (state) {
    case Show::running:
      return show(wire::SessionState::running);
    case Show::unattended:
      return show(wire::SessionState::unattended);
    case Show::unfetched:
      return show(wire::SessionState::unfetched);
    case Show::left_behind:
      return show(wire::SessionState::left_behind);
  }
}

void Driver::perform(const Tell& tell) { clients_.event(event_of(tell, names())); }

void Driver::perform(const FetchWork& how) {
  begin_last_step([how, &fetcher = transfers_.idle_fetcher()](Conclusion& c) { return c.fetch(how, fetcher); });
}

void Driver::perform(const TellFailure& failed) {
  if (ledger_) remove_unused_results();
  Error error = error_of(failed, names(), conclusion_ ? conclusion_->where_work_is() : "");
  clients_.send(FrameType::failure, wire::encode(error));
}

// Call it only while this near side has the ledger. Without it, the name and the results belong to another session.
void Driver::remove_unused_results() {
  ::rmdir(job_.directories.results_of(session_).c_str());  // meant to fail if the agent ran
}

void Driver::remove_record() {
  remove_unused_results();
  if (auto ledger = std::exchange(ledger_, std::nullopt))
    remove_session_directory(record_.directory, std::move(*ledger).release());
}

// Also notes which engine the agent may run on. The machine may restart before this side hears from it, and come back
// with another engine, which has nothing that the session made.
Result<> Driver::note_may_run() {
  wire::LedgerRecord record{.running = true, .ran = false};
  if (!record_.engine_id) record_.engine_id = hello_ && hello_->engine ? hello_->engine->id : job_.remote->engine_id;
  if (!record_.engine_id->empty()) record.engine_id = record_.engine_id;
  return note(record);
}

Result<> Driver::note(const wire::LedgerRecord& record) { return ledger_ ? ledger_->note(record) : Result<>(); }

void Driver::answer_guard() {
  if (services_) services_->take(frame_->bytes);
}

void Driver::pass_to_clients() {
  if (frame_->type == FrameType::event) return clients_.event(*event_);
  position_ += frame_->bytes.size();
  // After output, there may be new work for a checkpoint.
  transfers_.agent_spoke();
  clients_.send(frame_->type, frame_->bytes);
}

void Driver::save_result() {
  // The broker's last decisions come when it ends, and must be in the record before that is closed.
  services_.reset();
  result_ = conclusion().save_result(audit_);
}

void Driver::account_for_vm() {
  services_.reset();  // as in save_result()
  auto accounted = conclusion().account_for_vm(audit_);
  result_ = std::move(accounted.end.result);
  if (accounted.written) lead_to(input::Accounted{accounted.end.home});
  else lead_to(input::NotAccounted{std::move(accounted.written.error())});
}

Conclusion& Driver::conclusion() {
  if (conclusion_) return *conclusion_;
  auto say = [this](const std::string& line) { last_step_.say(line); };
  return conclusion_.emplace(job_, record_, say, link_.side(), result_);
}

void Driver::begin_last_step(std::function<Input(Conclusion&)> take) {
  // The step reads the record and may destroy the VM, so nothing takes over a VM that becomes ready from now on.
  pending_vm_.reset();
  last_step_.begin([take = std::move(take), &last = conclusion()] { return take(last); });
}

// -- the start

void Driver::make_vm() {
  if (auto begun = begin_vm(); !begun) lead_to(input::VmFailed{std::move(begun.error())});
}

Result<> Driver::begin_vm() {
  std::string name = machine::new_vm_name(session_);
  // That VM belongs to an earlier session. Once the ledger has the name, the end of this session destroys the VM.
  if (machine::is_recorded(name, job_.directories))
    return fail(Code::conflict, "VM " + name + " of an earlier session still exists",
                "choose another --name, or run `bottle vm destroy " + name + "`");
  record_.vm_name = std::move(name);
  VmJob wanted = *job_.remote->vm;
  // The environment may have credentials of the provider, and a ledger must not contain secrets.
  wanted.environment.clear();
  TRY(ledger_->note({.vm = wire::LedgerVm{record_.vm_name, wanted.vm.provider, wanted}}));
  pending_vm_.emplace(job_, record_.vm_name);
  return {};
}

Job Driver::job_for_far_side() const {
  Job there = job_;
  there.remote.reset();
  there.from_near_side = true;
  there.near_share.offline = offline_;
  if (token_) {
    there.token = *token_;
    // The token has reached the VM in another way.
    if (token_->via != Token::Via::job) there.values.secrets.erase(token_->name);
  }
  there.plan.skills.clear();  // they travel with the workspace
  return there;
}

void Driver::send_job() {
  if (auto sent = try_to_send_job(); !sent) return lead_to(input::JobFailed{std::move(sent.error())});
  lead_to(input::JobSent{});
}

// Sends the job. The far side begins with the steps that need no secret, and the values follow once the machine has
// been judged.
Result<> Driver::try_to_send_job() {
  if (!side_) side_ = TRY(FarSide::reach(record_.address));
  Job there = job_for_far_side();
  TRY(make_services(there));
  // Sending 200 KB over an idle connection takes several round trips, so the roots are left out if the machine
  // already has them.
  if (std::string roots = content_hash(job_.ca_bundle); roots == job_.remote->roots) {
    there.kept_roots = roots;
    there.ca_bundle.clear();
  }
  // make_services() has taken out the values that stay on this machine. The others wait until the machine is judged.
  values_ = std::exchange(there.values, {});
  bool boots = kind_.judge == SessionKind::Judge::near_side;
  link_.use(std::move(*side_), std::move(*channel_), boots ? kEngineStarts : 60s);
  side_.reset();
  channel_.reset();
  link_.send(FrameType::job, TRY(wire::encode_exactly(there)));
  return {};
}

// Sends the values, and offers the services in the same step, because the agent's first request may need them.
void Driver::send_values() {
  if (!values_) return;
  link_.send(FrameType::values, wire::encode(*values_));
  values_.reset();
  offer_services();
}

void Driver::send_work() {
  // The ledger gets the base before the agent can run, because its work can only be compared with that.
  transfers_.send(*link_.side(), [this](const std::string& base) { return note({.base = base}); });
}

// Returns how to find a VM that cannot be reached. Its provider is asked only now and then, because most VMs come back
// at the same address.
std::function<std::optional<MachineAddress>()> Driver::finder() const {
  constexpr int kFirst = 2, kEvery = 4;  // attempts
  if (record_.vm_name.empty() || !job_.remote->vm || link_.attempts() % kEvery != kFirst) return {};
  return [address = record_.address, vm = record_.vm_name, directories = job_.directories,
          environment = job_.remote->vm->environment] { return where_vm_moved(address, vm, directories, environment); };
}

// Notes a new address of the machine, so that later steps and later near sides use it.
void Driver::note_address(const ssh::Target& now) {
  if (record_.vm_name.empty() || same_address(now, record_.address.target)) return;
  record_.address.target = now;
  (void)note({.machine = record_.address});
}

void Driver::attach() {
  wire::Attach attach{session_, position_, job_.id, record_.engine_id};
  // A new terminal needs only the last screen, not the whole output since the start.
  if (kind_.adopted && position_ == 0) attach.from.reset();
  link_.send(FrameType::attach, wire::encode(attach));
  offer_services();
  send_kept();
}

// Sends what clients sent while no connection could take it, and what may have been lost with the last connection.
void Driver::send_kept() {
  for (const auto& frame : kept_.to_send()) link_.send(frame.type, frame.bytes);
}

// -- services that stay on this machine and that the far side uses over the connection

Result<> Driver::make_services(Job& there) {
  if (session::needs_own_agent(job_.ssh_keys)) {
    std::string socket = SessionAgent::socket_in(record_.directory);
    // Like everything that a session makes, the ssh-agent is in the ledger before it exists.
    TRY(ledger_->will_make({{wire::ThingKind::ssh_agent, socket}}));
    // The dead near side's ssh-agent may still listen at this path.
    if (kind_.adopted) TRY(end_agent(socket));
  }
  auto send = [this](const wire::ToFarGuard& message) { link_.send(FrameType::guard, wire::encode(message)); };
  services_ = TRY(NearServices::make(job_, there, record_.directory, send,
                                     [this](const wire::Decision& decision) { audit_.add(decision); }));
  return {};
}

// Opens the services. If an earlier near side died, its services are gone, and the operator has entered again what they
// need.
void Driver::open_services() {
  Job there = job_;
  there.near_share.offline = offline_;
  if (auto made = make_services(there); !made)
    clients_.event(wire::Warning{"the remote machine cannot use what stays on this machine: " + made.error().what});
}

void Driver::offer_services() {
  if (services_)
    link_.send(FrameType::guard, wire::encode(wire::ToFarGuard(wire::NearSideHere{services_->root_pem()})));
}

}  // namespace bottle::remote
