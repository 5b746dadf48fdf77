// Checks that the output does not depend on how the attach stream is cut into pieces.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "docker/demux.h"

using namespace bottle::docker;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  auto run = [&](size_t piece, std::string& text) {
    Demux demux;
    std::string_view left = bytes;
    while (!left.empty()) {
      auto fed = demux.feed(left.substr(0, piece), [&](int stream, std::string_view chunk) {
        if (stream != 1 && stream != 2) std::abort();
        for (char c : chunk) text += {static_cast<char>(stream), c};
      });
      if (!fed) {
        if (demux.feed("\1", [](int, std::string_view) { std::abort(); })) std::abort();
        return false;
      }
      left.remove_prefix(std::min(piece, left.size()));
    }
    return true;
  };
  std::string whole, pieces;
  if (run(bytes.size(), whole) != run(1 + data[0] % 16, pieces) || whole != pieces) std::abort();
  return 0;
}
