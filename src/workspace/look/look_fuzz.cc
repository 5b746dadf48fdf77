// Feeds trees of any names and links, and packages of any text. The program must end in bounded memory, and its lines
// must be safe for a terminal.
#include <cstdlib>
#include <string>

#include "workspace/look/look.h"
#include "workspace/look/look_content.h"

using namespace bottle::workspace;

// Input lines are "path", "path>target" for an old link, "path>>target" for a new one, and "=text" for a package.
extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  std::map<std::string, std::string> before, now;
  Look::Tree tree;
  std::vector<std::string> unchanged, reasons;
  while (!rest.empty()) {
    size_t end = std::min(rest.find('\n'), rest.size());
    std::string line(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    size_t arrow = line.find('>');
    if (line.starts_with('=')) {
      for (auto kind : {Content::npm, Content::composer, Content::cargo})
        for (auto& why : reasons_in(kind, line.substr(1), rest)) reasons.push_back(why);
    } else if (line.starts_with('-')) {
      tree.removed.push_back(line.substr(1));
    } else if (arrow == std::string::npos) {
      (line.size() % 2 ? unchanged.push_back(line) : tree.changes.push_back({line}));
    } else {
      bool fresh = arrow + 1 < line.size() && line[arrow + 1] == '>';
      std::string path = line.substr(0, arrow), target = line.substr(arrow + (fresh ? 2 : 1));
      if (fresh) tree.changes.push_back({path, Look::Changed::Is::link, target});
      else before[path] = target;
      now[path] = target;
    }
  }
  tree.links = now;
  tree.each_unchanged = [&](const auto& use) {
    for (const auto& path : unchanged) use(path);
  };
  Look look(before);
  look.take(tree);
  for (const auto& why : reasons) look.report("package", why);
  for (const auto& line : look.lines())
    for (unsigned char c : line)
      if (c < 0x20 || c == 0x7f) std::abort();
  if (look.lines().size() > look.all().size()) std::abort();
  return 0;
}
