// Lists the fields of the first messages of a new VM. A shell script on the VM writes them (machine/vm_side.sh), so
// they have few fields.
#include "wire/machine/first_contact.h"

namespace bottle::wire {

void fields(Object& o, NewHostKey& key) { o.text("host_key", key.key, kName); }

void fields(Object& o, HostKeyInUse& answer) { o.flag("rotated", answer.rotated); }

void fields(Object& o, EngineState& state) {
  o.words("engine", state.engine, kWords);
  o.number("uptime", state.uptime);
}

void fields(Object& o, DiskSealed& answer) { o.flag("sealed", answer.sealed); }

}  // namespace bottle::wire
