// Decodes the engine's multiplexed stream of a container without a terminal. Each chunk has a header of 8 bytes: the
// stream, three zeros, and the length.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace bottle::docker {

// Passes on the payload of bytes that arrive in pieces of any size; stream 1 is stdout, and stream 2 is stderr. Fails
// with Code::protocol if a header is invalid, and in every later call, because the framing is lost.
class Demux {
 public:
  // Calls `take` with each piece of payload, in order. The pieces are views of `bytes`, and a chunk of the engine may
  // come in several.
  Result<> feed(std::string_view bytes, const std::function<void(int stream, std::string_view chunk)>& take);

 private:
  std::string header_;
  int stream_ = 0;
  size_t left_ = 0;
};

}  // namespace bottle::docker
