#include <memory>

#include "app/commands/commands.h"
#include "app/manual/manual.h"
#include "app/output/output.h"
#include "manifest/manifest.h"

namespace bottle::app {

void add_help(Command app, int& exit) {
  // Takes "bottle help image build" as "bottle help image".
  auto wanted = std::make_shared<std::vector<std::string>>();
  Command command = app.command("help");
  command.option("command", *wanted);
  command.runs([wanted, &exit] {
    if (wanted->empty()) {
      print_page(overview(output_width(), has_color(1)));
      return;
    }
    if (auto text = document_text(wanted->front()); !text.empty()) return print_page(text);
    auto page = named_page(wanted->front());
    if (!page) exit = report(page.error());
    else print_page(to_terminal(**page, output_width(), has_color(1)));
  });
}

}  // namespace bottle::app
