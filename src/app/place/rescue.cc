// A VM costs money, and the agent's work may be only on it. So a VM without an owner is destroyed, but not before its
// work is home: a new supervisor joins the session, ends it and fetches the work, exactly as for `bottle cleanup`.
// The session's ledger says whether there is work. If it cannot be read, there may be some. A VM whose work could not
// be fetched is held until it expires.
//
// Several processes (a reaper, a cleanup, a start) may handle the same VM at the same time, so each step reads the
// VM's record again.
#include "app/place/rescue.h"

#include <unistd.h>

#include <chrono>
#include <optional>
#include <thread>

#include "app/output/output.h"
#include "app/place/join.h"
#include "app/world/sessions.h"
#include "app/world/world.h"
#include "base/files/file.h"
#include "base/os/this_program.h"
#include "base/unique_fd.h"
#include "machine/destroy.h"
#include "remote/near/conclusion.h"
#include "session/audit/audit_file.h"
#include "session/console/client.h"
#include "session/ledger/files.h"
#include "session/ledger/info.h"
#include "session/ledger/ledger.h"
#include "session/ledger/ledger_file.h"
#include "session/sweep/sweep.h"

namespace bottle::app {
namespace {

using machine::Record;

std::string directory_of(const std::string& session) { return directories().session(session); }

// Returns whether an agent ran on the VM and its work is not on this machine.
bool has_work(const Record& record) {
  if (record.vm.session.empty()) return false;
  auto view = session::read_ledger(directories(), record.vm.session);
  // A ledger that cannot be trusted does not prove that there is no work.
  if (!view) return view.error().code != Code::not_found;
  return view->may_have_run() && !view->home && view->vm;
}

// Starts a new supervisor, which takes the session over, ends the agent, fetches its work and destroys the VM. Blocks
// for minutes; the supervisor's own limits bound it. Returns whether the VM may be destroyed.
bool bring_home(const Record& record) {
  if (!has_work(record)) return true;
  if (auto fd = join(record.vm.session, {.stop = true})) (void)session::follow(fd->get(), {.quiet = true});
  // The supervisor exits just after it has reported how the session ended.
  auto now = machine::load(record.vm.name, directories());
  for (int turn = 0; turn < 100 && now && !now->owner.dead(); ++turn) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    now = machine::load(record.vm.name, directories());
  }
  // A record that cannot be read now is checked again later.
  if (!now) return machine::is_gone(now);
  if (now->held || !now->owner.dead()) return false;  // it is held, or has a new owner
  return !hold_unfetched(*now);
}

// Ends the records that a dead near side left, unless `known` has their seals. Returns the seals for the result.
std::vector<wire::AuditSeal> seals(const std::string& results, std::vector<wire::AuditSeal> known) {
  for (const char* record : {session::kAudit, session::kNearAudit})
    known = session::seals_after_death(results + "/" + record, std::move(known));
  return known;
}

// Writes to the results how a session whose VM is gone has ended, and ends its records. Otherwise, only the session's
// ledger would say that the work was lost, and the ledger is removed next. Returns false if this cannot be written.
bool account_for_vm(const session::LedgerView& view, const std::string& session, const Progress& progress) {
  std::string results = directories().results_of(session);
  auto [result, home] =
      remote::end_without_vm(view, session, results, "the VM was destroyed before the work was fetched");
  auto written = make_directories(results);
  result.audit = seals(results, std::move(result.audit));
  if (written) written = session::write_result(results, result);
  // An earlier result has the work already.
  if (home) return true;
  progress("session " + session + ": " + (written ? result.back->text : written.error().what));
  return written.has_value();
}

// Returns the ledger of a session whose owner is dead and whose VM is gone or was never made. Returns nothing for any
// other session.
std::optional<session::LedgerView> ledger_without_vm(const std::string& session) {
  auto view = session::read_ledger(directories(), session);
  if (!view || !view->machine || !view->owner.is_gone()) return std::nullopt;
  bool nowhere = view->machine->target.host.empty();  // a VM was still to be made
  if (!view->vm && !nowhere) return std::nullopt;
  // A record is removed only after the provider has confirmed that the VM is gone.
  if (view->vm && machine::is_recorded(view->vm->name, directories())) return std::nullopt;
  return std::move(*view);
}

}  // namespace

int reap_vm(const std::string& name) {
  machine::Reaping session{bring_home, [](const Record& record) {
                             forget_session_without_vm(record.vm.session, [](const std::string&) {});
                           }};
  return machine::reap(name, hook_environment(), session);
}

bool hold_unfetched(const Record& record) {
  bool watched = machine::reaper_alive(record.vm.name, directories());
  bool time_is_up = !watched && machine::now_seconds() >= record.until;
  machine::DestroyOptions options{.environment = hook_environment()};
  if (time_is_up || !has_work(record) || !machine::hold_unless_ended(record.vm.name, directories(), options))
    return false;
  // A VM that is held still needs a process that destroys it when it expires.
  if (!watched) (void)machine::start_reaper(record.vm.name, directories(), options.environment, path_to_self());
  return true;
}

std::string tell_held(const Record& record) {
  return "VM " + record.vm.name + " holds work of session " + record.vm.session +
         " that could not be fetched; run `bottle cleanup` to try again. In " +
         age(record.until - machine::now_seconds()) + " the VM is destroyed, and the work with it";
}

bool forget_session_without_vm(const std::string& session, const Progress& progress) {
  if (!ledger_without_vm(session)) return false;
  std::string directory = directory_of(session), results = directories().results_of(session);
  // A start, a cleanup and a reaper may find the session at the same time. One of them accounts for it and removes it;
  // then the name is free, and a new session may have it.
  auto lock = session::LedgerFile::take(directory, Deadline::in_ms(0));
  auto view = lock ? ledger_without_vm(session) : std::nullopt;
  if (!view) return false;
  if (view->vm && view->may_have_run()) {
    if (!account_for_vm(*view, session, progress)) return false;
  } else if (auto earlier = session::read_result(results); !earlier && earlier.error().code == Code::not_found) {
    (void)seals(results, {});  // even without a result, a record must not look as if its end was cut off
  }
  // Removes only an empty directory: then the agent never ran.
  ::rmdir(results.c_str());
  session::remove_session_directory(directory, *std::move(lock));
  return true;
}

void check_vms(const Progress& progress) {
  // A directory without a record is what a start left that died before it could write one.
  auto recorded = machine::recorded(directories());
  if (recorded)
    for (const auto& name : *recorded) machine::forget_unfinished(name, directories());
  if (recorded) recorded = machine::recorded(directories());
  if (!recorded) progress("VMs may have lost their owners: " + recorded.error().what);
  for (const auto& name : recorded.value_or(std::vector<std::string>())) {
    auto record = machine::load(name, directories());
    if (!record) continue;
    bool left = machine::abandoned(*record, machine::now_seconds());
    if (record->held) progress(tell_held(*record));
    // After this machine has restarted, a kept VM no longer has a reaper.
    if (!left && !record->held && !record->owner.dead()) continue;
    if (machine::reaper_alive(name, directories())) {
      // The reaper itself has no way to say that it fails again and again.
      if (left && !record->held && record->owner.dead())
        progress("VM " + name + " has lost its owner; a process in the background still tries to destroy it");
      continue;
    }
    auto started = machine::start_reaper(name, directories(), hook_environment(), path_to_self());
    if (!started) progress("VM " + name + ": " + started.error().what);
    else if (!record->held && (left || has_work(*record)))
      progress("VM " + name + " has lost its owner; bottle fetches its work in the background" +
               (left ? " and then destroys the VM" : ""));
  }
  auto sessions = shown_in(directories().sessions);
  if (!sessions) progress("sessions may be left without their VMs: " + sessions.error().what);
  else
    for (const auto& session : *sessions) forget_session_without_vm(session, progress);
}

}  // namespace bottle::app
