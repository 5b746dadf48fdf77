// Defines places.json in a session's results, which lists the repositories that the session changed. If not all of its
// work could be brought home, the file lists every repository that may have refs of the session.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "wire/codec/codec.h"

namespace bottle::wire {

// Describes one repository with work of the session. The commands about a session's results find directory and patch
// in it.
struct ChangedRepository {
  std::string directory;  // the operator's directory
  std::string patch;      // path of a file; empty if there is none
  std::string filtered;   // directory with the files that are in no patch, most often because a git filter converts
                          // them; empty if there are none
};
void fields(Object& o, ChangedRepository& repository);

// Holds the list. The supervisor that brings the work home writes it, and the operator's later commands read it.
struct ChangedRepositories {
  static constexpr const char* kName = "list of changed repositories";
  static constexpr size_t kMost = 256 << 20;
  std::vector<ChangedRepository> repositories;
};
void fields(Object& o, ChangedRepositories& changed);

// Decodes the list. Also accepts the format of earlier versions, which is an array of the repositories.
Result<ChangedRepositories> decode_repositories(std::string_view text);

}  // namespace bottle::wire
