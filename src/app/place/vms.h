// Declares the functions that the commands on VMs share.
#pragma once

#include <nlohmann/json.hpp>
#include <stop_token>
#include <string>
#include <vector>

#include "app/output/output.h"
#include "base/progress.h"
#include "machine/inventory.h"
#include "machine/vm.h"
#include "manifest/manifest.h"
#include "wire/machine/vm_record.h"

namespace bottle::app {

// Returns the providers to query: this machine (qemu), those that the operator wrote, and those of the manifest with
// their options.
Result<std::vector<machine::Ask>> whom_to_ask();

// Returns the record of what `bottle vm bake` made for VMs of this provider with these options. The image is empty if
// nothing was baked.
wire::BakedRecord baked_for(const manifest::Vm& vm);

// Returns the manifest's entry. If it names no image, uses the one that was baked for it. Fails with Code::not_found
// and lists the existing names.
Result<manifest::Vm> vm_of(const manifest::Manifest& manifest, const std::string& name);

// Implements `bottle vm bake`: makes a VM's disk with what the named agents need (all of the manifest's if none is
// named), and keeps it for later starts. Returns the provider's name for it. A stop ends it, as for remote::bake_vm().
Result<std::string> bake(const std::string& name, std::vector<std::string> agents, const Progress& progress,
                         const std::stop_token& stop);

// Returns the VM `name` of the manifest, for `session`. Fails with Code::not_found and lists the existing names.
Result<machine::VmSpec> vm_spec(const manifest::Manifest& manifest, const std::string& name,
                                const std::string& session);

// Returns a duration in seconds: "2h" → 7200.
Result<uint64_t> seconds_of(const std::string& flag, const std::string& text);

// Prints how destroying a VM ended (not with --json). Returns whether the provider confirmed it.
bool tell_destroyed(const Result<machine::Destroyed>& gone, const std::string& name, const Output& output);

// Reports the providers that did not answer and the records that cannot be read. Returns whether there are none.
bool tell_complete(const machine::Inventory& inventory);

// Destroys the VMs that have no owner any more, found by label at every provider and by record on this machine. With
// `dry_run`, only reports them. Returns the receipts as a JSON array. Sets `clean` to false if something is left or a
// provider could not be queried.
Result<nlohmann::json> clean_up_vms(bool dry_run, const Output& output, bool& clean);

}  // namespace bottle::app
