// Keeps what clients send to the far side until it has certainly arrived: the size of their terminal, and changes of
// the policy that were not answered. A connection may break at any time, and a near side that takes over a session has
// none at first. Input is not kept, because keystrokes that arrive late may do something else. Lost input is counted,
// so that the operator learns of the loss.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "wire/event.h"
#include "wire/frames/frames.h"

namespace bottle::remote {

class KeptFrames {
 public:
  // The most changes of the policy that wait for an answer. Clients stop waiting after seconds.
  static constexpr size_t kMost = 64;

  // Takes a client's frame. `is_sent` says whether a connection takes it now.
  void take(const wire::Frame& frame, bool is_sent);
  // Takes the far side's answer to a change. A guard takes changes in their order, so the changes before one that it
  // accepted are not needed again. Sending them again could undo a later one.
  void take(const wire::PolicyChanged& answer);
  // Returns what a new connection must carry, in the order in which it came.
  std::vector<wire::Frame> to_send() const;
  // Returns how many bytes of input were lost since the last call.
  size_t take_lost() { return std::exchange(lost_, 0); }

 private:
  std::optional<wire::Frame> resize_;  // the last one
  std::vector<std::pair<std::string, wire::Frame>> changes_;
  size_t lost_ = 0;
};

}  // namespace bottle::remote
