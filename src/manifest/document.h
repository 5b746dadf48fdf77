// A YAML (or JSON) text as a tree that knows where everything stands. The only place that sees the YAML library.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"

namespace bottle::manifest {

struct Entry;

struct Node {
  enum class Kind { nothing, scalar, list, map } kind = Kind::nothing;
  std::string text;            // scalar
  std::vector<Node> items;     // list
  std::vector<Entry> entries;  // map, in order; keys are scalars and differ
  std::string at;              // path:line:column

  const Node* find(std::string_view key) const;
};

struct Entry {
  Node key, value;
};

// Errors (Code::invalid): not YAML, a key twice, a key that is no scalar, nesting beyond 32, more than 100,000 nodes
// (aliases are expanded: the bound is what stops a "billion laughs").
Result<Node> read_document(const std::string& path, const std::string& text);

// An error at a place: "path:line:column: what".
std::unexpected<Error> fail_at(const std::string& at, const std::string& what, std::string todo = {});

}  // namespace bottle::manifest
