// Reads the refs of the agent's repository from the files of its git directory, which are untrusted.
#pragma once

#include <deque>
#include <set>
#include <string>
#include <utility>

#include "workspace/quarantine/quarantine.h"

namespace bottle::workspace {

// Takes the files of one git directory in any order, and sets the refs of its quarantine.
class RefFiles {
 public:
  // Keeps a reference to the quarantine, which must outlive this.
  explicit RefFiles(Quarantine& q) : q_(q) {}

  // Takes a regular file. `name` is its path below the git directory. For files with git's settings or the state of an
  // unfinished merge, records only that they exist. Ignores all other files.
  Result<> take(const std::string& name, const Source& body);
  // Call this at the end of the archive.
  void end();

 private:
  Result<> loose(const std::string& name, const Source& body);
  Result<> packed(const Source& body);
  Result<> stashes(const Source& body);
  Result<> checkouts(const Source& body);
  Result<> settings(const std::string& name, const Source& body);
  Result<> merged(const Source& body);
  void note_unfinished(const std::string& name);
  void note_left(std::string branch, std::string id);
  void note_detached(std::string id);
  void leave_unread(const std::string& file, const std::string& why);

  Quarantine& q_;
  git::Refs packed_;
  std::deque<std::pair<std::string, std::string>> left_;  // branches that were checked out: ref → its last commit
  std::set<std::string> settings_;                        // the files with settings that came back
};

}  // namespace bottle::workspace
