#include "app/vms.h"

#include <iostream>

#include "app/sessions.h"
#include "app/world.h"
#include "manifest/kinds.h"

namespace bottle::app {
namespace {

using nlohmann::json;

// "2026-01-01T00:00:00Z", perhaps with fractions, as seconds since 1970.
std::optional<int64_t> parse_time(const std::string& text) {
  std::tm tm{};
  if (!::strptime(text.substr(0, 19).c_str(), "%Y-%m-%dT%H:%M:%S", &tm)) return {};
  return ::timegm(&tm);
}

std::string state_of(const machine::Found& found) {
  if (found.orphan) return "lost";
  if (found.record && !found.at_provider) return found.record->creating() ? "creating" : "gone";
  return found.listed.status.empty() ? "there" : found.listed.status;
}

}  // namespace

Result<std::vector<machine::Ask>> whom_to_ask() {
  // This machine, whatever the operator wrote a provider for, and what the manifest names. Other clouds are not asked on the
  // chance that their command is signed in: that would cost seconds, and tell them.
  std::vector<machine::Ask> ask = {{"qemu", {}, false}};
  auto places = machine::Places::from(environment());
  for (const auto& name : names_in(places.config + "/providers"))
    if (name != "lib") ask.push_back({name, {}, false});
  auto manifest = TRY(load_manifest("/nonexistent"));
  for (const auto& [name, vm] : manifest.vms) ask.push_back({vm.provider, vm.options, true});
  return ask;
}

Result<machine::VmSpec> vm_spec(const manifest::Manifest& manifest, const std::string& name, const std::string& session) {
  auto it = manifest.vms.find(name);
  if (it == manifest.vms.end()) {
    std::vector<std::string> known;
    for (const auto& [other, vm] : manifest.vms) known.push_back(other);
    return fail(Code::not_found, "the manifest has no VM '" + name + "'",
                known.empty() ? "write one: vms: {" + name + ": {provider: qemu}}" : manifest::suggest(name, known));
  }
  const auto& vm = it->second;
  machine::VmSpec spec;
  spec.session = session;
  spec.name = machine::new_vm_name(session);
  spec.provider = vm.provider;
  spec.options = vm.options;
  spec.cpus = vm.cpus;
  spec.memory = vm.memory;
  spec.disk = vm.disk;
  spec.ttl = vm.ttl;
  spec.idle = vm.idle;
  spec.environment = hook_environment();
  spec.path_to_self = path_to_self();
  return spec;
}

Result<uint64_t> seconds_of(const std::string& flag, const std::string& text) {
  if (!manifest::valid(manifest::Type::duration, text))
    return fail(Code::invalid, flag + " " + text + ": expected " + std::string(manifest::kind(manifest::Type::duration).expect));
  return manifest::to_duration(text);
}

json to_json(const machine::Found& found) {
  auto made = found.record ? std::optional<int64_t>(found.record->made) : parse_time(found.listed.created);
  json j = {{"name", found.listed.name}, {"id", found.listed.id}, {"provider", found.provider}, {"kind", found.listed.kind}, {"state", state_of(found)},
            {"session", found.listed.session}, {"mine", found.mine}, {"reaper", found.reaper}, {"cost_per_hour", found.listed.cost_per_hour},
            {"age", nullptr}, {"ends_in", nullptr}, {"keep", found.record && found.record->keep}};
  if (made) j["age"] = std::max<int64_t>(0, machine::now_seconds() - *made);
  if (found.record) j["ends_in"] = found.record->until - machine::now_seconds();
  return j;
}

json to_json(const machine::Vm& vm) {
  const auto& t = vm.timings;
  return {{"name", vm.name}, {"id", vm.id}, {"provider", vm.provider}, {"session", vm.record.vm.session}, {"cost_per_hour", vm.cost_per_hour}, {"engine", vm.engine},
          {"ssh", {{"user", vm.target.user}, {"host", vm.target.host}, {"port", vm.target.port}, {"known_hosts", vm.target.known_hosts},
                   {"host_key_alias", vm.target.host_key_alias}, {"identity", vm.target.identity}}},
          {"seconds", {{"created", t.created}, {"address", t.address}, {"ssh", t.ssh}, {"rotated", t.rotated}, {"engine", t.engine}}}};
}

Result<json> clean_up_vms(bool dry_run, const Output& output, bool& clean) {
  machine::DestroyOptions options;
  options.environment = environment();
  auto places = machine::Places::from(options.environment);
  auto inventory = machine::take_inventory(places, options.environment, TRY(whom_to_ask()), {.other = 30000, .retry = 20000}, {});
  json receipts = json::array();
  for (const auto& found : inventory.all) {
    if (!found.orphan) continue;
    std::string name = found.listed.name.empty() ? found.listed.id : found.listed.name;
    if (dry_run) {
      receipts.push_back({{"session", found.listed.session}, {"kind", found.listed.kind}, {"name", name}, {"provider", found.provider}});
      if (!output.json) std::cout << "would destroy " << found.listed.kind << " " << name << " at " << found.provider << "\n";
      continue;
    }
    auto gone = machine::destroy_found(found, places, options, {});
    clean = tell_destroyed(gone, name, output) && clean;
    receipts.push_back(gone ? to_json(*gone) : json{{"kind", "vm"}, {"name", name}, {"confirmed", false}, {"left", {gone.error().what}}});
  }
  for (const auto& [provider, why] : inventory.silent) {
    std::cerr << "bottle: provider " << provider << " could not be asked: " << why << "\n";
    clean = false;
  }
  return receipts;
}

bool tell_destroyed(const Result<machine::Destroyed>& gone, const std::string& name, const Output& output) {
  bool clean = gone && gone->confirmed;
  if (output.json) return clean;
  if (clean)
    std::cout << "destroyed " << name << " (" << gone->confirmed_by << ")\n";
  else if (!gone)
    std::cerr << "bottle: " << name << ": " << gone.error().what << "\n";
  else
    for (const auto& what : gone->left) std::cerr << "bottle: left behind: " << what << "\n";
  return clean;
}

}  // namespace bottle::app
