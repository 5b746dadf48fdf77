// This file scans one direction of a WebSocket connection. It scans the messages independently of their framing, and
// frames them again.
#pragma once

#include <functional>
#include <string>

#include "guard/protocol/websocket.h"
#include "scan/known/filter.h"

namespace bottle::guard {

class MessageScan {
 public:
  // `make_filter` makes the filter for the messages, and one for each control frame.
  MessageScan(WebSocketSender sender, std::function<scan::Filter()> make_filter)
      : reader_(sender, false), writer_(sender), make_filter_(std::move(make_filter)), filter_(make_filter_()) {}

  // Takes bytes from the front of `in`, and appends what may pass. Returns false if the connection must end, because of
  // what broken() says or because a filter stopped it.
  bool pass(std::string& in, std::string& out);
  // Returns what is wrong with the frames, or null if nothing is.
  const char* broken() const { return reader_.why(); }

  // Releases what is held back in the middle of a message, because nothing more arrives for now.
  bool release(std::string& out);
  bool holds_little() const { return filter_.holds_little(); }

 private:
  bool end_frame(std::string& out);
  void write(uint8_t opcode, bool fin, std::string_view payload, std::string& out);
  void write_piece(bool fin, std::string& out);

  WebSocketReader reader_;
  WebSocketWriter writer_;
  std::function<scan::Filter()> make_filter_;
  scan::Filter filter_;  // one for all messages, so that it finds a secret that a message's end splits
  uint8_t opcode_ = WebSocketFrame::continuation;  // of the next piece of the message
  std::string control_;                            // the payload of a control frame so far
  std::string piece_, ready_;                      // of a message: the bytes as they arrived, and those that may pass
};

}  // namespace bottle::guard
