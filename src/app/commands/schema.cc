#include "app/commands/commands.h"
#include "app/output/output.h"
#include "manifest/manifest.h"

namespace bottle::app {

void add_schema(Command app) {
  app.command("schema").runs([] {
    print_page(manifest::json_schema() + "\n");
    return 0;
  });
}

}  // namespace bottle::app
