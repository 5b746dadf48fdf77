// Reads and writes the few DNS messages (RFC 1035) that the bottle's own names need. Pure.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/text/parse.h"
#include "policy/address.h"

namespace bottle::guard {

// Holds a question as parse_dns_query() read it. It does not keep the message, so dns_answer() needs the bytes again.
struct DnsQuery {
  uint16_t id = 0;
  uint16_t flags = 0;
  std::string name;  // in lower case, without the final dot; bytes that are not printable ASCII appear as '?'
  uint16_t type = 0, klass = 0;
  size_t size = 0;  // of the header and the question
};

// Parses a query with exactly one question and without compression. Returns Parse::ok or Parse::bad.
Parse parse_dns_query(std::string_view bytes, DnsQuery& query);

// Answers a parsed query for a name with this address. A question for an address of the other kind, or for another type
// of record, gets an empty answer. Without an address, the answer is NXDOMAIN.
std::string dns_answer(std::string_view bytes, const DnsQuery& query, const policy::Address* address);

// Answers queries that came over TCP, each with its length in two bytes before it (RFC 1035, 4.2.2). Removes them from
// the front of `in` and appends the answers of `answer` to `out`. Stops after kMostAnswersInTurn of them, so that a
// client that sends many does not stop everything else.
inline constexpr int kMostAnswersInTurn = 8;
enum class DnsTurn {
  waits,   // the rest of the next query has not arrived
  more,    // `in` may have more queries
  refused  // a query gets no answer; the connection must end, or the client would wait for one
};
DnsTurn answer_dns_queries(std::string& in, std::string& out,
                           const std::function<std::string(std::string_view)>& answer);

}  // namespace bottle::guard
