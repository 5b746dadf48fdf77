// WebSocket frames (RFC 6455), read strictly and in bounded memory, and written anew. Pure.
//
// A reader takes one direction of a connection after its 101. Payloads come out in pieces as they arrive, without
// their mask, so that they can be looked at; a writer frames them again for the other side.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace bottle::guard {

struct WebSocketFrame {
  enum Opcode : uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };
  uint8_t opcode = 0;
  bool fin = false;         // the last frame of its message
  bool compressed = false;  // RSV1: the message that this frame begins is compressed (permessage-deflate)
  uint64_t length = 0;      // bytes of payload

  bool control() const { return opcode >= close; }
};

enum class WebSocketSender { client, server };

using WebSocketKey = std::array<char, 4>;

class WebSocketReader {
 public:
  // `deflate`: the handshake agreed on permessage-deflate. Without it no frame may be marked as compressed.
  WebSocketReader(WebSocketSender sender, bool deflate) : sender_(sender), deflate_(deflate) {}

  enum class Step {
    more,     // nothing to take: call again with more bytes behind those that are left in `in` (13 at most)
    frame,    // the head of a frame: frame() says which
    payload,  // a piece of its payload was appended, without its mask
    bad       // no WebSocket, or one that breaks the protocol: why(). Nothing more can be read
  };
  // Takes bytes off the front of `in`.
  Step next(std::string_view& in, std::string& payload);

  const WebSocketFrame& frame() const { return frame_; }
  // Whether frame() has been read to its end.
  bool frame_done() const { return left_ == 0; }
  // Whether that was the end of a message too. A control frame is a message of its own.
  bool message_done() const { return left_ == 0 && frame_.fin; }
  const char* why() const { return why_; }

 private:
  Step head(std::string_view& in);
  const char* judge(uint8_t first, uint8_t second) const;
  Step fail(const char* why);

  WebSocketSender sender_;
  bool deflate_;
  WebSocketFrame frame_;
  uint64_t left_ = 0;  // bytes of frame_'s payload that are still to come
  WebSocketKey key_{};
  size_t key_at_ = 0;
  bool open_ = false;    // a message has begun whose last frame has not come yet
  bool closed_ = false;  // a close frame has come: nothing may follow it
  const char* why_ = nullptr;
};

class WebSocketWriter {
 public:
  explicit WebSocketWriter(WebSocketSender as) : as_(as) {}

  // Appends the head of a frame; `key` masks its payload if the sender is a client, and must then be random: who
  // chooses it chooses what stands on the wire.
  void begin(const WebSocketFrame& frame, const WebSocketKey& key, std::string& out);
  // Appends payload of that frame: frame.length bytes in all.
  void payload(std::string_view bytes, std::string& out);

 private:
  WebSocketSender as_;
  WebSocketKey key_{};
  size_t key_at_ = 0;
};

}  // namespace bottle::guard
