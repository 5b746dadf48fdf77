#include "session/box/host_routes.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "base/file.h"

namespace bottle::session {
namespace {

bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

// A number as the kernel has it in memory: network byte order, printed as one of this machine's.
HostRoute ipv4_route(std::istringstream words) {
  std::string device, destination, word, mask;
  words >> device >> destination >> word >> word >> word >> word >> word >> mask;
  auto number = static_cast<uint32_t>(std::strtoul(destination.c_str(), nullptr, 16));
  HostRoute route{device, {{}, __builtin_popcountl(std::strtoul(mask.c_str(), nullptr, 16))}};
  std::memcpy(route.to.address.bytes.data(), &number, sizeof number);
  return route;
}

HostRoute ipv6_route(std::istringstream words) {
  std::string device, destination, bits, word;
  words >> destination >> bits;
  while (words >> word) device = word;  // the last one
  HostRoute route{device, {{.v6 = true}, static_cast<int>(std::strtoul(bits.c_str(), nullptr, 16))}};
  for (size_t i = 0; i < 16 && 2 * i + 1 < destination.size(); ++i)
    route.to.address.bytes[i] = static_cast<uint8_t>(std::strtoul(destination.substr(2 * i, 2).c_str(), nullptr, 16));
  return route;
}

bool leads_nowhere(const HostRoute& route) {
  static const Prefix kLinkLocal = *parse_prefix("fe80::/10"), kMulticast = *parse_prefix("ff00::/8");
  return route.device == "lo" || route.to.overlaps(kLinkLocal) || route.to.overlaps(kMulticast);
}

}  // namespace

bool Prefix::overlaps(const Prefix& other) const {
  if (address.v6 != other.address.v6) return false;
  int common = std::min(bits, other.bits);
  auto whole = static_cast<size_t>(common / 8);
  if (std::memcmp(address.bytes.data(), other.address.bytes.data(), whole) != 0) return false;
  return common % 8 == 0 || ((address.bytes[whole] ^ other.address.bytes[whole]) >> (8 - common % 8)) == 0;
}

std::optional<Prefix> parse_prefix(std::string_view text) {
  size_t slash = text.find('/');
  auto address = policy::parse_address(text.substr(0, slash));
  if (!address || slash == text.npos) return std::nullopt;
  Prefix prefix{*address};
  const char* end = text.data() + text.size();
  auto [read, error] = std::from_chars(text.data() + slash + 1, end, prefix.bits);
  if (error != std::errc() || read != end || prefix.bits < 0 || prefix.bits > (address->v6 ? 128 : 32))
    return std::nullopt;
  return prefix;
}

std::string to_string(const Prefix& prefix) {
  return policy::to_string(prefix.address) + "/" + std::to_string(prefix.bits);
}

std::vector<HostRoute> read_routes(const std::string& ipv4, const std::string& ipv6) {
  std::vector<HostRoute> routes;
  std::istringstream old_lines(ipv4), lines(ipv6);
  std::string line;
  std::getline(old_lines, line);  // its head
  while (std::getline(old_lines, line))
    if (auto route = ipv4_route(std::istringstream(line)); route.to.bits > 0) routes.push_back(std::move(route));
  while (std::getline(lines, line))
    if (auto route = ipv6_route(std::istringstream(line)); route.to.bits > 0 && !leads_nowhere(route))
      routes.push_back(std::move(route));
  return routes;
}

std::vector<HostRoute> host_routes() {
  return read_routes(read_file("/proc/net/route").value_or(""), read_file("/proc/net/ipv6_route").value_or(""));
}

bool is_engine_bridge(std::string_view device) {
  if (device == "docker0" || device == "docker_gwbridge") return true;
  if (device.starts_with("br-")) return device.size() == 15 && std::ranges::all_of(device.substr(3), is_hex);
  for (std::string_view name : {"podman", "cni-podman"})
    if (device.size() > name.size() && device.starts_with(name))
      return std::ranges::all_of(device.substr(name.size()), [](char c) { return c >= '0' && c <= '9'; });
  return false;
}

}  // namespace bottle::session
