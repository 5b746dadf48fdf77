// Converts a message to JSON and back. A message is a struct and one function that names its fields:
//
//   void fields(Object& o, Resize& r) {
//     o.number("rows", r.rows);
//     o.number("cols", r.columns);
//   }
//
// The same function writes and reads, so that both directions agree. Reading checks the message: an unknown key, a
// missing key, a wrong type and a value out of bounds are errors. An error names the path of the key, such as
// "engine.runtimes[3]". Only the first error is kept; after it, reading changes nothing.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "base/error.h"

namespace bottle::wire {

// Says who wrote a message that is being read.
enum class From {
  ours,     // another process of the operator
  foreign,  // a remote machine or a container: text for people becomes one line that has no effect on a terminal
            // (base/text/line.h), and no other text may have control characters
};

// Limits that many fields share, in bytes or elements.
inline constexpr size_t kName = 256, kPath = 4096, kWords = 4096;
inline constexpr size_t kValue = 1 << 20, kLongText = 8 << 20;  // kValue limits a variable, an argument or a secret
inline constexpr size_t kFew = 1000, kMany = 5000;

class Document;

// Stands for one JSON object of a message while it is read or written. Only fields() uses it, and it must not outlive
// that call. Keys must be literals, because an Object keeps pointers to them.
class Object {
 public:
  // Return whether a message is being read (and not written), and whether it comes from a foreign writer.
  bool is_read() const;
  bool is_foreign() const;

  // Reads or writes text that a program uses, at most `most` bytes.
  void text(const char* key, std::string& value, size_t most);
  // Reads or writes bytes, at most `most`, as Base64. Refuses text that is not Base64. No bytes are an empty text.
  void bytes(const char* key, std::string& value, size_t most);
  // Reads or writes text for people. Longer text is cut when it is written, and refused when it is read.
  void words(const char* key, std::string& value, size_t most = kWords);
  // Read or write a value of that type. A number that is not finite is written as 0. A whole number must be within the
  // bounds in both directions; reading never rounds and never wraps.
  void flag(const char* key, bool& value);
  void number(const char* key, double& value);
  template <std::integral T>
  void number(const char* key, T& value, T least = std::numeric_limits<T>::min(),
              T most = std::numeric_limits<T>::max());
  // Reads or writes one of `names`. The number of the enumerator is its position in `names`.
  template <class E>
    requires std::is_enum_v<E>
  void choice(const char* key, E& value, std::span<const char* const> names) {
    value = static_cast<E>(choose(key, static_cast<size_t>(value), names));
  }
  // Works like choice(), for a field that is left out if it has no value.
  template <class E>
    requires std::is_enum_v<E>
  void choice(const char* key, std::optional<E>& value, std::span<const char* const> names) {
    if (optional(key, value.has_value())) choice(key, value ? *value : value.emplace(), names);
  }
  void constant(const char* key, std::string_view expected);  // for text that is always the same

  // Read or write lists of at most `most` elements of at most `most_bytes` each.
  void texts(const char* key, std::vector<std::string>& values, size_t most, size_t most_bytes);
  void words(const char* key, std::vector<std::string>& values, size_t most, size_t most_bytes = kWords);
  void numbers(const char* key, std::vector<uint16_t>& values, size_t most);
  void table(const char* key, std::map<std::string, std::string>& values, size_t most, size_t most_bytes);
  // Works like table(), but each value is one of `names`.
  template <class E>
    requires std::is_enum_v<E>
  void choices(const char* key, std::map<std::string, E>& values, size_t most, std::span<const char* const> names) {
    std::map<std::string, std::string> words;
    for (const auto& [name, value] : values) words[name] = names[static_cast<size_t>(value)];
    table(key, words, most, kName);
    if (!is_read()) return;
    values.clear();
    for (const auto& [name, word] : words) {
      auto found = std::ranges::find(names, word);
      if (found == names.end()) return refuse(key, "has an unknown value");
      values[name] = static_cast<E>(found - names.begin());
    }
  }
  void tables(const char* key, std::map<std::string, std::vector<std::string>>& values, size_t most, size_t most_bytes);

  // Reads or writes a message within this one.
  template <class T>
  void object(const char* key, T& value) {
    Object inner = enter(key);
    fields(inner, value);
    inner.finish();
  }
  template <class T>
  void objects(const char* key, std::vector<T>& values, size_t most) {
    size_t count = enter_list(key, values.size(), most);
    if (is_read()) values.resize(count);
    for (size_t i = 0; i < count; ++i) {
      Object each = element(key, i);
      fields(each, values[i]);
      each.finish();
    }
  }

  // Returns whether the field is present. When writing, that is `has`; when reading, the field may be missing.
  bool optional(const char* key, bool has);
  // Reads or writes a field that is present only if it has a value.
  template <class T>
  void object(const char* key, std::optional<T>& value) {
    if (enters(key, value)) object(key, *value);
  }
  template <class T>
  void objects(const char* key, std::optional<std::vector<T>>& values, size_t most) {
    if (enters(key, values)) objects(key, *values, most);
  }
  void texts(const char* key, std::optional<std::vector<std::string>>& values, size_t most, size_t most_bytes) {
    if (enters(key, values)) texts(key, *values, most, most_bytes);
  }
  void text(const char* key, std::optional<std::string>& value, size_t most) {
    if (enters(key, value)) text(key, *value, most);
  }
  void bytes(const char* key, std::optional<std::string>& value, size_t most) {
    if (enters(key, value)) bytes(key, *value, most);
  }
  void words(const char* key, std::optional<std::string>& value, size_t most = kWords) {
    if (enters(key, value)) words(key, *value, most);
  }
  void flag(const char* key, std::optional<bool>& value) {
    if (enters(key, value)) flag(key, *value);
  }
  template <class T>
  void number(const char* key, std::optional<T>& value) {
    if (enters(key, value)) number(key, *value);
  }
  // Does the same for a message in a record on disk, which a later version may have written. Unknown keys in it,
  // however deep, are ignored; `skipped` is then the first of them, because it may change the meaning of the others.
  template <class T>
  void open_object(const char* key, std::optional<T>& value, std::string& skipped) {
    note_unknown_keys(&skipped);
    object(key, value);
    note_unknown_keys(nullptr);
  }
  // Does the same, but writes null if there is no value.
  template <class T>
  void object_or_null(const char* key, std::optional<T>& value) {
    if (enters_or_null(key, value.has_value())) object(key, value ? *value : value.emplace());
    else value.reset();
  }
  template <class T>
  void number_or_null(const char* key, std::optional<T>& value) {
    if (enters_or_null(key, value.has_value())) number(key, value ? *value : value.emplace());
    else value.reset();
  }

  // These leave a field out if its value is empty, 0 or false. If the field is missing, reading leaves the value
  // unchanged.
  void text_if_any(const char* key, std::string& value, size_t most) {
    if (optional(key, !value.empty())) text(key, value, most);
  }
  void words_if_any(const char* key, std::string& value, size_t most = kWords) {
    if (optional(key, !value.empty())) words(key, value, most);
  }
  void flag_if_set(const char* key, bool& value) {
    if (optional(key, value)) flag(key, value);
  }
  template <class T>
    requires std::is_arithmetic_v<T>
  void number_if_set(const char* key, T& value) {
    if (optional(key, value != T())) number(key, value);
  }
  void texts_if_any(const char* key, std::vector<std::string>& values, size_t most, size_t most_bytes) {
    if (optional(key, !values.empty())) texts(key, values, most, most_bytes);
  }
  void words_if_any(const char* key, std::vector<std::string>& values, size_t most, size_t most_bytes = kWords) {
    if (optional(key, !values.empty())) words(key, values, most, most_bytes);
  }
  void numbers_if_any(const char* key, std::vector<uint16_t>& values, size_t most) {
    if (optional(key, !values.empty())) numbers(key, values, most);
  }
  void table_if_any(const char* key, std::map<std::string, std::string>& values, size_t most, size_t most_bytes) {
    if (optional(key, !values.empty())) table(key, values, most, most_bytes);
  }
  template <class E>
  void choices_if_any(const char* key, std::map<std::string, E>& values, size_t most,
                      std::span<const char* const> names) {
    if (optional(key, !values.empty())) choices(key, values, most, names);
  }
  template <class T>
  void objects_if_any(const char* key, std::vector<T>& values, size_t most) {
    if (optional(key, !values.empty())) objects(key, values, most);
  }
  // Returns whether a field is present that is always written, and that may be missing in what others or earlier
  // versions have written.
  bool may_lack(const char* key) { return optional(key, true); }

  // Reads or writes the version of the message. Refuses another version, with both numbers in the error, whatever else
  // is in the message.
  void version(const char* key, unsigned ours);
  // Ignores unknown keys. This is for records on disk, which a later version may have written.
  void passes_over_unknown_keys() { is_open_ = true; }
  // Reports that fields() found a value that makes no sense. `key` may be null, for the object itself.
  void refuse(const char* key, const std::string& what);

 private:
  friend class Document;
  Object(Document& document, nlohmann::json* json, const Object* parent, const char* key, long index)
      : document_(document), json_(json), parent_(parent), key_(key), index_(index) {}

  template <class T>
  bool enters(const char* key, std::optional<T>& value) {
    bool there = optional(key, value.has_value());
    if (is_read()) there ? (void)value.emplace() : value.reset();
    return there;
  }
  bool enters_or_null(const char* key, bool has);
  void note_unknown_keys(std::string* skipped);
  Object enter(const char* key);
  size_t enter_list(const char* key, size_t count, size_t most);
  Object element(const char* key, size_t index);
  void finish();

  size_t choose(const char* key, size_t value, std::span<const char* const> names);
  int64_t whole(const char* key, int64_t value, int64_t least, int64_t most);
  uint64_t count(const char* key, uint64_t value, uint64_t least, uint64_t most);
  nlohmann::json* find(const char* key);
  nlohmann::json* find_list(const char* key, size_t most);
  nlohmann::json* find_table(const char* key, size_t most);
  enum class For { programs, people };
  bool take_text(const char* key, const nlohmann::json& from, std::string& to, size_t most, For whom, long index = -1);
  static void put_words(nlohmann::json& to, const std::string& from, size_t most);
  void take_texts(const char* key, std::vector<std::string>& values, size_t most, size_t most_bytes, For whom);
  void put_text(const char* key, nlohmann::json& to, const std::string& from, size_t most, long index = -1);
  void fail(const char* key, const std::string& what, long index = -1);
  std::string path() const;

  Document& document_;
  nlohmann::json* json_;  // null after reading has failed
  const Object* parent_;
  const char* key_;
  long index_;
  std::vector<std::string_view> seen_;
  const char* found_key_ = nullptr;  // the last field that optional() found
  nlohmann::json* found_ = nullptr;
  bool is_open_ = false;
};

template <std::integral T>
void Object::number(const char* key, T& value, T least, T most) {
  if constexpr (std::is_signed_v<T>) value = static_cast<T>(whole(key, value, least, most));
  else value = static_cast<T>(count(key, value, least, most));
}

}  // namespace bottle::wire
