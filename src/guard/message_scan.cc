#include "guard/message_scan.h"

#include <openssl/rand.h>

namespace bottle::guard {

bool MessageScan::pass(std::string& in, std::string& out) {
  using Step = WebSocketReader::Step;
  std::string_view rest = in;
  bool fine = true;
  for (Step step = Step::frame; fine && step != Step::more;) {
    piece_.clear();
    step = reader_.next(rest, piece_);
    const WebSocketFrame& frame = reader_.frame();
    if (step == Step::bad) fine = false;
    if (step == Step::frame && !frame.control() && frame.opcode != WebSocketFrame::continuation) opcode_ = frame.opcode;
    if (step == Step::payload && frame.control()) control_ += piece_;
    if (step == Step::payload && !frame.control()) fine = filter_.feed(piece_, ready_);
    if (fine && step != Step::more && reader_.frame_done()) fine = end_frame(out);
  }
  in.erase(0, in.size() - rest.size());
  if (fine && !ready_.empty()) write_piece(false, out);
  return fine;
}

bool MessageScan::end_frame(std::string& out) {
  const WebSocketFrame& frame = reader_.frame();
  if (!frame.control()) {
    if (!frame.fin) return true;
    if (!filter_.release(ready_)) return false;
    write_piece(true, out);
    return true;
  }
  std::string payload;
  scan::Filter filter = make_filter_();
  bool fine = filter.feed(control_, payload) && filter.release(payload);
  // No values are put into messages, so the payload cannot have become too long.
  if (fine) write(frame.opcode, true, payload, out);
  control_.clear();
  return fine;
}

bool MessageScan::release(std::string& out) {
  bool fine = filter_.release(ready_);
  if (fine && !ready_.empty()) write_piece(false, out);
  return fine;
}

void MessageScan::write_piece(bool fin, std::string& out) {
  write(opcode_, fin, ready_, out);
  opcode_ = WebSocketFrame::continuation;
  ready_.clear();
}

void MessageScan::write(uint8_t opcode, bool fin, std::string_view payload, std::string& out) {
  WebSocketKey key{};
  RAND_bytes(reinterpret_cast<unsigned char*>(key.data()), static_cast<int>(key.size()));
  writer_.begin({opcode, fin, false, payload.size()}, key, out);
  writer_.payload(payload, out);
}

}  // namespace bottle::guard
