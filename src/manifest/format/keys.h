// Defines the table of all keys. The check for unknown keys and wrong types, the JSON Schema and the documentation
// all use it.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "manifest/format/kinds.h"

namespace bottle::manifest {

// Says how a key's value is built from values of its type.
enum class Shape {
  one,           // a value
  list,          // a list of values; must not be empty if `filled` is set
  words,         // a list of values, or one text with commas, as in Claude's agent files
  map,           // name → value
  map_of_lists,  // name → value or list of values
};

// Describes one key, as a row of the table. All views are constants of the program.
struct Key {
  std::string_view section, name;
  Shape shape;
  Type type;
  std::string_view of;   // type section or rule: which section; type choice: the values, separated by |
  std::string_view doc;  // one line
  bool required = false;
  bool filled = false;      // refuse an empty list, which reads like "none" but would mean "any"
  Type names = Type::name;  // for maps: the kind of their keys
};

// Describes a group of keys: the top level, or the keys of one kind of thing. `title` says where it is in the file.
struct Section {
  std::string_view name, title;
  bool v1 = false;
};

// Return the whole table, the sections, the keys of one section (none if there is no such section), and the values of
// a key of type `choice`. All are in the order of the documentation.
std::span<const Key> keys();
std::span<const Section> sections();
std::vector<const Key*> keys_of(std::string_view section);
std::vector<std::string> choices(const Key& key);

}  // namespace bottle::manifest
