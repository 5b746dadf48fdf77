// A log may name thousands of commits, and most of them are on branches. So one run of git lists the commits that no
// ref reaches, and the newest commit in this list comes home. The next run then leaves out what that commit reaches.
#include "workspace/receiving/unreferenced_commits.h"

#include <algorithm>

#include "base/keyed_hash.h"
#include "base/text/parse.h"
#include "base/text/words.h"
#include "workspace/receiving/homecoming.h"

namespace bottle::workspace {
namespace {

constexpr size_t kMostListed = 100'000;  // commits that are compared with the ids

constexpr int kMostUnreadable = 100;
constexpr size_t kMostParents = 1000;  // commits whose parents are read

// Removes the ids that are reached. Returns false if one run of git could not tell this for all of them. Removes from
// `reached` what git cannot read, with a further run each; `spare` is how many of them there may still be.
Result<bool> drop_reached(const Quarantine& q, const git::Runner& git, std::vector<std::string>& ids,
                          std::vector<std::string>& reached, int& spare) {
  git::Runner::Answer listed;
  for (;; --spare) {
    auto options = q.at();
    for (const auto& id : ids) options.input += id + "\n";
    for (const auto& id : reached) options.input += "^" + id + "\n";
    listed = TRY(
        git.run({"rev-list", "--ignore-missing", "--max-count=" + std::to_string(kMostListed), "--stdin"}, options));
    // git names the object at which it stops.
    auto is_unreadable = [&](const std::string& id) { return listed.complaint.find(id) != std::string::npos; };
    if (listed.status == 0 || spare <= 0 || std::erase_if(reached, is_unreadable) == 0) break;
  }
  KeyedSet<std::string_view> left;
  for (std::string_view id : each_line(listed.out)) left.insert(id);
  // A history that is broken somewhere stops git.
  if (listed.status != 0 || left.size() >= kMostListed) return false;
  std::erase_if(ids, [&](const auto& id) { return !left.contains(id); });
  return true;
}

}  // namespace

Result<std::vector<std::string>> made_by_agent(const Quarantine& q, const git::Runner& git,
                                               const std::vector<std::string>& ids,
                                               const std::set<std::string>& brought) {
  if (ids.empty()) return ids;
  auto own = q.at();
  own.objects = q.known_objects;  // without the objects that the agent made
  for (const auto& id : ids) own.input += id + "\n";
  std::string has = "\n" + TRY(git.ask({"cat-file", "--batch-check", "--buffer"}, own)) + "\n";
  std::vector<std::string> made;
  for (const auto& id : ids)
    if (brought.contains(id) || has.find("\n" + id + " missing\n") != std::string::npos) made.push_back(id);
  return made;
}

Result<std::vector<std::string>> unreferenced_commits(const Quarantine& q, const git::Runner& git,
                                                      std::vector<std::string> ids, std::vector<std::string> reached,
                                                      size_t most) {
  std::vector<std::string> found;
  int spare = kMostUnreadable;
  while (!ids.empty() && found.size() < most) {
    bool is_known = TRY(drop_reached(q, git, ids, reached, spare));
    if (ids.empty()) break;
    // The newest one may contain earlier ones.
    std::string id = std::move(ids.back());
    ids.pop_back();
    std::vector<std::string> alone = {id};
    if (!is_known) is_known = TRY(drop_reached(q, git, alone, reached, spare));
    if (alone.empty()) continue;
    // A broken history is reported when it is brought home. It would also stop each further run of git.
    if (is_known) reached.push_back(id);
    found.push_back(std::move(id));
  }
  return found;
}

bool AddedCommits::leads(const std::string& id, const std::string& ancestor) const {
  std::vector<std::string> next = {id};
  KeyedSet<std::string_view> seen;
  while (!next.empty()) {
    auto found = parents.find(next.back());
    next.pop_back();
    if (found == parents.end() || !seen.insert(found->first).second) continue;
    for (const auto& parent : found->second) {
      if (parent == ancestor) return true;
      next.push_back(parent);
    }
  }
  return false;
}

Result<AddedCommits> added_commits(const Quarantine& q, const git::Runner& git, const std::vector<std::string>& ids,
                                   const std::vector<std::string>& without) {
  auto options = q.at();
  for (const auto& id : ids) options.input += id + "\n";
  for (const auto& id : without) options.input += "^" + id + "\n";
  AddedCommits added;
  auto listed =
      TRY(git.run({"rev-list", "--parents", "--max-count=" + std::to_string(kMostParents), "--stdin"}, options));
  if (listed.status != 0) return added;
  // Each line has the id of a commit and those of its parents.
  for (std::string_view line : each_line(listed.out)) {
    size_t space = std::min(line.find(' '), line.size());
    auto& parents = added.parents[std::string(line.substr(0, space))];
    while (space < line.size()) {
      size_t from = space + 1;
      space = std::min(line.find(' ', from), line.size());
      parents.emplace_back(line.substr(from, space - from));
    }
  }
  added.number = added.parents.size();
  if (added.parents.size() < kMostParents) return added;
  added.parents.clear();
  auto counted = TRY(git.run({"rev-list", "--count", "--stdin"}, options));
  added.number = counted.status == 0 ? number_in<uint64_t>(trimmed_end(counted.out, "\n")) : std::nullopt;
  return added;
}

// Returns whether a commit continues the history of the base.
Result<bool> Homecoming::continues_base(const std::string& id, const AddedCommits& added) const {
  if (added.leads(id, base_)) return true;
  return git_.agrees({"merge-base", "--is-ancestor", base_, id}, q_.at());
}

// Counts the commits that came home, and finds out how they relate to the base.
Result<> Homecoming::count_commits() {
  AddedCommits added;
  if (!ids_.empty()) {
    std::vector<std::string> without = {base_};
    for (const char* kind : {"refs/heads/", "refs/tags/"})
      for (const auto& [name, id] : origin_.refs)
        if (name.starts_with(kind) && id != base_ && std::ranges::find(known_, id) != known_.end() &&
            without.size() < kMostParents)
          without.push_back(id);
    // If the repository cannot be written to, the histories are checked only later, for the bundle. The number is then
    // unknown, but a broken history must not keep the others from coming home.
    added = TRY(added_commits(q_, git_, ids_, without));
    commits_ = added.number;
  }
  continues_ = head_ == base_ || TRY(continues_base(head_, added));
  if (!ids_.empty() && head_ == base_) TRY(find_only_branch(added));
  return {};
}

// Finds the branch with the work if the agent went back to the start and left all of its commits on one branch.
Result<> Homecoming::find_only_branch(const AddedCommits& added) {
  std::string branch, heads = prefix_ + "heads/";
  for (size_t i = 0; i < refs_.size(); ++i)
    if (refs_[i].starts_with(heads) && i < ids_.size() && ids_[i] != base_) {
      if (!branch.empty()) return {};
      branch = refs_[i];
      if (!TRY(continues_base(ids_[i], added))) return {};
    }
  only_branch_ = branch;
  return {};
}

}  // namespace bottle::workspace
