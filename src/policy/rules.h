// Compiles egress rules and applies them. They decide on names, before anything is resolved. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "policy/host.h"
#include "policy/path.h"

namespace bottle::policy {

// Holds one rule as text, before it is compiled. The guard makes it from its configuration.
struct RuleSpec {
  std::string host;
  std::vector<uint16_t> ports;       // empty means 443 and 80
  std::vector<std::string> methods;  // empty means any
  std::vector<std::string> paths;    // empty means any
  bool inspect = false;
  bool deny = false;  // forbids every match of the pattern, even if rules of the same rank allow it
};

// Says what no rule allows. A further rule can supply the first four.
enum class Lacks : uint8_t {
  host,
  port,
  method,
  path,
  query,    // a method that the request's query asks for
  header,   // the path in a header
  nothing,  // a rule forbids the request, or its path cannot be judged
};

// These are their words, in the order of the enumerators.
inline constexpr std::array kLacks = {"host", "port", "method", "path", "query", "header", "nothing"};

constexpr const char* word(Lacks what) { return kLacks[static_cast<size_t>(what)]; }

// Returns whether a further rule could supply it.
constexpr bool is_for_a_rule(Lacks what) { return what <= Lacks::path; }

// Holds the decision about a request. A refusal is not an Error. The agent sees `code`; only the operator sees
// `reason`.
struct Decision {
  bool allowed = false;
  bool inspect = false;
  bool restricted = false;  // the rules for the host name methods or paths
  std::string_view code = "not_allowed";
  std::string reason;
  std::optional<Lacks> lacks = {};  // for a refusal by the rules
  std::string target;  // the target to send upstream; empty if the request is refused or its path was not judged
  const RuleSpec* rule = nullptr;  // the rule that allows the request, or that comes closest; owned by the Rules
};

// If several rules name a host, only those with the most specific pattern apply: "*" beside
// {host: api.example.org, methods: [GET]} does not allow a POST to that host.
class Rules {
 public:
  // Converts the methods to capitals. Fails with Code::invalid for a host or a path that is not a pattern.
  static Result<Rules> compile(const std::vector<RuleSpec>& specs);

  // Returns whether a rule names the host itself, and not only by a pattern.
  bool names(const Host& host) const;
  // Returns whether the most specific rules for the host forbid all requests to it.
  bool denied(const Host& host) const;
  // Decides whether a connection may be made before its requests are known. An allowed connection with `inspect` must
  // be inspected, because request() has to judge each of its requests.
  Decision connect(const Host& host, uint16_t port) const;
  // `target` is the request target in origin form. If its query asks for other methods, they must be allowed as well,
  // and must be no more than kMostQueryMethods.
  Decision request(const Host& host, uint16_t port, std::string_view method, std::string_view target) const;

 private:
  struct Rule {
    HostPattern host;
    RuleSpec spec;
    std::vector<PathGlob> paths;
  };
  std::vector<Rule> rules_;  // most specific first

  // Calls `f` for each rule with the most specific pattern that matches the host.
  template <typename F>
  void each(const Host& host, F f) const;
};

}  // namespace bottle::policy
