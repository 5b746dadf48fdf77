// Implements the steps that end a session on another machine, and what they add to its result and its receipt.
// session_state.h decides which steps are taken, and when. Each step blocks for minutes at most.
#pragma once

#include <optional>
#include <string>

#include "base/progress.h"
#include "remote/link/far_side.h"
#include "remote/near/near_audit.h"
#include "remote/near/near_record.h"
#include "remote/near/state/session_state.h"
#include "remote/near/transfers/work_fetcher.h"
#include "session/ledger/ledger.h"
#include "wire/result.h"

namespace bottle::remote {

// Returns the result of a session whose work an earlier near side brought home, or nothing if the work is not home.
// That near side may have died before the session's ledger, `view`, said so. Reads the session's results in `results`.
std::optional<wire::SessionResult> result_of_home(const session::LedgerView& view, const std::string& results);

// Says how a session ended whose VM is gone.
struct EndWithoutVm {
  wire::SessionResult result;
  bool home = false;  // the work came home before
};
// Finds out how a session ended whose VM is gone, from its ledger and from the result that an earlier near side wrote.
// If the work is home, that result stands. If it is not, the result says that the work is lost, and `why` it was not
// fetched. `known` is what the far side said about the end; without it, the earlier result or the ledger says that.
// `view` must name the VM and its machine. Reads the session's results in `results`, and writes nothing.
EndWithoutVm end_without_vm(const session::LedgerView& view, const std::string& session, const std::string& results,
                            const std::string& why, std::optional<wire::SessionResult> known = {});

// Takes the last steps of one session, and collects for the result what they found. It is made when the first of them
// is due. One thread at a time may use it.
class Conclusion {
 public:
  // `side` is how the machine was last reached, or null if it never was. `far_result` is the far side's result, and
  // empty if the session failed. `progress` is called on the thread that performs a step. `job` and `record` must
  // outlive this object.
  Conclusion(const Job& job, const NearRecord& record, Progress progress, const FarSide* side,
             std::optional<wire::SessionResult> far_result);

  // Says that an earlier near side brought the work home, and how the session ended. The machine need not know the
  // session any more.
  void was_home(wire::SessionResult earlier);

  // Perform the actions of the same names in session_state.h, and return the inputs to which they lead. Each may make a
  // new connection. A step that fails says so in its input; nothing is thrown, and nothing is retried.
  input::StopAnswered stop_far_session();
  Input fetch(const FetchWork& how, WorkFetcher& fetcher);
  input::Forgotten forget_on_far_side();
  input::VmDestroyed destroy_vm();
  void hold_vm();

  // Returns where fetch() reached the VM, if that is not the address in the record.
  const std::optional<ssh::Target>& moved() const { return moved_; }

  // Closes the broker's record, unless the session may continue. Writes the session's result into the results
  // directory, and returns it for the clients.
  wire::SessionResult save_result(NearAudit& near_audit);
  // Does that for a session whose VM is gone. `written` fails if the work is lost and the result that says so would not
  // survive a power failure.
  struct Accounted {
    EndWithoutVm end;
    Result<> written = {};
  };
  Accounted account_for_vm(NearAudit& near_audit);
  // Returns the ref, the patch or the archive with the work that was brought home, or an empty string if there is none.
  std::string where_work_is() const;

 private:
  bool is_home() const { return back_.has_value(); }
  Result<> keep(wire::WorkResult work, bool is_gone);
  wire::WorkResult nothing_came() const;
  wire::WorkResult back() const;
  Result<FarSide> reach_again();
  void add_vm_to_receipt();
  wire::SessionResult partial_result();
  Result<wire::SessionResult> result_before() const;
  std::optional<wire::WorkResult> came_before() const;
  std::vector<wire::AuditSeal> seals(NearAudit& near_audit) const;
  std::string results() const;

  const Job& job_;
  const NearRecord& record_;
  Progress progress_;
  std::optional<FarSide> side_;
  std::optional<ssh::Target> moved_;  // see moved()
  std::optional<wire::SessionResult> far_result_;
  wire::Receipt receipt_;
  std::optional<wire::WorkResult> back_;  // what was brought home
  std::string fetch_error_, hold_error_;
};

}  // namespace bottle::remote
