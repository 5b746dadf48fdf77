// Recognizes the headers in which clients send credentials. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace bottle::policy {

// Returns whether services read a credential from a header of this name, such as a key, token, password or session
// cookie. Any other character may replace "-". Headers that only protect a request, such as X-CSRF-Token, do not count.
bool presents_credentials(std::string_view header);

// Returns whether the name is in the list of such names, and is not recognized only by its last words, before which a
// client may write anything.
bool is_listed_credential(std::string_view header);

// Returns the protocols in the value of a Sec-WebSocket-Protocol header without those that present a credential, such
// as "openai-insecure-api-key.…", or null if none does. A page in a browser can sign in to a WebSocket with no other
// header.
std::optional<std::string> protocols_without_credentials(std::string_view list);

}  // namespace bottle::policy
