// Finds the additional names that the links of a tree give to its files, and what those names mean (look_rules.h).
// Pure. Takes time linear in the number of links, because it follows only the names that matter.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/keyed_hash.h"
#include "workspace/look/look_rules.h"

namespace bottle::workspace {

// Says what the links of one tree mean for the paths that they lead to. The constructor does the work; the rest are
// queries.
class LinkNames {
 public:
  // Gives a reason to look at a path, in the words of the table in look_rules.cc.
  struct Reason {
    std::string_view why;
    std::string via;  // the link that creates the name
  };

  LinkNames() = default;
  // `links` has all links of the tree: path → target, or → "" if the target is not known. Each step of following them
  // reduces `steps`; if it is 0 afterward, some links were not followed.
  LinkNames(const std::map<std::string, std::string>& links, uint64_t& steps);

  // Returns whether no link leads anywhere in the tree, so that no path has another name.
  bool empty() const { return ends_.empty(); }
  // Returns why a person should look at a path, because of an additional name of that path. The path must be in the
  // tree and must not be a link.
  std::optional<Reason> reason(std::string_view path, bool directory = false) const;
  // Returns how the file is interpreted under such a name.
  Content content(std::string_view path) const;
  // Returns the links that lead out of the tree, or may do so, including those that do it only through other links.
  const std::set<std::string>& leaving() const { return leaving_; }

 private:
  // Describes a place that links lead to.
  struct End {
    std::vector<size_t> links;
    std::map<std::string, size_t> names;  // names of the links that may be the first half of a rule
    std::optional<Reason> below;          // a reason for everything below
  };
  // Describes a link and where it leads. There may be several ends if names differ only in what a file system
  // ignores.
  struct Link {
    std::string path, folded;
    std::vector<std::string> ends;  // folded paths
  };

  std::optional<Reason> reason_above(const std::string& folded, bool directory) const;
  // Passes the reasons of links on to what lies at or below their ends.
  void spread();

  std::vector<Link> links_;
  std::set<std::string> leaving_;    // paths
  KeyedMap<std::string, End> ends_;  // keys are folded paths; "" is the whole tree
};

}  // namespace bottle::workspace
