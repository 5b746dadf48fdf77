// Defines the header of each archive in a delivery between machines (transfer/delivery.h), and the line before a
// delivery that leaves out what the other machine has kept (transfer/delta.h).
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

// Says under which name the receiver keeps the delivery, and the key with which it seals what it keeps. Both are
// hexadecimal. The key is only in the receiver's memory, never on its disk.
struct KeepDelivery {
  std::string name, seal;
};
void fields(Object& o, KeepDelivery& keep);

// Gives the key and the digest of what the receiver kept before, in hexadecimal, so that pieces can refer to it.
struct ReuseKept {
  std::string key, digest;
};
void fields(Object& o, ReuseKept& reuse);

// Begins a delivery in pieces.
struct PiecesHeader {
  static constexpr const char* kName = "header of the delivery's pieces";
  static constexpr size_t kMost = 4096;
  std::optional<KeepDelivery> keep;  // missing if the receiver keeps nothing
  std::optional<ReuseKept> reuse;    // missing if no piece refers to an earlier delivery
};
void fields(Object& o, PiecesHeader& header);

}  // namespace bottle::wire
