// Reads and writes the fields of messages. Each function handles both directions side by side, so that one cannot
// accept what the other does not write.
//
// The document keeps the first error. After it, find() returns null, so every later read leaves its value unchanged,
// and fields() needs no checks. Reading keeps a list of the keys that fields() named, and finish() refuses an object
// with any other key, because an unknown key may change the meaning of a message.
#include "wire/codec/object.h"

#include <algorithm>
#include <cmath>

#include <nlohmann/json.hpp>

#include "base/text/base64.h"
#include "base/text/line.h"
#include "wire/codec/document.h"

namespace bottle::wire {

using nlohmann::json;

bool Object::is_read() const { return document_.state_->reading; }
bool Object::is_foreign() const { return document_.state_->from == From::foreign; }

std::string Object::path() const {
  if (!parent_) return "";
  std::string above = parent_->path();
  return above + (above.empty() ? "" : ".") + key_ + (index_ < 0 ? "" : "[" + std::to_string(index_) + "]");
}

void Object::fail(const char* key, const std::string& what, long index) {
  auto& error = document_.state_->error;
  if (error) return;
  std::string at = path();
  if (key) at += (at.empty() ? "" : ".") + std::string(key);
  if (index >= 0) at += "[" + std::to_string(index) + "]";
  error = at.empty() ? "it " + what : at + " " + what;
}

void Object::refuse(const char* key, const std::string& what) { fail(key, what); }

// Returns null if there is nothing to read, or if reading has failed.
json* Object::find(const char* key) {
  if (!json_ || document_.state_->error) return nullptr;
  if (seen_.empty()) seen_.reserve(16);
  // A missing key counts as seen, because its absence is the error that is reported.
  seen_.push_back(key);
  // Compares the pointers. If the same key is another literal, this only costs a second search.
  if (found_key_ == key) return found_;  // optional() has just looked for it
  auto found = json_->find(std::string_view(key));
  if (found != json_->end()) return &*found;
  fail(key, "is missing");
  return nullptr;
}

bool Object::optional(const char* key, bool has) {
  if (!is_read()) return has;
  if (!json_) return false;
  auto found = json_->find(std::string_view(key));
  // The key is not marked as seen. find() does that once the field is read.
  if (found == json_->end()) return false;
  found_key_ = key;
  found_ = &*found;
  return true;
}

bool Object::enters_or_null(const char* key, bool has) {
  if (!is_read()) {
    if (!has) (*json_)[key] = nullptr;
    return has;
  }
  // Also returns true if the key is missing, so that find() reports that.
  if (!json_ || !json_->contains(key) || !(*json_)[key].is_null()) return true;
  seen_.push_back(key);
  return false;
}

// -- text

namespace {

bool is_ascii(std::string_view text) {
  return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

// Returns the text with U+FFFD in place of bytes that are not UTF-8.
std::string as_utf8(const std::string& text) {
  if (is_ascii(text)) return text;
  // Uses the library that writes the message, so that both agree on what valid UTF-8 is.
  return json::parse(json(text).dump(-1, ' ', false, json::error_handler_t::replace)).get<std::string>();
}

std::string longer_than(size_t most) { return "is longer than " + std::to_string(most) + " bytes"; }

}  // namespace

void Object::put_text(const char* key, json& to, const std::string& from, size_t most, long index) {
  // The text is written even after an error, because encode() ignores errors and returns the message.
  if (from.size() > most) fail(key, longer_than(most), index);
  else if (as_utf8(from) != from) fail(key, "is not UTF-8", index);
  to = from;
}

bool Object::take_text(const char* key, const json& from, std::string& to, size_t most, For whom, long index) {
  if (!from.is_string()) return fail(key, "is not text", index), false;
  const auto& text = from.get_ref<const std::string&>();
  if (text.size() > most) return fail(key, longer_than(most), index), false;
  if (!is_foreign()) return to = text, true;
  // Text from another machine must have no effect on a terminal. Text for people is made harmless. Other text may be
  // a path or a name, which must not be changed, so it is refused.
  std::string clean = one_line(text, most);
  if (whom == For::programs && clean != text) return fail(key, "has control characters", index), false;
  return to = std::move(clean), true;
}

void Object::text(const char* key, std::string& value, size_t most) {
  if (!is_read()) return put_text(key, (*json_)[key], value, most);
  if (auto* from = find(key)) take_text(key, *from, value, most, For::programs);
}

void Object::bytes(const char* key, std::string& value, size_t most) {
  const size_t most_digits = (most + 2) / 3 * 4;
  std::string digits = is_read() ? std::string() : base64(value);
  text(key, digits, most_digits);
  if (!is_read() || document_.state_->error) return;
  auto decoded = digits.empty() ? Result<std::string>(std::string()) : from_base64(digits);
  if (decoded) value = std::move(*decoded);
  else refuse(key, "is not Base64");
}

void Object::words(const char* key, std::string& value, size_t most) {
  if (is_read()) {
    if (auto* from = find(key)) take_text(key, *from, value, most, For::people);
    return;
  }
  put_words((*json_)[key], value, most);
}

void Object::put_words(json& to, const std::string& from, size_t most) {
  if (from.size() <= most && is_ascii(from)) return (void)(to = from);
  std::string text = as_utf8(from);
  size_t end = std::min(text.size(), most);
  while (end < text.size() && end > 0 && (text[end] & 0xc0) == 0x80) --end;  // does not cut within a character
  text.resize(end);
  to = std::move(text);
}

void Object::constant(const char* key, std::string_view expected) {
  if (!is_read()) (*json_)[key] = expected;
  else if (auto* from = find(key); from && *from != expected) fail(key, "is not \"" + std::string(expected) + "\"");
}

size_t Object::choose(const char* key, size_t value, std::span<const char* const> names) {
  if (!is_read()) return (*json_)[key] = names[value], value;
  auto* from = find(key);
  if (!from) return value;
  // An unknown word is refused and not replaced by a default, because a default could be too permissive.
  for (size_t i = 0; i < names.size(); ++i)
    if (*from == names[i]) return i;
  return fail(key, "has an unknown value"), value;
}

// -- numbers

void Object::flag(const char* key, bool& value) {
  if (!is_read()) return (void)((*json_)[key] = value);
  auto* from = find(key);
  if (from && !from->is_boolean()) return fail(key, "is neither true nor false");
  if (from) value = from->get<bool>();
}

void Object::number(const char* key, double& value) {
  // JSON has no infinity and no NaN.
  if (!is_read()) return (void)((*json_)[key] = std::isfinite(value) ? value : 0);
  auto* from = find(key);
  if (from && !from->is_number()) return fail(key, "is not a number");
  if (from) value = from->get<double>();
}

namespace {

constexpr const char* kNotWhole = "is not a whole number";

std::string outside(auto least, auto most) {
  return "is not between " + std::to_string(least) + " and " + std::to_string(most);
}

}  // namespace

int64_t Object::whole(const char* key, int64_t value, int64_t least, int64_t most) {
  if (!is_read()) {
    // Writing also checks the bounds. The reader would refuse the message, but the error is clearer at its origin.
    if (value < least || value > most) fail(key, outside(least, most));
    return (*json_)[key] = value, value;
  }
  auto* from = find(key);
  if (!from) return value;
  if (!from->is_number_integer()) return fail(key, kNotWhole), value;
  // The library stores a number that is not negative as unsigned, and would convert a large one to a negative one.
  bool huge = from->is_number_unsigned() && from->get<uint64_t>() > INT64_MAX;
  auto read = huge ? INT64_MAX : from->get<int64_t>();
  if (huge || read < least || read > most) return fail(key, outside(least, most)), value;
  return read;
}

uint64_t Object::count(const char* key, uint64_t value, uint64_t least, uint64_t most) {
  if (!is_read()) {
    if (value < least || value > most) fail(key, outside(least, most));
    return (*json_)[key] = value, value;
  }
  auto* from = find(key);
  if (!from) return value;
  if (!from->is_number_integer()) return fail(key, kNotWhole), value;
  bool negative = !from->is_number_unsigned() && from->get<int64_t>() < 0;
  auto read = negative ? 0 : from->get<uint64_t>();
  if (negative || read < least || read > most) return fail(key, outside(least, most)), value;
  return read;
}

void Object::version(const char* key, unsigned ours) {
  if (!is_read()) return (void)((*json_)[key] = ours);
  unsigned theirs = ours;
  number(key, theirs);
  if (theirs != ours)
    fail(key, "is " + std::to_string(theirs) + ", and this bottle reads version " + std::to_string(ours));
}

// -- lists and tables

json* Object::find_list(const char* key, size_t most) {
  auto* from = find(key);
  if (from && !from->is_array()) return fail(key, "is not a list"), nullptr;
  if (from && from->size() > most) return fail(key, "has more than " + std::to_string(most) + " elements"), nullptr;
  return from;
}

json* Object::find_table(const char* key, size_t most) {
  auto* from = find(key);
  if (from && !from->is_object()) return fail(key, "is not an object"), nullptr;
  if (from && from->size() > most) return fail(key, "has more than " + std::to_string(most) + " entries"), nullptr;
  return from;
}

void Object::take_texts(const char* key, std::vector<std::string>& values, size_t most, size_t most_bytes, For whom) {
  auto* from = find_list(key, most);
  if (!from) return;
  values.resize(from->size());
  for (size_t i = 0; i < values.size(); ++i)
    if (!take_text(key, (*from)[i], values[i], most_bytes, whom, static_cast<long>(i))) return;
}

void Object::texts(const char* key, std::vector<std::string>& values, size_t most, size_t most_bytes) {
  if (is_read()) return take_texts(key, values, most, most_bytes, For::programs);
  auto& list = (*json_)[key] = json::array();
  for (size_t i = 0; i < values.size(); ++i)
    put_text(key, list.emplace_back(), values[i], most_bytes, static_cast<long>(i));
}

void Object::words(const char* key, std::vector<std::string>& values, size_t most, size_t most_bytes) {
  if (is_read()) return take_texts(key, values, most, most_bytes, For::people);
  auto& list = (*json_)[key] = json::array();
  // A list for people is cut, like a long text, and not refused.
  for (size_t i = 0; i < std::min(values.size(), most); ++i) put_words(list.emplace_back(), values[i], most_bytes);
}

void Object::numbers(const char* key, std::vector<uint16_t>& values, size_t most) {
  if (!is_read()) return (void)((*json_)[key] = values);
  auto* from = find_list(key, most);
  if (!from) return;
  values.clear();
  for (const auto& each : *from) {
    // All lists of numbers in messages are lists of ports.
    if (!each.is_number_unsigned() || each.get<uint64_t>() > UINT16_MAX) return fail(key, "has no list of numbers");
    values.push_back(each.get<uint16_t>());
  }
}

void Object::table(const char* key, std::map<std::string, std::string>& values, size_t most, size_t most_bytes) {
  if (!is_read()) {
    auto& to = (*json_)[key] = json::object();
    Object inner(document_, &to, this, key, -1);
    for (const auto& [name, value] : values) inner.put_text(name.c_str(), to[name], value, most_bytes);
    return;
  }
  auto* from = find_table(key, most);
  if (!from) return;
  values.clear();
  // This object only adds the path of the table to errors.
  Object inner(document_, from, this, key, -1);
  for (const auto& [name, value] : from->items()) {
    std::string checked;
    if (!take_text(key, name, checked, kPath, For::programs)) return;
    if (!inner.take_text(name.c_str(), value, values[checked], most_bytes, For::programs)) return;
  }
}

void Object::tables(const char* key, std::map<std::string, std::vector<std::string>>& values, size_t most,
                    size_t most_bytes) {
  if (!is_read()) return (void)((*json_)[key] = values);
  auto* from = find_table(key, most);
  if (!from) return;
  values.clear();
  Object inner(document_, from, this, key, -1);
  for (const auto& [name, value] : from->items()) {
    std::string checked;
    if (!take_text(key, name, checked, kPath, For::programs)) return;
    inner.texts(name.c_str(), values[checked], most, most_bytes);
  }
}

// -- messages within messages

void Object::note_unknown_keys(std::string* skipped) { document_.state_->skipped = skipped; }

Object Object::enter(const char* key) {
  if (!is_read()) {
    auto& inner = (*json_)[key] = json::object();
    return {document_, &inner, this, key, -1};
  }
  // A missing or wrong object yields an Object without JSON, in which nothing is found.
  return {document_, find_table(key, kMany), this, key, -1};
}

size_t Object::enter_list(const char* key, size_t count, size_t most) {
  if (!is_read()) return (*json_)[key] = json::array(), count;
  auto* from = find_list(key, most);
  return from ? from->size() : 0;
}

Object Object::element(const char* key, size_t index) {
  auto at = static_cast<long>(index);
  if (!is_read()) return {document_, &(*json_)[key].emplace_back(json::object()), this, key, at};
  // enter_list() has checked that this is a list with such an element, unless there was an error.
  json* from = document_.state_->error ? nullptr : &(*json_)[key][index];
  if (from && !from->is_object()) fail(key, "is not an object", at), from = nullptr;
  return {document_, from, this, key, at};
}

void Object::finish() {
  if (!is_read() || !json_ || document_.state_->error || is_open_) return;
  for (const auto& [name, unused] : json_->items())
    if (std::ranges::find(seen_, std::string_view(name)) == seen_.end()) {
      // The name comes from the other side, and is shown to a person.
      std::string shown = one_line(name, kName);
      std::string* skipped = document_.state_->skipped;
      if (!skipped) return fail(shown.c_str(), "is not a key of this message");
      if (skipped->empty()) *skipped = path() + "." + shown;
    }
}

}  // namespace bottle::wire
