// A VM is described from up to two sources: the record on this machine and what its provider lists. The record is
// ours, so its times take precedence. The provider's answers are untrusted text and are shown as such.
#include "app/output/vm_output.h"

#include <algorithm>
#include <ctime>

#include "base/timestamp.h"

namespace bottle::app {
namespace {

using nlohmann::json;

// Returns the seconds since 1970.
std::optional<int64_t> seconds(const std::string& text) {
  auto time = parse_timestamp(text);
  return time ? std::optional<int64_t>(time->tv_sec) : std::nullopt;
}

// Returns the state for people: "held" if it holds work, "lost" if it has no owner, "creating" or "gone" if only the
// record has it, "unknown" if its provider did not answer, and otherwise what the provider says.
std::string state_of(const machine::Found& found, bool asked) {
  if (found.record && found.record->held) return "held";
  if (found.orphan()) return "lost";
  if (found.record && !found.at_provider) return found.record->creating() ? "creating" : asked ? "gone" : "unknown";
  return found.listed.status.empty() ? "there" : found.listed.status;
}

// Returns a number or null.
json as_json(const std::optional<int64_t>& number) { return number ? json(*number) : json(); }

json to_json(const machine::Destroyed& d) {
  return {{"kind", "vm"},
          {"name", d.name},
          {"provider", d.provider},
          {"id", d.id},
          {"confirmed", d.confirmed},
          {"confirmed_by", d.confirmed_by},
          {"calls", d.calls},
          {"seconds", d.seconds},
          {"made", d.made},
          {"at", d.at},
          {"left", d.left}};
}

}  // namespace

VmRow row_of(const machine::Found& found, bool asked) {
  // The record has the time of our own clock. The provider's time is used only without a record.
  auto made = found.record ? std::optional<int64_t>(found.record->made) : seconds(found.listed.created);
  VmRow row{.name = found.listed.name,
            .id = found.listed.id,
            .provider = found.provider,
            .kind = found.listed.kind,
            .state = state_of(found, asked),
            .session = found.listed.session,
            .owner = found.listed.owner,
            .cost_per_hour = found.listed.cost_per_hour,
            .mine = found.mine(),
            .reaper = found.reaper,
            .keep = found.record && found.record->keep,
            .age = {},
            .ends_in = {}};
  if (made) row.age = std::max<int64_t>(0, machine::now_seconds() - *made);
  if (found.record) row.ends_in = found.record->until - machine::now_seconds();
  return row;
}

json to_json(const VmRow& row) {
  return {{"name", row.name},         {"id", row.id},
          {"provider", row.provider}, {"kind", row.kind},
          {"state", row.state},       {"session", row.session},
          {"owner", row.owner},       {"mine", row.mine},
          {"reaper", row.reaper},     {"cost_per_hour", row.cost_per_hour},
          {"age", as_json(row.age)},  {"ends_in", as_json(row.ends_in)},
          {"keep", row.keep}};
}

json to_json(const machine::Vm& vm) {
  const auto& t = vm.timings;
  return {
      {"name", vm.name},
      {"id", vm.id},
      {"provider", vm.provider},
      {"session", vm.record.vm.session},
      {"cost_per_hour", vm.cost_per_hour},
      {"engine", vm.engine},
      {"ssh",
       {{"user", vm.target.user},
        {"host", vm.target.host},
        {"port", vm.target.port},
        {"known_hosts", vm.target.known_hosts},
        {"host_key_alias", vm.target.host_key_alias},
        {"identity", vm.target.identity}}},
      {"seconds",
       {{"created", t.created}, {"address", t.address}, {"ssh", t.ssh}, {"rotated", t.rotated}, {"engine", t.engine}}}};
}

json receipt_of(const Result<machine::Destroyed>& gone, const std::string& name) {
  if (gone) return to_json(*gone);
  return {{"kind", "vm"}, {"name", name}, {"confirmed", false}, {"left", json::array({gone.error().what})}};
}

json entry_of(const machine::Found& found, const std::string& name) {
  return {{"session", found.listed.session}, {"kind", found.listed.kind}, {"name", name}, {"provider", found.provider}};
}

json receipt_of_held(const machine::Found& found, const std::string& name, const std::string& why) {
  return {{"session", found.record ? found.record->vm.session : ""},
          {"kind", "vm"},
          {"name", name},
          {"provider", found.provider},
          {"confirmed", false},
          {"held", true},
          {"left", json::array({why})}};
}

bool report_gaps(const machine::Inventory& inventory) {
  for (const auto& [provider, why] : inventory.silent)
    say("bottle: provider " + provider + " could not be asked: " + why);
  for (const auto& [vm, why] : inventory.unread)
    say("bottle: cannot read the record of VM " + vm + ", so VMs without a record are left alone: " + why);
  return inventory.silent.empty() && inventory.unread.empty();
}

bool report_destroyed(const Result<machine::Destroyed>& gone, const std::string& name, const Output& output) {
  bool clean = gone && gone->confirmed;
  if (output.json) return clean;
  if (clean) print("destroyed " + name + " (" + gone->confirmed_by + ")");
  else if (!gone) say("bottle: " + name + ": " + gone.error().what);
  else
    for (const auto& what : gone->left) say("bottle: not removed: " + what);
  return clean;
}

}  // namespace bottle::app
