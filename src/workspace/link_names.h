// The further names that the links of a tree give to its files, and what those names mean (look_rules.h). Pure, and
// linear in the links however they are laid: only what decides is followed, not every name that there is.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "workspace/look_rules.h"

namespace bottle::workspace {

class LinkNames {
 public:
  struct Reason {
    std::string_view why;
    std::string via;  // the link that makes the name
  };

  LinkNames() = default;
  // `links`: path → target, those that stay inside. Following them takes from `steps`; when that is 0 afterwards, some
  // were not followed.
  LinkNames(const std::map<std::string, std::string>& links, uint64_t& steps);

  bool empty() const { return ends_.empty(); }
  // Why to look at a path, by a name that it has besides its own. The path is one of the tree and no link.
  std::optional<Reason> reason(std::string_view path, bool directory = false) const;
  // What it is read as, by such a name.
  Content content(std::string_view path) const;

 private:
  // Where links lead.
  struct End {
    std::vector<size_t> links;
    std::map<std::string, size_t> names;  // those of the links' own names that may be the first half of a rule
    std::optional<Reason> below;          // a reason for all that is below
  };
  struct Link {
    std::string path, folded;
    std::vector<std::string> ends;  // folded
  };

  std::optional<Reason> reason_above(const std::string& folded, bool directory) const;
  void spread();

  std::vector<Link> links_;
  std::unordered_map<std::string, End> ends_;  // folded; "": the whole tree
};

}  // namespace bottle::workspace
