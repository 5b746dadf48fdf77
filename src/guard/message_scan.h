// One direction of a WebSocket connection: its messages are looked through, whatever their framing, and framed anew.
#pragma once

#include <functional>
#include <string>

#include "guard/protocol/websocket.h"
#include "scan/filter.h"

namespace bottle::guard {

class MessageScan {
 public:
  // `make_filter` makes the filter for the messages, and one for each control frame.
  MessageScan(WebSocketSender sender, std::function<scan::Filter()> make_filter)
      : reader_(sender, false), writer_(sender), make_filter_(std::move(make_filter)), filter_(make_filter_()) {}

  // Takes bytes off the front of `in`; appends what may go on. False: the connection is to end, as broken() says, or
  // because a filter stopped it.
  bool pass(std::string& in, std::string& out);
  // What is wrong with the frames; null: nothing.
  const char* broken() const { return reader_.why(); }

  // Lets out what is held back in the middle of a message, because nothing more comes for now.
  bool release(std::string& out);
  bool holds_little() const { return filter_.holds_little(); }

 private:
  bool end_frame(std::string& out);
  void write(uint8_t opcode, bool fin, std::string_view payload, std::string& out);
  void write_piece(bool fin, std::string& out);

  WebSocketReader reader_;
  WebSocketWriter writer_;
  std::function<scan::Filter()> make_filter_;
  scan::Filter filter_;  // of all messages: what is cut in two by a message's end is still found
  uint8_t opcode_ = WebSocketFrame::continuation;  // of the next piece of the message
  std::string control_;                            // the payload of a control frame so far
  std::string piece_, ready_;                      // of a message: as it came, and what may go on
};

}  // namespace bottle::guard
