// A forgotten machine costs money, and may hold an agent that still works. So bottle never relies on one answer: a
// `destroy` that reports success is followed by a `status`, and a `status` of "gone" by a `list`, because a provider's
// answers can be out of date, and because volumes and addresses outlive machines. The record is removed last, because
// every later command tries again as long as the record exists. A machine that is still being created is the hard case.
// Its hook is ended first, the lock of the VM keeps another process from creating it in the meantime, and the provider
// is asked once more after a pause.

#include "machine/destroy.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/ids.h"

namespace bottle::machine {
namespace {

// Ends a running `create` or `bake` hook and every process that it started. A hook whose caller died continues alone.
// Its VM would appear after the destruction, or its disk would have no record. Also ends a hook that this process
// itself started and has given up, because the hook may hang.
void end_hook(const Record& record) {
  // The hook of another living process is left alone, because that process still needs its VM.
  bool others = !record.owner.dead() && record.owner.pid != ::getpid();
  if (!record.hook.alive() || others) return;
  // The hook leads a process group, so the tools that it runs end too. It has 5 s to remove what it has made so far.
  ::kill(-record.hook.pid, SIGTERM);
  for (int i = 0; i < 50 && record.hook.alive(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(100));
  if (record.hook.alive()) ::kill(-record.hook.pid, SIGKILL);
}

// Returns whether an entry of `list` belongs to this VM: by our label and its whole name, never by a part of a name.
bool belongs(const Listed& listed, const VmRequest& vm) {
  if (listed.owner != vm.owner || listed.status == "gone") return false;
  return listed.name == vm.name || (!vm.id.empty() && listed.id == vm.id) ||
         (!vm.session.empty() && listed.session == vm.session);
}

// Returns what a record names: its VM, and what a provider's test may have made for a second owner.
std::vector<VmRequest> all_of(const Record& record) {
  std::vector<VmRequest> all = {record.vm};
  if (record.second_owner.empty()) return all;
  all.push_back(record.vm);
  all.back().owner = record.second_owner;
  all.back().id.clear();
  return all;
}

// Stands for one destruction, over several rounds. `result` holds the findings of the last round.
struct Attempt {
  const Provider& provider;
  std::vector<VmRequest> all;
  const Progress& progress;
  Destroyed& result;
  bool hopeless = false;  // without credentials or setup, another try changes nothing

  // Performs one round of destroying and asking. Returns true once every answer says that all is gone.
  bool round() {
    // Each round starts from the beginning, because the provider may now answer what it did not answer in the last one.
    result.left.clear();
    for (const auto& vm : all) destroy_and_ask(vm);
    return result.left.empty();
  }
  void destroy_and_ask(const VmRequest& vm) {
    auto note = [&](const std::string& what) { result.left.push_back(what); };
    auto asked = provider.destroy(vm, progress);
    ++result.calls;
    if (!asked) note("destroy: " + asked.error().what);
    hopeless = !asked && (asked.error().code == Code::denied || asked.error().code == Code::invalid);
    auto status = provider.status(vm, progress);
    // "deleting" takes time and needs no second request. If "running" follows "gone", the provider was wrong, and the
    // next round asks again.
    for (int i = 0; i < 6 && status && *status == "deleting"; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(provider.limits().backoff));
      status = provider.status(vm, progress);
    }
    if (!status) note("status: " + status.error().what);
    else if (*status != "gone")
      note("vm " + vm.name + ": the provider reports the status " + *status +
           (asked && *asked == "gone" ? ", although its destroy printed gone" : ""));
    if (!status || *status != "gone") return;
    auto listed = provider.list(vm.owner, vm.wanted.options, progress);
    if (!listed) {
      note("list: " + listed.error().what);
      return;
    }
    for (const auto& item : *listed) {
      if (!belongs(item, vm)) continue;
      note(item.kind + " " + item.id);
      VmRequest rest = vm;
      // The provider gets the same request for what the machine left behind, such as a disk or an address.
      rest.id = item.id;
      rest.name = item.name.empty() ? vm.name : item.name;
      (void)provider.destroy(rest, progress);
    }
  }
};

// Returns what is known about the VM, and takes its lock. A record has the VM's id and options. If there is no record,
// we never made the VM, it is gone, or its record was lost.
Result<Record> take_record(const std::string& name, const Directories& directories, const DestroyOptions& options,
                           UniqueFd& lock) {
  auto found = load(name, directories);
  if (found) {
    end_hook(*found);
    // The `create` of a living owner may still run, so wait as long as that may take.
    auto got = lock_vm(name, directories, options.limits.create + 5000);
    if (!got && got.error().code != Code::not_found) return std::unexpected(std::move(got.error()));
    if (got) lock = std::move(*got);
    // The record is read once more under the lock: the hook may have finished in the meantime and told the id.
    found = load(name, directories);
  }
  if (found && options.only_if && !options.only_if(*found))
    return fail(Code::conflict, "VM " + name + " is in use again");
  // A record that cannot be read is not the same as none. Destroying by name alone could miss things that only the
  // record names.
  if (found || !is_gone(found)) return found;
  Record record;
  record.vm.name = name;
  record.vm.owner = owner_label(directories);
  // A hook may need its directory even if only the name is known.
  record.vm.state_dir = directories.vm(name) + "/provider";
  return record;
}

}  // namespace

// The steps are: end a running `create`, take the lock, read the record, and then ask the provider in rounds until it
// confirms.
Result<Destroyed> destroy_vm(const std::string& name, const std::string& provider_name, const Directories& directories,
                             const DestroyOptions& options, const Progress& progress) {
  auto begun = options.clock();
  auto deadline = begun + std::chrono::milliseconds(options.patience_ms);
  if (!is_session_name(name)) return fail(Code::invalid, "'" + name + "' is not a valid name for a VM");

  UniqueFd lock;
  Record record = TRY(take_record(name, directories, options, lock));
  if (record.vm.wanted.provider.empty()) record.vm.wanted.provider = provider_name;
  Provider provider = TRY(Provider::find(record.vm.wanted.provider, directories, options.environment, options.limits));

  Destroyed result;
  result.name = name;
  result.provider = record.vm.wanted.provider;
  result.id = record.vm.id;
  result.made = record.made;
  Attempt attempt{provider, all_of(record), progress, result};
  int pause = options.limits.backoff;
  while (!attempt.round()) {
    if (attempt.hopeless || options.clock() + std::chrono::milliseconds(pause) > deadline) break;
    if (progress) progress("not gone yet: " + result.left.front());
    std::this_thread::sleep_for(std::chrono::milliseconds(pause));
    pause = std::min(pause * 2, options.limits.backoff_most);
  }
  if (result.left.empty() && record.made && (record.creating() || !record.second_owner.empty())) {
    // A request that was under way when its sender died may still create the VM after the provider reported that there
    // is none.
    std::this_thread::sleep_for(std::chrono::milliseconds(options.settle_ms));
    while (!attempt.round() && options.clock() < deadline + std::chrono::minutes(1))
      std::this_thread::sleep_for(std::chrono::milliseconds(pause));
  }
  result.hopeless = attempt.hopeless;
  result.seconds = std::chrono::duration<double>(options.clock() - begun).count();
  if (result.left.empty()) {
    result.confirmed = true;
    result.confirmed_by =
        record.vm.wanted.provider + "/status: gone; " + record.vm.wanted.provider + "/list: nothing left";
    result.at = now_seconds();
    forget(name, directories);
  }
  return result;
}

// A VM that has stopped has not ended. Its dead-man switch ends it only when it has expired or no work is left
// (vm_side.sh); if someone else stopped it, its disk still has the work. A single "gone" could be a mistake that loses
// the work, so `list` must confirm it, as it does for a destroy.
bool has_ended(const Record& record, const Directories& directories, const DestroyOptions& options) {
  auto provider = Provider::find(record.vm.wanted.provider, directories, options.environment, options.limits);
  if (!provider) return false;
  auto status = provider->status(record.vm, {});
  if (!status || *status != "gone") return status && *status == "deleting";
  auto listed = provider->list(record.vm.owner, record.vm.wanted.options, {});
  if (!listed) return false;
  return std::ranges::none_of(*listed, [&](const Listed& item) { return belongs(item, record.vm); });
}

// Without an answer from the provider, the VM is held, because losing work is worse than paying for a few more hours,
// and the VM's time ends in any case. A disk of this machine that is full or cannot be written says nothing about the
// VM, so the VM stays then, too.
bool hold_unless_ended(const std::string& name, const Directories& directories, const DestroyOptions& options) {
  auto record = load(name, directories);
  if (!record) return !is_gone(record);
  if (has_ended(*record, directories, options)) return false;
  (void)hold(name, directories);
  return true;
}

Result<Where> ask_address(const std::string& name, const Directories& directories, const Environment& environment) {
  auto record = TRY(load(name, directories));
  auto provider = TRY(Provider::find(record.vm.wanted.provider, directories, environment));
  return provider.ssh_info(record.vm, {});
}

}  // namespace bottle::machine
