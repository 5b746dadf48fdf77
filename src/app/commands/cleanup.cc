// The order protects work and money. First come the sessions on other machines, because their work may be on a VM.
// Then VMs without an owner are destroyed, which needs no engine on this machine. Then dead sessions on this machine
// are swept. Things that have labels but no ledger come last, and are removed only with --unrecorded and after a
// question. With --dry-run, all these things are only listed.
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "app/commands/commands.h"
#include "app/output/output.h"
#include "app/output/show.h"
#include "app/output/vm_output.h"
#include "app/place/join.h"
#include "app/place/rescue.h"
#include "app/place/vms.h"
#include "app/world/sessions.h"
#include "app/world/world.h"
#include "base/text/line.h"
#include "base/unique_fd.h"
#include "docker/client/http_engine.h"
#include "session/console/client.h"
#include "session/console/terminal.h"
#include "session/images/build_place.h"
#include "session/sweep/sweep.h"
#include "session/sweep/unrecorded.h"

namespace bottle::app {
namespace {

using nlohmann::json;

struct CleanupOptions {
  bool dry_run = false, unrecorded = false, yes = false;
  Output output;
};

json as_json(const session::Unrecorded& each) {
  json all = {{"session", each.session},
              {"kind", word_of(each.thing.kind)},
              {"name", each.thing.name},
              {"unrecorded", true},
              {"removable", each.spared.empty()}};
  if (!each.spared.empty()) all["why"] = each.spared;
  return all;
}

// Reports objects that have bottle's label but are in no ledger on this machine, and what happens to them.
void tell_unrecorded(const std::vector<session::Unrecorded>& found, const CleanupOptions& options) {
  if (found.empty() || options.output.json) return;
  bool removable = false;
  for (const auto& each : found) {
    std::string claim = each.ledger.empty() ? "" : " (its label says " + each.ledger + ")";
    std::string fate = !each.spared.empty()  ? ", and " + each.spared + "; it was left alone"
                       : !options.unrecorded ? "; it was left alone"
                       : options.dry_run     ? "; it would be removed"
                                             : "";
    say("bottle: " + word_of(each.thing.kind) + " " + each.thing.name + " has the labels of session " + each.session +
        ", but no ledger on this machine names it" + claim + fate);
    removable = removable || each.spared.empty();
  }
  if (removable && !options.unrecorded)
    say("bottle: labels prove nothing; if a state directory that you removed knew of these, run `bottle cleanup "
        "--unrecorded`; if your state directory is elsewhere, set XDG_STATE_HOME");
}

// Removes objects whose names were shown, after the operator has confirmed.
Result<std::vector<session::Swept>> remove_unrecorded(docker::Engine& engine,
                                                      const std::vector<session::Unrecorded>& found,
                                                      const CleanupOptions& options) {
  auto can_go = [](const auto& each) { return each.spared.empty(); };
  if (!options.unrecorded || std::ranges::none_of(found, can_go)) return std::vector<session::Swept>();
  if (!options.yes) {
    for (const auto& each : found)
      if (can_go(each)) say("  " + word_of(each.thing.kind) + " " + each.thing.name);
    TRY(session::confirm("remove these?", "nothing was removed"));
  }
  return session::remove_unrecorded(directories(), engine, found, [&](const std::string& step) {
    if (!options.output.json) say(dim("· " + step));
  });
}

// Returns the line of a receipt about something that could not be done.
std::string left_of(const std::string& what, const Error& error) {
  return what + ": " + error.what + (error.todo.empty() ? "" : " (" + error.todo + ")");
}

// Collects what cleanup found and what became of it, in the order in which it is reported. Prints each thing as it
// comes, unless the output is JSON, which finish() prints.
class Report {
 public:
  explicit Report(const Output& output) : output_(output) {}

  // Something would be removed, which belongs to this session, or to none if it is empty.
  void would_remove(const std::string& session, const std::string& kind, const std::string& name) {
    entries_.push_back({{"session", session}, {"kind", kind}, {"name", name}});
    if (!output_.json) print("would remove " + kind + " " + name);
  }
  // Something would not be removed, although it has a ledger.
  void would_leave(const std::string& session, const std::string& why) {
    entries_.push_back({{"session", session}, {"left", {why}}});
    clean_ = false;
    if (!output_.json) say("bottle: would not remove: " + why);
  }
  void took(const session::Swept& swept) {
    entries_.push_back(to_json(swept.receipt));
    if (swept.back) entries_.back()["back"] = to_json(*swept.back);
    clean_ = clean_ && swept.receipt.confirmed;
    if (output_.json) return;
    show_swept(swept, output_);
    for (const auto& what : swept.receipt.removed) print("removed " + what);
  }
  // Something could not be done, or not even be looked at.
  void failed(const std::string& what, const Error& error) {
    took({.receipt = {.removed = {}, .left = {left_of(what, error)}, .machine = {}}, .back = {}});
  }
  // Takes the entry of something that is printed elsewhere, and whether nothing is left of it.
  void add(json entry, bool clean) {
    entries_.push_back(std::move(entry));
    clean_ = clean_ && clean;
  }
  // Something that has no entry may be left.
  void note_gap() { clean_ = false; }

  // Returns the exit status.
  int finish() const {
    if (output_.json) print_json(entries_);
    return clean_ ? 0 : 125;
  }
  bool is_empty() const { return entries_.empty(); }

 private:
  const Output& output_;
  json entries_ = json::array();
  bool clean_ = true;
};

// Ends sessions on remote machines that have no supervisor on this machine any more: fetches their work and confirms
// that they are gone.
std::vector<wire::Receipt> end_unattended(const std::vector<std::string>& names) {
  std::vector<wire::Receipt> receipts;
  for (const auto& name : names) {
    // One session that fails does not keep the others from being ended.
    wire::Receipt receipt;
    auto end = [&]() -> Result<session::Ended> {
      auto tell = [](const std::string& line) { say("bottle: " + line); };
      UniqueFd fd = TRY(join(name, {.interactive = ::isatty(0) != 0, .stop = true, .progress = tell}));
      auto followed = session::follow(fd.get(), {.quiet = true});
      if (!followed) session::await_end(fd.get());  // only then is it known whether the record stays
      return followed;
    };
    auto ended = end();
    if (!ended && ended.error().code == Code::conflict) ended = end();  // the VM's reaper was faster; this waits for it
    if (ended) {
      const auto* result = std::get_if<wire::SessionResult>(&*ended);
      receipt.confirmed = result && result->receipt.confirmed;
      (receipt.confirmed ? receipt.removed : receipt.left).push_back("session " + name + " on its remote machine");
    } else if (ended.error().code == Code::not_found && !runs_now(name)) {
      receipt.confirmed = true;  // it was already gone
      receipt.removed.push_back("the record of session " + name);
      say("bottle: session " + name + ": " + ended.error().what);
    } else {
      receipt.left.push_back(left_of("session " + name, ended.error()));
    }
    receipts.push_back(std::move(receipt));
  }
  return receipts;
}

// Removes what image builds that were killed left on this machine's disk. Does not need the engine.
void clean_up_builds(Report& report) {
  wire::Receipt receipt;
  for (const auto& path : session::abandoned_builds()) {
    if (auto gone = session::remove_abandoned_build(path); gone) receipt.removed.push_back("image build " + path);
    else receipt.left.push_back(gone.error().what);
  }
  receipt.confirmed = receipt.left.empty();
  if (!receipt.removed.empty() || !receipt.left.empty()) report.took({std::move(receipt), std::nullopt});
}

// Finds what no ledger names. Without an engine, it is unknown whether anything is left.
Result<std::vector<session::Unrecorded>> ask_engine(std::unique_ptr<docker::Engine>& engine) {
  engine = TRY(connect_engine());
  return session::find_unrecorded(directories(), *engine);
}

// Finds the VMs that may have no owner any more: by their labels at every provider and by the records on this machine,
// because either may lack a VM.
Result<machine::Inventory> find_vms(const Directories& places) {
  return machine::take_inventory(places, hook_environment(), TRY(providers_to_ask()), {.other = 30000, .retry = 20000},
                                 {});
}

Result<> list_vms(const Output& output, Report& report) {
  auto inventory = TRY(find_vms(Directories::from(hook_environment())));
  for (const auto& found : inventory.all) {
    if (!found.orphan() || (found.record && found.record->held)) continue;
    report.add(entry_of(found, found.name()), true);
    if (!output.json) print("would destroy " + found.listed.kind + " " + found.name() + " at " + found.provider);
  }
  if (!report_gaps(inventory)) report.note_gap();
  return {};
}

Result<> destroy_vms(const Output& output, Report& report) {
  auto places = Directories::from(hook_environment());
  machine::DestroyOptions options{.environment = hook_environment(),
                                  .only_if = [&](const auto& record) { return machine::orphaned(record, places); }};
  auto inventory = TRY(find_vms(places));
  for (const auto& found : inventory.all) {
    // Taking the inventory may have taken half a minute, in which another process may have adopted the VM.
    if (!found.orphan() || !machine::still_orphan(found, places)) continue;
    const std::string& name = found.name();
    if (found.record && hold_unfetched(*found.record)) {
      std::string why = tell_held(*found.record);
      if (!output.json) say("bottle: " + why);
      report.add(receipt_of_held(found, name, why), false);
      continue;
    }
    auto gone = machine::destroy_found(found, places, options, {});
    if (!gone && gone.error().code == Code::conflict) continue;  // another process has adopted it
    report.add(receipt_of(gone, name), report_destroyed(gone, name, output));
  }
  // A VM at a provider that did not answer may still cost money.
  if (!report_gaps(inventory)) report.note_gap();
  return {};
}

// Finds the same as clean_up(), and changes nothing.
Result<int> preview(const CleanupOptions& options) {
  auto remote = TRY(unattended(directories()));
  Report report(options.output);
  auto vms = list_vms(options.output, report);
  if (!vms) report.failed("VMs", vms.error());
  std::unique_ptr<docker::Engine> engine;
  auto unrecorded = ask_engine(engine);
  if (!unrecorded) report.failed("what is left on this machine's engine", unrecorded.error());
  else
    for (const auto& each : *unrecorded) report.add(as_json(each), true);
  for (const auto& path : session::abandoned_builds()) report.would_remove("", "image build", path);
  for (const auto& orphan : session::find_orphans(directories())) {
    // As for a sweep, what is not accepted must not look as if there were nothing.
    if (!orphan.view) report.would_leave(orphan.session, orphan.view.error().what);
    else
      for (const auto& thing : orphan.view->things)
        report.would_remove(orphan.session, word_of(thing.kind), thing.name);
  }
  for (const auto& name : remote) report.would_remove(name, "session", name);
  if (unrecorded) tell_unrecorded(*unrecorded, options);
  return report.finish();
}

Result<int> clean_up(const CleanupOptions& options) {
  // Fetches the work first, because it may be on a VM that is destroyed next. VMs cost money, and destroying them needs
  // no engine on this machine.
  auto remote = TRY(unattended(directories()));
  auto ended = end_unattended(remote);
  Report report(options.output);
  auto vms = destroy_vms(options.output, report);
  // The VM of such a session was never made, or is gone by now.
  for (const auto& name : shown_in(directories().sessions).value_or(remote))
    forget_session_without_vm(name, [](const std::string& line) { say("bottle: " + line); });
  // This comes after the VMs, whose sessions have ended by now.
  auto orphans = session::find_orphans(directories());
  std::unique_ptr<docker::Engine> engine;
  auto found = ask_engine(engine);
  auto unrecorded = found ? *found : std::vector<session::Unrecorded>();
  // With --unrecorded, the receipts of the removals are in the list instead.
  if (!options.unrecorded)
    for (const auto& each : unrecorded) report.add(as_json(each), true);
  for (const auto& swept : session::sweep(directories(), orphans, docker::connect)) report.took(swept);
  clean_up_builds(report);
  tell_unrecorded(unrecorded, options);
  auto removed = engine ? remove_unrecorded(*engine, unrecorded, options) : std::vector<session::Swept>();
  for (const auto& swept : removed.value_or(std::vector<session::Swept>())) report.took(swept);
  if (!vms) report.failed("VMs", vms.error());
  if (!found) report.failed("what is left on this machine's engine", found.error());
  if (!removed) report.failed("what no ledger names", removed.error());
  for (auto& receipt : ended) report.took({std::move(receipt), std::nullopt});
  if (report.is_empty() && !options.output.json) print("nothing to clean up");
  return report.finish();
}

}  // namespace

void add_cleanup(Command app) {
  auto o = std::make_shared<CleanupOptions>();
  Command command = app.command("cleanup");
  command.flag("--dry-run", o->dry_run);
  command.flag("--unrecorded", o->unrecorded);
  command.flag("-y,--yes", o->yes);
  command.flag("--json", o->output.json);
  command.runs([o] {
    leave_directory();
    return exit_status(o->dry_run ? preview(*o) : clean_up(*o), o->output.json);
  });
}

}  // namespace bottle::app
