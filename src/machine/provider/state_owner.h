// Binds the state directory to one machine. The records in it name processes, engines and VMs. Another machine that
// shares or copies the directory would mistake live ones for dead ones, and would remove what they own.
#pragma once

#include <string>

#include "base/error.h"
#include "base/files/directories.h"

namespace bottle::machine {

// Says which machine this is. What is not known is empty. Network devices are not facts about a machine: a dock or a
// new card changes them, and some virtual machines get a new address at each start.
struct MachineFacts {
  std::string id;    // of the installed system: /etc/machine-id
  std::string host;  // /etc/hostname, which is different in each container

  static MachineFacts read();
};

// Binds the state directory to this machine if it is bound to none yet, and gives it a random id. Makes the directory
// if there is none. Fails with Code::conflict if it is bound to another machine, and with the errors of read_own_file()
// if it is not known which one. If the directory cannot be written, it stays unbound.
Result<> bind_state(const Directories& directories, const MachineFacts& here);

// Returns the id of the state directory, or an empty string if there is none or it cannot be read.
std::string state_id(const Directories& directories);

}  // namespace bottle::machine
