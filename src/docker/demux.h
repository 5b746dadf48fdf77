// The engine's multiplexed stream of a container without a terminal: 8-byte headers (stream, three zeros, length).
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bottle::docker {

// Takes bytes in any pieces and hands on the payload as it comes: stream 1 is stdout, 2 stderr; nothing is kept but
// half a header. Code::protocol for anything else, and from then on for ever: a stream without framing has no meaning.
class Demux {
 public:
  Result<> feed(std::string_view bytes, const std::function<void(int stream, std::string_view chunk)>& take);

 private:
  std::string header_;
  int stream_ = 0;
  size_t left_ = 0;
};

}  // namespace bottle::docker
