// Searches what came back for things that a person should look at (look.h defines them).
#pragma once

#include <string>
#include <vector>

#include "base/keyed_hash.h"
#include "workspace/look/look.h"
#include "workspace/quarantine/changes.h"
#include "workspace/quarantine/quarantine.h"

namespace bottle::workspace {

// Reads the blobs that Look asks for, and hands the changes of each tree to it.
class Inspection {
 public:
  // Keeps references to both arguments, which must outlive this. The base of `q` must be known already.
  static Result<Inspection> make(const Quarantine& q, const git::Runner& git);

  // Inspects the changes in `list` against the base. `branch` names the branch; it is empty for the files as the agent
  // left them. A branch that is too large to inspect is only counted.
  Result<> take(const std::vector<Change>& list, const std::string& branch);
  // Inspects the ignored files that are kept. Only names count: the content of a file whose object is not known is not
  // read.
  Result<> take_kept(const std::vector<Change>& list) { return take_at(list, "kept"); }
  void flag(const std::string& path, std::string_view why) { look_.report(path, why); }
  // Tells of the repository at `place` below this one, whose files as the agent left them were inspected already. Must
  // be called before take(), which looks for links that lead through links of that repository.
  void add_below(const std::string& place, const Inspection& below);

  // Returns the lines of Look, plus one that says how many branches were not inspected.
  std::vector<std::string> lines() const;
  const Look& look() const { return look_; }
  bool has_links() const { return !links_.empty() || !links_now_.empty(); }

 private:
  Inspection(const Quarantine& q, const git::Runner& git, std::map<std::string, std::string> links)
      : q_(q), git_(git), links_(std::move(links)), look_(links_) {}
  Result<> take_at(const std::vector<Change>& list, const std::string& place);
  Look::Tree tree_of(const std::vector<Change>& list, const KeyedSet<std::string>& changed,
                     const std::map<std::string, std::string>& targets) const;
  Result<> read(const std::vector<ToRead>& to_read, const std::vector<const Change*>& changes,
                const std::string& place);

  const Quarantine& q_;
  const git::Runner& git_;
  std::map<std::string, std::string> links_;               // links of the base: path → target
  std::map<std::string, std::string> links_now_ = links_;  // links of the files as the agent left them
  std::map<std::string, std::string> below_before_,
      below_now_;  // the same of all repositories below, with their places
  Look look_;
  size_t paths_left_ = 5'000'000, passed_over_ = 0;
};

}  // namespace bottle::workspace
