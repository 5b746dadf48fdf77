// Finds the VMs and the providers that the manifest names, and bakes disks for VMs.
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
Result<std::vector<machine::Ask>> providers_to_ask();

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

}  // namespace bottle::app
