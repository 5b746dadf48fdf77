// What the commands on VMs share.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "app/output/output.h"
#include "machine/inventory.h"
#include "machine/vm.h"
#include "manifest/manifest.h"

namespace bottle::app {

// This machine (qemu), the providers that the operator wrote, and those of the manifest with their options.
Result<std::vector<machine::Ask>> whom_to_ask();

// What `bottle vm bake` kept for VMs of this provider and these options.
struct Baked {
  std::string image;                      // what the provider calls it; empty: nothing was baked
  std::string program, roots;             // content hashes
  std::vector<std::string> agent_images;  // references
};
Baked baked_for(const manifest::Vm& vm);

// The manifest's entry; without an image of its own, the one that was baked for it. Code::not_found with the names
// there are.
Result<manifest::Vm> vm_of(const manifest::Manifest& manifest, const std::string& name);

// `bottle vm bake`: a VM's disk with what the agents named (all of the manifest's) need, kept for the starts to come.
// What the provider calls it.
Result<std::string> bake(const std::string& name, std::vector<std::string> agents,
                         const std::function<void(const std::string&)>& say);

// The VM `name` of the manifest, for `session`. Code::not_found with the names there are.
Result<machine::VmSpec> vm_spec(const manifest::Manifest& manifest, const std::string& name,
                                const std::string& session);

// "2h" → 7200.
Result<uint64_t> seconds_of(const std::string& flag, const std::string& text);

nlohmann::json to_json(const machine::Found& found);
nlohmann::json to_json(const machine::Vm& vm);

// Prints how a destroying ended (not with --json). Whether it is confirmed.
bool tell_destroyed(const Result<machine::Destroyed>& gone, const std::string& name, const Output& output);

// Destroys the VMs that are nobody's any more, found by label at every provider and by record here (dry_run: only says
// so). Receipts as a JSON array; `clean` becomes false where something is left or could not be asked.
Result<nlohmann::json> clean_up_vms(bool dry_run, const Output& output, bool& clean);

}  // namespace bottle::app
