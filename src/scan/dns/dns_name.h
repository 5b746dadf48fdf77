// Decides whether a host name carries data. A query to a name server has already sent the data, so the
// decision comes before anything is resolved. Pure.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace bottle::scan {

// Returns why the name carries data, as the rest of a sentence ("has a label of 32 hexadecimal digits"), or an empty
// string if it does not. Judges the labels to the left of registered_domain(). Does not judge them below the domain
// of a provider whose customers do not run name servers, such as amazonaws.com.
std::string_view carries_data(std::string_view name);

// Remembers the names that a session asks for, because many different names below one domain can carry data together,
// although each looks harmless.
class NameHistory {
 public:
  // Records a name that is asked for at `now`. Returns whether the domain now has too many names. A name that was seen
  // before does not count.
  bool too_many(std::string_view name, std::chrono::steady_clock::time_point now);

  static constexpr size_t kMostOfDomain = 48;         // the most different names below one domain within …
  static constexpr std::chrono::minutes kWithin{10};  // … this time
  static constexpr size_t kMostDomains = 256;

 private:
  struct Domain {
    // The names themselves, because an agent could make names with equal hashes.
    std::set<std::string> names;
    std::chrono::steady_clock::time_point since;
  };
  std::map<std::string, Domain, std::less<>> domains_;
};

// Returns the last two labels of a name, or three if others register domains below these, as in "co.uk".
std::string_view registered_domain(std::string_view name);

}  // namespace bottle::scan
