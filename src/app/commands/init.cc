// Writes the starter manifest, or prints it. An existing manifest of this version is never changed, and never gets a
// second one beside it. The new file is then loaded together with a manifest of version 1, if there is one, to report
// names that both define.
#include <fcntl.h>
#include <unistd.h>

#include <memory>

#include "app/commands/commands.h"
#include "app/manual/starter.h"
#include "app/output/output.h"
#include "app/world/world.h"
#include "base/files/file.h"
#include "base/unique_fd.h"

namespace bottle::app {
namespace {

Result<std::string> write_starter() {
  std::string directory = directories().config, path = directory + "/bottle.yaml";
  // Two manifests of this version in one directory would define the same names.
  for (const char* other : {"/bottle.json"})
    if (::access((directory + other).c_str(), F_OK) == 0)
      return fail(Code::conflict, directory + other + " already exists", "run `bottle check` to check it");
  TRY(make_directories(directory));
  // Never opens through a link and never overwrites a file.
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd && errno == EEXIST) return fail(Code::conflict, path + " already exists", "run `bottle check` to check it");
  if (!fd) return fail_errno("creating " + path);
  TRY(write_all(fd.get(), kStarter));
  return path;
}

Result<> init() {
  std::string path = TRY(write_starter());
  print(path);
  // If there is a version 1 manifest next to it, the two must not define the same names.
  if (auto loaded = load_own_manifest(); !loaded) return std::unexpected(loaded.error());
  say("Edit the file, then run `bottle check` and `bottle start AGENT`.");
  return {};
}

}  // namespace

void add_init(Command app) {
  auto show = std::make_shared<bool>(false);
  Command command = app.command("init");
  command.flag("--print", *show);
  command.runs([show] {
    if (!*show) return exit_status(init());
    print_page(kStarter);
    return 0;
  });
}

}  // namespace bottle::app
