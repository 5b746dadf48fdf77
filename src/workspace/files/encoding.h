// Converts texts in encodings other than UTF-8, as named by git's attribute `working-tree-encoding` (gitattributes(5)).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace bottle::workspace {

// Returns the text in UTF-8, as git would commit it. Returns nothing if the text is not valid in that encoding, or if
// the encoding is not one of UTF-16, UTF-32 (each with or without LE, BE, LE-BOM or BE-BOM), UTF-8 and ISO-8859-1.
// Pure. Does not use iconv(3), whose modules would parse what the agent wrote.
std::optional<std::string> to_utf8(std::string_view encoding, std::string_view bytes);

}  // namespace bottle::workspace
