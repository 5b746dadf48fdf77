// Supports tests of messages that stream by.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>

#include "scan/message/stream.h"

namespace bottle::scan {

// Returns the output, and whether the stream continued to the end.
inline std::pair<std::string, bool> streamed(Stream& stream, std::string_view text, size_t piece) {
  std::string out;
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size())))
    if (!stream.feed(text.substr(0, piece), out)) return {out, false};
  bool whole = stream.end(out);
  return {out, whole};
}

inline std::string prose(size_t size) {
  std::string out;
  for (size_t i = 0; out.size() < size; ++i) out += "line " + std::to_string(i * i) + " of what is harmless\n";
  return out;
}

}  // namespace bottle::scan
