// IP addresses: strict parsing, and which of them the guard will never dial. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bottle::policy {

struct Address {
  bool v6 = false;
  std::array<uint8_t, 16> bytes{};  // network order; the first four for IPv4
  bool operator==(const Address&) const = default;
};

struct Endpoint {
  Address address;
  uint16_t port = 0;
  bool operator==(const Endpoint&) const = default;
};

// Only the canonical spellings: four decimal numbers without leading zeros, or RFC 4291 text without a zone.
std::optional<Address> parse_address(std::string_view text);

// "1.2.3.4", "1.2.3.4:80", "[::1]:80", "::1". Without a port: `default_port`.
std::optional<Endpoint> parse_endpoint(std::string_view text, uint16_t default_port = 0);

std::string to_string(const Address& address);
std::string to_string(const Endpoint& endpoint);

// Why an address is not an ordinary public one (RFC 6890 registries, cloud metadata), or empty if it is.
std::string_view special_range(const Address& address);

}  // namespace bottle::policy
