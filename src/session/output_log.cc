#include "session/output_log.h"

namespace bottle::session {

void OutputLog::append(FrameType type, std::string_view bytes) {
  if (bytes.empty()) return;
  constexpr size_t kPiece = 64 << 10;  // whole pieces are dropped, so they must stay small
  for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), kPiece))) {
    std::string_view part = bytes.substr(0, kPiece);
    if (pieces_.empty() || pieces_.back().type != type || pieces_.back().bytes.size() + part.size() > kPiece) pieces_.push_back({type, {}});
    pieces_.back().bytes.append(part);
    end_ += part.size();
  }
  while (end_ - begin_ > limit_ && pieces_.size() > 1) {
    begin_ += pieces_.front().bytes.size();
    pieces_.pop_front();
  }
}

uint64_t OutputLog::replay(uint64_t from, const std::function<void(FrameType, std::string_view)>& to) const {
  uint64_t at = begin_, first = std::min(std::max(from, begin_), end_);
  for (const auto& piece : pieces_) {
    if (at + piece.bytes.size() > first) to(piece.type, std::string_view(piece.bytes).substr(at < first ? first - at : 0));
    at += piece.bytes.size();
  }
  return first;
}

}  // namespace bottle::session
