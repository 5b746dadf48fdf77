// Judges connections and requests by the rules and by names alone, before anything is resolved or dialed. The
// code is pure, so that `bottle egress` gives the same answers as the guard.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "guard/core/config.h"

namespace bottle::guard {

// The answer of judge_connect(). `decision` says why; it points into the rules of the configuration.
struct ConnectJudgement {
  // How the guard serves a CONNECT.
  enum class Way : uint8_t { refused, ssh, inspected, blind } way = Way::refused;
  policy::Decision decision;
};
// Judges a CONNECT to host:port, or the host of an ssh login. For a tunnel that is allowed, each request in it is
// judged again if the guard can read it.
ConnectJudgement judge_connect(const Config& config, const policy::Host& host, uint16_t port);

// The beginning of the reason for refusing a request because of a header that names another path.
inline constexpr std::string_view kHeaderRefused = "the header ";

// Judges a request that the guard can read. `target` is in origin form. `tls` is whether it comes in TLS that the guard
// terminates.
policy::Decision judge_request(const Config& config, const policy::Host& host, uint16_t port, bool tls,
                               std::string_view method, std::string_view target);

// Returns why a name must not be resolved because it carries data, as the rest of a sentence, or an empty string if it
// may be resolved. Does not judge a name that the operator wrote in full.
std::string_view carried_by_name(const Config& config, const policy::Host& host);
// Completes such an answer to a sentence for the operator, which says how to allow the name.
std::string about_carrier(std::string_view why);
// Returns whether a name contains a secret, even with dots between its parts, so that even the question for its address
// would send the secret. A name that the operator wrote in full does not.
bool names_secret(const Config& config, const policy::Host& host);
inline constexpr std::string_view kNamesSecret = "the host's name contains a secret";

// Returns why the guard answers such a request with status 400, whatever the rules say, or an empty string if it does
// not.
std::string malformed(std::string_view method, std::string_view target);
// Returns whether most programs use the method, so that it says nothing about the agent.
bool is_usual(std::string_view method);
// Returns whether the guard passes requests with this method.
bool is_for_here(std::string_view method);

}  // namespace bottle::guard
