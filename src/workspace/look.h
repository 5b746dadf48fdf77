// What a person should look at before running anything in a tree that came back. Pure; every path and target is a
// stranger's.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "workspace/link_names.h"
#include "workspace/look_rules.h"

namespace bottle::workspace {

// A file of which a part may be a reason, and how it is named to a person.
struct ToRead {
  size_t change = 0;  // its place among Tree::changes
  Content content = Content::none;
  std::string shown;
};

class Look {
 public:
  // `links_before`: those that stay inside the tree, of what the work began from: path → target.
  explicit Look(std::map<std::string, std::string> links_before = {})
      : links_before_(std::move(links_before)), names_before_(links_before_, steps_left_) {}

  // The tree as it is now. A change's target is that of a link; an object that is gone is no change.
  struct Changed {
    std::string path;
    enum class Is { file, link, submodule } is = Is::file;
    std::string target = {};
  };
  struct Tree {
    std::vector<Changed> changes;
    std::map<std::string, std::string> links;  // all that stay inside, as before
    std::function<void(const std::function<void(const std::string& path)>&)> each_unchanged;  // all other paths
    std::string place = {};  // "branch x": where it is if not in the files as they were left
  };

  // Adds what there is to look at in this tree. What depends on contents is answered; report() takes what they say.
  std::vector<ToRead> take(const Tree& tree);
  void report(const std::string& shown, std::string_view why, const std::string& place = {});

  // Grouped by reason, so that a thousand of one kind do not hide another: "a, b and 7 more: why", the shallowest
  // first. Safe to print.
  std::vector<std::string> lines() const;
  // Each for itself, at most 10000.
  std::vector<std::string> all() const;
  bool is_shortened() const;  // lines() does not name all

 private:
  struct Group {
    std::map<std::string, std::string> paths;  // as shown → place; empty: in the files as they were left
    uint64_t more = 0;                         // that were too many to remember
  };
  void judge(const Tree& tree, size_t change, const LinkNames& names, std::vector<ToRead>& to_read);

  std::map<std::string, Group> groups_;  // by reason
  uint64_t steps_left_ = 20'000'000;     // of following links, in all trees together
  std::map<std::string, std::string> links_before_;
  LinkNames names_before_;
};

}  // namespace bottle::workspace
