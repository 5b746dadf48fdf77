#include "app/place/vms.h"

#include <algorithm>
#include <cstdlib>

#include "app/place/rescue.h"
#include "app/world/sessions.h"
#include "app/world/world.h"
#include "base/files/file.h"
#include "base/ids.h"
#include "base/os/this_program.h"
#include "manifest/kinds.h"
#include "plan/plan.h"
#include "remote/near/vm.h"
#include "session/box/images.h"

namespace bottle::app {
namespace {

using nlohmann::json;

// Parses "2026-01-01T00:00:00Z", optionally with fractions, into seconds since 1970.
std::optional<int64_t> parse_time(const std::string& text) {
  std::tm tm{};
  if (!::strptime(text.substr(0, 19).c_str(), "%Y-%m-%dT%H:%M:%S", &tm)) return {};
  return ::timegm(&tm);
}

std::string state_of(const machine::Found& found) {
  bool held = found.record && found.record->held;
  if (found.orphan && !held) return "lost";
  if (found.record && !found.at_provider) return found.record->creating() ? "creating" : "gone";
  if (held) return "held";
  return found.listed.status.empty() ? "there" : found.listed.status;
}

// Returns the path of the record of what was baked for a VM of this provider and these options.
std::string baked_record(const manifest::Vm& vm) {
  return machine::Places::from(environment()).cache + "/baked/" + content_hash(vm.provider + json(vm.options).dump());
}

}  // namespace

Baked baked_for(const manifest::Vm& vm) {
  auto text = read_file(baked_record(vm), 65536);
  auto record = text ? json::parse(*text, nullptr, false) : json();
  Baked baked;
  try {
    if (record.is_object())
      baked = {record.value("image", ""), record.value("program", ""), record.value("roots", ""),
               record.value("agents", std::vector<std::string>())};
  } catch (const json::type_error&) {
    return {};  // not made by bottle
  }
  return baked;
}

Result<std::vector<machine::Ask>> whom_to_ask() {
  // Queries this machine, the providers that the operator wrote, and those that the manifest names. Does not try other
  // clouds in case their command is signed in: that would take seconds and tell them about bottle.
  std::vector<machine::Ask> ask = {{"qemu", {}, false}};
  auto places = machine::Places::from(environment());
  for (const auto& name : names_in(places.config + "/providers"))
    if (name != "lib") ask.push_back({name, {}, false});
  auto manifest = TRY(load_manifest("/nonexistent"));
  for (const auto& [name, vm] : manifest.vms) ask.push_back({vm.provider, vm.options, true});
  return ask;
}

Result<manifest::Vm> vm_of(const manifest::Manifest& manifest, const std::string& name) {
  auto it = manifest.vms.find(name);
  if (it == manifest.vms.end()) {
    std::vector<std::string> known;
    for (const auto& [other, vm] : manifest.vms) known.push_back(other);
    return fail(Code::not_found, "the manifest has no VM '" + name + "'",
                known.empty() ? "add one to ~/.config/bottle/bottle.yaml: vms: {" + name + ": {provider: qemu}}"
                              : manifest::suggest(name, known));
  }
  manifest::Vm vm = it->second;
  if (std::string image = baked_for(vm).image; !image.empty() && !vm.options.contains("image"))
    vm.options["image"] = image;
  return vm;
}

Result<std::string> bake(const std::string& name, std::vector<std::string> agents,
                         const std::function<void(const std::string&)>& say) {
  auto manifest = TRY(load_manifest("/nonexistent"));
  remote::BakeJob job;
  job.spec = TRY(vm_spec(manifest, name, "vm" + random_hex(4)));
  const manifest::Vm& vm = manifest.vms.at(name);
  job.before = baked_for(vm).image;
  job.spec.wanted.options = vm.options;  // starts from the provider's own disk, not from an earlier bake
  auto engine = TRY(connect_engine());
  job.engine = engine->socket();
  if (agents.empty())
    for (const auto& [agent, unused] : manifest.agents) agents.push_back(agent);
  plan::Facts facts = gather_facts("/");
  facts.images = image_facts(manifest, "");
  facts.environment.emplace("CLAUDE_BOTTLE_OAUTH_TOKEN", "not needed for its image");
  facts.environment.emplace("OPENAI_API_KEY", "not needed for its image");
  for (const auto& agent : agents) {
    plan::Options wanted;
    wanted.agent = agent;
    wanted.workspace_mode = "none";
    auto plan = TRY(plan::make(manifest, wanted, facts));
    TRY(session::ensure_agent_image(*engine, directories(), plan.image, say));
    auto image = TRY(session::image_identity(*engine, plan.image.reference));
    if (std::ranges::find(job.images, image) == job.images.end()) job.images.push_back(image);
  }
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  job.far.control_directory = TRY(ssh::control_directory(runtime ? runtime : ""));
  job.far.program = TRY(remote::own_hash());
  job.roots = public_roots();
  auto image = TRY(remote::bake_vm(job, say));
  TRY(make_directories(baked_record(vm).substr(0, baked_record(vm).rfind('/'))));
  TRY(write_file_atomically(baked_record(vm), json{{"image", image},
                                                   {"program", job.far.program},
                                                   {"roots", content_hash(job.roots)},
                                                   {"agents", job.images},
                                                   {"made", machine::now_seconds()}}
                                                      .dump() +
                                                  "\n"));
  return image;
}

Result<machine::VmSpec> vm_spec(const manifest::Manifest& manifest, const std::string& name,
                                const std::string& session) {
  machine::VmSpec spec;
  spec.session = session;
  spec.name = machine::new_vm_name(session);
  spec.wanted = TRY(vm_of(manifest, name));
  spec.environment = hook_environment();
  spec.path_to_self = path_to_self();
  return spec;
}

Result<uint64_t> seconds_of(const std::string& flag, const std::string& text) {
  if (!manifest::valid(manifest::Type::duration, text))
    return fail(Code::invalid,
                flag + " " + text + ": expected " + std::string(manifest::kind(manifest::Type::duration).expect));
  return manifest::to_duration(text);
}

json to_json(const machine::Found& found) {
  auto made = found.record ? std::optional<int64_t>(found.record->made) : parse_time(found.listed.created);
  json j = {{"name", found.listed.name},
            {"id", found.listed.id},
            {"provider", found.provider},
            {"kind", found.listed.kind},
            {"state", state_of(found)},
            {"session", found.listed.session},
            {"mine", found.mine},
            {"reaper", found.reaper},
            {"cost_per_hour", found.listed.cost_per_hour},
            {"age", nullptr},
            {"ends_in", nullptr},
            {"keep", found.record && found.record->keep}};
  if (made) j["age"] = std::max<int64_t>(0, machine::now_seconds() - *made);
  if (found.record) j["ends_in"] = found.record->until - machine::now_seconds();
  return j;
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

Result<json> clean_up_vms(bool dry_run, const Output& output, bool& clean) {
  machine::DestroyOptions options;
  options.environment = environment();
  auto places = machine::Places::from(options.environment);
  auto inventory =
      machine::take_inventory(places, options.environment, TRY(whom_to_ask()), {.other = 30000, .retry = 20000}, {});
  json receipts = json::array();
  for (const auto& found : inventory.all) {
    if (!found.orphan || (dry_run && found.record && found.record->held)) continue;
    std::string name = found.listed.name.empty() ? found.listed.id : found.listed.name;
    if (dry_run) {
      receipts.push_back({{"session", found.listed.session},
                          {"kind", found.listed.kind},
                          {"name", name},
                          {"provider", found.provider}});
      if (!output.json) print("would destroy " + found.listed.kind + " " + name + " at " + found.provider);
      continue;
    }
    if (!machine::still_orphan(found, places)) continue;
    if (found.record && hold_unfetched(*found.record)) {
      std::string why = tell_held(*found.record);
      if (!output.json) say("bottle: " + why);
      receipts.push_back({{"session", found.record->vm.session},
                          {"kind", "vm"},
                          {"name", name},
                          {"provider", found.provider},
                          {"confirmed", false},
                          {"held", true},
                          {"left", {why}}});
      clean = false;
      continue;
    }
    auto gone = machine::destroy_found(found, places, options, {});
    clean = tell_destroyed(gone, name, output) && clean;
    receipts.push_back(gone
                           ? to_json(*gone)
                           : json{{"kind", "vm"}, {"name", name}, {"confirmed", false}, {"left", {gone.error().what}}});
  }
  for (const auto& [provider, why] : inventory.silent) {
    say("bottle: provider " + provider + " did not answer: " + why);
    clean = false;
  }
  return receipts;
}

bool tell_destroyed(const Result<machine::Destroyed>& gone, const std::string& name, const Output& output) {
  bool clean = gone && gone->confirmed;
  if (output.json) return clean;
  if (clean) print("destroyed " + name + " (" + gone->confirmed_by + ")");
  else if (!gone) say("bottle: " + name + ": " + gone.error().what);
  else
    for (const auto& what : gone->left) say("bottle: not removed: " + what);
  return clean;
}

}  // namespace bottle::app
