// Makes small exchanges with one address, each with a deadline. It supports only IPv4, because a bottle has
// no IPv6.
#pragma once

#include <netinet/in.h>

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/os/deadline.h"
#include "base/unique_fd.h"

namespace bottle::inside {

// Convert between text and an IPv4 address with a port. Parsing returns nothing if the text is not a dotted address or
// if the port is missing, 0 or too large.
std::optional<sockaddr_in> parse_address(std::string_view ip, uint16_t port);
std::optional<sockaddr_in> parse_endpoint(std::string_view ip_port);
std::string to_string(const sockaddr_in& address);

// Returns a connected, non-blocking socket. Fails with Code::timed_out or the system's error.
Result<UniqueFd> dial(const sockaddr_in& to, Deadline deadline);

// Returns whether the other side's kernel answers, with a connection or with a refusal.
bool has_answered(const sockaddr_in& to, Deadline deadline);

// Sends `request` and returns the code of the status line, or 0 if the answer is not HTTP.
Result<int> http_status(const sockaddr_in& to, std::string_view request, Deadline deadline);

// Holds what a DNS answer says, and one hint about its source.
struct DnsAnswer {
  int rcode = 0;
  int answers = 0;
  std::optional<in_addr> address;  // if there is exactly one answer, and it is an address
  bool from_public_root = false;   // the SOA of the real root is in the answer, so the question reached the internet
};

// Asks for the A record of `name`. Fails if there is no answer.
Result<DnsAnswer> ask_dns(const sockaddr_in& server, const std::string& name, bool tcp, Deadline deadline);

// Exposed for tests of ask_dns. Parses an answer to the query with this id.
Result<DnsAnswer> parse_dns(std::string_view message, uint16_t id);

}  // namespace bottle::inside
