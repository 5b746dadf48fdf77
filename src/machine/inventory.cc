// Compares two incomplete lists. The records on this machine say what it made, but a record can be lost. The providers
// say what exists, but only with labels, and a provider may not answer. If both lists name a VM with the same label,
// the record counts. A VM that only a provider lists belongs to this user only if it has the owner's label. The order
// keeps a VM that is just being made from looking like a lost one: records are read before the providers are asked, and
// for things without a record once more afterward.

#include "machine/inventory.h"

#include <algorithm>
#include <chrono>
#include <future>
#include <set>
#include <thread>

#include "base/ids.h"
#include "base/os/deadline.h"
#include "machine/reaper.h"

namespace bottle::machine {
namespace {

// Describes a VM by its record alone, as if its provider did not list it.
Found of_record(const Record& record, const Directories& directories) {
  Found found;
  found.provider = record.vm.wanted.provider;
  found.listed = {record.vm.id, record.vm.name, record.vm.session, record.vm.owner, "", "", record.cost_per_hour, "vm"};
  found.record = record;
  found.belongs = orphaned(record, directories) ? Belongs::to_my_sweep : Belongs::to_me;
  found.reaper = reaper_alive(record.vm.name, directories);
  return found;
}

// Returns the records, and adds their providers to those to ask. They are read before the providers are asked, because
// a VM that is made in the meantime has a record and must not be mistaken for a lost one. Adds those that cannot be
// read to `unread`.
Result<std::vector<Record>> read_records(const Directories& directories, std::vector<Ask>& ask,
                                         std::map<std::string, std::string>& unread) {
  std::vector<Record> records;
  for (const auto& name : TRY(recorded(directories))) {
    auto record = load(name, directories);
    if (!record) {
      // A directory without a record belongs to a VM that never existed.
      if (is_gone(record)) forget_unfinished(name, directories);
      else unread[name] = record.error().what;
      continue;
    }
    // A recorded VM may be where only these options lead, such as in another region.
    ask.push_back({record->vm.wanted.provider, record->vm.wanted.options, true});
    records.push_back(std::move(*record));
  }
  return records;
}

// Returns whether a thing of this name may have a record, although load() returned none. Only names of VMs have
// records.
bool is_unread(const Result<Record>& loaded, const std::string& name) {
  return !loaded && !is_gone(loaded) && is_session_name(name);
}

using Answer = Result<std::vector<Listed>>;
struct Asked {
  Ask whom;
  std::future<Answer> answer;
};

// Asks all providers at the same time, each once. The arguments must outlive the answers.
std::vector<Asked> ask_providers(const std::vector<Ask>& ask, const std::string& owner, const Directories& directories,
                                 const Environment& environment, const Limits& limits, const Progress& progress) {
  std::map<std::pair<std::string, std::map<std::string, std::string>>, bool> unique;
  // If one of several equal questions is required, the answer is required.
  for (const auto& one : ask) unique[{one.provider, one.options}] |= one.required;
  std::vector<Asked> asked;
  for (const auto& [whom, required] : unique)
    asked.push_back({{whom.first, whom.second, required},
                     std::async(std::launch::async,
                                [&directories, &environment, &limits, &progress, &owner, whom = whom]() -> Answer {
                                  Provider provider = TRY(Provider::find(whom.first, directories, environment, limits));
                                  return provider.list(owner, whom.second, progress);
                                })});
  return asked;
}

// Returns whether something of a session may belong to a VM of that session that is still in use.
bool is_used(const std::string& session, const std::vector<Record>& records, const Directories& directories) {
  return !session.empty() && std::ranges::any_of(records, [&](const Record& r) {
    return r.vm.session == session && (r.held || !orphaned(r, directories));
  });
}

// Describes what a provider has listed. Adds its record to `unread` if that cannot be read. `later` are the records as
// they were after the answer.
Found describe(const Listed& item, const Ask& whom, const std::string& owner, const std::vector<Record>& records,
               const std::vector<Record>& later, const Directories& directories,
               std::map<std::string, std::string>& unread) {
  Found found;
  // Names are unique only within an owner, and a provider may not know the owner of a damaged VM.
  auto is_of_item = [&](const Record& r) {
    return r.vm.wanted.provider == whom.provider && r.vm.name == item.name &&
           (item.owner.empty() || item.owner == r.vm.owner);
  };
  auto record = std::ranges::find_if(records, is_of_item);
  // The record may have been written in the meantime. A VM that is being made is not lost.
  auto own = load(item.name, directories);
  if (record != records.end()) found = of_record(*record, directories);
  else if (own && is_of_item(*own)) found = of_record(*own, directories);
  found.provider = whom.provider;
  found.options = whom.options;
  found.listed = item;
  found.at_provider = true;
  if (found.record) {
    // The names agree, but the provider does not say whose VM it is. If it lists an owner's label, that is the one in
    // the record, and the VM is ours even if our label has changed since.
    if (!found.orphan() && item.owner.empty()) found.belongs = Belongs::to_others;
    return found;
  }
  // Everything else that the provider lists belongs to others, such as machines of other users of the same account.
  if (item.owner != owner) return found;
  if (is_unread(own, item.name)) unread[item.name] = own.error().what;
  // A thing that a VM left behind has the label of its session. It is an orphan unless a VM of that session is still
  // in use, or is just being made.
  found.belongs = is_used(item.session, later, directories) ? Belongs::to_me : Belongs::to_my_sweep;
  return found;
}

}  // namespace

bool orphaned(const Record& record, const Directories& directories) {
  return ownerless(record) || (now_seconds() >= record.until && !reaper_alive(record.vm.name, directories));
}

bool still_orphan(const Found& found, const Directories& directories) {
  std::string name = found.record ? found.record->vm.name : found.listed.name;
  auto record = load(name, directories);
  if (record) return orphaned(*record, directories);
  // If the record of an orphan can no longer be read, destroy_vm() reports it. An orphan without a record must not have
  // one now.
  if (!found.orphan() || found.record.has_value() != is_unread(record, name)) return false;
  if (found.record) return true;
  // Nor may a VM of its session have one.
  std::vector<Ask> asked;
  std::map<std::string, std::string> unread;
  auto records = read_records(directories, asked, unread);
  return records && unread.empty() && !is_used(found.listed.session, *records, directories);
}

// All providers are asked at the same time, because one that does not answer takes a minute.
Result<Inventory> take_inventory(const Directories& directories, const Environment& environment, std::vector<Ask> ask,
                                 const Limits& limits, const Progress& progress) {
  Inventory inventory;
  auto records = TRY(read_records(directories, ask, inventory.unread));
  std::string owner = owner_label(directories);
  std::set<std::pair<std::string, std::string>> seen;
  for (auto& [whom, answer] : ask_providers(ask, owner, directories, environment, limits, progress)) {
    auto listed = answer.get();
    if (!listed) {
      // The provider is not set up, does not exist or has no credentials. If the provider was asked only to be
      // thorough, this need not be reported.
      bool absent = listed.error().code == Code::invalid || listed.error().code == Code::not_found ||
                    listed.error().code == Code::denied;
      if (whom.required || !absent) inventory.silent[whom.provider] = listed.error().what;
      continue;
    }
    std::vector<Ask> asked;
    auto later = TRY(read_records(directories, asked, inventory.unread));
    for (const auto& item : *listed)
      // One thing can be listed several times, if a provider is asked with several options.
      if (item.status != "gone" && seen.insert({whom.provider, item.kind + " " + item.id}).second)
        inventory.all.push_back(describe(item, whom, owner, records, later, directories, inventory.unread));
  }
  // A record that cannot be read may be that of any VM.
  for (auto& found : inventory.all)
    if (!inventory.unread.empty() && !found.record && found.orphan()) found.belongs = Belongs::to_me;
  for (const auto& record : records)
    // VMs that are recorded but not listed come last: their provider does not list them, or did not answer.
    if (std::ranges::none_of(inventory.all, [&](const Found& f) {
          return f.record && f.provider == record.vm.wanted.provider && f.record->vm.name == record.vm.name;
        }))
      inventory.all.push_back(of_record(record, directories));
  return inventory;
}

// A thing with a record is destroyed through it, with all checks. This function is for things that only the provider
// lists.
Result<Destroyed> destroy_found(const Found& found, const Directories& directories, const DestroyOptions& options,
                                const Progress& progress) {
  if (found.record) return destroy_vm(found.record->vm.name, found.provider, directories, options, progress);
  // The provider's label confirms that this VM is ours. A name alone is never enough.
  Provider provider = TRY(Provider::find(found.provider, directories, options.environment, options.limits));
  VmRequest vm;
  vm.id = found.listed.id;
  vm.name = found.listed.name;
  vm.session = found.listed.session;
  vm.owner = found.listed.owner;
  vm.wanted.options = found.options;
  Destroyed result;
  result.name = found.name();
  result.provider = found.provider;
  result.id = found.listed.id;
  // The first failure is returned, because it usually means that the provider cannot be asked at all. Later ones are
  // tried again.
  TRY(provider.destroy(vm, progress));
  ++result.calls;
  auto deadline = Deadline::in_ms(options.patience_ms);
  for (int pause = options.limits.backoff;; pause = std::min(pause * 2, options.limits.backoff_most)) {
    auto all = TRY(provider.list(vm.owner, vm.wanted.options, progress));
    // Only `list` is asked, because what was found may be a disk or an address, which have no `status`.
    bool there = std::ranges::any_of(all, [&](const Listed& item) {
      return item.id == vm.id && item.kind == found.listed.kind && item.status != "gone";
    });
    if (!there) break;
    if (deadline.is_over()) {
      result.left.push_back(found.listed.kind + " " + vm.id);
      return result;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(pause));
    (void)provider.destroy(vm, progress);
    ++result.calls;
  }
  result.confirmed = true;
  result.confirmed_by = found.provider + "/list: nothing left";
  result.at = now_seconds();
  return result;
}

}  // namespace bottle::machine
