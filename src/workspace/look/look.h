// Finds what a person should look at before running anything in a tree that came back. Pure. All paths and targets are
// untrusted.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "workspace/look/link_names.h"
#include "workspace/look/look_rules.h"

namespace bottle::workspace {

// Names a file whose content may contain a reason to look, with the name shown to a person.
struct ToRead {
  size_t change = 0;  // index into Tree::changes
  Content content = Content::none;
  std::string shown;
};

// Collects the findings in all trees that came back for one repository: the files as they were left, and each branch.
class Look {
 public:
  // `links_before` has all links of the base: path → target, or → "" if the target is not known.
  explicit Look(std::map<std::string, std::string> links_before = {})
      : links_before_(std::move(links_before)), names_before_(links_before_, steps_left_) {}

  // Describes one path of the tree as it is now. `target` is set for links.
  struct Changed {
    std::string path;
    enum class Is { file, link, submodule } is = Is::file;
    std::string target = {};
  };
  // Describes one tree, compared with the base.
  struct Tree {
    std::vector<Changed> changes;
    std::vector<std::string> removed;          // paths of the base
    std::map<std::string, std::string> links;  // all links, as in `links_before`
    std::function<void(const std::function<void(const std::string& path)>&)> each_unchanged;  // visits all other paths
    std::string place = {};  // "branch x" if it is not among the files as the agent left them
  };

  // Adds everything in this tree that a person should look at. Returns the files whose content must be read; the caller
  // passes the reasons found there to report().
  std::vector<ToRead> take(const Tree& tree);
  // Adds the unchanged links of this tree that lead out of it because links in the repositories below it changed. The
  // last two have all links of those repositories, before the session and now, with paths from the top of this tree.
  void take_below(const Tree& tree, const std::map<std::string, std::string>& before,
                  const std::map<std::string, std::string>& now);
  void report(const std::string& shown, std::string_view why, const std::string& place = {});

  // Returns the findings grouped by reason, so that a thousand of one kind do not hide another: "a, b and 7 more: why".
  // The paths nearest to the top come first. The lines are safe to print.
  std::vector<std::string> lines() const;
  // Returns one line for each finding, at most 10000.
  std::vector<std::string> all() const;
  bool is_shortened() const;  // lines() does not name every finding

 private:
  struct Group {
    std::map<std::string, std::string> paths;  // path as shown → place; the place is empty for the files as the agent
                                               // left them
    uint64_t more = 0;                         // number of paths beyond the limit
  };
  void judge(const Tree& tree, size_t change, const LinkNames& names, std::vector<ToRead>& to_read);
  void report_leaving(const Tree& tree, const LinkNames& names_before, const LinkNames& names);

  std::map<std::string, Group> groups_;  // keys are reasons
  uint64_t steps_left_ = 20'000'000;     // limit for following links in all trees together
  std::map<std::string, std::string> links_before_;
  LinkNames names_before_;
};

}  // namespace bottle::workspace
