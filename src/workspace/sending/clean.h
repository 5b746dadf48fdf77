// Removes what must not go into a bottle from the files of git directories: credentials, and refs of other sessions.
#pragma once

#include <string>
#include <string_view>

namespace bottle::workspace {

// Returns the configuration without credentials, which people keep in .git/config. The rest of it stays as it is,
// except that continued lines are joined.
std::string without_credentials(std::string_view config);

// Returns the text without "user:password@" in its URLs, and without their queries that may hold credentials.
std::string without_credentials_in_urls(std::string_view text);

// Returns the configuration without an extension that only changes how git writes the paths of work trees. git before
// version 2.48, which the agent may have, refuses a repository with an extension that it does not support.
std::string without_new_extensions(std::string_view config);

// Returns the content of packed-refs without the refs of earlier sessions, which the agent must not see.
std::string without_sessions(std::string_view packed_refs);

}  // namespace bottle::workspace
