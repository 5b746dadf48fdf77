// `create` makes a VM outside of any session, for trying out a provider. Its owner is this process: unless --keep is
// given, the VM is destroyed when the process is told to end, even if making it failed halfway. It has a reaper, like
// every VM. `destroy` and `list` ask the records on this machine and every provider, because a VM may be known to
// only one of them.
#include <signal.h>
#include <unistd.h>

#include <memory>

#include "app/commands/commands.h"
#include "app/output/output.h"
#include "app/output/vm_output.h"
#include "app/place/vms.h"
#include "app/world/interruption.h"
#include "app/world/world.h"
#include "base/ids.h"
#include "base/os/poller.h"
#include "base/os/signals.h"
#include "base/text/shell_word.h"
#include "base/unique_fd.h"
#include "machine/vm.h"
#include "manifest/format/kinds.h"
#include "session/console/terminal.h"

namespace bottle::app {
namespace {

using nlohmann::json;

struct VmListOptions {
  std::string name;
  std::vector<std::string> agents;
  bool all = false, keep = false;
  std::string ttl, idle, owner;
  Output output;
};

void show_progress(const std::string& line) { say(dim("· " + line)); }

Line or_none(const std::string& text) { return text.empty() ? "-" : text; }
Line or_none(const std::optional<int64_t>& seconds) { return seconds ? age(*seconds) : "-"; }

Result<int> list_vms(const VmListOptions& o) {
  auto env = hook_environment();
  auto places = Directories::from(env);
  auto inventory =
      TRY(machine::take_inventory(places, env, TRY(providers_to_ask()), {.other = 30000, .retry = 20000}, {}));
  json all = json::array();
  std::vector<std::vector<Line>> rows = {{"VM", "PROVIDER", "KIND", "STATE", "SESSION", "AGE", "ENDS IN", "COST/H"}};
  for (const auto& found : inventory.all) {
    VmRow row = row_of(found, !inventory.silent.contains(found.provider));
    rows.push_back({or_none(found.name()), or_none(row.provider), or_none(row.kind), or_none(row.state),
                    or_none(row.session), or_none(row.age), or_none(row.ends_in), or_none(row.cost_per_hour)});
    all.push_back(to_json(row));
  }
  bool complete = report_gaps(inventory);
  if (o.output.json) print_json(all);
  else if (all.empty()) print("no VMs");
  else print(table(rows));
  return complete ? 0 : 125;
}

// Asks whether to destroy things that have another owner's label: another machine, another user or a colleague made
// them, and may still use them. With --owner, the operator has named the owner and is not asked.
Result<> check_others(const VmListOptions& o, const std::vector<const machine::Found*>& others) {
  const machine::Found& first = *others.front();
  for (const auto* other : others)
    if (other->listed.owner != first.listed.owner)
      return fail(Code::conflict, "several owners have a VM named " + o.name,
                  "name the owner with --owner OWNER; `bottle vm list --json` shows the owners");
  if (!o.owner.empty()) return {};
  for (const auto* other : others) {
    VmRow row = row_of(*other, true);
    say(row.kind + " " + other->name() + " at " + row.provider + " belongs to " +
        (other->listed.owner.empty() ? "an unknown owner" : "another owner, " + other->listed.owner) + ": session " +
        (row.session.empty() ? "unknown" : row.session) + ", " +
        (row.age ? "created " + age(*row.age) + " ago" : "age unknown"));
  }
  auto confirmed = session::confirm("destroy it, with the work on it?", "nothing was destroyed");
  if (!confirmed && confirmed.error().code == Code::unavailable)
    return fail(Code::denied, o.name + " belongs to another owner, and there is no terminal to ask on",
                first.listed.owner.empty() ? "run bottle in a terminal"
                                           : "if it is not in use, run `bottle vm destroy " + shell_word(o.name) +
                                                 " --owner " + shell_word(first.listed.owner) + "`");
  return confirmed;
}

// Returns what the command names: the operator's own things, or those of the owner that --owner names. Another owner's
// things are meant only by their whole name or id, and only if none of the operator's has that name.
Result<std::vector<const machine::Found*>> named_vms(const VmListOptions& o, const machine::Inventory& inventory) {
  std::vector<const machine::Found*> own, others;
  for (const auto& found : inventory.all) {
    bool named = o.all || found.listed.name == o.name || found.listed.id == o.name;
    if (!named || (!o.owner.empty() && found.listed.owner != o.owner)) continue;
    (found.mine() ? own : others).push_back(&found);
  }
  if (o.all || !own.empty() || others.empty()) return own;
  TRY(check_others(o, others));
  return others;
}

// Destroys one VM or all, whether their owners are alive or not: the operator has named them.
Result<int> destroy_vms(const VmListOptions& o) {
  // Exactly one of the two must be given.
  if (o.all == !o.name.empty())
    return fail(Code::invalid, "vm destroy needs either a name or --all",
                "run `bottle vm destroy NAME` or `bottle vm destroy --all`; `bottle vm list` shows the VMs");
  if (o.all && !o.owner.empty())
    return fail(Code::invalid, "--all destroys only your own VMs, so it cannot be used with --owner",
                "run `bottle vm destroy NAME --owner OWNER`");
  auto env = hook_environment();
  auto places = Directories::from(env);
  machine::DestroyOptions options{.environment = env};
  json receipts = json::array();
  bool clean = true;
  auto record = [&](const Result<machine::Destroyed>& gone, const std::string& name) {
    clean = report_destroyed(gone, name, o.output) && clean;
    receipts.push_back(receipt_of(gone, name));
  };
  auto known = TRY(machine::recorded(places));
  // If the VM has a record, there is no need to ask every provider.
  if (!o.all && o.owner.empty() && std::ranges::find(known, o.name) != known.end()) {
    record(machine::destroy_vm(o.name, "", places, options, show_progress), o.name);
  } else {
    auto inventory = TRY(machine::take_inventory(places, env, TRY(providers_to_ask()), options.limits, {}));
    auto meant = TRY(named_vms(o, inventory));
    for (const auto* found : meant)
      record(machine::destroy_found(*found, places, options, show_progress), found->name());
    clean = report_gaps(inventory) && clean;
    if (meant.empty() && !o.all)
      return fail(Code::not_found, (o.owner.empty() ? "you have" : o.owner + " has") + (" no VM named " + o.name),
                  "see `bottle vm list`");
    if (meant.empty() && clean && !o.output.json) print("no VMs");
  }
  if (o.output.json) print_json(receipts);
  return clean ? 0 : 125;
}

Result<int> bake_image(const VmListOptions& o) {
  // A disk that the provider keeps without a record would stay, so a second signal does not end this.
  Interruption interruption(
      "if a VM was made, it is destroyed in the background, and the provider's bake hook is ended; if that hook has "
      "just "
      "kept a disk, the disk stays, and the provider's own tools remove it",
      -1,
      "still ending; the VM is destroyed when the provider has answered. Interrupt once more to leave that to the "
      "background");
  auto image = bake(o.name, o.agents, show_progress, interruption.stop());
  if (!image && interruption.signal()) return 128 + interruption.signal();
  if (!image) return std::unexpected(std::move(image.error()));
  if (o.output.json) print_json({{"vm", o.name}, {"image", *image}}, -1);
  else print(o.name + " now starts from " + *image);
  return 0;
}

// Blocks until Ctrl-C, SIGTERM or the end of stdin.
void wait_for_interrupt(const Signals& signals) {
  char byte;
  for (;;) {
    Poller poller;
    poller.watch(signals.fd());
    poller.watch(0);
    poller.wait(-1);
    auto signal = signals.next();
    bool ends = signal && *signal != SIGWINCH;
    if (ends || (poller.readable(0) && ::read(0, &byte, 1) <= 0)) return;
  }
}

void show_made(const machine::Vm& vm, const Output& output) {
  if (output.json) print_json(to_json(vm), -1);
  else
    print(vm.name + " at " + vm.target.to_string() + ", engine " + vm.engine + ", ready in " +
          std::to_string(static_cast<int>(vm.timings.engine)) + " s");
  flush_output();
}

// Returns the duration of an option in seconds: "2h" → 7200.
Result<uint64_t> seconds_of(const std::string& flag, const std::string& text) {
  if (!manifest::valid(manifest::Type::duration, text))
    return fail(Code::invalid,
                flag + " " + text + ": expected " + std::string(manifest::kind(manifest::Type::duration).expect));
  return manifest::to_duration(text);
}

Result<int> create_vm(const VmListOptions& o) {
  auto manifest = TRY(load_own_manifest());
  auto spec = TRY(vm_spec(manifest, o.name, "vm" + random_hex(4)));
  spec.keep = o.keep;
  if (!o.ttl.empty()) spec.wanted.ttl = TRY(seconds_of("--ttl", o.ttl));
  if (!o.idle.empty()) spec.wanted.idle = TRY(seconds_of("--idle", o.idle));
  // From now on, a signal no longer kills the process, so that the VM can be destroyed. A second signal kills it, and
  // then the VM's reaper destroys the VM.
  Interruption interruption("the VM is destroyed in the background", -1);
  spec.limits.stop = interruption.stop();
  auto vm = machine::make_vm(spec, show_progress);
  if (vm && !interruption.signal()) {
    const Signals& signals = interruption.hand_over();
    // A signal that came just before is no longer in `signals`.
    bool wanted = !interruption.signal();
    if (auto kept = wanted ? machine::keep_vm(*vm, spec) : Result<>(); !kept) {
      vm = std::unexpected(std::move(kept.error()));
    } else if (wanted) {
      show_made(*vm, o.output);
      if (o.keep) return 0;
      if (!o.output.json) say(dim("press Ctrl-C to destroy the VM"));
      wait_for_interrupt(signals);
    }
    interruption.take_back();  // destroying the VM may take a long time
  }
  machine::DestroyOptions options{.environment = spec.environment};
  auto gone =
      machine::destroy_vm(spec.name, spec.wanted.provider, Directories::from(spec.environment), options, show_progress);
  bool clean = report_destroyed(gone, spec.name, o.output);
  if (o.output.json && gone) print_json(receipt_of(gone, spec.name), -1);
  // The error is returned only now, because a half-made VM had to be destroyed first.
  if (interruption.signal()) return 128 + interruption.signal();
  if (!vm) return std::unexpected(std::move(vm.error()));
  return clean ? 0 : 125;
}

}  // namespace

void add_vm(Command app) {
  auto o = std::make_shared<VmListOptions>();
  Command group = app.group("vm");
  auto does = [o](Result<int> (*what)(const VmListOptions&)) {
    return [o, what] {
      leave_directory();
      return exit_status(what(*o), o->output.json);
    };
  };
  Command list_command = group.command("list");
  list_command.flag("--json", o->output.json);
  list_command.runs(does(list_vms));
  Command create_command = group.command("create");
  create_command.option("name", o->name).required();
  create_command.flag("--keep", o->keep);
  create_command.option("--ttl", o->ttl);
  create_command.option("--idle", o->idle);
  create_command.flag("--json", o->output.json);
  create_command.runs(does(create_vm));
  Command bake_command = group.command("bake");
  bake_command.option("name", o->name).required();
  bake_command.option("agent", o->agents);
  bake_command.flag("--json", o->output.json);
  bake_command.runs(does(bake_image));
  Command destroy_command = group.command("destroy");
  destroy_command.option("name", o->name);
  destroy_command.flag("--all", o->all);
  destroy_command.option("--owner", o->owner);
  destroy_command.flag("--json", o->output.json);
  destroy_command.runs(does(destroy_vms));
}

}  // namespace bottle::app
