#include <cstdlib>

#include "guard/protocol/client_hello.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  bottle::guard::ClientHello hello;
  bool ok = bottle::guard::parse_client_hello(bytes, hello) == bottle::Parse::ok;
  if (ok && bytes.find(hello.sni.substr(0, 1)) == bytes.npos) std::abort();
  return 0;
}
