// Encodes and decodes a message that is one of several: a variant of messages, each with its own word in kType, or its
// own key in kKey.
#pragma once

#include <string>
#include <string_view>
#include <type_traits>
#include <variant>
#include <vector>

#include "wire/codec/object.h"

namespace bottle::wire {

namespace detail {
// Makes `message` the alternative with that word. Returns false if no alternative has it.
template <class... Each>
bool become(std::variant<Each...>& message, std::string_view word) {
  return ((word == Each::kType && (message.template emplace<Each>(), true)) || ...);
}
template <class... Each>
std::vector<std::string_view> words_of(const std::variant<Each...>*) {
  return {Each::kType...};
}
}  // namespace detail

// Returns the words of all alternatives.
template <class Variant>
std::vector<std::string_view> type_words() {
  return detail::words_of(static_cast<const Variant*>(nullptr));
}

// Is called for alternatives that have no fields.
template <class T>
  requires std::is_empty_v<T>
void fields(Object&, T&) {}

template <class... Each>
// Reads or writes the word of the alternative under `key`, and the fields of the alternative beside it in the same
// object. Refuses a word that no alternative has.
void alternatives(Object& o, const char* key, std::variant<Each...>& message) {
  std::string word = std::visit([](const auto& each) { return std::string(each.kType); }, message);
  o.text(key, word, kName);
  if (o.is_read() && !detail::become(message, word)) return o.refuse(key, "has an unknown value");
  std::visit([&](auto& each) { fields(o, each); }, message);
}

// Reads or writes a variant of which each alternative has a key of its own, kKey, in the same object. Refuses an object
// that has none of these keys, or several. `field(o, key, alternative)` reads or writes the value of a key.
template <class... Each>
void one_of_keys(Object& o, std::variant<Each...>& message) {
  if (o.is_read()) {
    size_t found = 0;
    ((o.optional(Each::kKey, false) ? (void)(++found, message.template emplace<Each>()) : void()), ...);
    std::string keys;
    ((keys += (keys.empty() ? "" : ", ") + std::string(Each::kKey)), ...);
    if (found != 1) return o.refuse(nullptr, "does not have exactly one of the keys " + keys);
  }
  std::visit([&](auto& each) { field(o, each.kKey, each); }, message);
}

}  // namespace bottle::wire
