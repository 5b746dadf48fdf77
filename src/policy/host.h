// Brings host names into one normal form, however an agent writes them. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bottle::policy {

// Holds a host's name in the form in which all rules and tables of the guard compare names.
struct Host {
  std::string name;      // lower case, no trailing dot, no brackets
  bool literal = false;  // whether some resolver reads it as an address, such as 127.1, 0x7f.1, 2130706433 or [::1]
};

// Fails with Code::invalid unless the text is a host name (letters, digits, '-', '_', labels of 1 to 63 characters) or
// an address.
Result<Host> normalise_host(std::string_view text);

// Holds the host and the port of a request.
struct Authority {
  Host host;
  uint16_t port = 0;
};

// Parses host[:port] as in CONNECT and Host. A missing port becomes `default_port`; if that is 0, a port is required.
Result<Authority> parse_authority(std::string_view text, uint16_t default_port);

// Stands for a pattern: "example.org", "*.example.org" (its subdomains, but not the domain itself) or "*" (every
// public name).
class HostPattern {
 public:
  // Fails with Code::invalid if the text is none of the three forms, or if a suffix is an address.
  static Result<HostPattern> compile(std::string_view text);

  // Returns whether the pattern covers the host. A literal matches only its own exact pattern. "*" does not match names
  // whose meaning depends on the network, such as names without a dot and those below .local or .internal.
  bool matches(const Host& host) const;
  // A more specific pattern has a larger number: an exact name, then the longer suffix, then "*".
  size_t rank() const;
  bool is_exact() const { return kind_ == Kind::exact; }

 private:
  enum class Kind { exact, suffix, any } kind_ = Kind::exact;
  std::string text_;  // a suffix keeps its leading dot
};

}  // namespace bottle::policy
