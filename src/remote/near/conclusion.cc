// Performs the last steps and writes the receipt. A receipt says only what was confirmed, and by whom: the far side
// can confirm what its engine removed, and the provider can confirm that a VM is gone. Without an answer, the receipt
// names what may be left. The far side is believed about its own machine, and never about what happened on this one.
#include "remote/near/conclusion.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <thread>

#include "base/text/line.h"
#include "remote/near/vm.h"
#include "session/audit/audit_file.h"
#include "session/ledger/files.h"
#include "session/ledger/info.h"

namespace bottle::remote {
namespace {

// Reads the answer to `forget`. An answer that cannot be read confirms nothing.
Result<wire::Forgotten> read_forgotten(const Captured& answer) {
  if (answer.status != 0)
    return fail(Code::internal, "the machine could not remove them: " + folded(answer.err, kMostOfReason));
  return wire::decode<wire::Forgotten>(answer.out, wire::From::foreign);
}

// Returns whether the answer to `forget` says that only that machine has the session's work.
bool has_unfetched_work(const Captured& answer) {
  auto kept = wire::decode<wire::Forgotten>(answer.out, wire::From::foreign);
  return kept && !kept->forgotten;
}

// Returns a sentence about the part of a workspace that arrived, or nothing if there is none.
std::string about_part(const std::string& results) {
  std::string part = part_in(results);
  if (::access(part.c_str(), F_OK) != 0) return "";
  return " The part of the workspace that arrived is in the archive " + part + ".";
}

// Returns the account of work that went with its VM.
wire::WorkResult lost_with_vm(const std::string& vm, const std::string& session, const std::string& results,
                              const std::string& why) {
  return {.text = "The VM " + vm + " is gone, and so is the work that was not fetched. If refs/bottle/" + session +
                  " exists, it is from the last checkpoint." + about_part(results),
          .error = why};
}

// Returns whether the work is home. A near side may have brought it home and died before the ledger said so. If there
// was nothing to bring, its result has no error either.
bool is_home_before(const session::LedgerView& view, const Result<wire::SessionResult>& earlier) {
  return view.home || (earlier && earlier->back && (earlier->back->has_work() || earlier->back->error.empty()));
}

}  // namespace

std::optional<wire::SessionResult> result_of_home(const session::LedgerView& view, const std::string& results) {
  auto earlier = session::read_result(results);
  if (!is_home_before(view, earlier)) return std::nullopt;
  if (earlier) return std::move(*earlier);
  // Someone has removed the results since then.
  return wire::SessionResult{.bottle = view.plan ? view.plan->bottle : "", .exit = view.exit.value_or(125)};
}

EndWithoutVm end_without_vm(const session::LedgerView& view, const std::string& session, const std::string& results,
                            const std::string& why, std::optional<wire::SessionResult> known) {
  auto earlier = session::read_result(results);
  bool home = is_home_before(view, earlier);
  EndWithoutVm end{.result = {}, .home = home};
  if (earlier && (home || !known)) {
    end.result = std::move(*earlier);
  } else if (known) {
    end.result = std::move(*known);
  } else {
    end.result.bottle = view.plan ? view.plan->bottle : "";
    end.result.exit = view.exit.value_or(125);
    if (!view.exit) end.result.what = "the VM was gone before the session's end was known";
  }
  end.result.session = session;
  if (!home) end.result.back = lost_with_vm(view.vm->name, session, results, why);
  auto& receipt = end.result.receipt;
  receipt.session = session;
  receipt.machine = view.machine->target.to_string();
  receipt.confirmed = true;
  receipt.left.clear();
  // The provider's own statement says more.
  if (!receipt.vm || !receipt.vm->is_gone())
    receipt.vm = wire::VmReceipt{view.vm->name, wire::VmGone{"the command that destroyed it"}};
  return end;
}

// Copies those parts of the far side's receipt that the far side can confirm. Without a result, the receipt starts as
// confirmed, because a session that failed may have left nothing on which an engine could report.
Conclusion::Conclusion(const Job& job, const NearRecord& record, Progress progress, const FarSide* side,
                       std::optional<wire::SessionResult> far_result)
    : job_(job), record_(record), progress_(std::move(progress)), far_result_(std::move(far_result)) {
  if (side) side_ = *side;
  receipt_.session = job_.plan.session;
  receipt_.confirmed = !far_result_ || far_result_->receipt.confirmed;
  if (!far_result_) return;
  receipt_.removed = far_result_->receipt.removed;
  receipt_.left = far_result_->receipt.left;
}

void Conclusion::was_home(wire::SessionResult earlier) {
  back_ = earlier.back.value_or(wire::WorkResult());
  receipt_.removed = earlier.receipt.removed;
  far_result_ = std::move(earlier);
}

input::StopAnswered Conclusion::stop_far_session() {
  auto answer = side_ ? side_->ask({"stop", job_.plan.session, job_.id})
                      : Result<Captured>(fail(Code::closed, "the machine was never reached"));
  return {.stopped = answer && answer->status == 0};
}

// Connects to the machine again. A VM may have come back at another address.
Result<FarSide> Conclusion::reach_again() {
  auto side = FarSide::reach(record_.address);
  if (side || record_.vm_name.empty() || !job_.remote->vm) return side;
  auto moved = where_vm_moved(record_.address, record_.vm_name, job_.directories, job_.remote->vm->environment);
  if (!moved) return side;
  side = FarSide::reach(*moved);
  if (side) moved_ = moved->target;
  return side;
}

Input Conclusion::fetch(const FetchWork& how, WorkFetcher& fetcher) {
  if (how.reconnect && side_) {
    side_->drop_dead();
    side_.reset();
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(how.wait_ms));
  auto is_gone = [&] { return vm_is_gone(job_, record_); };
  // If the work is held or cannot be written, a new connection does not help.
  bool reconnecting_helps = true;
  auto here = [&]() -> Result<> {
    FarSide side = side_ ? *side_ : TRY(reach_again());
    auto fetched = fetcher.fetch(side, record_.engine_id.value_or(""), is_gone, progress_);
    // What does not fit on this machine does not fit after another connection either.
    reconnecting_helps = !fetched && fetched.error().code != Code::limit && fetched.error().code != Code::no_space;
    // The steps that follow use this connection, too.
    if (!reconnecting_helps) side_ = std::move(side);
    if (!fetched) return std::unexpected(std::move(fetched.error()));
    if (auto* held = std::get_if<Held>(&*fetched)) return fail(Code::unavailable, std::move(held->why));
    if (std::holds_alternative<Gone>(*fetched)) return keep({}, true);
    return keep(std::move(std::get<wire::WorkResult>(*fetched)), false);
  }();
  if (here) return input::Fetched{};
  fetch_error_ = here.error().what;
  using Obstacle = input::FetchFailed::Obstacle;
  auto obstacle = is_gone() ? Obstacle::vm_gone : reconnecting_helps ? Obstacle::connection : Obstacle::held;
  return input::FetchFailed{obstacle, std::move(here.error())};
}

// Takes what the machine sent as the work, and writes the result with it. Fails if the work must stay on the machine.
// `is_gone` says that the engine does not have it any more.
Result<> Conclusion::keep(wire::WorkResult work, bool is_gone) {
  if (work.is_empty()) {
    // An earlier near side may have brought the work home and died before the ledger said so.
    if (auto before = came_before()) work = std::move(*before);
    // It said at the end of the session that it has the work. Whatever the reason is that it sends none, for example
    // that it looked for it in the wrong place, nothing says that the work is gone.
    else if (!is_gone && far_result_ && far_result_->back && far_result_->back->held)
      return fail(Code::unavailable, "the machine holds the work, but has sent none: " + far_result_->back->error);
    else if (!is_gone && far_result_ && far_result_->back && !far_result_->back->archive.empty())
      return fail(Code::unavailable, "the machine has saved the work, but has sent none");
    else if (job_.plan.workspace_mode != manifest::WorkspaceMode::none) work = nothing_came();
  }
  back_ = std::move(work);
  // The machine forgets the session next. From then on, only this file says what came home and what to look at.
  auto saved = session::write_result(results(), partial_result());
  if (!saved) back_.reset();
  return during("writing what came home", std::move(saved));
}

// Says what is lost if the machine has no workspace of a session to which one was sent. A session that failed may never
// have had one.
wire::WorkResult Conclusion::nothing_came() const {
  if (!far_result_ && !job_.remote->adopts()) return {};
  const std::string& session = job_.plan.session;
  std::string lost = std::string(far_result_ ? "The work is lost" : "If the agent ran, its work is lost") +
                     ", because " + record_.address.target.to_string() + " no longer has the workspace.";
  // The far side may know more, for example that something else removed the container.
  std::string why = far_result_ && far_result_->back ? far_result_->back->error : "";
  return {.text = lost + " If refs/bottle/" + session + " exists, it is from the last checkpoint.",
          .error = why.empty() ? lost : why};
}

input::Forgotten Conclusion::forget_on_far_side() {
  // An adopted session whose work is home needed no connection before.
  if (!side_ && job_.remote->adopts() && !vm_is_gone(job_, record_))
    if (auto side = reach_again()) side_ = std::move(*side);
  // The far engine is asked once more, so that the receipt has its latest answer.
  // Unless this side has the work, the machine keeps what it knows to be work.
  auto asked = side_ ? side_->ask({"forget", job_.plan.session, job_.id, is_home() ? "home" : ""})
                     : Result<Captured>(fail(Code::closed, "the machine was never reached"));
  auto answer = then(asked, read_forgotten);
  receipt_.forgotten = answer.has_value();
  // Without a receipt, the machine had nothing that an engine would have to remove.
  if (answer && answer->receipt) {
    receipt_.confirmed = answer->receipt->confirmed;
    receipt_.left = answer->receipt->left;
  }
  if (!answer) receipt_.left.push_back("results on " + record_.address.target.to_string() + ": " + answer.error().what);
  receipt_.confirmed = receipt_.confirmed && answer;
  using Left = input::Forgotten::Left;
  // What it says about work does not count once the work is home.
  if (asked && !is_home() && has_unfetched_work(*asked)) return {Left::work};
  if (asked) return {receipt_.confirmed ? Left::nothing : Left::something};
  // Without a name, no VM was asked for.
  bool has_vm = !record_.vm_name.empty() && machine::is_recorded(record_.vm_name, job_.directories);
  return {has_vm ? Left::unknown : Left::no_vm};
}

input::VmDestroyed Conclusion::destroy_vm() {
  // The connections would otherwise wait for a machine that no longer exists.
  if (side_) side_->drop();
  auto destroyed =
      destroy_session_vm(record_.vm_name, job_.remote->vm ? job_.remote->vm->vm.provider : "", job_, progress_);
  std::string name = "VM " + record_.vm_name;
  receipt_.confirmed = destroyed && destroyed->confirmed;
  if (destroyed) receipt_.vm = receipt_of(*destroyed);
  else receipt_.vm = wire::VmReceipt{record_.vm_name, wire::VmUncertain{destroyed.error().what}};
  // The VM's disk is gone, with everything that could not be removed from it.
  if (receipt_.confirmed) receipt_.left.clear();
  else receipt_.left.push_back(destroyed ? name : name + ": " + destroyed.error().what);
  return {.confirmed = receipt_.confirmed};
}

// Without the hold, the VM's reaper tries to fetch the work and then to hold the VM, and destroys it only when it
// expires.
void Conclusion::hold_vm() {
  if (auto held = machine::hold(record_.vm_name, job_.directories); !held) hold_error_ = held.error().what;
}

std::string Conclusion::where_work_is() const {
  if (!is_home()) return "";
  if (const auto& sorted = back_->sorted) {
    // The best place comes first. A ref has everything, a patch has only the files, and an archive must still be
    // sorted.
    if ((sorted->commits != 0 || sorted->files) && !sorted->refs.empty()) return sorted->refs[0];
    if (!sorted->patch.empty()) return sorted->patch;
  }
  return back_->archive;
}

// Returns what came home, or where the work is instead and why.
wire::WorkResult Conclusion::back() const {
  if (is_home()) return *back_;
  const std::string& session = job_.plan.session;
  return {.text = "The work is still on " + record_.address.target.to_string() +
                  ". Fix the cause, then run `bottle cleanup` or `bottle attach " + session + "` to fetch it." +
                  about_part(job_.directories.results_of(session)),
          .error = fetch_error_};
}

// Says what happened to the VM: destroy_vm() has recorded what its provider confirmed, or it stays.
void Conclusion::add_vm_to_receipt() {
  if (receipt_.vm) return;
  wire::VmKept kept{is_home() ? "--keep" : "the work could not be fetched; the VM stays until it expires"};
  if (!hold_error_.empty()) kept.why += "; its record on this machine could not be written: " + hold_error_;
  receipt_.vm = wire::VmReceipt{record_.vm_name, std::move(kept)};
}

// Seals the far guard's record in the state in which it came home, unless the far side said how it ended.
std::vector<wire::AuditSeal> Conclusion::seals(NearAudit& near_audit) const {
  std::vector<wire::AuditSeal> seals = far_result_ ? far_result_->audit : std::vector<wire::AuditSeal>();
  if (seals.empty() && is_home())
    if (auto found = session::seal_as_found(results() + "/" + session::kAudit)) seals.push_back(*found);
  // The session may continue, and then the broker's record continues with it.
  if (!is_home()) return seals;
  // If an earlier near side has brought the work home, but could not confirm the removal, its result has the seal.
  auto before = result_before();
  std::erase_if(seals, [](const wire::AuditSeal& seal) { return seal.file == session::kNearAudit; });
  for (auto& seal : near_audit.close(before ? std::move(before->audit) : std::vector<wire::AuditSeal>()))
    seals.push_back(std::move(seal));
  return seals;
}

// Returns what an earlier near side brought home.
std::optional<wire::WorkResult> Conclusion::came_before() const {
  auto before = result_before();
  if (!before || !before->back || !before->back->has_work()) return std::nullopt;
  return std::move(before->back);
}

Result<wire::SessionResult> Conclusion::result_before() const { return session::read_result(results()); }

std::string Conclusion::results() const { return job_.directories.results_of(job_.plan.session); }

// Returns the result without the end of the records and of what was made for the session.
wire::SessionResult Conclusion::partial_result() {
  wire::SessionResult result{.session = job_.plan.session, .bottle = job_.plan.bottle, .back = back()};
  if (far_result_) {
    result.exit = far_result_->exit;
    result.what = far_result_->what;
    result.limit = far_result_->limit;
    result.egress = far_result_->egress;
    result.audit = far_result_->audit;
  } else {
    result.what = "the session failed before it was known how the agent ended";
  }
  if (result.egress && !job_.plan.record) result.egress->recorded.reset();  // the operator did not ask for it
  receipt_.machine = record_.address.target.to_string();
  result.receipt = receipt_;
  result.receipt.confirmed = false;
  auto before = result_before();
  if (before) result.audit = std::move(before->audit);
  return result;
}

wire::SessionResult Conclusion::save_result(NearAudit& near_audit) {
  // Since the last step, the VM's time may have run out, or someone may have destroyed the VM. If the work was lost
  // with it, the record stays, so a later command accounts for it.
  if (!receipt_.vm && vm_is_gone(job_, record_)) return account_for_vm(near_audit).end.result;
  wire::SessionResult result = partial_result();
  result.audit = seals(near_audit);
  // While work is on that machine, something is left on it, whatever its engine says.
  if (!is_home()) receipt_.confirmed = false;
  if (!record_.vm_name.empty()) add_vm_to_receipt();
  result.receipt = receipt_;
  // If the disk is full, the clients still get the result.
  (void)session::write_result(results(), result);
  session::write_recorded(job_, result);
  return result;
}

Conclusion::Accounted Conclusion::account_for_vm(NearAudit& near_audit) {
  if (fetch_error_.empty()) fetch_error_ = "the VM was destroyed before the work was fetched";
  auto known = far_result_ ? std::optional(partial_result()) : std::nullopt;
  auto ledger = session::read_ledger(job_.directories, job_.plan.session);
  session::LedgerView view = ledger.value_or(session::LedgerView());
  view.vm.emplace().name = record_.vm_name;
  view.machine = record_.address;
  auto end = end_without_vm(view, job_.plan.session, results(), fetch_error_, std::move(known));
  auto& result = end.result;
  if (result.bottle.empty()) result.bottle = job_.plan.bottle;
  // The session cannot continue, so the broker's record ends. The far guard's record has ended already.
  auto near_seals = near_audit.close(result.audit);
  if (far_result_ && !end.home) result.audit = far_result_->audit;
  std::erase_if(result.audit, [](const wire::AuditSeal& seal) { return seal.file == session::kNearAudit; });
  std::ranges::move(near_seals, std::back_inserter(result.audit));
  auto written = session::write_result(results(), result);
  session::write_recorded(job_, result);
  if (end.home) written = {};  // the earlier result has the work already
  // Without the ledger, it is not known whether the work is lost.
  else if (!ledger) written = std::unexpected(std::move(ledger.error()));
  return {std::move(end), std::move(written)};
}

}  // namespace bottle::remote
