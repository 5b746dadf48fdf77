#include "machine/provider/places.h"

#include <unistd.h>

#include <algorithm>

#include "base/files/directories.h"
#include "base/files/file.h"
#include "base/ids.h"

namespace bottle::machine {

Places Places::from(const Environment& environment) {
  auto own = session::Directories::from(environment);
  return {.config = own.config, .cache = own.cache, .vms = own.vms};
}

bool valid_vm_name(const std::string& name) {
  return !name.empty() && name.size() <= 40 && name[0] != '-' &&
         std::ranges::all_of(name, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

// The hash keeps the id of the machine and of the user private, because a cloud shows labels to everyone with access
// to the account. The directory is a part of it, so that two states of one user do not sweep each other's VMs.
std::string owner_label(const Places& places) {
  auto machine = read_file("/etc/machine-id", 4096);
  return content_hash((machine ? *machine : "") + ":" + std::to_string(::getuid()) + ":" + places.vms);
}

}  // namespace bottle::machine
