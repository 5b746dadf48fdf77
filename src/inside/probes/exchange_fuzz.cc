// Parses what peers and kernels answer to the probes. The first byte selects the parser.
#include <arpa/inet.h>

#include <cstdint>
#include <cstdlib>

#include "inside/probes/exchange.h"
#include "inside/probes/routes.h"

using namespace bottle;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  in_addr address{::inet_addr("10.231.0.1")};
  switch (data[0]) {
    case 'd': {
      auto answer = inside::parse_dns(text, 0x1234);
      if (answer && (text.size() < 12 || answer->rcode < 0 || answer->rcode > 15)) std::abort();
      break;
    }
    case 'e':
      if (auto endpoint = inside::parse_endpoint(text); endpoint && endpoint->sin_port == 0) std::abort();
      break;
    case 'n': {
      inside::Neighbor state = inside::Neighbor::absent;
      (void)inside::read_neighbors(text, address, state);
      break;
    }
    case 'r': {
      inside::Route route;
      (void)inside::read_route(text, route);
      if (route.gateway && !route.exists && text.empty()) std::abort();
      break;
    }
    default:
      break;
  }
  return 0;
}
