// Keeps what the build of an image puts on the engine, and removes it.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/files/directories.h"
#include "base/text/line.h"
#include "docker/engine.h"
#include "session/ledger/names.h"

namespace bottle::session {

// Imports a root file system as an image with one layer. Such an image has only the settings and labels of `changes`,
// which are instructions of a Dockerfile, so no part of the scratch image, such as its labels, gets into the final one.
// Blocks.
Result<> import_archive(docker::Engine& engine, const std::string& archive, const std::string& reference,
                        const std::vector<std::string>& changes);

// Holds what a build keeps on the engine: an image of the unpacked files, and one container at a time. A record names
// both before they exist, so that the next start or cleanup removes what a killed build left, and what the engine makes
// after the build has given up. All functions block.
class BuildScratch {
 public:
  // `engine` and `directories` must outlive this object.
  BuildScratch(docker::Engine& engine, const Directories& directories);
  BuildScratch(const BuildScratch&) = delete;
  BuildScratch& operator=(const BuildScratch&) = delete;
  // Removes the image and the container. If that fails, or if one may still appear, the record stays.
  ~BuildScratch();

  // Records both, and makes the image from the archive of a root file system.
  Result<> take(const std::string& archive);
  // Returns the first lines of the program's answer to --version. This is the first time that the program runs.
  Result<std::vector<Line>> ask_version(const std::string& provider);
  // Runs the packages' own scripts.
  Result<> finish();
  // Writes the root file system of the last container to `archive`.
  Result<> export_to(const std::string& archive);

 private:
  // run() returns the container's output on both streams. The container stays until it is removed. noted() passes on
  // the result of a request to make something, and notes whether the thing may appear later.
  Result<std::string> run(const nlohmann::json& config, int patience_ms, const std::string& doing);
  template <class T>
  Result<T> noted(Result<T> made);

  docker::Engine& engine_;
  const Directories& directories_;
  std::string session_;
  Names names_;
  bool may_appear_ = false;
};

}  // namespace bottle::session
