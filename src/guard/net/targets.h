// Decides the order in which the addresses of a host are tried: IPv6 and IPv4 alternate (RFC 8305 §4), and
// each family keeps its order. Addresses may be added at any time. Pure.
#pragma once

#include <algorithm>
#include <vector>

#include "policy/address.h"

namespace bottle::guard {

// Holds the addresses of one dial. next() returns each address once.
class Targets {
 public:
  // Adds an address unless it is already in the list.
  void add(const policy::Endpoint& endpoint) {
    auto& list = endpoint.address.v6 ? six_ : four_;
    if (std::ranges::find(list.all, endpoint) == list.all.end()) list.all.push_back(endpoint);
  }
  // Returns whether an address is left that next() has not returned. It can become true again when one is added.
  bool more() const { return six_.more() || four_.more(); }
  // Returns the next address. Call it only if more() is true.
  policy::Endpoint next() {
    four_is_next_ = six_.more() && four_.more() ? four_is_next_ : four_.more();
    auto& list = four_is_next_ ? four_ : six_;
    four_is_next_ = !four_is_next_;
    return list.all[list.tried++];
  }

 private:
  struct List {
    std::vector<policy::Endpoint> all;
    size_t tried = 0;
    bool more() const { return tried < all.size(); }
  };
  List six_, four_;
  bool four_is_next_ = false;
};

}  // namespace bottle::guard
