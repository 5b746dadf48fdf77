// Converts texts in encodings other than UTF-8, as named by git's attribute `working-tree-encoding` (gitattributes(5)).
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bottle::workspace {

// Returns the text in UTF-8, as git would commit it. Returns nothing if the text is not valid in that encoding, or if
// the encoding is not one of UTF-16, UTF-32 (each with or without LE, BE, LE-BOM or BE-BOM), UTF-8 and ISO-8859-1.
// Pure. Does not use iconv(3), whose modules would parse what the agent wrote.
std::optional<std::string> to_utf8(std::string_view encoding, std::string_view bytes);

// Returns the text as git would check it out. Returns nothing if the text is not valid UTF-8, if the encoding lacks one
// of its characters, or if the encoding is not one of those above. Pure.
std::optional<std::string> from_utf8(std::string_view encoding, std::string_view text);

// Replaces a file below the directory `tree` with what `convert` returns for its content. Follows no links. Returns
// false and leaves the file as it is if `convert` returns nothing, if the file cannot be read, or if it is larger than
// 64 MB. Fails only on errors of the disk.
using Convert = std::function<std::optional<std::string>(std::string_view bytes)>;
Result<bool> convert_file(const std::string& tree, const std::string& path, const Convert& convert);

}  // namespace bottle::workspace
