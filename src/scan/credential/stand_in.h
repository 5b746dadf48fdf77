// Tells a value from a stand-in that people write instead: "xxxx", "<your-key>", "$TOKEN", "changeme". Pure.
#pragma once

#include <cstddef>
#include <string_view>

namespace bottle::scan {

inline constexpr size_t kCloselyRead = 400;  // the bytes at the beginning of a long token that are judged

// Remembers the range of the last tokens that were read and that have no word of a stand-in. Tokens may overlap,
// because each of many keys in one row of letters reaches to its end.
struct PlainText {
  const char *begin = nullptr, *end = nullptr;
};

// Returns whether a token of a known form is a stand-in: it names itself an example, repeats itself, or counts up.
// Skips most of what is in the range `known`. Adds the number of bytes that were read to `read`.
bool is_stand_in(std::string_view token, PlainText& known, size_t& read);
inline bool is_stand_in(std::string_view token) {
  PlainText known;
  size_t read = 0;
  return is_stand_in(token, known, read);
}

// Returns whether the text, at a place where only passwords occur, is not a password but a variable, a stand-in, or the
// word "password".
bool is_no_password(std::string_view value);

// Returns whether a value that is assigned to a name such as `api_key` was made by a machine, or by a person who mixes
// letters, digits and signs. Words, names in code, paths, addresses and numbers do not look random.
bool looks_random(std::string_view value);

// Returns whether the value is an identifier of a program that is made of words, which may have numbers between them,
// as in "testEd25519PrivateKey". Some passwords that people make look like this, too.
bool is_identifier(std::string_view value);

// Returns the bits per byte, computed from the frequencies of the first 512 bytes.
double entropy(std::string_view text);

// Returns how many different characters the text has.
size_t distinct(std::string_view text);

}  // namespace bottle::scan
