// The hash keeps the id of the machine and of the user private, because a cloud shows labels to everyone with access
// to the account. The state directory is a part of the hash, so that sweeps of one state directory do not destroy the
// VMs of another one.
#include "machine/provider/owner_label.h"

#include <unistd.h>

#include "base/files/file.h"
#include "base/ids.h"

namespace bottle::machine {

std::string owner_label(const Directories& directories) {
  auto machine = read_file("/etc/machine-id", 4096);
  return content_hash((machine ? *machine : "") + ":" + std::to_string(::getuid()) + ":" + directories.vms);
}

}  // namespace bottle::machine
