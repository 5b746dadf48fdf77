#include "session/console/output_log.h"

#include <nlohmann/json.hpp>

#include "base/file.h"

namespace bottle::session {
namespace {
constexpr size_t kScreen = 64 << 10;  // what a terminal is shown that comes to a running agent
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

std::string OutputLog::answer(const std::string& wish) const {
  auto json = nlohmann::json::parse(wish, nullptr, false);
  bool placed = json.is_object() && json.contains("from") && json["from"].is_number_unsigned();
  uint64_t from = placed ? json["from"].get<uint64_t>() : tail(kScreen);
  std::string replayed;
  uint64_t first = replay(from, [&](FrameType type, std::string_view part) { replayed += encode(type, part); });
  return encode(FrameType::event,
                nlohmann::json{
                    {"event", "attached"}, {"from", first}, {"missed", placed && first > from ? first - from : 0}}
                    .dump()) +
         replayed;
}

// The answer to whoever has missed everything: where it begins, then the frames.
Result<> OutputLog::save(const std::string& path) const { return write_file_atomically(path, answer(R"({"from":0})")); }

Result<OutputLog> OutputLog::load(const std::string& path) {
  FrameReader frames;
  frames.feed(TRY(read_file(path, kLargestFile)));
  auto head = nlohmann::json::parse(TRY(frames.next()).bytes, nullptr, false);
  OutputLog log(kLargestFile);
  log.begin_ = log.end_ = head.is_object() ? head.value("from", uint64_t{0}) : 0;
  while (auto frame = frames.next()) log.append(frame->type, frame->bytes);
  return log;
}

}  // namespace bottle::session
