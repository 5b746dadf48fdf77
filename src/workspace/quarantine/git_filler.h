// Fills the repository of one quarantine.
#pragma once

#include <cstdint>
#include <string>

#include "base/error.h"
#include "workspace/files/transfer.h"
#include "workspace/files/untar.h"
#include "workspace/quarantine/budget.h"
#include "workspace/quarantine/names.h"
#include "workspace/quarantine/quarantine.h"
#include "workspace/quarantine/ref_files.h"

namespace bottle::workspace {

// Returns whether the path, which is relative to a git directory, is a loose object or a pack that the operator's
// repository does not have. If that repository has it, the agent's version is ignored.
bool is_new_object(const Quarantine& q, const Path& path);

// Takes loose objects, packs, indexes and a few text files from the agent's git directory. Everything in the archive is
// untrusted.
class GitFiller {
 public:
  GitFiller(Quarantine& q, Budget& budget, Tree repository)
      : q_(q), budget_(budget), repository_(std::move(repository)), refs_(q) {}

  // Handles an entry of the git directory. `path` is relative to it. Fails if a limit is exceeded or the disk reports
  // an error.
  Result<> entry(const Path& path, const TarEntry& e, const Source& body);
  // Call this after the last entry.
  void end() { refs_.end(); }

  // Closes the directory until the next entry.
  void rest() { repository_.rest(); }
  // Returns how many directories were made that have no entry of their own.
  uint64_t implied() const { return repository_.implied(); }

 private:
  bool has_large_file(const std::string& name, uint64_t size) const;
  Result<> object(const Path& path, const std::string& name, uint64_t size, const Source& body);
  Result<> index(const std::string& name, const TarEntry& e, const Source& body);
  Result<> hardlinked_object(const Path& path, const TarEntry& e);

  Quarantine& q_;
  Budget& budget_;
  Tree repository_;
  RefFiles refs_;
};

}  // namespace bottle::workspace
