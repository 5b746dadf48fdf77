// The hash keeps the id of the machine and of the user private, because a cloud shows labels to everyone with access
// to the account. The state directory and its id are parts of the hash, so that sweeps of one state directory do not
// destroy the VMs of another one. Without the id, containers from one image would have the same label.
#include "machine/provider/owner_label.h"

#include <unistd.h>

#include "base/files/file.h"
#include "base/ids.h"
#include "machine/provider/state_owner.h"

namespace bottle::machine {

std::string owner_label(const Directories& directories) {
  auto machine = read_file("/etc/machine-id", 4096);
  return content_hash((machine ? *machine : "") + ":" + std::to_string(::getuid()) + ":" + directories.vms +
                      state_id(directories));
}

}  // namespace bottle::machine
