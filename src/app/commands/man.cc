// Renders manual pages from the pages that are compiled into the program, so no file needs to be installed for
// `bottle man`.
#include <sys/wait.h>
#include <unistd.h>

#include <memory>

#include "app/commands/commands.h"
#include "app/manual/manual.h"
#include "app/output/output.h"
#include "app/world/world.h"
#include "base/defer.h"
#include "base/files/file.h"
#include "base/ids.h"
#include "base/os/process.h"

namespace bottle::app {
namespace {

struct ManOptions {
  std::string command = "bottle", directory;
};

Result<> write_all_pages(const std::string& directory) {
  // Other users may read the pages, too.
  TRY(make_directories(directory, 0755));
  for (const Page& page : pages())
    TRY(write_file_atomically(directory + "/" + man_name(page) + ".1", to_roff(page), 0644));
  return {};
}

// Shows a page with man(1), which reads a file by its path. The file exists only while it is read.
Result<> show(const Page& page) {
  std::string path = "/tmp/" + man_name(page) + "." + random_hex(4) + ".1";
  TRY(write_file_atomically(path, to_roff(page), 0600));
  Defer remove([&] { ::unlink(path.c_str()); });
  leave_directory();
  if (TRY(run({"man", "-l", path})) != 0)
    return fail(Code::unavailable, "man could not show the page", "run `bottle help " + page.name + "` instead");
  return {};
}

Result<> man(const ManOptions& options) {
  if (!options.directory.empty()) return write_all_pages(options.directory);
  const Page* page = TRY(named_page(options.command));
  if (::isatty(1)) return show(*page);
  print_page(to_roff(*page));
  return {};
}

}  // namespace

void add_man(Command app) {
  auto o = std::make_shared<ManOptions>();
  Command command = app.command("man");
  command.option("command", o->command);
  command.option("--write", o->directory);
  command.runs([o] { return exit_status(man(*o)); });
}

}  // namespace bottle::app
