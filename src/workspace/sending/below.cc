// Searches a tree for repositories and for files by pattern. Both searches have limits, because a start waits for them,
// and a workspace may hold many projects. Directories with installed code are left out: packages often bring a .git,
// and none of it is the operator's work.
#include "workspace/sending/below.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <deque>

#include "base/files/beneath.h"

namespace bottle::workspace {
namespace {

constexpr size_t kMostDirectories = 50'000, kMostEntries = 20'000, kMostRepositories = 200;
constexpr std::string_view kInstalled[] = {".git", "node_modules", ".venv", "venv", "__pycache__", ".tox", "target"};

void collect(const Beneath& tree, const std::string& at, const std::function<bool(const std::string&)>& is_wanted,
             size_t& left, Below& found) {
  std::vector<std::string> below;
  auto read = tree.each(at, kMostEntries, [&](const std::string& name, unsigned char type) -> Result<> {
    std::string path = at.empty() ? name : at + "/" + name;
    if (name == ".git") return {};
    found.is_complete &= left > 0;
    if (left == 0) return {};
    --left;
    if (type == DT_DIR) below.push_back(path);
    else if (type == DT_REG && is_wanted(path)) found.paths.push_back(path);
    return {};
  });
  found.is_complete &= read.has_value();
  // Without room, this only notes that there is more.
  for (const auto& path : below)
    if (left > 0 || found.is_complete) collect(tree, path, is_wanted, left, found);
}

}  // namespace

Below files_below(const std::string& top, const std::function<bool(const std::string&)>& is_wanted) {
  Below found;
  size_t left = 200'000;
  auto tree = Beneath::open(top);
  found.is_complete = tree.has_value();
  if (tree) collect(*tree, "", is_wanted, left, found);
  std::ranges::sort(found.paths);
  return found;
}

Below repositories_below(const std::string& top) {
  Below found;
  auto tree = Beneath::open(top);
  found.is_complete = tree.has_value();
  if (!tree) return found;
  std::deque<std::string> left = {""};  // level by level, so that the limits cut off what is deepest
  for (size_t seen = 0; !left.empty(); left.pop_front()) {
    const std::string& at = left.front();
    if (++seen > kMostDirectories || found.paths.size() > kMostRepositories) {
      found.is_complete = false;
      break;
    }
    std::vector<std::string> below;
    bool is_repository = false;
    auto read = tree->each(at, kMostEntries, [&](const std::string& name, unsigned char type) -> Result<> {
      is_repository |= name == ".git";
      if (type == DT_DIR && std::ranges::find(kInstalled, name) == std::end(kInstalled))
        below.push_back(at.empty() ? name : at + "/" + name);
      return {};
    });
    found.is_complete &= read.has_value();
    // The top is not a repository below the top.
    if (is_repository && !at.empty()) found.paths.push_back(at);
    std::ranges::sort(below);
    left.insert(left.end(), below.begin(), below.end());
  }
  if (found.paths.size() > kMostRepositories) found.paths.resize(kMostRepositories);
  std::ranges::sort(found.paths);
  return found;
}

}  // namespace bottle::workspace
