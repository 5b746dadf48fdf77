// Unpacks the files that the supervisor sends before the self-test, as the agent's user.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "docker/tar/tar.h"

namespace bottle::inside {

// Unpacks a tar archive of at most wire::kMostFiles bytes below a directory. The result is the one that an engine makes
// of the same archive, except that all files belong to this process's user. Something other than a directory that has
// the name of an entry is replaced. Only empty directories are. Not for an archive from an agent: a path in it may lead
// through a symbolic link.
class Unpacker {
 public:
  explicit Unpacker(std::string below);
  Unpacker(const Unpacker&) = delete;
  Unpacker& operator=(const Unpacker&) = delete;

  // Unpacks the next piece. After an error, does nothing.
  void take(std::string_view bytes);
  // Call it at the end of the archive. Gives the directories their modes and times. Returns the first error, which may
  // have left some of the files unpacked.
  Result<> finish();

 private:
  Result<> make(const docker::TarEntry& entry);
  Result<> make_file(const std::string& path, const docker::TarEntry& entry);
  Result<> end_file();

  std::string below_;
  docker::TarReader reader_;
  Result<> state_;
  UniqueFd file_;                              // the one that is being written
  docker::TarEntry now_;                       // its entry
  std::vector<docker::TarEntry> directories_;  // in the order of the archive
};

}  // namespace bottle::inside
