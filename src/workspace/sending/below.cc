#include "workspace/sending/below.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>

#include "base/files/beneath.h"

namespace bottle::workspace {
namespace {

constexpr int kDeepest = 3;
constexpr size_t kMostDirectories = 3000, kMostEntries = 20'000, kMostRepositories = 100;
constexpr std::string_view kInstalled[] = {".git", "node_modules", ".venv", "venv", "__pycache__", ".tox", "target"};

void look(const Beneath& tree, const std::string& at, int depth, size_t& left, std::vector<std::string>& found) {
  std::vector<std::string> below;
  bool is_repository = false;
  (void)tree.each(at, kMostEntries, [&](const std::string& name, unsigned char type) -> Result<> {
    is_repository |= name == ".git";
    if (type == DT_DIR && std::ranges::find(kInstalled, name) == std::end(kInstalled)) below.push_back(name);
    return {};
  });
  if (is_repository && !at.empty()) {
    if (found.size() < kMostRepositories) found.push_back(at);
    return;
  }
  std::ranges::sort(below);
  for (const auto& name : below) {
    if (depth >= kDeepest || left == 0) return;
    --left;
    look(tree, at.empty() ? name : at + "/" + name, depth + 1, left, found);
  }
}

void collect(const Beneath& tree, const std::string& at, const std::function<bool(const std::string&)>& is_wanted,
             size_t& left, std::vector<std::string>& found) {
  std::vector<std::string> below;
  (void)tree.each(at, kMostEntries, [&](const std::string& name, unsigned char type) -> Result<> {
    std::string path = at.empty() ? name : at + "/" + name;
    if (left == 0 || name == ".git") return {};
    --left;
    if (type == DT_DIR) below.push_back(path);
    else if (type == DT_REG && is_wanted(path)) found.push_back(path);
    return {};
  });
  for (const auto& path : below)
    if (left > 0) collect(tree, path, is_wanted, left, found);
}

}  // namespace

std::vector<std::string> files_below(const std::string& top, const std::function<bool(const std::string&)>& is_wanted) {
  std::vector<std::string> found;
  size_t left = 200'000;
  if (auto tree = Beneath::open(top)) collect(*tree, "", is_wanted, left, found);
  std::ranges::sort(found);
  return found;
}

std::vector<std::string> repositories_below(const std::string& top) {
  std::vector<std::string> found;
  size_t left = kMostDirectories;
  if (auto tree = Beneath::open(top)) look(*tree, "", 0, left, found);
  return found;
}

}  // namespace bottle::workspace
