// Reads the agent's refs as text instead of running git in its repository, whose configuration could name commands.
// Names and ids must be well-formed; whether the objects exist is checked when the refs are brought home. Besides
// refs, it looks for commits that only a log, another work tree or an unfinished action still names, because the work
// of an agent that switches, resets or moves branches would otherwise be lost silently.
#include "workspace/quarantine/ref_files.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "base/keyed_hash.h"
#include "base/text/words.h"
#include "git/formats/formats.h"
#include "workspace/files/blob_id.h"
#include "workspace/files/sent.h"

namespace bottle::workspace {
namespace {

constexpr size_t kMostRefs = 100'000, kMostStashes = 100, kMostDetached = 2000, kMostReplaced = 100'000,
                 kMostAutostashes = 20, kMostPlaces = 100;
constexpr size_t kLongestHead = 1100, kLongestRef = 2048, kLargestPacked = 64 << 20, kLargestLog = 8 << 20,
                 kLargestSettings = 4 << 20, kLongestPlace = 4096;

// Returns nothing if the file is larger; read_tar() skips the rest.
Result<std::optional<std::string>> text_of(const Source& body, size_t limit) {
  std::string out;
  char buffer[4096];
  while (size_t n = TRY(body(buffer, sizeof buffer))) {
    out.append(buffer, n);
    if (out.size() > limit) return std::nullopt;
  }
  return out;
}

// Returns the last bytes of a log, `most` at the most. The first line may lack its beginning.
Result<std::string> end_of(const Source& body, size_t most) {
  std::string out;
  char buffer[4096];
  auto keep = [&](size_t size) { out.erase(0, out.size() - std::min(out.size(), size)); };
  while (size_t n = TRY(body(buffer, sizeof buffer))) {
    out.append(buffer, n);
    // Drops the beginning only now and then, because dropping it moves `most` bytes.
    if (out.size() >= 2 * most) keep(most);
  }
  keep(most);
  return out;
}

// Returns the id or the name in the file of a ref.
Result<std::string> ref_in(const Source& body, size_t limit) {
  return std::string(trimmed_end(TRY(text_of(body, limit)).value_or(""), "\r\n "));
}

bool is_one_of(std::initializer_list<std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

Result<> RefFiles::take(const std::string& name, const Source& body) {
  constexpr std::string_view kWorkTrees = "worktrees/", kLogs = "logs/refs/heads/";
  bool is_worktree = name.starts_with(kWorkTrees);
  // In a linked work tree, this is the name below worktrees/NAME/.
  size_t slash = is_worktree ? std::min(name.find('/', kWorkTrees.size()), name.size() - 1) : 0;
  std::string own = is_worktree ? name.substr(slash + 1) : name;
  std::string work_tree = is_worktree ? name.substr(kWorkTrees.size(), slash - kWorkTrees.size()) : "";
  if (own == "logs/HEAD") {
    std::string last = TRY(log(body));
    // HEAD may have left this commit for a branch without commits, about which git writes nothing to the log.
    if (git::is_object_id(last)) left_.push_back(std::move(last));
    return {};
  }
  if (name.starts_with(kLogs)) {
    TRY(log(body));
    return {};
  }
  if (own == "HEAD") {
    std::string head = TRY(ref_in(body, kLongestHead));
    if (!is_worktree) q_.head = head;
    else note_detached(head);
    if (is_worktree && has_room_for(work_tree)) q_.inner_work_trees[work_tree].head = head;
    return {};
  }
  if (is_worktree && own == "gitdir") return place(work_tree, body);
  if (name.starts_with("reftable/")) leave_unread("reftable", "bottle does not read this format of refs");
  if (name.starts_with("refs/")) return loose(name, body);
  if (name == "packed-refs") return packed(body);
  if (name == "logs/refs/stash") return stashes(body);
  if (is_settings_file(name)) return settings(name, body);
  note_unfinished(name, own);
  // An unfinished action needs these commits, and only a linked work tree has these refs, such as refs/worktree.
  if (own.starts_with("refs/") ||
      is_one_of({"MERGE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "rebase-merge/orig-head", "rebase-apply/orig-head"},
                own))
    return commits(body);
  if (is_one_of({"MERGE_AUTOSTASH", "rebase-merge/autostash", "rebase-apply/autostash"}, own)) return autostash(body);
  return {};  // nothing else of a git directory is taken
}

Result<> RefFiles::settings(const std::string& name, const Source& body) {
  // Without a record of the settings, there is nothing to compare with.
  if (q_.settings.empty()) return {};
  settings_.insert(name);
  auto text = TRY(text_of(body, kLargestSettings));
  auto sent = q_.settings.find(name);
  bool is_same = text && sent != q_.settings.end() && blob_id(kRecorded, *text) == sent->second;
  // A file without rules has no effect, like a missing one.
  if (!is_same && (sent != q_.settings.end() || !text || !text->empty())) q_.new_settings.insert(name);
  return {};
}

// Records that the agent has not finished an action, such as a merge, if the file is a sign of one. Ignores an action
// that the operator had already begun.
void RefFiles::note_unfinished(const std::string& name, const std::string& own) {
  constexpr std::pair<std::string_view, std::string_view> kStates[] = {
      {"MERGE_HEAD", "a merge"},         {"CHERRY_PICK_HEAD", "a cherry-pick"},
      {"REVERT_HEAD", "a revert"},       {"rebase-merge/head-name", "a rebase"},
      {"rebase-apply/next", "a rebase"}, {"BISECT_LOG", "a bisection"}};
  for (const auto& [file, state] : kStates)
    if (own == file && !operator_has(name) && q_.unfinished.size() < kMostPlaces)
      q_.unfinished.insert(std::string(state) +
                           (own == name ? "" : " in " + name.substr(0, name.size() - own.size() - 1)));
}

// Records the commits of such a file. An unfinished merge may have several, one on each line.
Result<> RefFiles::commits(const Source& body) {
  std::string text = TRY(text_of(body, kLongestRef)).value_or("");
  for (std::string_view line : each_line(text)) note_detached(std::string(line));
  return {};
}

// Records a stash that git has put aside until an unfinished action is over, and that is in no list of stashes.
Result<> RefFiles::autostash(const Source& body) {
  std::string id = TRY(ref_in(body, kLongestRef));
  if (git::is_object_id(id) && q_.autostashes.size() < kMostAutostashes) q_.autostashes.insert(id);
  return {};
}

bool RefFiles::has_room_for(const std::string& work_tree) const {
  return q_.inner_work_trees.size() < kMostPlaces || q_.inner_work_trees.contains(work_tree);
}

// Records where a linked work tree is. Its files did not come back if they are outside of the workspace.
Result<> RefFiles::place(const std::string& work_tree, const Source& body) {
  std::string git = "worktrees/" + work_tree, text = TRY(ref_in(body, kLongestPlace));
  // Since git 2.48, the path may be relative to the directory that names it.
  auto path = (std::filesystem::path(q_.inside) / q_.git_at / git / text).lexically_normal().parent_path().string();
  if (text.empty()) return {};
  std::string here = q_.inside + "/" + (q_.place.empty() ? "" : q_.place + "/");
  if (path.starts_with(here)) {
    if (has_room_for(work_tree)) q_.inner_work_trees[work_tree].place = path.substr(here.size());
  } else if (!path.starts_with(q_.inside + "/") && !operator_has(git + "/gitdir") &&
             q_.work_trees.size() < kMostPlaces) {
    q_.work_trees.insert(path);
  }
  return {};
}

// Returns whether the operator's git directory has such a file, too.
bool RefFiles::operator_has(const std::string& name) const {
  return !q_.git_dir.empty() && ::access((q_.git_dir + "/" + name).c_str(), F_OK) == 0;
}

Result<> RefFiles::loose(const std::string& name, const Source& body) {
  std::string id = TRY(ref_in(body, kLongestRef));
  if (id.starts_with("ref:")) q_.other_names.insert(name);  // such as origin/HEAD
  // A lock is left from a git process that was killed.
  if (id.starts_with("ref:") || name.ends_with(".lock")) return {};
  if (git::is_ref_name(name) && git::is_object_id(id) && q_.refs.size() < kMostRefs) q_.refs[name] = id;
  else q_.leave(".git/" + name, "not brought home, because it is not a valid ref");
  return {};
}

Result<> RefFiles::packed(const Source& body) {
  auto text = TRY(text_of(body, kLargestPacked));
  if (text) packed_ = git::parse_packed_refs(*text, "refs/");
  if (text && packed_.size() <= kMostRefs) return {};
  packed_.clear();
  leave_unread("packed-refs", "there are more refs than the limit");
  return {};
}

Result<> RefFiles::stashes(const Source& body) {
  std::string text = TRY(end_of(body, kLargestLog));  // each line is "OLD NEW who when<TAB>what"
  for (std::string_view line : each_line(text)) {
    size_t space = line.find(' ');
    if (space == std::string_view::npos) continue;
    if (std::string id(line.substr(space + 1, space)); git::is_object_id(id)) q_.stashes.push_back(id);
  }
  if (text.size() < kLargestLog && q_.stashes.size() <= kMostStashes) return {};
  q_.leave(".git/logs/refs/stash", "the oldest are not brought home, because there are more stashes than the limit");
  if (q_.stashes.size() > kMostStashes)
    q_.stashes.erase(q_.stashes.begin(), q_.stashes.end() - static_cast<long>(kMostStashes));
  return {};
}

namespace {

// Says what became of the old commit of a line in a log.
enum class Fate {
  kept,      // the new commit has it among its ancestors
  replaced,  // the new commit is another version of it, which comes home in its place
  left
};

// Determines this from the text at the end of the line, which git writes as "ACTION: details".
Fate fate_of(std::string_view what) {
  using Texts = std::initializer_list<std::string_view>;
  auto begins = [&](Texts texts) {
    return std::ranges::any_of(texts, [&](auto text) { return what.starts_with(text); });
  };
  std::string_view action = what.substr(0, what.find(": "));
  auto ends = [&](Texts texts) {
    return std::ranges::any_of(texts, [&](auto text) { return action.ends_with(text); });
  };
  // A fetch can move a branch to any commit, even as a part of a pull.
  if (what.ends_with(": forced-update")) return Fate::left;
  if (begins({"commit (amend)", "rewritten during rebase", "filter-branch"})) return Fate::replaced;
  // The other steps of a rebase add commits.
  if (begins({"rebase", "pull"}) &&
      ends({"(start)", "(finish)", "finished", "(abort)", "(squash)", "(fixup)", "(reword)"}))
    return Fate::replaced;
  if (begins({"commit", "merge ", "rebase", "pull", "cherry-pick", "revert", "am:"})) return Fate::kept;
  // The text is, for example, "checkout: moving from", "reset: moving to" or "branch: Reset to", or is empty.
  return Fate::left;
}

}  // namespace

// Records the commits that HEAD or a branch left. The branch that had them may have been moved or removed since. Each
// line is "OLD NEW who when<TAB>what". Returns the commit of the last line.
Result<std::string> RefFiles::log(const Source& body) {
  std::string text = TRY(end_of(body, kLargestLog)), last;
  std::set<std::string, std::less<>> replaced;
  for (std::string_view line : each_line(text)) {
    std::string_view old = line.substr(0, line.find(' '));
    line.remove_prefix(std::min(old.size() + 1, line.size()));
    std::string_view now = line.substr(0, line.find(' '));
    if (!git::is_object_id(old)) continue;
    // The first commit of a branch without commits (`git switch --orphan`) has no commit before it. What HEAD left for
    // that branch is only in the line before.
    if (old != last && git::is_object_id(last)) left_.push_back(last);
    last = now;
    if (old == now) continue;
    Fate fate = fate_of(line.substr(std::min(line.find('\t'), line.size() - 1) + 1));
    if (fate == Fate::replaced) replaced.emplace(old);
    else if (fate == Fate::left) left_.emplace_back(old);
    // The agent went back to this version.
    if (auto again = replaced.find(now); again != replaced.end()) replaced.erase(again);
    if (left_.size() > 2 * kMostDetached) left_.erase(left_.begin(), left_.end() - static_cast<long>(kMostDetached));
  }
  if (replaced_.size() < kMostReplaced) replaced_.merge(replaced);
  return last;
}

void RefFiles::note_detached(std::string id) {
  if (!git::is_object_id(id)) return;
  q_.detached.push_back(std::move(id));
  if (q_.detached.size() > kMostDetached) q_.detached.pop_front();
}

void RefFiles::leave_unread(const std::string& file, const std::string& why) {
  q_.unread_refs = ".git/" + file;
  q_.leave(q_.unread_refs, "not brought home, because " + why);
}

void RefFiles::end() {
  // A loose ref is newer than a packed one.
  for (auto& [name, id] : packed_) q_.refs.emplace(name, id);
  for (auto& [name, tree] : q_.inner_work_trees) {
    auto branch = tree.head.starts_with("ref: ") ? q_.refs.find(tree.head.substr(5)) : q_.refs.end();
    if (branch != q_.refs.end()) tree.head = branch->second;
    if (!git::is_object_id(tree.head) || q_.is_in_nested(tree.place + "/")) tree.head.clear();
  }
  // Those that are still in use count more than those in a log, so they come last. The newest ones are kept.
  KeyedSet<std::string> seen(q_.detached.begin(), q_.detached.end());
  for (const auto& [name, id] : q_.refs) seen.insert(id);
  for (auto id = left_.rbegin(); id != left_.rend() && q_.detached.size() < kMostDetached; ++id)
    if (!replaced_.contains(*id) && seen.insert(*id).second) q_.detached.push_front(*id);
  if (q_.head.empty()) return;  // the repository did not come back
  for (const auto& [name, id] : q_.settings)
    if (!settings_.contains(name)) q_.new_settings.insert(name);
}

}  // namespace bottle::workspace
