// A baked disk has a record under a hash of its provider and options, so that it is never used with other ones.
#include "app/place/vms.h"

#include <algorithm>
#include <cstdlib>

#include "app/output/vm_output.h"
#include "app/place/rescue.h"
#include "app/world/sessions.h"
#include "app/world/world.h"
#include "base/files/file.h"
#include "base/ids.h"
#include "base/os/this_program.h"
#include "base/text/path_parts.h"
#include "plan/plan.h"
#include "remote/near/vm.h"
#include "session/images/agent_image.h"
#include "session/images/own_images.h"

namespace bottle::app {
namespace {

using nlohmann::json;

// Returns the path of the record of what was baked for a VM of this provider and these options.
std::string baked_record(const manifest::Vm& vm) {
  return directories().cache + "/baked/" + content_hash(vm.provider + json(vm.options).dump());
}

}  // namespace

wire::BakedRecord baked_for(const manifest::Vm& vm) {
  auto text = read_file(baked_record(vm), wire::BakedRecord::kMost);
  auto baked = text ? wire::decode<wire::BakedRecord>(*text, wire::From::ours) : wire::BakedRecord{};
  return baked ? *baked : wire::BakedRecord{};  // an unreadable record was not made by bottle
}

Result<std::vector<machine::Ask>> providers_to_ask() {
  // Queries this machine, the providers that the operator wrote, and those that the manifest names. Does not try other
  // clouds whose commands might be signed in, because that would take seconds and reveal to them that bottle is used.
  std::vector<machine::Ask> ask = {{"qemu", {}, false}};
  for (const auto& name : TRY(shown_in(directories().config + "/providers")))
    if (name != "lib") ask.push_back({name, {}, false});
  auto manifest = TRY(load_own_manifest());
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
  // An image that the operator names in the manifest takes precedence.
  if (std::string image = baked_for(vm).image; !image.empty() && !vm.options.contains("image"))
    vm.options["image"] = image;
  return vm;
}

// Makes the plan of each agent to learn which image it needs, builds what is missing, and has remote::bake_vm() write
// all of it to a disk. The record of the disk is written as soon as the disk exists, so that there is never a record
// without its disk.
Result<std::string> bake(const std::string& name, std::vector<std::string> agents, const Progress& progress,
                         const std::stop_token& stop) {
  auto manifest = TRY(load_own_manifest());
  remote::BakeJob job;
  job.spec = TRY(vm_spec(manifest, name, "vm" + random_hex(4)));
  job.spec.limits.stop = stop;
  const manifest::Vm& vm = manifest.vms.at(name);
  job.before = baked_for(vm).image;
  job.spec.wanted.options = vm.options;  // starts from the provider's own disk, not from an earlier bake
  auto engine = TRY(connect_engine(stop));
  job.engine = engine->socket();
  if (agents.empty())
    for (const auto& [agent, unused] : manifest.agents) agents.push_back(agent);
  plan::Facts facts = gather_facts("/");
  facts.images = image_facts(manifest, "");
  // A plan fails without the agent's token, but only the image of the plan is used here.
  facts.environment.emplace("CLAUDE_BOTTLE_OAUTH_TOKEN", "not needed for its image");
  facts.environment.emplace("OPENAI_API_KEY", "not needed for its image");
  for (const auto& agent : agents) {
    plan::Options wanted;
    wanted.agent = agent;
    // No workspace is needed to name an image.
    wanted.workspace_mode = "none";
    auto plan = TRY(plan::make(manifest, wanted, facts));
    TRY(session::ensure_agent_image(*engine, plan.image,
                                    {.directories = directories(), .progress = progress, .stop = stop}));
    auto image = TRY(session::image_identity(*engine, plan.image.reference));
    if (std::ranges::find(job.images, image) == job.images.end()) job.images.push_back(image);
  }
  job.address.program = TRY(remote::own_hash());
  job.roots = public_roots();
  job.keep = [&](const std::string& image) -> Result<> {
    TRY(make_directories(parent_of(baked_record(vm))));
    wire::BakedRecord record{image, job.address.program, content_hash(job.roots), job.images, machine::now_seconds()};
    return write_file_atomically(baked_record(vm), wire::encode(record) + "\n");
  };
  return remote::bake_vm(job, progress);
}

Result<machine::VmSpec> vm_spec(const manifest::Manifest& manifest, const std::string& name,
                                const std::string& session) {
  machine::VmSpec spec;
  spec.session = session;
  spec.name = machine::new_vm_name(session);
  spec.wanted = TRY(vm_of(manifest, name));
  spec.environment = hook_environment();
  // Otherwise, a misspelled provider would be found only when a VM without one must be destroyed.
  TRY(machine::Provider::find(spec.wanted.provider, Directories::from(spec.environment), spec.environment, {}));
  spec.path_to_self = path_to_self();
  return spec;
}

}  // namespace bottle::app
