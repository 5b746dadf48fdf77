// Tells a value from what people write in place of one: "xxxx", "<your-key>", "$TOKEN", "changeme". Pure.
#pragma once

#include <string_view>

namespace bottle::scan {

// Whether a token of a known form is written to stand for one: it names itself an example, repeats itself, counts up.
bool is_stand_in(std::string_view token);

// Whether a password, in a place where only passwords stand, is none: a variable, a stand-in, or the word "password".
bool is_no_password(std::string_view value);

// Whether a value that is assigned to a name such as `api_key` was made by a machine, or by a person who mixes letters,
// digits and signs. Words, names in code, paths, addresses and numbers are not.
bool looks_random(std::string_view value);

// Bits per byte, from the frequencies of its bytes.
double entropy(std::string_view text);

}  // namespace bottle::scan
