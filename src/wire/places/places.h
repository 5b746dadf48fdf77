// Defines places.json in a session's results, which lists the repositories that the session changed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "wire/codec/codec.h"

namespace bottle::wire {

// Describes one repository with work of the session. The commands about a session's results find directory and patch
// in it.
struct ChangedPlace {
  std::string directory;  // the operator's directory
  std::string patch;      // path of a file; empty if there is none
  std::string filtered;   // directory with the files that are in no patch, most often because a git filter converts
                          // them; empty if there are none
};
void fields(Object& o, ChangedPlace& place);

// Holds the list. The supervisor that brings the work home writes it, and the operator's later commands read it.
struct ChangedPlaces {
  static constexpr const char* kName = "list of changed repositories";
  static constexpr size_t kMost = 256 << 20;
  std::vector<ChangedPlace> places;
};
void fields(Object& o, ChangedPlaces& places);

// Decodes the list. Also accepts the format of earlier versions, which is an array of the places.
Result<ChangedPlaces> decode_places(std::string_view text);

}  // namespace bottle::wire
