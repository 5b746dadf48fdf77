// Output is kept in pieces of one stream each, so that the two streams can be replayed in the order in which they
// came. Positions count the bytes of both streams, and a client that reconnects names the position up to which it has
// seen everything. Output that is no longer kept by then is a gap, whose size the answer tells.
#include "session/console/output_log.h"

#include "base/files/file.h"
#include "wire/event.h"

namespace bottle::session {
namespace {

using wire::FrameReader, wire::FrameType;
constexpr size_t kScreen = 64 << 10;  // how much output a terminal is shown when it attaches to a running agent
constexpr size_t kLargestFile = 64 << 20;
}  // namespace

void OutputLog::append(FrameType type, std::string_view bytes) {
  if (bytes.empty()) return;
  constexpr size_t kPiece = 64 << 10;  // whole pieces are dropped, so they must stay small
  for (; !bytes.empty(); bytes.remove_prefix(std::min(bytes.size(), kPiece))) {
    std::string_view part = bytes.substr(0, kPiece);
    if (pieces_.empty() || pieces_.back().type != type || pieces_.back().bytes.size() + part.size() > kPiece)
      pieces_.push_back({type, {}});
    pieces_.back().bytes.append(part);
    end_ += part.size();
  }
  // Only whole pieces are dropped, so slightly more than the limit may be kept.
  while (end_ - begin_ > limit_ && pieces_.size() > 1) {
    begin_ += pieces_.front().bytes.size();
    pieces_.pop_front();
  }
}

uint64_t OutputLog::replay(uint64_t from, const std::function<void(FrameType, std::string_view)>& to) const {
  uint64_t at = begin_, first = std::min(std::max(from, begin_), end_);
  for (const auto& piece : pieces_) {
    if (at + piece.bytes.size() > first)
      to(piece.type, std::string_view(piece.bytes).substr(at < first ? first - at : 0));
    at += piece.bytes.size();
  }
  return first;
}

std::string OutputLog::answer(const wire::Attach& attach) const {
  uint64_t from = attach.from.value_or(tail(kScreen));
  std::string replayed;
  uint64_t first = replay(from, [&](FrameType type, std::string_view part) { replayed += encode(type, part); });
  // A client that requests only the last screen has missed nothing.
  wire::Event event = wire::Attached{first, attach.from && first > from ? first - from : 0};
  return encode(FrameType::event, wire::encode(event)) + replayed;
}

// Saves the answer to a client that has seen nothing: the start position, then the frames.
Result<> OutputLog::save(const std::string& path) const { return write_file_atomically(path, answer({.from = 0})); }

Result<OutputLog> OutputLog::load(const std::string& path) {
  FrameReader frames;
  frames.feed(TRY(read_file(path, kLargestFile)));
  auto event = TRY(wire::decode<wire::Event>(TRY(frames.next()).bytes, wire::From::ours));
  auto* head = std::get_if<wire::Attached>(&event);
  if (!head) return fail(Code::protocol, path + " does not begin with a position");
  OutputLog log(kLargestFile);
  // Positions continue where the saved output began.
  log.begin_ = log.end_ = head->from;
  while (auto frame = frames.next()) log.append(frame->type, frame->bytes);
  return log;
}

}  // namespace bottle::session
