// Defines the kinds of scalars in a manifest, each with a name for people, a JSON Schema and a check.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bottle::manifest {

// Says what a value may be. docs/manifest.md uses the names of the table in kinds.cc.
enum class Type {
  text,
  name,
  env_name,
  env_value,
  flag,
  inspect,
  count,
  number,
  port,
  size,
  bytes,
  amount,
  cost,
  price,
  model,
  duration,
  host,
  pattern,
  method,
  path_glob,
  address,
  endpoint,
  url,
  source,
  package,
  version,
  integrity,
  host_path,
  ssh_key,
  fingerprint,
  placeholder,
  header,
  choice,
  preset,
  section,
  rule,     // a host pattern, or a section
  variable  // an env_value, or a section
};

// Describes a type to people and to editors.
struct Kind {
  Type type;
  std::string_view name;    // as the documentation calls it
  std::string_view schema;  // a JSON object
  std::string_view expect;  // completes "expected …"
};

// Returns the description of a type. Every type has one.
const Kind& kind(Type type);

// Returns whether `text` is a value of this kind. `choice`, `section`, `rule` and `variable` are not scalars and always
// pass.
bool valid(Type type, const std::string& text);

// These convert text for which valid() has returned true.
uint64_t to_size(const std::string& text);      // bytes; k, m, g, t are powers of 1024
uint64_t to_amount(const std::string& text);    // k, m, g, t are powers of 1000
uint64_t to_duration(const std::string& text);  // seconds

}  // namespace bottle::manifest
