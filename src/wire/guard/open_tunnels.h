// Keeps what a guard reports about its tunnels to hosts of ssh.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>

#include "wire/guard/control.h"

namespace bottle::wire {

// Holds the tunnels of one guard that are open. A guard may have been taken over, so their number is limited: the
// oldest ones are forgotten, which are hardly still logging in.
class OpenTunnels {
 public:
  static constexpr size_t kMost = 1024;

  void take(const SshTunnel& tunnel) {
    exchanges_.erase(tunnel.tunnel);
    if (tunnel.exchange) exchanges_[tunnel.tunnel] = *tunnel.exchange;
    if (exchanges_.size() > kMost) exchanges_.erase(exchanges_.begin());
  }
  void clear() { exchanges_.clear(); }

  bool has(const std::string& exchange) const {
    return std::ranges::any_of(exchanges_, [&](const auto& each) { return each.second == exchange; });
  }
  // Calls `tell` with a message for each tunnel, as the guard sent it.
  void report(const auto& tell) const {
    for (const auto& [number, exchange] : exchanges_) tell(SshTunnel{number, exchange});
  }

 private:
  std::map<uint32_t, std::string> exchanges_;  // by the guard's number of the tunnel
};

}  // namespace bottle::wire
