// Each command is one word in a list, from which the preprocessor makes the declaration of its function and its row
// of the table. So every declared command is in the table.
#include "app/commands/commands.h"

// Each command has one line, in the order of the groups in bottle.md.
#define BOTTLE_COMMANDS(X) \
  X(start)                 \
  X(attach)                \
  X(stop)                  \
  X(cleanup)               \
  X(list)                  \
  X(logs)                  \
  X(audit)                 \
  X(egress)                \
  X(diff)                  \
  X(apply)                 \
  X(discard)               \
  X(allow)                 \
  X(deny)                  \
  X(check)                 \
  X(schema)                \
  X(scan)                  \
  X(remote)                \
  X(vm)                    \
  X(provider)              \
  X(init)                  \
  X(doctor)                \
  X(image)                 \
  X(engine)                \
  X(guard)                 \
  X(help)                  \
  X(man)                   \
  X(completion)

namespace bottle::app {

#define DECLARE(name) void add_##name(Command app, int& exit);
BOTTLE_COMMANDS(DECLARE)
#undef DECLARE

std::span<const CommandEntry> commands() {
#define ENTRY(name) {#name, add_##name},
  static constexpr CommandEntry kCommands[] = {BOTTLE_COMMANDS(ENTRY)};
#undef ENTRY
  return kCommands;
}

}  // namespace bottle::app
