// Parses IP addresses strictly, and says which of them the guard never connects to. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bottle::policy {

// Holds an IPv4 or IPv6 address. An IPv4-mapped IPv6 address stays an IPv6 address, which special_range() refuses.
struct Address {
  bool v6 = false;
  std::array<uint8_t, 16> bytes{};  // network order; IPv4 uses the first four
  bool operator==(const Address&) const = default;
};

// Holds an address with a port; port 0 means that none was given.
struct Endpoint {
  Address address;
  uint16_t port = 0;
  bool operator==(const Endpoint&) const = default;
};

// Accepts only the canonical spellings: four decimal numbers without leading zeros, or RFC 4291 text without a zone.
std::optional<Address> parse_address(std::string_view text);

// Parses "1.2.3.4", "1.2.3.4:80", "[::1]:80" or "::1". A missing port becomes `default_port`.
std::optional<Endpoint> parse_endpoint(std::string_view text, uint16_t default_port = 0);

// Return the canonical text, which the parsers read back. An IPv6 address is in brackets only beside a port.
std::string to_string(const Address& address);
std::string to_string(const Endpoint& endpoint);

// Holds an address and the number of its leading bits that count, such as "10.0.0.0/8" or "fd00:1::/64".
struct Prefix {
  Address address;
  int bits = 0;
  // Returns whether one contains the other.
  bool overlaps(const Prefix& other) const;
  bool contains(const Address& one) const { return (one.v6 ? 128 : 32) >= bits && overlaps({one, one.v6 ? 128 : 32}); }
  bool operator==(const Prefix&) const = default;
};
// Parses "address/bits". The length is required, and bits beyond it may be set, as in an interface's own address.
std::optional<Prefix> parse_prefix(std::string_view text);
std::string to_string(const Prefix& prefix);
// Returns the same prefix with the bits that do not count set to zero.
Prefix network_of(Prefix prefix);

// Returns why an address is not an ordinary public one (RFC 6890 registries, cloud metadata). Empty if it is one.
std::string_view special_range(const Address& address);

}  // namespace bottle::policy
