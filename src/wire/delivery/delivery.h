// Defines the header of each archive in a delivery between machines (transfer/delivery.h).
#pragma once

#include <optional>
#include <string>

#include "wire/codec/codec.h"

namespace bottle::wire {

// Says where the archive after this line belongs, or that the delivery ends.
struct DeliveryHeader {
  static constexpr const char* kName = "header of the delivery";
  static constexpr size_t kMost = 8192;
  std::optional<std::string> to;  // directory in the container; missing at the end of the delivery

  bool is_end() const { return !to.has_value(); }
};
// Written as {"to":"/"} or {"end":true}.
void fields(Object& o, DeliveryHeader& header);

}  // namespace bottle::wire
