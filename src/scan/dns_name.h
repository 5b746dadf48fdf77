// Whether a host name carries data: what asks a name server for it has already
// sent it. So this is decided before anything is resolved. Pure.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace bottle::scan {

// Why the name carries data, as the rest of a sentence ("has a label of 32
// hexadecimal digits"); empty: it does not. Judged by its labels left of the
// registered domain, which is taken to be the last two, or three under a short
// second-level one such as "co.uk".
std::string_view carries_data(std::string_view name);

// The names that a session asks for: many different ones below one domain carry
// data together, though each looks harmless.
class NameHistory {
 public:
  // Records a name that is asked for at `now`. Whether it is one too many of
  // its domain. A name that was seen before is none.
  bool too_many(std::string_view name, std::chrono::steady_clock::time_point now);

  static constexpr size_t kMostOfDomain = 48;         // different names below one domain, in
  static constexpr std::chrono::minutes kWithin{10};  // this time
  static constexpr size_t kMostDomains = 256;

 private:
  struct Domain {
    std::set<uint64_t> names;  // their hashes
    std::chrono::steady_clock::time_point since;
  };
  std::map<std::string, Domain, std::less<>> domains_;
};

// The last two labels of a name, or three under a short second-level one.
std::string_view registered_domain(std::string_view name);

}  // namespace bottle::scan
