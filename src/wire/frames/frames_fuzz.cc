// Feeds frames in pieces. The first byte of the input selects where they are cut.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "wire/frames/frames.h"

using namespace bottle::wire;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  size_t piece = data[0] % 17 + 1;
  std::string_view input(reinterpret_cast<const char*>(data + 1), size - 1), rest = input;
  FrameReader reader;
  std::string seen;
  while (!rest.empty()) {
    std::string_view part = rest.substr(0, piece);
    rest.remove_prefix(part.size());
    reader.feed(part);
    for (;;) {
      bool ready = reader.missing() == 0;
      auto frame = reader.next();
      if (!frame && frame.error().code == bottle::Code::limit) return 0;
      if (ready != frame.has_value()) std::abort();
      if (!frame) break;
      seen += encode(frame->type, frame->bytes);
    }
  }
  // The frames must contain the bytes that went in, up to a frame that is incomplete.
  if (!input.starts_with(seen)) std::abort();
  return 0;
}
