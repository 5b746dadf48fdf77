#include <cstdlib>

#include "guard/protocol/dns.h"

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  static const bottle::policy::Address guard = *bottle::policy::parse_address("10.0.0.2");
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  bottle::guard::DnsQuery query;
  if (bottle::guard::parse_dns_query(bytes, query) != bottle::Parse::ok) return 0;
  if (query.size > size || query.name.size() > 253) std::abort();
  if (bottle::guard::dns_answer(bytes, query, query.name == "guard" ? &guard : nullptr).size() > size + 32)
    std::abort();
  return 0;
}
