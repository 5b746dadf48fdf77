// Finds the server name in a TLS ClientHello (RFC 8446 §4.1.2, RFC 6066 §3) in raw records.
// Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/text/parse.h"

namespace bottle::guard {

// Holds what the guard needs of a ClientHello.
struct ClientHello {
  std::string sni;  // as sent; empty if there is none
};

// Parses a ClientHello that arrives in pieces, and looks at each byte once. A peer chooses how small the pieces are.
class ArrivingHello {
 public:
  // `bytes` are all bytes so far, beginning with those of the earlier calls. Returns `incomplete` only while they can
  // still become a ClientHello of at most 32 KB.
  Parse read(std::string_view bytes, ClientHello& hello);

 private:
  Parse judge(std::string_view begun) const;
  size_t at_ = 0;       // where the first record begins that has not arrived as a whole
  std::string joined_;  // what the records before it contain
};

// Parses a ClientHello that has arrived as a whole.
Parse parse_client_hello(std::string_view bytes, ClientHello& hello);

}  // namespace bottle::guard
