// Reads the agent's refs as text instead of running git in its repository, whose configuration could name commands.
// Names and ids must be well-formed; whether the objects exist is checked when the refs are brought home. Besides
// refs, it looks for commits that only a log or another work tree still names, because the work of an agent that
// switches or resets branches would otherwise be lost silently.
#include "workspace/quarantine/ref_files.h"

#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "base/text/words.h"
#include "git/formats/formats.h"
#include "workspace/files/blob_id.h"
#include "workspace/files/lines.h"
#include "workspace/files/sent.h"

namespace bottle::workspace {
namespace {

constexpr size_t kMostRefs = 100'000, kMostStashes = 100, kMostDetached = 200;
constexpr size_t kLongestHead = 1100, kLongestRef = 2048, kLargestPacked = 64 << 20, kLargestLog = 8 << 20,
                 kLargestSettings = 4 << 20;

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

}  // namespace

Result<> RefFiles::take(const std::string& name, const Source& body) {
  constexpr std::string_view kWorkTrees = "worktrees/";
  bool is_worktree = name.starts_with(kWorkTrees);
  // In a linked work tree, this is the name below worktrees/NAME/.
  std::string own = is_worktree ? name.substr(std::min(name.find('/', kWorkTrees.size()), name.size() - 1) + 1) : name;
  if (own == "logs/HEAD") return checkouts(body);
  if (own == "HEAD") {
    std::string head = TRY(ref_in(body, kLongestHead));
    if (!is_worktree) q_.head = head;
    else if (git::is_object_id(head)) note_detached(head);
    return {};
  }
  if (name.starts_with("reftable/")) leave_unread("reftable", "bottle does not read this format of refs");
  if (name.starts_with("refs/")) return loose(name, body);
  if (name == "packed-refs") return packed(body);
  if (name == "logs/refs/stash") return stashes(body);
  if (is_settings_file(name)) return settings(name, body);
  note_unfinished(name);
  if (name == "MERGE_HEAD") return merged(body);
  return {};  // config, logs and info are never taken
}

Result<> RefFiles::settings(const std::string& name, const Source& body) {
  // Without a record of the settings, there is nothing to compare with.
  if (q_.settings.empty()) return {};
  settings_.insert(name);
  auto text = TRY(text_of(body, kLargestSettings));
  auto sent = q_.settings.find(name);
  bool is_same = text && sent != q_.settings.end() && blob_id(*text) == sent->second;
  // A file without rules has no effect, like a missing one.
  if (!is_same && (sent != q_.settings.end() || !text || !text->empty())) q_.new_settings.insert(name);
  return {};
}

// Records that the agent has not finished an action, such as a merge, if the file is a sign of one. Ignores an action
// that the operator had already begun.
void RefFiles::note_unfinished(const std::string& name) {
  constexpr std::pair<std::string_view, const char*> kStates[] = {
      {"MERGE_HEAD", "a merge"},         {"CHERRY_PICK_HEAD", "a cherry-pick"},
      {"REVERT_HEAD", "a revert"},       {"rebase-merge/head-name", "a rebase"},
      {"rebase-apply/next", "a rebase"}, {"BISECT_LOG", "a bisection"}};
  for (const auto& [file, state] : kStates)
    if (name == file && (q_.git_dir.empty() || ::access((q_.git_dir + "/" + name).c_str(), F_OK) != 0))
      q_.unfinished.insert(state);
}

// Records the further parents of an unfinished merge, which may be on no branch.
Result<> RefFiles::merged(const Source& body) {
  std::string text = TRY(text_of(body, kLongestRef)).value_or("");
  each_line(text, [&](std::string_view line) {
    if (std::string id(line); git::is_object_id(id)) note_detached(id);
  });
  return {};
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
  each_line(text, [&](std::string_view line) {
    size_t space = line.find(' ');
    if (space == std::string_view::npos) return;
    if (std::string id(line.substr(space + 1, space)); git::is_object_id(id)) q_.stashes.push_back(id);
  });
  if (text.size() < kLargestLog && q_.stashes.size() <= kMostStashes) return {};
  q_.leave(".git/logs/refs/stash", "the oldest are not brought home, because there are more stashes than the limit");
  if (q_.stashes.size() > kMostStashes)
    q_.stashes.erase(q_.stashes.begin(), q_.stashes.end() - static_cast<long>(kMostStashes));
  return {};
}

// Records commits that were checked out without a branch and then left, about which git itself warns, and commits
// that `git reset` took off a branch. Also records the last commit of each branch that was checked out, because the
// branch may have been removed since. Each line is "OLD NEW who when<TAB>what".
Result<> RefFiles::checkouts(const Source& body) {
  std::string text = TRY(end_of(body, kLargestLog));
  each_line(text, [&](std::string_view line) {
    // The texts that git writes into the log of HEAD.
    constexpr std::string_view kFrom = "checkout: moving from ", kReset = "reset: moving to ";
    std::string old(line.substr(0, line.find(' ')));
    std::string_view what = line.substr(std::min(line.find('\t'), line.size() - 1) + 1);
    // A reset to the same commit takes nothing off a branch.
    if (what.starts_with(kReset) && git::is_object_id(old) && !line.substr(old.size() + 1).starts_with(old))
      note_detached(old);
    if (!what.starts_with(kFrom)) return;
    what.remove_prefix(kFrom.size());
    std::string from(what.substr(0, what.find(' ')));
    if (git::is_object_id(from)) note_detached(from);
    else if (git::is_object_id(old)) note_left(std::move(from), std::move(old));
  });
  return {};
}

void RefFiles::note_left(std::string branch, std::string id) {
  std::string ref = "refs/heads/" + branch;
  // No ref can have another name, and a log can have names of megabytes.
  if (!git::is_ref_name(ref)) return note_detached(std::move(id));
  left_.emplace_back(std::move(ref), std::move(id));
  if (left_.size() > kMostDetached) left_.pop_front();
}

// Keeps only the newest ones, because git runs once for each.
void RefFiles::note_detached(std::string id) {
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
  // Refs below refs/bottle are written by bottle only.
  std::erase_if(q_.refs, [](const auto& ref) { return ref.first.starts_with("refs/bottle/"); });
  // Without the packed refs, each branch would look removed.
  if (q_.unread_refs.empty())
    for (auto& [branch, id] : left_)
      if (!q_.refs.contains(branch)) note_detached(std::move(id));
  if (q_.head.empty()) return;  // the repository did not come back
  for (const auto& [name, id] : q_.settings)
    if (!settings_.contains(name)) q_.new_settings.insert(name);
}

}  // namespace bottle::workspace
