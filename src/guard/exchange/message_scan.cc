// A message may come in any number of frames, and control frames may come between them, so a secret can be split in
// more ways than in a body. Three things catch these: the payload of a message is scanned regardless of its frames,
// one filter runs across all messages, and a control frame is scanned like a message before it passes.
//
// The filter comes first, because it must see the bytes as the sender wrote them. The stream then sees the bytes that
// would leave. The fields of a short message are also checked as pieces of a secret that is sent in several messages.
#include "guard/exchange/message_scan.h"

#include <openssl/rand.h>

#include <utility>

namespace bottle::guard {

bool MessageScan::pass(std::string& in, std::string& out) {
  using Step = WebSocketReader::Step;
  std::string_view rest = in;
  bool fine = true;
  int frames = 0;
  for (Step step = Step::frame; fine && step != Step::more && frames < kMostFrames;) {
    piece_.clear();
    step = reader_.next(rest, piece_);
    const WebSocketFrame& frame = reader_.frame();
    if (step == Step::bad) fine = false;
    // Only the first frame of a message has its opcode. The same holds for the frames that the guard writes.
    if (step == Step::frame && !frame.control() && frame.opcode != WebSocketFrame::continuation) opcode_ = frame.opcode;
    // A control frame has at most 125 bytes, so it can wait until it is complete.
    if (step == Step::payload && frame.control()) control_ += piece_;
    if (step == Step::payload && !frame.control()) fine = filter_.feed(piece_, filtered_) && scan_piece(false);
    if (!fine || step == Step::more || !reader_.frame_done()) continue;
    fine = end_frame(out);
    ++frames;
  }
  behind_ = frames == kMostFrames && !rest.empty();
  in.erase(0, in.size() - rest.size());
  if (fine && !ready_.empty()) write_piece(false, out);
  return fine;
}

// Scans what has passed the filter. `whole` says that the message ends here.
bool MessageScan::scan_piece(bool whole) {
  if (rules_.watch && !rules_.watch(filtered_, whole)) return false;
  if (!rules_.stream) {
    ready_.append(std::exchange(filtered_, {}));
    return true;
  }
  if (!stream_) stream_.emplace(rules_.stream());
  bool fine = stream_->feed(filtered_, ready_) && (!whole || stream_->end(ready_));
  filtered_.clear();
  if (fine) rules_.passed(*stream_);
  else rules_.stopped(*stream_);
  fine = fine && rules_.pieces(*stream_, whole ? FindingScan::Moment::end : FindingScan::Moment::flow, checked_);
  if (!whole) return fine;
  stream_.reset();
  checked_ = 0;
  return fine;
}

// Ends a frame that has been read. If it is the last of its message, the message is judged as a whole.
bool MessageScan::end_frame(std::string& out) {
  const WebSocketFrame& frame = reader_.frame();
  if (frame.control()) return end_control(frame, out);
  if (!frame.fin) return true;
  if (!filter_.release(filtered_) || !scan_piece(true)) return false;
  write_piece(true, out);
  return true;
}

// Scans a control frame and writes it, if necessary between the pieces of a message.
bool MessageScan::end_control(const WebSocketFrame& frame, std::string& out) {
  std::string filtered, payload;
  scan::Filter filter = rules_.filter();
  bool fine = filter.feed(control_, filtered) && filter.release(filtered);
  if (fine && rules_.stream) {
    scan::Stream stream = rules_.stream();
    size_t checked = 0;
    fine = stream.feed(filtered, payload) && stream.end(payload) &&
           rules_.pieces(stream, FindingScan::Moment::end, checked);
    if (fine) rules_.passed(stream);
    else rules_.stopped(stream);
  } else {
    payload = std::move(filtered);
  }
  // The guard inserts no values into messages, so the payload cannot have become too long.
  if (fine) write(frame.opcode, true, payload, out);
  control_.clear();
  return fine;
}

bool MessageScan::release(std::string& out) {
  bool fine = !filter_.holds() || (filter_.pause(filtered_) && scan_piece(false));
  if (fine && stream_) {
    fine = stream_->release(ready_) && rules_.pieces(*stream_, FindingScan::Moment::pause, checked_);
    if (!fine) rules_.stopped(*stream_);
  }
  if (fine && !ready_.empty()) write_piece(false, out);
  return fine;
}

size_t MessageScan::memory() const {
  size_t buffers = 0;
  for (const std::string* each : {&control_, &piece_, &filtered_, &ready_}) buffers += each->capacity();
  return buffers + filter_.memory() + (stream_ ? stream_->memory() : 0);
}

void MessageScan::rest() {
  for (std::string* each : {&control_, &piece_, &filtered_, &ready_})
    if (each->empty()) std::string().swap(*each);
}

void MessageScan::write_piece(bool fin, std::string& out) {
  write(opcode_, fin, ready_, out);
  opcode_ = WebSocketFrame::continuation;
  ready_.clear();
}

void MessageScan::write(uint8_t opcode, bool fin, std::string_view payload, std::string& out) {
  WebSocketKey key{};
  // Only a client's frames are masked. A mask that the agent could predict would let it choose the bytes on the wire
  // (RFC 6455 §10.3).
  RAND_bytes(reinterpret_cast<unsigned char*>(key.data()), static_cast<int>(key.size()));
  writer_.begin({opcode, fin, false, payload.size()}, key, out);
  writer_.payload(payload, out);
}

}  // namespace bottle::guard
