// Judges each changed path by its own name, by where it leads if it is a link, by the names that links give to it,
// and by its content. One reason is enough for a person to look, so the first one ends the search. An unchanged path
// counts only if a new link gives it a name under which something runs it.
//
// The findings are for a person with little time. They are grouped by reason, the shallowest paths come first, and a
// finding in the files as they were left comes before one on a branch.
#include "workspace/look/look.h"

#include <algorithm>

#include "base/keyed_hash.h"
#include "base/text/line.h"
#include "base/text/path_parts.h"
#include "workspace/files/paths.h"

namespace bottle::workspace {
namespace {

constexpr size_t kMostInGroup = 1000, kMostNamed = 3, kMostAll = 10000, kLongestShown = 300;
constexpr const char* kLeaves = "a link that points out of the tree";

std::string with_place(const std::pair<std::string, std::string>& path) {
  return path.second.empty() ? path.first : path.first + " [" + path.second + "]";
}

// Finds directories that git treats as a repository: a HEAD beside the rest of one. The rest is a "config", "objects"
// and "refs", or files that say that it is elsewhere (is_git_directory() in git's setup.c, gitrepository-layout(5),
// safe.bareRepository in git-config(1)).
class Repositories {
 public:
  explicit Repositories(const Look::Tree& tree) {
    // A new "config" beside an old "HEAD" is enough, so unchanged files count as well. Most sessions change no file
    // of these names and skip this.
    bool is_changed = std::ranges::any_of(tree.changes, [](const auto& change) {
      bool found = false;
      each_part(folded_path(change.path), [&](auto, Part) { found = true; });
      return found;
    });
    if (!is_changed) return;
    auto all = [&](const std::function<void(const std::string&)>& use) {
      for (const auto& change : tree.changes) use(folded_path(change.path));
      tree.each_unchanged([&](const std::string& path) { use(folded_path(path)); });
    };
    all([&](const std::string& path) {
      each_part(path, [&](std::string_view directory, Part part) {
        if (part == kHead) parts_.emplace(directory, kHead);
      });
    });
    if (parts_.empty()) return;
    all([&](const std::string& path) {
      each_part(path, [&](std::string_view directory, Part part) {
        if (lookups_left_ == 0) return;
        --lookups_left_;
        if (auto at = parts_.find(std::string(directory)); at != parts_.end()) at->second |= part;
      });
    });
  }
  // Returns whether a directory that git treats as a repository has this path as a part.
  bool holds(const std::string& path) const {
    bool found = false;
    if (!parts_.empty())
      each_part(folded_path(path), [&](std::string_view directory, Part) {
        auto at = parts_.find(std::string(directory));
        // Without lookups, it is not known what else the directory has.
        found = found || (at != parts_.end() && (is_repository(at->second) || lookups_left_ == 0));
      });
    return found;
  }

 private:
  enum Part : unsigned { kHead = 1, kSettings = 2, kObjects = 4, kRefs = 8, kBoth = kObjects | kRefs };
  static bool is_repository(unsigned parts) { return (parts & kSettings) || (parts & kBoth) == kBoth; }
  // Calls use(directory, part) for each directory of which this path is a part or lies below one. A directory ends with
  // a "/" or is empty.
  template <class Use>
  static void each_part(std::string_view path, const Use& use) {
    for (size_t at = 0; at <= path.size();) {
      size_t end = std::min(path.find('/', at), path.size());
      auto name = path.substr(at, end - at);
      bool last = end == path.size();
      if (name == "objects") use(path.substr(0, at), kObjects);
      else if (name == "refs") use(path.substr(0, at), kRefs);
      else if (last && name == "head") use(path.substr(0, at), kHead);
      else if (last && (name == "config" || name == "config.worktree" || name == "commondir"))
        use(path.substr(0, at), kSettings);
      at = end + 1;
    }
  }
  KeyedMap<std::string, unsigned> parts_;  // directories with a HEAD, and what else they have
  uint64_t lookups_left_ = 10'000'000;     // an agent can make any number of long paths
};

}  // namespace

void Look::judge(const Tree& tree, size_t place, const LinkNames& names, std::vector<ToRead>& to_read) {
  using Is = Changed::Is;
  const Changed& change = tree.changes[place];
  // A link may lead to a directory, and a submodule is one.
  bool directory = change.is != Is::file;
  std::string shown = one_line(change.path, kLongestShown);
  if (change.is == Is::submodule) report(shown, "a submodule", tree.place);
  if (auto why = reason_to_look(change.path, directory); !why.empty()) return report(shown, why, tree.place);
  if (change.is == Is::link) {
    std::string with_target = shown + " → " + one_line(change.target, kLongestShown);
    if (!stays_inside(change.path, change.target) || names.leaving().contains(change.path))
      return report(with_target, kLeaves, tree.place);
    // The name may be a link in a repository below, or become one when this is merged.
    if (goes_back(change.target)) return report(with_target, "a link that goes up again after a name", tree.place);
  }
  if (auto other = names.reason(change.path, directory))
    return report(shown + " (by the link " + one_line(other->via, kLongestShown) + ")", other->why, tree.place);
  Content content = content_of(change.path);
  if (content == Content::none) content = names.content(change.path);
  if (content == Content::none) return;
  if (change.is == Is::file) to_read.push_back({place, content, shown});
  else report(shown, "a link under a name that tools read", tree.place);
}

std::vector<ToRead> Look::take(const Tree& tree) {
  // Most sessions change no link. Then the names of the base are those of the tree, and no unchanged path has a new
  // one.
  bool same = tree.links == links_before_;
  LinkNames fresh = same ? LinkNames() : LinkNames(tree.links, steps_left_);
  const LinkNames& names = same ? names_before_ : fresh;
  Repositories repositories(tree);
  std::vector<ToRead> to_read;
  for (size_t i = 0; i < tree.changes.size(); ++i) {
    judge(tree, i, names, to_read);
    if (repositories.holds(tree.changes[i].path))
      report(one_line(tree.changes[i].path, kLongestShown),
             "git treats its directory as a repository, and runs what its config names", tree.place);
  }
  for (const auto& path : tree.removed)
    if (auto why = reason_if_removed(path); !why.empty()) report(one_line(path, kLongestShown), why, tree.place);
  // An unchanged file may have a new name.
  if (!same)
    tree.each_unchanged([&](const std::string& path) {
      auto now = names.reason(path);
      bool read = names.content(path) != names_before_.content(path);
      // A path that had such a name before the session is not reported.
      if ((!now && !read) || (now && names_before_.reason(path))) return;
      report(
          one_line(path, kLongestShown) + (now ? " (by the new link " + one_line(now->via, kLongestShown) + ")" : ""),
          now ? now->why : "a new link gives it a name that tools read", tree.place);
    });
  // An unchanged link may lead through a changed one.
  report_leaving(tree, names_before_, names);
  return to_read;
}

void Look::take_below(const Tree& tree, const std::map<std::string, std::string>& before,
                      const std::map<std::string, std::string>& now) {
  if (before == now || tree.links.empty()) return;
  auto joined = [](std::map<std::string, std::string> links, const std::map<std::string, std::string>& below) {
    links.insert(below.begin(), below.end());
    return links;
  };
  LinkNames names_before(joined(links_before_, before), steps_left_), names(joined(tree.links, now), steps_left_);
  report_leaving(tree, names_before, names);
}

// Reports the unchanged links that lead out of the tree and did not before.
void Look::report_leaving(const Tree& tree, const LinkNames& names_before, const LinkNames& names) {
  for (const auto& path : names.leaving()) {
    auto before = links_before_.find(path);
    auto now = tree.links.find(path);
    if (before == links_before_.end() || now == tree.links.end() || before->second != now->second) continue;
    if (!names_before.leaving().contains(path))
      report(one_line(path, kLongestShown) + " → " + one_line(now->second, kLongestShown), kLeaves, tree.place);
  }
  // An agent can make a tree that uses up the steps. What was not followed must not look as if it had been checked.
  if (steps_left_ == 0)
    report("links", "there are more links than bottle follows, so files may have names that were not checked");
}

void Look::report(const std::string& shown, std::string_view why, const std::string& place) {
  Group& group = groups_[one_line(why)];
  std::string line = one_line(shown);
  // The same path may come from several branches. It is named once.
  if (auto there = group.paths.find(line); there != group.paths.end()) {
    if (place.empty()) there->second.clear();  // the files as the agent left them matter more than any branch
  } else if (group.paths.size() < kMostInGroup) {
    group.paths.emplace(line, one_line(place, 200));
  } else {
    ++group.more;
  }
}

std::vector<std::string> Look::lines() const {
  std::vector<std::string> out;
  for (const auto& [why, group] : groups_) {
    std::vector<std::pair<std::string, std::string>> paths(group.paths.begin(), group.paths.end());
    auto depth = [](const auto& path) { return std::ranges::count(path.first, '/'); };
    size_t named = std::min(paths.size(), kMostNamed);
    // Only the first few are shown, so only these are sorted.
    std::ranges::partial_sort(paths, paths.begin() + static_cast<long>(named), {},
                              [&](const auto& path) { return std::tuple(!path.second.empty(), depth(path), path); });
    std::string line;
    for (size_t i = 0; i < named; ++i) line += (i ? ", " : "") + with_place(paths[i]);
    if (uint64_t more = paths.size() - named + group.more) line += " and " + std::to_string(more) + " more";
    out.push_back(line + ": " + why);
  }
  std::ranges::sort(out);
  return out;
}

std::vector<std::string> Look::all() const {
  std::vector<std::string> out;
  for (const auto& [why, group] : groups_) {
    for (const auto& path : group.paths)
      if (out.size() < kMostAll) out.push_back(with_place(path) + ": " + why);
    if (group.more) out.push_back("… and " + std::to_string(group.more) + " more: " + why);
  }
  return out;
}

bool Look::is_shortened() const {
  return std::ranges::any_of(groups_, [](const auto& each) { return each.second.paths.size() > kMostNamed; });
}

}  // namespace bottle::workspace
