#include "app/commands/commands.h"

// One line a command, in the order of help.
#define BOTTLE_COMMANDS(X) \
  X(start)                 \
  X(attach)                \
  X(list)                  \
  X(stop)                  \
  X(allow)                 \
  X(deny)                  \
  X(logs)                  \
  X(cleanup)               \
  X(remote)                \
  X(init)                  \
  X(check)                 \
  X(doctor)                \
  X(image)                 \
  X(engine)                \
  X(vm)                    \
  X(provider)              \
  X(guard)                 \
  X(schema)                \
  X(help)                  \
  X(man)                   \
  X(completion)

namespace bottle::app {

#define DECLARE(name) void add_##name(CLI::App& app, int& exit);
BOTTLE_COMMANDS(DECLARE)
#undef DECLARE

std::span<const CommandEntry> commands() {
#define ENTRY(name) {#name, add_##name},
  static constexpr CommandEntry kCommands[] = {BOTTLE_COMMANDS(ENTRY)};
#undef ENTRY
  return kCommands;
}

}  // namespace bottle::app
