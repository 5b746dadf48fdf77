// Judges connections and requests by the rules and by names alone, before anything is resolved or dialed. Pure, so
// that `bottle egress` gives the same answers as the guard.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "guard/core/config.h"

namespace bottle::guard {

// Holds the result of judge_connect(). `decision` says why; it points into the rules of the configuration.
struct ConnectJudgement {
  // Says how the guard serves a CONNECT.
  enum class Way : uint8_t { refused, ssh, inspected, blind } way = Way::refused;
  policy::Decision decision;
};
// Judges a CONNECT to host:port, or the host of an ssh login. For a tunnel that is allowed, each request in it is
// judged again if the guard can read it.
ConnectJudgement judge_connect(const Config& config, const policy::Host& host, uint16_t port);

// Judges a request that the guard can read. `target` is in origin form. `tls` is whether it comes in TLS that the guard
// terminates.
policy::Decision judge_request(const Config& config, const policy::Host& host, uint16_t port, bool tls,
                               std::string_view method, std::string_view target);

// Returns whether the operator wrote the name in full, in a rule or as a host of ssh, so that it can carry nothing of
// the agent's. That holds for every address, too.
bool is_written_out(const Config& config, const policy::Host& host);
// Returns why a name must not be resolved because it carries data, as the rest of a sentence, or an empty string if it
// may be resolved. Does not judge a name that the operator wrote in full.
std::string_view carried_by_name(const Config& config, const policy::Host& host);
// Turns such a reason into a sentence for the operator, which also says how to allow the name.
std::string about_carrier(std::string_view why);
// Returns whether a name contains a secret, even with dots between its parts. Resolving such a name would already
// send the secret. Returns false for a name that the operator wrote in full.
bool names_secret(const Config& config, const policy::Host& host);
inline constexpr std::string_view kNamesSecret = "the host's name contains a secret";

// Returns why the guard answers such a request with status 400, whatever the rules say, or an empty string if it does
// not.
std::string malformed(std::string_view method, std::string_view target);
// Returns whether the method is so common that a record of it reveals nothing about the agent.
bool is_common_method(std::string_view method);
// Returns whether the guard passes requests with this method.
bool is_for_here(std::string_view method);

}  // namespace bottle::guard
