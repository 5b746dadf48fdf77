// Reads the refs of the agent's repository from the files of its git directory, which are untrusted.
#pragma once

#include <string>

#include "workspace/quarantine/quarantine.h"

namespace bottle::workspace {

class RefFiles {
 public:
  // Keeps a reference to the quarantine, which must outlive this.
  explicit RefFiles(Quarantine& q) : q_(q) {}

  // Takes a regular file. `name` is its path below the git directory. Of the configuration, only notes whether it
  // changed. Ignores all other files.
  Result<> take(const std::string& name, const Source& body);
  // Call this at the end of the archive.
  void end();

 private:
  Result<> loose(const std::string& name, const Source& body);
  Result<> packed(const Source& body);
  Result<> stashes(const Source& body);
  Result<> checkouts(const Source& body);
  void note_detached(std::string id);
  void leave_unread(const std::string& file, const std::string& why);

  Quarantine& q_;
  git::Refs packed_;
};

}  // namespace bottle::workspace
