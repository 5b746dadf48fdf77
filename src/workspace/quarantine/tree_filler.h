// Fills the tree of one quarantine.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "workspace/files/transfer.h"
#include "workspace/files/untar.h"
#include "workspace/quarantine/budget.h"
#include "workspace/quarantine/names.h"
#include "workspace/quarantine/quarantine.h"

namespace bottle::workspace {

// Writes changed files of the archive below Quarantine::tree(), and notes how each path came back. Everything in the
// archive is untrusted. If it has several entries for a path, the last one counts.
class TreeFiller {
 public:
  TreeFiller(Quarantine& q, Budget& budget, Tree tree) : q_(q), budget_(budget), tree_(std::move(tree)) {}

  // Handles an entry of the tree. `target` is what a hard link leads to. Fails if a limit is exceeded or the disk
  // reports an error.
  Result<> entry(const Path& path, const TarEntry& e, const Source& body, const std::optional<Path>& target);
  // Leaves behind an entry of a repository within the tree, and reports it, unless the operator has an identical one.
  Result<> leave(const Path& path, const TarEntry& e, const Source& body);
  // Reports a directory whose content may be missing in the archive. Reports nothing for directories below it.
  void note_cut_off(const Path& path);
  // Call this after the last entry, and after GitFiller::end(). Determines which linked work trees came back.
  void end();

  // Closes the directory until the next entry.
  void rest() { tree_.rest(); }
  // Returns how many directories were made that have no entry of their own.
  uint64_t implied() const { return tree_.implied(); }

 private:
  Result<> symlink(const Path& path, const std::string& target);
  Result<bool> hardlink(const Path& path, const Path& target);
  Result<bool> file(const Path& path, const TarEntry& e, const Source& body);
  Result<bool> write(const Path& path, bool executable);
  Result<> leave_large(const Path& path, const std::string& name, const TarEntry& e, const Source& body);
  Result<> note(const Path& path, const std::string& name, Quarantine::CameBack how);
  void note_permissions(const std::string& name, const TarEntry& e, int sent);
  void note_in_use(const std::string& path);

  Quarantine& q_;
  Budget& budget_;
  Tree tree_;
  std::string cut_off_;  // the last directory whose content may be missing
  std::string content_, chunk_ = std::string(65536, '\0');
};

}  // namespace bottle::workspace
