// A link gives everything below its target a second name: with a link `.vscode` to `tools`, an editor runs
// `tools/tasks.json`. A person who looks at changed paths would not see that. Listing all names of all files would be
// the obvious way, but takes exponential time in a tree that an agent made for that purpose. Instead, this code
// resolves each link once and remembers the place that it leads to. For a path, it then looks only at the places at
// and above it. A step counter bounds the rest.
#include "workspace/look/link_names.h"

#include <algorithm>

#include "base/keyed_hash.h"
#include "base/text/path_parts.h"
#include "workspace/files/paths.h"

namespace bottle::workspace {
namespace {

// Linux also follows at most 40 links in one path.
constexpr size_t kMostLinksInTheWay = 40, kMostEnds = 16, kLongestPath = 4096;

using Targets = std::multimap<std::string, std::string, std::less<>>;  // folded path → target
using Parts = std::vector<std::string>;

// Finds where a target leads from a directory, as folded paths. Follows links on the way, as the kernel does. There may
// be several results if names differ only in what a file system ignores.
class Resolver {
 public:
  Resolver(const Targets& targets, uint64_t& steps) : targets_(targets), steps_(steps) {}

  std::set<std::string> operator()(const std::string& from, const std::string& target) {
    found_.clear();
    leaves_ = target.starts_with('/');
    if (!leaves_) walk(from.empty() ? Parts{} : split_path(from), split_path(target), 0);
    return found_;
  }
  // Returns whether the last target led out of the tree, or may lead there because it leads to too many places.
  bool leaves() const { return leaves_; }

 private:
  void walk(Parts at, const Parts& rest, size_t followed) {
    // Goes on component by component. At a link, the walk continues with the link's target and the rest of the path.
    for (size_t i = 0; i < rest.size(); ++i) {
      if (found_.size() >= kMostEnds) leaves_ = true;
      if (steps_ == 0 || found_.size() >= kMostEnds) return;
      --steps_;
      if (rest[i].empty() || rest[i] == ".") continue;
      if (rest[i] == "..") {
        // The target leads out of the tree, where no rule applies.
        if (at.empty()) {
          leaves_ = true;
          return;
        }
        at.pop_back();
        continue;
      }
      at.push_back(folded_name(rest[i]));
      std::string here = join(at);
      if (here.size() > kLongestPath) return;
      // Several links may have the same folded name, so each of them is followed.
      auto [from, to] = targets_.equal_range(here);
      for (auto link = from; link != to; ++link) {
        if (link->second.starts_with('/')) leaves_ = true;
        if (followed >= kMostLinksInTheWay || link->second.starts_with('/')) continue;
        Parts next = split_path(link->second);
        next.insert(next.end(), rest.begin() + static_cast<long>(i) + 1, rest.end());
        walk(Parts(at.begin(), at.end() - 1), next, followed + 1);
      }
      // The calls above have followed the links with the rest of the path, so nothing is left to follow under this
      // name.
      if (from != to) return;
    }
    found_.insert(join(at));
  }

  const Targets& targets_;
  uint64_t& steps_;
  std::set<std::string> found_;
  bool leaves_ = false;
};

// Calls `use` with each directory above `path` and the rest of the path. The whole tree ("") comes last.
template <typename Use>
void each_above(const std::string& path, Use&& use) {
  for (size_t slash = path.rfind('/'); slash != std::string::npos;
       slash = slash ? path.rfind('/', slash - 1) : path.npos)
    use(path.substr(0, slash), path.substr(slash + 1));
  use(std::string(), path);
}

}  // namespace

LinkNames::LinkNames(const std::map<std::string, std::string>& links, uint64_t& steps) {
  Targets targets;
  for (const auto& [path, target] : links) targets.emplace(folded_path(path), target);
  Resolver resolve(targets, steps);
  for (const auto& [path, target] : links) {
    if (steps == 0) break;
    if (target.empty()) continue;  // it could not be read
    auto ends = resolve(folded_path(parent_of(path)), target);
    if (resolve.leaves()) leaving_.insert(path);
    if (ends.empty()) continue;
    links_.push_back({path, folded_path(path), {ends.begin(), ends.end()}});
    for (const auto& end : ends) {
      End& to = ends_[end];
      to.links.push_back(links_.size() - 1);
      // Only these names can make a rule of two parts apply to what lies directly below the end.
      if (std::string name(name_in(links_.back().folded)); is_first_half(name))
        to.names.emplace(name, links_.size() - 1);
    }
  }
  spread();
}

// Passes the reason of a link on to everything it leads to. That may contain links, so this repeats.
void LinkNames::spread() {
  KeyedMap<std::string, std::vector<size_t>> below;  // end → links below it
  for (size_t i = 0; i < links_.size(); ++i)
    // A link lies below every end that is at or above its own place, and gets its reason from there.
    each_above(links_[i].folded, [&](const std::string& above, const std::string&) {
      if (ends_.contains(above)) below[above].push_back(i);
    });
  // A list of links to look at again replaces recursion, because a chain of links may be very long.
  std::vector<size_t> open(links_.size());
  for (size_t i = 0; i < open.size(); ++i) open[i] = i;
  while (!open.empty()) {
    const Link& link = links_[open.back()];
    open.pop_back();
    std::optional<Reason> why;
    if (auto own = reason_to_look(link.folded, true); !own.empty()) why = Reason{own, link.path};
    else why = reason_above(link.folded, true);
    if (!why) continue;
    for (const auto& end : link.ends) {
      End& to = ends_[end];
      // One reason is enough. This also ends the loop: each end gets a reason at most once.
      if (to.below) continue;
      to.below = why;
      auto more = below.find(end);
      if (more != below.end()) open.insert(open.end(), more->second.begin(), more->second.end());
    }
  }
}

// Returns a reason that comes from other names of the directories above the path.
std::optional<LinkNames::Reason> LinkNames::reason_above(const std::string& folded, bool directory) const {
  std::optional<Reason> found;
  each_above(folded, [&](const std::string& above, const std::string& rest) {
    auto end = found ? ends_.end() : ends_.find(above);
    if (end == ends_.end()) return;
    found = end->second.below;
    for (const auto& [name, link] : end->second.names)
      if (auto why = found ? "" : reason_to_look(name + "/" + rest, directory); !why.empty())
        found = Reason{why, links_[link].path};
  });
  return found;
}

std::optional<LinkNames::Reason> LinkNames::reason(std::string_view path, bool directory) const {
  if (empty()) return std::nullopt;
  std::string folded = folded_path(path);
  // The other names of the directories above come first, then those of the path itself.
  if (auto why = reason_above(folded, directory)) return why;
  auto end = ends_.find(folded);
  if (end == ends_.end()) return std::nullopt;
  for (size_t link : end->second.links) {
    if (auto why = reason_to_look(links_[link].folded, directory); !why.empty()) return Reason{why, links_[link].path};
    if (auto why = reason_above(links_[link].folded, directory)) return why;
  }
  return std::nullopt;
}

Content LinkNames::content(std::string_view path) const {
  auto end = empty() ? ends_.end() : ends_.find(folded_path(path));
  if (end == ends_.end()) return Content::none;
  for (size_t link : end->second.links)
    if (Content content = content_of(links_[link].folded); content != Content::none) return content;
  return Content::none;
}

}  // namespace bottle::workspace
