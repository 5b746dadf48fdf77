// Reads the output of `git diff-tree`, which lists changed files without their content. Renames are not detected: a
// renamed file counts as removed and added, so that its new name is checked like any other.
#include "workspace/quarantine/changes.h"

#include <algorithm>
#include <optional>
#include <string_view>
#include <utility>

namespace bottle::workspace {
namespace {

const std::vector<std::string> kRaw = {"diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev"};

// Reads one entry ":oldmode newmode oldid newid STATUS\0path\0" at `at`, and moves `at` behind it. Returns nothing if
// it is cut off.
std::optional<Change> change_at(const std::string& out, size_t& at) {
  size_t end = out.find('\0', at), stop = end == std::string::npos ? end : out.find('\0', end + 1);
  if (stop == std::string::npos) return std::nullopt;
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
  at = stop + 1;
  return Change{out.substr(end + 1, stop - end - 1), mode, next()};
}

}  // namespace

Result<std::vector<Change>> changes(const Quarantine& q, const git::Runner& git, const std::string& from,
                                    const std::string& to) {
  auto words = kRaw;
  words.insert(words.end(), {from, to, "--"});
  std::string out = TRY(git.ask(words, q.at()));
  std::vector<Change> list;
  for (size_t at = 0; at < out.size();) {
    auto change = change_at(out, at);
    if (!change) break;
    list.push_back(std::move(*change));
  }
  return list;
}

Result<std::map<std::string, std::vector<Change>>> changes_of_commits(const Quarantine& q, const git::Runner& git,
                                                                      const std::string& from,
                                                                      const std::vector<std::string>& commits) {
  std::map<std::string, std::vector<Change>> all;
  if (commits.empty()) return all;
  auto words = kRaw;
  // Without --always, git does not name a commit without changes.
  words.insert(words.end(), {"--stdin", "--always"});
  auto options = q.at();
  // git treats what follows a commit as its parents, and compares the commit with them.
  for (const auto& id : commits) options.input.append(id).append(" ").append(from).append("\n");
  auto listed = git.run(words, options);
  // What fails for all commits together, for example because it takes too long, may work for each one.
  if (!listed && listed.error().code != Code::no_space && listed.error().code != Code::canceled) return all;
  auto answer = TRY(std::move(listed));
  if (answer.status != 0) return all;
  const std::string& out = answer.out;
  std::vector<Change>* list = nullptr;
  for (size_t at = 0; at < out.size();) {
    if (out[at] != ':') {
      size_t end = out.find('\0', at);
      if (end == std::string::npos) return fail(Code::protocol, "the answer of git diff-tree is not valid");
      list = &all[out.substr(at, end - at)];
      at = end + 1;
      continue;
    }
    auto change = change_at(out, at);
    if (!change || !list) return fail(Code::protocol, "the answer of git diff-tree is not valid");
    list->push_back(std::move(*change));
  }
  return all;
}

}  // namespace bottle::workspace
