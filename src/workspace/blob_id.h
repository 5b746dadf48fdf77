// git's name for a file's content, to tell without git whether a file is as it was.
#pragma once

#include <string>
#include <string_view>

namespace bottle::workspace {

// SHA-1 of "blob SIZE\0" and the content (FIPS 180-4), in lower-case hexadecimal: what `git hash-object` says in a
// repository of that format.
std::string blob_id(std::string_view content);

}  // namespace bottle::workspace
