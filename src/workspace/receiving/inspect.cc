// Feeds Look with trees: the files as they were left, and every branch. A tree is described by its changes against
// the base, so that ten branches of a large repository cost little more than one. Blobs are read with a limit on
// their size, all of a tree in one git process. A limit on the total of changed paths bounds the time, even for
// branches that an agent made to waste it.
#include "workspace/receiving/inspect.h"

#include "base/files/full_disk.h"
#include "base/keyed_hash.h"
#include "base/text/line.h"
#include "git/formats/modes.h"
#include "workspace/files/paths.h"
#include "workspace/look/look_content.h"

namespace bottle::workspace {
namespace {

constexpr size_t kLongestLink = 4096, kLargestPackage = 1 << 20;

// Reads blobs. A failure that the agent's data can cause counts as a file that is too large: it is a reason to look,
// and it does not stop the work from coming home.
Result<std::map<std::string, std::string>> blobs(const git::Runner& git, const std::vector<std::string>& ids,
                                                 size_t most, const git::Runner::Options& where) {
  if (ids.empty()) return {};
  auto found = git::small_blobs(git, ids, most, where);
  TRY(check_room(found));
  if (!found && found.error().code == Code::internal) return found;
  return found.value_or(std::map<std::string, std::string>());
}

bool is_link(const Change& change) { return change.mode == git::kSymlink; }

}  // namespace

Result<Inspection> Inspection::make(const Quarantine& q, const git::Runner& git) {
  std::vector<std::string> ids;
  std::map<std::string, std::string> links;
  for (const auto& [path, entry] : q.base)
    if (entry.mode == git::kSymlink) ids.push_back(entry.object);
  auto targets = TRY(git::small_blobs(git, ids, kLongestLink, q.at()));
  for (const auto& [path, entry] : q.base)
    if (entry.mode == git::kSymlink) links[path] = targets[entry.object];
  for (const auto& [path, file] : q.sent)
    // A link that the operator had not committed also existed before the session.
    if (file.mode == git::kSymlink && !q.base.contains(path))
      if (auto target = sent_bytes(q.record, q.source, path, file); target) links[path] = *target;
  return Inspection(q, git, std::move(links));
}

// Describes the tree that results from applying these changes to the base. `targets` has the targets of links, by the
// id of their blob.
Look::Tree Inspection::tree_of(const std::vector<Change>& list, const KeyedSet<std::string>& changed,
                               const std::map<std::string, std::string>& targets) const {
  using Is = Look::Changed::Is;
  Look::Tree tree;
  for (const auto& [path, target] : links_)
    if (!changed.contains(path)) tree.links[path] = target;
  for (const auto& change : list) {
    if (change.mode == git::kNone) {
      tree.removed.push_back(change.path);
      continue;
    }
    Is is = is_link(change) ? Is::link : change.mode == git::kSubmodule ? Is::submodule : Is::file;
    auto target = is == Is::link ? targets.find(change.object) : targets.end();
    tree.changes.push_back({change.path, is, target == targets.end() ? "" : target->second});
    if (is == Is::link) tree.links[change.path] = tree.changes.back().target;
  }
  // Notes and branches without a common history have nothing of the base, and so nothing was removed from it.
  if (tree.removed.size() == q_.base.size()) tree.removed.clear();
  tree.each_unchanged = [this, &changed](const auto& use) {
    for (const auto& [path, entry] : q_.base)
      if (!changed.contains(path)) use(path);
    for (const auto& [path, file] : q_.sent)
      if (!changed.contains(path) && !q_.base.contains(path)) use(path);
  };
  return tree;
}

// Reads the files whose content counts, now and in the base, and reports what is new in them.
Result<> Inspection::read(const std::vector<ToRead>& to_read, const std::vector<const Change*>& changes,
                          const std::string& place) {
  if (to_read.empty()) return {};
  std::vector<std::string> ids;
  auto before = [&](const Change& change) {
    auto was = q_.base.find(change.path);
    return was == q_.base.end() ? std::string() : was->second.object;
  };
  for (const auto& each : to_read) {
    if (changes[each.change]->object.empty()) continue;
    ids.push_back(changes[each.change]->object);
    if (auto id = before(*changes[each.change]); !id.empty()) ids.push_back(id);
  }
  auto texts = TRY(blobs(git_, ids, kLargestPackage, q_.at()));
  for (const auto& each : to_read) {
    const Change& change = *changes[each.change];
    if (change.object.empty()) {
      look_.report(each.shown, "tools read it, and bottle did not", place);
      continue;
    }
    // An earlier version that is too large to read is missing here, and everything in the new one counts.
    auto now = texts.find(change.object), was = texts.find(before(change));
    if (now == texts.end()) {
      look_.report(each.shown, "it is too large to be checked", place);
      continue;
    }
    for (const auto& why : reasons_in(each.content, now->second, was == texts.end() ? "" : was->second))
      look_.report(each.shown, why, place);
  }
  return {};
}

// Inspects the changes of one branch, or of the files if `branch` is empty. The number of paths is limited for all
// branches together, because an agent can make any number of branches; those that are passed over are counted and
// reported.
Result<> Inspection::take(const std::vector<Change>& list, const std::string& branch) {
  return take_at(list, branch.empty() ? "" : "branch " + branch);
}

Result<> Inspection::take_at(const std::vector<Change>& list, const std::string& place) {
  if (list.size() > paths_left_) {
    ++passed_over_;
    return {};
  }
  paths_left_ -= list.size();
  std::vector<std::string> ids;
  std::vector<const Change*> changes;
  KeyedSet<std::string> changed;
  for (const auto& change : list) {
    changed.insert(change.path);
    if (is_link(change)) ids.push_back(change.object);
    if (change.mode != git::kNone) changes.push_back(&change);
  }
  auto targets = TRY(blobs(git_, ids, kLongestLink, q_.at()));
  Look::Tree tree = tree_of(list, changed, targets);
  tree.place = place;
  TRY(read(look_.take(tree), changes, tree.place));
  if (!place.empty()) return {};
  look_.take_below(tree, below_before_, below_now_);
  links_now_ = std::move(tree.links);
  return {};
}

void Inspection::add_below(const std::string& place, const Inspection& below) {
  for (const auto& [path, target] : below.links_) below_before_.emplace(place + "/" + path, target);
  for (const auto& [path, target] : below.links_now_) below_now_.emplace(place + "/" + path, target);
}

std::vector<std::string> Inspection::lines() const {
  auto all = look_.lines();
  if (passed_over_)
    all.push_back(std::to_string(passed_over_) + (passed_over_ == 1 ? " branch was" : " branches were") +
                  " not checked, because too many files differ");
  return all;
}

}  // namespace bottle::workspace
