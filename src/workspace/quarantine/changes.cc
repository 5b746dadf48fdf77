// Reads the output of `git diff-tree`, which lists changed files without their content. Renames are not detected: a
// renamed file counts as removed and added, so that its new name is checked like any other.
#include "workspace/quarantine/changes.h"

#include <algorithm>
#include <string_view>
#include <utility>

namespace bottle::workspace {

Result<std::vector<Change>> changes(const Quarantine& q, const git::Runner& git, const std::string& from,
                                    const std::string& to) {
  std::string out =
      TRY(git.ask({"diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", from, to, "--"}, q.at()));
  std::vector<Change> list;
  // Each entry is ":oldmode newmode oldid newid STATUS\0path\0".
  for (size_t at = 0; at < out.size();) {
    size_t end = out.find('\0', at), stop = end == std::string::npos ? end : out.find('\0', end + 1);
    if (stop == std::string::npos) break;
    std::string_view head = std::string_view(out).substr(at, end - at);
    auto next = [&] {
      size_t space = std::min(head.find(' '), head.size());
      std::string word(head.substr(0, space));
      head.remove_prefix(std::min(space + 1, head.size()));
      return word;
    };
    next();
    std::string mode = next();
    next();
    list.push_back({out.substr(end + 1, stop - end - 1), mode, next()});
    at = stop + 1;
  }
  return list;
}

}  // namespace bottle::workspace
