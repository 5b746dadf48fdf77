// Reads the usage of tokens from an answer on its way to the agent. The answer itself passes unchanged; if it is
// compressed, a copy is decoded here. A copy that decodes to too much is no longer read, because an answer must never
// cost more than its bytes are worth.
#include "guard/watch/usage_watch.h"

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
  if (copy_.plain()) {
    seen_ += bytes.size();
    return reader_.feed(bytes);
  }
  if (!bytes.empty()) begun_ = seen_;
  std::string text;
  bool fine = copy_.take(bytes, text);
  seen_ += text.size();
  bool usual = seen_ - begun_ < kMostAtOnce;
  // The usage before broken bytes counts.
  if (usual) reader_.feed(text);
  if (!fine || !usual) seen_ = kMost;
}

}  // namespace bottle::guard
