// Turns authorities into a database of NSS, the library with which Chromium verifies certificates on Linux.
// Pure.
#pragma once

#include <string>
#include <string_view>

namespace bottle::inside {

// Returns a `cert9.db` that trusts the certificates of `pem` as authorities of TLS servers. Skips what is not an X.509
// certificate. The database has room for 60 KB, and the certificates that come after that are left out.
std::string nss_trust_database(std::string_view pem);

}  // namespace bottle::inside
