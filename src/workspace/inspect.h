// Reads what came back for what a person should look at (look.h says what that is).
#pragma once

#include <string>
#include <unordered_set>
#include <vector>

#include "workspace/look.h"
#include "workspace/quarantine.h"

namespace bottle::workspace {

class Inspection {
 public:
  // Both must outlive it; what `q` began from is known by now.
  static Result<Inspection> make(const Quarantine& q, const git::Runner& git);

  // `list`: what differs from the base. `branch`: whose, empty for the files as they were left. A branch that would be
  // too much to look through is counted instead.
  Result<> take(const std::vector<Change>& list, const std::string& branch);
  void flag(const std::string& path, std::string_view why) { look_.report(path, why); }

  // As Look's; with a line on how many branches nobody looked through.
  std::vector<std::string> lines() const;
  const Look& look() const { return look_; }

 private:
  Inspection(const Quarantine& q, const git::Runner& git, std::map<std::string, std::string> links)
      : q_(q), git_(git), links_(std::move(links)), look_(links_) {}
  Look::Tree tree_of(const std::vector<Change>& list, const std::unordered_set<std::string>& changed,
                     const std::map<std::string, std::string>& targets) const;
  Result<> read(const std::vector<ToRead>& to_read, const std::vector<const Change*>& changes,
                const std::string& place);

  const Quarantine& q_;
  const git::Runner& git_;
  std::map<std::string, std::string> links_;  // of the base, that stay inside: path → target
  Look look_;
  size_t paths_left_ = 5'000'000, passed_over_ = 0;
};

}  // namespace bottle::workspace
