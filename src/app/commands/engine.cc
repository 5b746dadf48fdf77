#include "app/commands/commands.h"
#include "app/output/output.h"
#include "app/world/world.h"
#include "session/box/network.h"

namespace bottle::app {
namespace {

Result<> prepare() {
  auto engine = TRY(connect_engine());
  std::string gateway = TRY(session::ensure_egress_network(*engine));
  print_json({{"egress_gateway", gateway}, {"engine", engine->socket()}}, -1);
  return {};
}

}  // namespace

void add_engine(Command app) {
  Command group = app.group("engine");
  group.command("prepare").runs([] { return exit_status(prepare()); });
}

}  // namespace bottle::app
