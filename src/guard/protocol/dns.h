// DNS messages (RFC 1035), as little as the bottle's own names need. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "guard/protocol/http_head.h"
#include "policy/address.h"

namespace bottle::guard {

struct DnsQuery {
  uint16_t id = 0;
  uint16_t flags = 0;
  std::string name;  // lower case, without the final dot; bytes that are not printable ASCII appear as '?'
  uint16_t type = 0, klass = 0;
  size_t size = 0;  // header and question
};

// Exactly one question, no compression in it. Parse::ok or Parse::bad.
Parse parse_dns_query(std::string_view bytes, DnsQuery& query);

// Answers a parsed query from `names`: A and AAAA; an empty answer for another type; NXDOMAIN for another name.
std::string dns_answer(std::string_view bytes, const DnsQuery& query,
                       const std::map<std::string, policy::Address>& names);

}  // namespace bottle::guard
