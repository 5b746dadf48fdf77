// Whatever a mosh-server, or an agent that has taken over its machine, prints, the parser lets only a port, a key and
// an address through.
#include <cstdint>
#include <cstdlib>

#include "remote/link/mosh_connect.h"

using namespace bottle::remote;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto found = parse_mosh_connect(std::string(reinterpret_cast<const char*>(data), size));
  if (!found) return 0;
  if (found->port == 0 || found->key.size() != 22) std::abort();
  if (found->server_address.find_first_not_of("0123456789abcdefABCDEF:.") != std::string::npos) std::abort();
  return 0;
}
