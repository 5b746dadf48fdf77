// Finds the server name in a TLS ClientHello (RFC 8446 §4.1.2, RFC 6066 §3) in raw records.
// Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/text/parse.h"

namespace bottle::guard {

// What the guard needs of a ClientHello.
struct ClientHello {
  std::string sni;  // as sent; empty if there is none
};

// Returns `incomplete` only while the bytes can still become a ClientHello of at most 32 KB.
Parse parse_client_hello(std::string_view bytes, ClientHello& hello);

}  // namespace bottle::guard
