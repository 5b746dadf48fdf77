// Names the two formats of object ids that a repository may have (gitformat-pack(5), "hash-function-transition").
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bottle::git {

// Says which hash makes the ids of a repository's objects.
enum class ObjectFormat : uint8_t { sha1, sha256 };

// Returns the length of an id, in bytes and in hexadecimal digits.
constexpr size_t id_bytes(ObjectFormat format) { return format == ObjectFormat::sha1 ? 20 : 32; }
constexpr size_t id_digits(ObjectFormat format) { return 2 * id_bytes(format); }

// Returns the format whose ids have as many digits as this text, if there is one. Does not look at the digits.
constexpr std::optional<ObjectFormat> format_of_id(std::string_view id) {
  for (ObjectFormat format : {ObjectFormat::sha1, ObjectFormat::sha256})
    if (id.size() == id_digits(format)) return format;
  return std::nullopt;
}

// Returns the format that has this name in git's setting extensions.objectFormat, if there is one.
constexpr std::optional<ObjectFormat> object_format(std::string_view name) {
  if (name == "sha1") return ObjectFormat::sha1;
  if (name == "sha256") return ObjectFormat::sha256;
  return std::nullopt;
}

// Returns the id that stands for a missing object.
inline std::string null_id(ObjectFormat format) { return std::string(id_digits(format), '0'); }

}  // namespace bottle::git
