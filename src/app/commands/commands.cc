// Each command is one word in a list, from which the preprocessor makes the declaration of its function and its row
// of the table. So every declared command is in the table.
#include "app/commands/commands.h"

// Each command has one line, in the order of the groups in bottle.md. The second word is CommandEntry::reads_places.
#define BOTTLE_COMMANDS(X) \
  X(start, true)           \
  X(attach, true)          \
  X(stop, true)            \
  X(cleanup, true)         \
  X(list, true)            \
  X(logs, true)            \
  X(audit, true)           \
  X(egress, true)          \
  X(diff, true)            \
  X(apply, true)           \
  X(discard, true)         \
  X(allow, true)           \
  X(deny, true)            \
  X(check, true)           \
  X(schema, false)         \
  X(scan, true)            \
  X(remote, true)          \
  X(vm, true)              \
  X(provider, true)        \
  X(init, true)            \
  X(doctor, true)          \
  X(image, true)           \
  X(engine, true)          \
  X(guard, false)          \
  X(help, false)           \
  X(man, false)            \
  X(completion, false)

namespace bottle::app {

#define DECLARE(name, reads_places) void add_##name(Command app);
BOTTLE_COMMANDS(DECLARE)
#undef DECLARE

std::span<const CommandEntry> commands() {
#define ENTRY(name, reads_places) {#name, add_##name, reads_places},
  static constexpr CommandEntry kCommands[] = {BOTTLE_COMMANDS(ENTRY)};
#undef ENTRY
  return kCommands;
}

}  // namespace bottle::app
