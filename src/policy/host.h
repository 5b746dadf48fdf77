// Host names as the agent writes them, in one normal form. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bottle::policy {

struct Host {
  std::string name;      // lower case, no trailing dot, no brackets
  bool literal = false;  // any spelling that some resolver reads as an address: 127.1, 0x7f.1, 2130706433, [::1]
};

// Code::invalid for what is neither a host name (letters, digits, '-', '_', labels of 1..63) nor an address.
Result<Host> normalise_host(std::string_view text);

struct Authority {
  Host host;
  uint16_t port = 0;
};

// host[:port] as in CONNECT and Host. A missing port: `default_port`; 0 there means that the port is required.
Result<Authority> parse_authority(std::string_view text, uint16_t default_port);

// "example.org", "*.example.org" (its subdomains, not itself) or "*" (every public name).
class HostPattern {
 public:
  static Result<HostPattern> compile(std::string_view text);

  bool matches(const Host& host) const;
  // More specific patterns have the larger number: exact, then the longer suffix, then "*".
  size_t rank() const;

 private:
  enum class Kind { exact, suffix, any } kind_ = Kind::exact;
  std::string text_;  // for a suffix: with its leading dot
};

}  // namespace bottle::policy
