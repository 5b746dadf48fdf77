// Egress rules, compiled. Pure: decides on names before anything is resolved.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "policy/host.h"
#include "policy/path.h"

namespace bottle::policy {

struct RuleSpec {
  std::string host;
  std::vector<uint16_t> ports;       // empty: 443 and 80
  std::vector<std::string> methods;  // empty: any
  std::vector<std::string> paths;    // empty: any
  bool inspect = false;
  bool deny = false;  // forbids what the pattern matches, whatever rules of the same rank allow
};

// An expected outcome, not an error. `code` is for the agent, `reason` for the operator only.
struct Decision {
  bool allowed = false;
  bool inspect = false;
  bool restricted = false;  // the host's rules name methods or paths
  std::string_view code = "not_allowed";
  std::string reason;
  std::string target;  // of an allowed request: what is to be asked for, where its path was judged; else empty
};

// Where several rules name a host, those with the most specific pattern speak and the others are silent:
// "*" next to {host: api.example.org, methods: [GET]} does not let a POST to that host through.
class Rules {
 public:
  static Result<Rules> compile(const std::vector<RuleSpec>& specs);

  // Whether the most specific rules for the host forbid it outright.
  bool denied(const Host& host) const;
  Decision connect(const Host& host, uint16_t port) const;
  // `target` is the request target in origin form. Where its query asks for another method, that must be allowed too.
  Decision request(const Host& host, uint16_t port, std::string_view method, std::string_view target) const;

 private:
  struct Rule {
    HostPattern host;
    RuleSpec spec;
    std::vector<PathGlob> paths;
  };
  Decision request_as(const Host& host, uint16_t port, std::string_view method, std::string_view target) const;
  std::vector<Rule> rules_;  // most specific first

  template <typename F>
  void each(const Host& host, F f) const;
};

}  // namespace bottle::policy
