#include <memory>
#include <string_view>

#include "app/commands/commands.h"
#include "app/manual/manual.h"
#include "app/output/output.h"
#include "manifest/manifest.h"

namespace bottle::app {
namespace {

int show(std::string_view page) {
  print_page(page);
  return 0;
}

}  // namespace

void add_help(Command app) {
  // Takes "bottle help image build" as "bottle help image".
  auto wanted = std::make_shared<std::vector<std::string>>();
  Command command = app.command("help");
  command.option("command", *wanted);
  command.runs([wanted] {
    if (wanted->empty()) return show(overview(output_width(), has_color(1)));
    if (auto text = document_text(wanted->front()); !text.empty()) return show(text);
    auto page = named_page(wanted->front());
    return page ? show(to_terminal(**page, output_width(), has_color(1))) : report(page.error());
  });
}

}  // namespace bottle::app
