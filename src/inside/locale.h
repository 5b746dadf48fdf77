// Finds out which locales an image has. The inside helper is a static program, so it cannot ask the image's C library.
#pragma once

#include <string>

namespace bottle::inside {

// Returns whether the GNU C library finds the locale in the directory, which is /usr/lib/locale in an image, either
// as a separate directory or in the file locale-archive. Returns false if the directory does not exist, as with musl.
bool has_locale(const std::string& directory, const std::string& name);

}  // namespace bottle::inside
