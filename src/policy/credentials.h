// The headers by which a client says who it is. Pure.
#pragma once

#include <string_view>

namespace bottle::policy {

// Whether services take a credential from a header of this name: a key, a token, a password, a session's cookie. "_" or
// another sign for "-" makes no difference. Headers that only protect a request, such as X-CSRF-Token, are none.
bool presents_credentials(std::string_view header);

}  // namespace bottle::policy
