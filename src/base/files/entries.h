// Lists directories, and distinguishes an error from the end.
#pragma once

#include <dirent.h>

#include <string>
#include <vector>

#include "base/error.h"

namespace bottle {

// Returns the next entry except "." and "..", or null at the end of the directory, even if it was removed meanwhile.
// Fails if the directory cannot be read; `name` is its name for the error. The entry is valid until the next call.
Result<const dirent*> next_entry(DIR* directory, const std::string& name);

// Returns the names of all entries of a directory except "." and "..", sorted. Returns nothing if there is no such
// directory. Fails if it cannot be read.
Result<std::vector<std::string>> names_in(const std::string& directory);

}  // namespace bottle
