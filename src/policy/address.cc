// Parses addresses with inet_pton and then checks that the text is the only spelling of its address. If two parsers
// read the same text as different addresses, the guard could check one address and connect to the other.
//
// Public addresses are what is left when the special ranges are taken away. For IPv6, only 2000::/3 is public, so
// ranges that a later registry adds outside of it are already refused.
#include "policy/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "base/text/parse.h"

namespace bottle::policy {
namespace {

struct Range {
  std::array<uint8_t, 16> base;
  int bits;
  std::string_view why;
};

// The IANA IPv4 Special-Purpose Address Registry, and the addresses at which clouds offer metadata and control.
constexpr Range kV4[] = {
    {{0}, 8, "this network"},
    {{10}, 8, "private"},
    {{100, 64}, 10, "carrier-grade NAT"},
    {{127}, 8, "loopback"},
    {{168, 63, 129, 16}, 32, "cloud control address"},
    {{169, 254}, 16, "link-local"},
    {{172, 16}, 12, "private"},
    {{192, 0, 0}, 24, "protocol assignments"},
    {{192, 0, 2}, 24, "documentation"},
    {{192, 31, 196}, 24, "AS112"},
    {{192, 52, 193}, 24, "AMT"},
    {{192, 88, 99}, 24, "6to4 relay"},
    {{192, 168}, 16, "private"},
    {{192, 175, 48}, 24, "AS112"},
    {{198, 18}, 15, "benchmarking"},
    {{198, 51, 100}, 24, "documentation"},
    {{203, 0, 113}, 24, "documentation"},
    {{224}, 4, "multicast"},
    {{240}, 4, "reserved"},
};

// The IANA IPv6 Special-Purpose Address Registry. Addresses outside 2000::/3 are refused even without an entry here.
constexpr Range kV6[] = {
    {{0}, 96, "unspecified, loopback or IPv4-compatible"},
    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96, "IPv4-mapped"},
    {{0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96, "IPv4-translated"},
    {{0, 0x64, 0xff, 0x9b}, 96, "NAT64"},
    {{0, 0x64, 0xff, 0x9b, 0, 1}, 48, "local NAT64"},
    {{0x01}, 64, "discard"},
    {{0x20, 0x01}, 23, "protocol assignments (Teredo, ORCHID, benchmarking)"},
    {{0x20, 0x01, 0x0d, 0xb8}, 32, "documentation"},
    {{0x20, 0x02}, 16, "6to4"},
    {{0x26, 0x20, 0, 0x4f, 0x80}, 48, "AS112"},
    {{0x3f, 0xff}, 20, "documentation"},
    {{0x5f}, 16, "segment routing"},
    {{0xfc}, 7, "unique local"},
    {{0xfe, 0x80}, 10, "link-local"},
    {{0xfe, 0xc0}, 10, "site-local"},
    {{0xff}, 8, "multicast"},
};

// Compares the whole bytes of the prefix, and then the bits of the byte in which it ends.
bool inside(const Address& address, const Range& range) {
  int whole = range.bits / 8, rest = range.bits % 8;
  if (std::memcmp(address.bytes.data(), range.base.data(), static_cast<size_t>(whole)) != 0) return false;
  if (rest == 0) return true;
  auto at = static_cast<size_t>(whole);
  int mask = 0xff << (8 - rest) & 0xff;
  return (address.bytes[at] & mask) == (range.base[at] & mask);
}

}  // namespace

std::optional<Address> parse_address(std::string_view text) {
  char buffer[INET6_ADDRSTRLEN + 1];
  if (text.empty() || text.size() >= sizeof buffer) return std::nullopt;
  std::memcpy(buffer, text.data(), text.size());
  buffer[text.size()] = 0;
  // The text has a NUL byte, at which inet_pton would stop.
  if (std::strlen(buffer) != text.size()) return std::nullopt;
  Address address;
  if (inet_pton(AF_INET, buffer, address.bytes.data()) == 1) {
    // glibc accepts 01.2.3.4, which other parsers read as octal.
    if (to_string(address) != text) return std::nullopt;
    return address;
  }
  address.v6 = true;
  // inet_pton accepts no zone ("%eth0"), which would name an interface of this machine.
  if (inet_pton(AF_INET6, buffer, address.bytes.data()) == 1) return address;
  return std::nullopt;
}

std::optional<Endpoint> parse_endpoint(std::string_view text, uint16_t default_port) {
  Endpoint endpoint{.port = default_port};
  std::string_view host = text, port;
  if (text.starts_with('[')) {
    size_t close = text.find(']');
    if (close == text.npos) return std::nullopt;
    host = text.substr(1, close - 1);
    // After the bracket, only a port may follow.
    if (close + 1 < text.size()) {
      if (text[close + 1] != ':') return std::nullopt;
      port = text.substr(close + 2);
      if (port.empty()) return std::nullopt;
    }
    // A single colon comes before a port. With several of them, the text is an IPv6 address without brackets.
  } else if (size_t colon = text.find(':'); colon != text.npos && text.find(':', colon + 1) == text.npos) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (port.empty()) return std::nullopt;
  }
  if (!port.empty()) {
    auto number = number_in<uint16_t>(port);
    if (!number) return std::nullopt;
    endpoint.port = *number;
  }
  auto address = parse_address(host);
  if (!address) return std::nullopt;
  endpoint.address = *address;
  return endpoint;
}

std::string to_string(const Address& address) {
  char buffer[INET6_ADDRSTRLEN];
  inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.bytes.data(), buffer, sizeof buffer);
  return buffer;
}

std::string to_string(const Endpoint& endpoint) {
  std::string host = to_string(endpoint.address);
  return (endpoint.address.v6 ? "[" + host + "]" : host) + ":" + std::to_string(endpoint.port);
}

bool Prefix::overlaps(const Prefix& other) const {
  if (address.v6 != other.address.v6) return false;
  // Two prefixes overlap exactly if they agree in the bits that both of them have.
  int common = std::min(bits, other.bits);
  auto whole = static_cast<size_t>(common / 8);
  if (std::memcmp(address.bytes.data(), other.address.bytes.data(), whole) != 0) return false;
  return common % 8 == 0 || ((address.bytes[whole] ^ other.address.bytes[whole]) >> (8 - common % 8)) == 0;
}

std::optional<Prefix> parse_prefix(std::string_view text) {
  size_t slash = text.find('/');
  auto address = parse_address(text.substr(0, slash));
  if (!address || slash == text.npos) return std::nullopt;
  auto bits = number_in<int>(text.substr(slash + 1));
  if (!bits || *bits < 0 || *bits > (address->v6 ? 128 : 32)) return std::nullopt;
  return Prefix{*address, *bits};
}

std::string to_string(const Prefix& prefix) { return to_string(prefix.address) + "/" + std::to_string(prefix.bits); }

Prefix network_of(Prefix prefix) {
  for (int i = 0; i < 16; ++i) {
    int kept = std::clamp(prefix.bits - 8 * i, 0, 8);
    prefix.address.bytes[static_cast<size_t>(i)] &= static_cast<uint8_t>(0xff << (8 - kept) & 0xff);
  }
  return prefix;
}

std::string_view special_range(const Address& address) {
  if (!address.v6) {
    for (const auto& range : kV4)
      if (inside(address, range)) return range.why;
    return {};
  }
  for (const auto& range : kV6)
    if (inside(address, range)) return range.why;
  // IANA has allocated only 2000::/3 for global unicast addresses (RFC 4291 §2.4, RFC 3587).
  if ((address.bytes[0] & 0xe0) != 0x20) return "not global unicast";
  return {};
}

}  // namespace bottle::policy
