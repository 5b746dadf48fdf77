// Parses YAML (or JSON) into a tree that has the position of every node. Only this file uses the YAML library.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace bottle::manifest {

struct Entry;

// Stands for a value of the document. Scalars are text, however they were written. A Node owns everything below it.
struct Node {
  enum class Kind { nothing, scalar, list, map } kind = Kind::nothing;
  std::string text;            // scalar
  std::vector<Node> items;     // list
  std::vector<Entry> entries;  // map, in order; keys are scalars and differ
  std::string at;              // path:line:column

  // Returns the value of a key, or null. Takes time in proportion to the number of keys.
  const Node* find(std::string_view key) const;
};

// Holds one key of a map with its value.
struct Entry {
  Node key, value;
};

// Fails with Code::invalid if the text is not YAML, has a key twice or a key that is not a scalar, is nested more than
// 32 deep, or has more than 100,000 nodes. Aliases are expanded, so the last limit stops a "billion laughs" attack.
Result<Node> read_document(const std::string& path, const std::string& text);

// Returns an error with a position: "path:line:column: what".
std::unexpected<Error> fail_at(const std::string& at, const std::string& what, std::string todo = {});

}  // namespace bottle::manifest
