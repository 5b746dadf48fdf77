// Reads the refs of the agent's repository from the files of its git directory, which are untrusted.
#pragma once

#include <deque>
#include <functional>
#include <set>
#include <string>

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
  Result<std::string> log(const Source& body);
  Result<> settings(const std::string& name, const Source& body);
  Result<> commits(const Source& body);
  Result<> autostash(const Source& body);
  Result<> place(const std::string& work_tree, const Source& body);
  bool has_room_for(const std::string& work_tree) const;
  void note_unfinished(const std::string& name, const std::string& own);
  void note_detached(std::string id);
  bool operator_has(const std::string& name) const;
  void leave_unread(const std::string& file, const std::string& why);

  Quarantine& q_;
  git::Refs packed_;
  std::deque<std::string> left_;  // ids of commits that a log says HEAD or a branch left, oldest first
  std::set<std::string, std::less<>>
      replaced_;                    // ids of commits with a newer version, as `git commit --amend` makes it
  std::set<std::string> settings_;  // the files with settings that came back
};

}  // namespace bottle::workspace
