// Texts in another encoding than UTF-8, as git's attribute `working-tree-encoding` names it (gitattributes(5)).
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace bottle::workspace {

// What git commits of such a text: the same in UTF-8. Pure. iconv(3) is not asked: its modules parse what the agent
// wrote. Nothing: it is not valid in that encoding, or the encoding is none of UTF-16, UTF-32 (each with LE, BE or
// LE-BOM, BE-BOM), UTF-8 and ISO-8859-1.
std::optional<std::string> to_utf8(std::string_view encoding, std::string_view bytes);

}  // namespace bottle::workspace
