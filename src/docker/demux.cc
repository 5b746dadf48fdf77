// Keeps an incomplete header between two calls, and otherwise only the number of bytes that are left of the current
// chunk. Payload is passed on as views, so nothing is copied.
#include "docker/demux.h"

#include <algorithm>

namespace bottle::docker {

Result<> Demux::feed(std::string_view bytes, const std::function<void(int stream, std::string_view chunk)>& take) {
  while (!bytes.empty()) {
    if (left_ > 0) {
      size_t n = std::min(left_, bytes.size());
      take(stream_, bytes.substr(0, n));
      bytes.remove_prefix(n);
      left_ -= n;
      continue;
    }
    size_t n = std::min<size_t>(8 - header_.size(), bytes.size());
    header_.append(bytes.substr(0, n));
    bytes.remove_prefix(n);
    // The rest of the header will come with a later call.
    if (header_.size() < 8) return {};
    auto at = [&](int i) { return static_cast<unsigned char>(header_[static_cast<size_t>(i)]); };
    // The bad header stays in header_, so that every later call fails here too. Docker's stream 3 carries an error of
    // the engine itself.
    if (at(0) == 3 && !at(1) && !at(2) && !at(3))
      return fail(Code::protocol, "the engine reports an error in the stream");
    if (at(0) < 1 || at(0) > 2 || at(1) || at(2) || at(3))
      return fail(Code::protocol, "the engine's stream has invalid framing");
    stream_ = at(0);
    // The length is 32 bits, the most significant byte first.
    left_ =
        static_cast<size_t>(at(4)) << 24 | static_cast<size_t>(at(5)) << 16 | static_cast<size_t>(at(6)) << 8 | at(7);
    header_.clear();
  }
  return {};
}

}  // namespace bottle::docker
