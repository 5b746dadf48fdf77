// Extracts the values that must not leave from a file of `scan.secrets`. Pure.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bottle::session {

inline constexpr size_t kMostKnownFile = 1 << 20;     // size of one file, in bytes
inline constexpr size_t kMostKnownValues = 1000;      // in all files together
inline constexpr size_t kMostKnownBytes = 128 << 10;  // size of all values together, in bytes

// Returns the values of a file, each under a name that says where it is, such as "prod.env:DB_PASSWORD" or "tokens:3"
// for a line. Of several values with one name, the others get a number. A file has one of three forms: a JSON object
// or list, lines of the form NAME=VALUE, or lines that are values; if such a line has an '=', the text after it is a
// value, too. A name that may itself be a secret appears as "prod.env:line_3", or as '_' in the path of a JSON value.
// The password in an address is also a value. Ordinary words, numbers and addresses that are assigned to a name are
// left out unless the name sounds like a secret. Headings such as "[default]" are left out. Values of fewer than 8
// bytes are also left out, because they would be found everywhere by chance. `file` is the file's name without its
// directory. Fails with Code::invalid if the text is not UTF-8 or has no value at all.
Result<std::map<std::string, std::string>> known_values(std::string_view file, std::string_view text);

// Returns the names of a file's values that look secret and that known_values() leaves out because they have only 4 to
// 7 bytes, such as "DB_PASSWORD" or "line 3". They come from the file, but a name that may itself be a secret does not
// appear: its line does, or '*' in the path of a JSON value.
std::vector<std::string> too_short_values(std::string_view text);

}  // namespace bottle::session
