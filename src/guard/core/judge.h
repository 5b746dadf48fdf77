// This file decides from names alone, before anything is resolved or dialed: what the rules say about a connection and
// about a request. Pure, so that `bottle egress` gives the same answers as the guard.
#pragma once

#include <cstdint>
#include <string_view>

#include "guard/core/config.h"

namespace bottle::guard {

struct ConnectJudgement {
  // How the guard serves a CONNECT that it does not refuse.
  enum class Way : uint8_t { refused, ssh, inspected, blind } way = Way::refused;
  policy::Decision decision;
};
ConnectJudgement judge_connect(const Config& config, const policy::Host& host, uint16_t port);

// Judges a request that the guard can read. `target` is in origin form. `tls` is whether it comes in TLS that the guard
// terminates.
policy::Decision judge_request(const Config& config, const policy::Host& host, uint16_t port, bool tls,
                               std::string_view method, std::string_view target);

}  // namespace bottle::guard
