// Reads a pattern as a sequence of atoms: characters, sets and groups, each with its quantifier. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "scan/credential/matcher.h"

namespace bottle::scan {

// Stands for a part of a pattern that is not in a group: a character, a set, or a whole group, with its quantifier.
struct Atom {
  enum class Kind : uint8_t { character, set, other } kind = Kind::other;
  size_t begin = 0, end = 0;  // in the pattern
  char character = 0;
  CharacterSet set;  // of a character, it has only this one
  uint32_t least = 1, most = 1;
  bool varies() const { return least != most; }
  bool is_character() const { return kind == Kind::character && least == 1 && most == 1; }
};

// Returns nothing if the pattern has other syntax than the small part of regular expressions that the rules use.
std::optional<std::vector<Atom>> atoms_of(std::string_view pattern);

}  // namespace bottle::scan
