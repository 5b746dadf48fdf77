// Binds the state directory to one machine. The records in it name processes, engines and VMs. Another machine that
// shares or copies the directory would mistake live ones for dead ones, and would remove what they own.
#pragma once

#include <chrono>
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

// Binds the state directory to this machine if it is bound to none yet. Gives it a random id if it has none, unless VMs
// were made with it before. Makes the directory if there is none. Fails with Code::conflict if it is bound to another
// machine, and with the errors of read_own_file() if it cannot find out which machine that is. If the directory cannot
// be written to, it stays unbound. Waits up to `patience` for another process to write the file that it has made.
Result<> bind_state(const Directories& directories, const MachineFacts& here,
                    std::chrono::milliseconds patience = std::chrono::seconds(1));

// Returns the id of the state directory, or an empty string if it has none or it cannot be read. It stays the same when
// the operator gives the directory to another machine, as the error of bind_state() advises. `patience` is as there.
std::string state_id(const Directories& directories, std::chrono::milliseconds patience = std::chrono::seconds(1));

}  // namespace bottle::machine
