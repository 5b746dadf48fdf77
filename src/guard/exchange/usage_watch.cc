#include "guard/exchange/usage_watch.h"

#include <algorithm>

namespace bottle::guard {

std::optional<UsageWatch> UsageWatch::make(const http::Head& head, bool decoded) {
  auto decoder = scan::ContentDecoder::make(decoded ? "" : head.list("content-encoding"));
  if (!decoder) return std::nullopt;
  const http::Header* type = head.find("content-type");
  bool events = type && http::iequals(type->value.substr(0, 17), "text/event-stream");
  return UsageWatch(std::move(*decoder), events ? UsageReader::Layout::events : UsageReader::Layout::json);
}

void UsageWatch::feed(std::string_view bytes) {
  if (seen_ >= kMost) return;
  if (decoder_.plain()) {
    seen_ += bytes.size();
    return reader_.feed(bytes);
  }
  std::string text;
  uint64_t most = std::min(kMost, seen_ + kMostAtOnce);
  for (bool moved = true; moved;) {
    if (seen_ >= most) {
      seen_ = kMost;
      return;
    }
    size_t before = bytes.size();
    text.clear();
    if (!decoder_.next(bytes, text)) {
      seen_ = kMost;
      return;
    }
    reader_.feed(text);
    seen_ += text.size();
    moved = bytes.size() != before || !text.empty();
  }
}

}  // namespace bottle::guard
