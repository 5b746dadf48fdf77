// Scans one direction of a WebSocket connection. It scans the messages independently of their framing, and
// frames them again.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "guard/exchange/finding_scan.h"
#include "guard/protocol/websocket.h"
#include "scan/known/filter.h"
#include "scan/message/stream.h"

namespace bottle::guard {

// Says how the messages of one direction are scanned.
struct MessageRules {
  std::function<scan::Filter()> filter;       // one for the messages, and one for each control frame
  std::function<scan::Stream()> stream = {};  // one for each message; without it, only the filter scans
  // Returns whether the part of a message that leaves now may follow what left before (FindingScan::check_pieces).
  std::function<bool(const scan::Stream&, FindingScan::Moment, size_t& checked)> pieces = {};
  std::function<void(const scan::Stream&)> stopped = {}, passed = {};  // set together with `stream`
  // Returns whether the next bytes of a message may pass to the reader. `whole` says that the message ends with them.
  std::function<bool(std::string_view, bool whole)> watch = {};
};

// Scans and frames one direction. Writes every frame again, with the guard's own length and mask. Large messages pass
// in pieces: a piece becomes a frame as soon as it may pass, whatever frames the sender chose.
class MessageScan {
 public:
  MessageScan(WebSocketSender sender, MessageRules rules)
      : reader_(sender, false), writer_(sender), rules_(std::move(rules)), filter_(rules_.filter()) {}

  // Takes bytes from the front of `in`, and appends what may pass. Takes at most kMostFrames frames, because each of
  // them costs a scan, however short it is; is_behind() then says whether to call it again before more bytes come.
  // Returns false if the connection must end, for the reason that broken() returns, or because a filter stopped it.
  bool pass(std::string& in, std::string& out);
  bool is_behind() const { return behind_; }
  static constexpr int kMostFrames = 64;
  // Returns what is wrong with the frames, or null if nothing is.
  const char* broken() const { return reader_.why(); }

  // Releases the bytes that are held back in the middle of a message, because the message pauses.
  bool release(std::string& out);
  // Returns approximately how many bytes this object holds.
  size_t memory() const;
  // Frees empty buffers, so that an idle connection costs little.
  void rest();
  // Returns whether bytes of a message wait for what follows.
  bool holds() const { return filter_.holds() || (stream_ && stream_->holds()); }

 private:
  bool scan_piece(bool whole);
  bool end_frame(std::string& out);
  bool end_control(const WebSocketFrame& frame, std::string& out);
  void write(uint8_t opcode, bool fin, std::string_view payload, std::string& out);
  void write_piece(bool fin, std::string& out);

  WebSocketReader reader_;
  WebSocketWriter writer_;
  MessageRules rules_;
  scan::Filter filter_;  // one for all messages, so that it finds a secret that is split between two messages
  uint8_t opcode_ = WebSocketFrame::continuation;  // of the next piece of the message
  std::optional<scan::Stream> stream_;             // scans the current message after the filter
  std::string control_;                            // the payload of a control frame so far
  std::string piece_, filtered_, ready_;           // of a message: as it arrived, filtered, and what may pass
  size_t checked_ = 0;                             // how much of the message was checked for pieces of a secret
  bool behind_ = false;                            // pass() has left frames in its input
};

}  // namespace bottle::guard
