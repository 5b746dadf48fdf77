// Computes the places from variables, and the label by which a user's VMs are recognized at a provider.
#include "machine/provider/places.h"

#include <unistd.h>

#include <algorithm>

#include "base/files/directories.h"
#include "base/files/file.h"
#include "base/ids.h"

namespace bottle::machine {

Places Places::from(const Environment& environment) {
  auto own = Directories::from(environment);
  return {.config = own.config, .cache = own.cache, .vms = own.vms};
}

bool valid_vm_name(const std::string& name) {
  return !name.empty() && name.size() <= 40 && name[0] != '-' &&
         std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

// The hash keeps the id of the machine and of the user private, because a cloud shows labels to everyone with access
// to the account. The state directory is a part of the hash, so that sweeps of one state directory do not destroy the
// VMs of another one.
std::string owner_label(const Places& places) {
  auto machine = read_file("/etc/machine-id", 4096);
  return content_hash((machine ? *machine : "") + ":" + std::to_string(::getuid()) + ":" + places.vms);
}

}  // namespace bottle::machine
