// Recognizes the headers in which clients send credentials. Pure.
#pragma once

#include <string_view>

namespace bottle::policy {

// Returns whether services read a credential from a header of this name, such as a key, token, password or session
// cookie. Any other character may replace "-". Headers that only protect a request, such as X-CSRF-Token, do not count.
bool presents_credentials(std::string_view header);

// Returns whether the name is in the list of such names, and is not recognized only by its last words, before which a
// client may write anything.
bool is_listed_credential(std::string_view header);

}  // namespace bottle::policy
