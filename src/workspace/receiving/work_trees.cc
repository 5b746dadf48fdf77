// Leaves out what the agent has checked out in other work trees of its repository, such as those that some agents make
// below .claude/worktrees. Their commits come home as refs, so another copy of their files would say nothing new, and
// the agent's own git does not add them either. git itself finds what differs, so that conversions do not count as
// differences.
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <utility>

#include "base/files/full_disk.h"
#include "base/keyed_hash.h"
#include "git/formats/modes.h"
#include "workspace/quarantine/leave_behind.h"
#include "workspace/receiving/homecoming.h"

namespace bottle::workspace {
namespace {

constexpr size_t kMostAbsent = 10;

// Returns whether this is a directory in the quarantine, and its path contains no link.
bool is_directory(const Quarantine& q, const std::string& path) {
  std::error_code error;
  auto top = std::filesystem::canonical(q.tree(), error);
  auto found = error ? top : std::filesystem::canonical(top / path, error);
  return !error && found == top / path && std::filesystem::is_directory(found, error);
}

// Returns what differs in a work tree from its commit, or nothing if git cannot read the commit.
Result<std::optional<KeyedSet<std::string>>> differences(const Quarantine& q, const git::Runner& git,
                                                         const Quarantine::WorkTree& tree,
                                                         const Conversions& conversions) {
  git::Runner::Options options{
      .in = q.repository, .work_tree = q.tree() + "/" + tree.place, .index = q.root + "/work-tree-index"};
  std::error_code error;
  std::filesystem::remove(options.index, error);
  if (!TRY(git.agrees({"read-tree", tree.head}, options))) return std::nullopt;
  auto with = [&](std::vector<std::string> words) {
    words.insert(words.begin(), conversions.options.begin(), conversions.options.end());
    if (!conversions.modes) words.insert(words.begin(), {"-c", "core.fileMode=false"});
    return words;
  };
  // The refresh puts the times of the files into the index. Without them, diff-files would name all files. The status
  // only says whether any file differs, so it is ignored.
  (void)TRY(git.run(with({"update-index", "-q", "--refresh"}), options));
  auto listed = TRY(git.run(with({"diff-files", "--name-only", "-z"}), options));
  if (listed.status != 0) return std::nullopt;
  KeyedSet<std::string> found;
  for (size_t at = 0, end; (end = listed.out.find('\0', at)) != std::string::npos; at = end + 1)
    found.insert(listed.out.substr(at, end - at));
  return found;
}

}  // namespace

Result<> Homecoming::leave_out_work_trees(uint64_t& entries) {
  if (q_.inner_work_trees.empty()) return {};
  // The commit that the agent has checked out may contain some of these files. They are not left out.
  KeyedSet<std::string> committed;
  bool is_known = true;
  if (head_ != base_) {
    auto list =
        listed_.commit == head_ ? Result<std::vector<Change>>(listed_.changes) : changes(q_, git_, base_, head_);
    TRY(check_room(list));
    is_known = list.has_value();
    if (list)
      for (const auto& change : *list) committed.insert(change.path);
  }
  for (const auto& [name, tree] : q_.inner_work_trees)
    if (!is_known || !TRY(leave_out(tree, committed, entries))) q_.leave(tree.place + "/.git", kOfRepository);
  return {};
}

// Returns whether this is a commit that came home, or one that the operator has. If its history is broken, it is not.
Result<bool> Homecoming::is_home(const std::string& id) const {
  // What goes into a bundle is checked only later.
  std::vector<std::string> home = unplaced_.empty() ? ids_ : std::vector<std::string>();
  home.insert(home.end(), known_.begin(), known_.end());
  if (std::ranges::find(home, id) != home.end()) return true;
  auto options = q_.at();
  options.input = id + "^{commit}\n";
  for (const auto& each : home) options.input += "^" + each + "\n";
  auto listed = git_.run({"rev-list", "--max-count=1", "--stdin"}, options);
  TRY(check_room(listed));
  return listed && listed->status == 0 && listed->out.empty();
}

// Leaves out the files of one work tree. Returns false if it is not known to be one, if its commit
// did not come home, or if there are too many files.
Result<bool> Homecoming::leave_out(const Quarantine::WorkTree& tree, const KeyedSet<std::string>& committed,
                                   uint64_t& entries) {
  if (entries == 0 || !is_directory(q_, tree.place) || !TRY(is_home(tree.head))) return false;
  auto listed = git::list_tree(git_, tree.head, q_.at());
  TRY(check_room(listed));
  // A few trees of a few bytes can list millions of files. Those of the next work tree are then not listed.
  bool is_too_long = listed ? listed->size() > entries : listed.error().code == Code::limit;
  entries = is_too_long ? 0 : entries - (listed ? listed->size() : 0);
  if (is_too_long || !listed) return false;
  auto differ = differences(q_, git_, tree, conversions());
  TRY(check_room(differ));
  if (!differ || !*differ) return false;
  inner_work_trees_.push_back(q_.shown(tree.place));
  for (const auto& entry : *listed) {
    std::string path = tree.place + "/" + entry.path;
    bool is_there = q_.paths.contains(path);
    if (entry.mode == git::kSubmodule) q_.empty_directories.erase(path);
    else if (!is_there && ++absent_.number <= kMostAbsent) absent_.first.push_back(q_.shown(path));
    bool is_own = q_.sent.contains(path) || q_.base.contains(path) || committed.contains(path);
    if (!is_there || is_own || (*differ)->contains(entry.path)) continue;
    q_.paths.erase(path);
    q_.filtered.erase(path);
  }
  return true;
}

}  // namespace bottle::workspace
