#include "wire/machine/first_contact.h"

namespace bottle::wire {

void fields(Object& o, NewHostKey& key) { o.text("host_key", key.key, kName); }

void fields(Object& o, HostKeyInUse& answer) { o.flag("rotated", answer.rotated); }

void fields(Object& o, EngineState& state) {
  o.words("engine", state.engine, kWords);
  o.number("uptime", state.uptime);
}

}  // namespace bottle::wire
