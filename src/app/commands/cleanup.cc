// The order protects work and money. First come the sessions on other machines, because their work may be on a VM.
// Then VMs without an owner are destroyed, which needs no engine here. Then dead sessions on this machine are swept.
// Things that have labels but no ledger come last, and are removed only with --unrecorded and after a question. With
// --dry-run, all these things are only listed.
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
        ", but no ledger here names it" + claim + fate);
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

// Lists what a sweep would remove, and the remote sessions that would be ended. `all` has the entries for VMs and
// unrecorded things already.
void tell_what_would_go(const std::vector<session::Orphan>& orphans, const std::vector<std::string>& remote, json all,
                        const Output& output) {
  auto tell = [&](const std::string& session, const std::string& kind, const std::string& name) {
    all.push_back({{"session", session}, {"kind", kind}, {"name", name}});
    if (!output.json) print("would remove " + kind + " " + name);
  };
  for (const auto& orphan : orphans) {
    // As for a sweep, what is not accepted must not look as if there were nothing.
    if (!orphan.view) {
      all.push_back({{"session", orphan.session}, {"left", {orphan.view.error().what}}});
      if (!output.json) say("bottle: would not remove: " + orphan.view.error().what);
      continue;
    }
    for (const auto& thing : orphan.view->things) tell(orphan.session, word_of(thing.kind), thing.name);
  }
  for (const auto& name : remote) tell(name, "session", name);
  if (output.json) print_json(all);
}

// Returns the line of a receipt about something that could not be done.
std::string left_of(const std::string& what, const Error& error) {
  return what + ": " + error.what + (error.todo.empty() ? "" : " (" + error.todo + ")");
}

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
void clean_up_builds(std::vector<session::Swept>& all) {
  wire::Receipt receipt;
  for (const auto& path : session::abandoned_builds()) {
    if (auto gone = session::remove_abandoned_build(path); gone) receipt.removed.push_back("image build " + path);
    else receipt.left.push_back(gone.error().what);
  }
  receipt.confirmed = receipt.left.empty();
  if (!receipt.removed.empty() || !receipt.left.empty()) all.push_back({std::move(receipt), std::nullopt});
}

// Returns the entry for something that could not be done, so that the report still lists what was done.
session::Swept not_done(const std::string& what, const Error& error) {
  session::Swept swept;
  swept.receipt.left.push_back(left_of(what, error));
  return swept;
}

// Finds what no ledger names. Without an engine, it is unknown whether anything is left.
Result<std::vector<session::Unrecorded>> ask_engine(std::unique_ptr<docker::Engine>& engine) {
  engine = TRY(connect_engine());
  return session::find_unrecorded(directories(), *engine);
}

// Reports what was swept. `all` already has the entries for other things. Returns whether nothing is left.
bool tell_swept(const std::vector<session::Swept>& all_swept, json all, const Output& output) {
  bool clean = true;
  for (const auto& swept : all_swept) {
    all.push_back(to_json(swept.receipt));
    if (swept.back) all.back()["back"] = to_json(*swept.back);
    clean = clean && swept.receipt.confirmed;
    if (output.json) continue;
    show_swept(swept, output);
    for (const auto& what : swept.receipt.removed) print("removed " + what);
  }
  if (output.json) print_json(all);
  else if (all_swept.empty() && all.empty()) print("nothing to clean up");
  return clean;
}

// Holds the receipts of VMs as a JSON array. `clean` is false if something is left, or if it is not known whether
// something is left.
struct VmCleanup {
  json receipts = json::array();
  bool clean = true;
};

// Destroys the VMs that have no owner any more. Finds them by their labels at every provider and by the records on this
// machine, because either may lack a VM. With `dry_run`, only reports them.
Result<VmCleanup> clean_up_vms(bool dry_run, const Output& output) {
  auto places = Directories::from(hook_environment());
  machine::DestroyOptions options{.environment = hook_environment(),
                                  .only_if = [&](const auto& record) { return machine::orphaned(record, places); }};
  auto inventory = TRY(machine::take_inventory(places, options.environment, TRY(providers_to_ask()),
                                               {.other = 30000, .retry = 20000}, {}));
  VmCleanup result;
  for (const auto& found : inventory.all) {
    if (!found.orphan() || (dry_run && found.record && found.record->held)) continue;
    const std::string& name = found.name();
    if (dry_run) {
      result.receipts.push_back(entry_of(found, name));
      if (!output.json) print("would destroy " + found.listed.kind + " " + name + " at " + found.provider);
      continue;
    }
    // Taking the inventory may have taken half a minute, in which another process may have adopted the VM.
    if (!machine::still_orphan(found, places)) continue;
    if (found.record && hold_unfetched(*found.record)) {
      std::string why = tell_held(*found.record);
      if (!output.json) say("bottle: " + why);
      result.receipts.push_back(receipt_of_held(found, name, why));
      result.clean = false;
      continue;
    }
    auto gone = machine::destroy_found(found, places, options, {});
    if (!gone && gone.error().code == Code::conflict) continue;  // another process has adopted it
    result.clean = report_destroyed(gone, name, output) && result.clean;
    result.receipts.push_back(receipt_of(gone, name));
  }
  // A VM at a provider that did not answer may still cost money, so the result is not clean.
  result.clean = report_gaps(inventory) && result.clean;
  return result;
}

Result<int> cleanup(const CleanupOptions& options) {
  // Fetches the work first, because it may be on a VM that is destroyed next. VMs cost money, and destroying them needs
  // no engine on this machine.
  auto remote = TRY(unattended(directories()));
  auto ended = options.dry_run ? std::vector<wire::Receipt>() : end_unattended(remote);
  std::vector<session::Swept> failures;
  auto vms = clean_up_vms(options.dry_run, options.output);
  if (!vms) failures.push_back(not_done("VMs", vms.error()));
  // The VM of such a session was never made, or is gone by now.
  if (!options.dry_run)
    for (const auto& name : shown_in(directories().sessions).value_or(remote))
      forget_session_without_vm(name, [](const std::string& line) { say("bottle: " + line); });
  // This comes after the VMs, whose sessions have ended by now.
  auto orphans = session::find_orphans(directories());
  std::unique_ptr<docker::Engine> engine;
  auto found = ask_engine(engine);
  if (!found) failures.push_back(not_done("what is left on this machine's engine", found.error()));
  auto unrecorded = std::move(found).value_or(std::vector<session::Unrecorded>());
  VmCleanup of_vms = std::move(vms).value_or(VmCleanup{});
  json all = std::move(of_vms.receipts);
  if (options.dry_run) {
    for (const auto& failure : failures) {
      all.push_back(to_json(failure.receipt));
      if (!options.output.json) show_swept(failure, options.output);
    }
    for (const auto& each : unrecorded) all.push_back(as_json(each));
    for (const auto& path : session::abandoned_builds()) {
      all.push_back({{"session", ""}, {"kind", "image build"}, {"name", path}});
      if (!options.output.json) print("would remove image build " + path);
    }
    tell_what_would_go(orphans, remote, std::move(all), options.output);
    tell_unrecorded(unrecorded, options);
    return failures.empty() ? 0 : 125;
  }
  auto all_swept = session::sweep(directories(), orphans, docker::connect);
  clean_up_builds(all_swept);
  tell_unrecorded(unrecorded, options);
  auto removed = engine ? remove_unrecorded(*engine, unrecorded, options) : std::vector<session::Swept>();
  if (!removed) failures.push_back(not_done("what no ledger names", removed.error()));
  else std::ranges::move(*removed, std::back_inserter(all_swept));
  std::ranges::move(failures, std::back_inserter(all_swept));
  // With --unrecorded, the receipts of the removals are in the list instead.
  if (!options.unrecorded)
    for (const auto& each : unrecorded) all.push_back(as_json(each));
  for (auto& receipt : ended) all_swept.push_back({std::move(receipt), std::nullopt});
  bool clean = tell_swept(all_swept, std::move(all), options.output);
  return clean && of_vms.clean ? 0 : 125;
}

}  // namespace

void add_cleanup(Command app, int& exit) {
  auto o = std::make_shared<CleanupOptions>();
  Command command = app.command("cleanup");
  command.flag("--dry-run", o->dry_run);
  command.flag("--unrecorded", o->unrecorded);
  command.flag("-y,--yes", o->yes);
  command.flag("--json", o->output.json);
  command.runs([o, &exit] {
    leave_directory();
    exit = exit_status(cleanup(*o), o->output.json);
  });
}

}  // namespace bottle::app
