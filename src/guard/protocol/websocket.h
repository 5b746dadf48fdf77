// Reads WebSocket frames (RFC 6455) strictly and in bounded memory, and writes them again. Pure.
//
// A reader takes one direction of a connection after its 101. It returns payloads in pieces as they arrive, without
// their mask, so that they can be scanned. A writer frames them again for the other side.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace bottle::guard {

// Holds the head of a frame (RFC 6455 §5.2), without its mask.
struct WebSocketFrame {
  enum Opcode : uint8_t { continuation = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };
  uint8_t opcode = 0;
  bool fin = false;         // the last frame of its message
  bool compressed = false;  // RSV1: the message that this frame begins is compressed (permessage-deflate)
  uint64_t length = 0;      // bytes of payload

  // Returns whether the frame is a control frame, which may come between the frames of a message.
  bool control() const { return opcode >= close; }
};

enum class WebSocketSender { client, server };

using WebSocketKey = std::array<char, 4>;

// Reads the frames of one sender. It keeps no payload, because it reads a frame of any length in pieces.
class WebSocketReader {
 public:
  // `deflate` says that the handshake agreed on permessage-deflate. Without it, no frame may be marked as compressed.
  WebSocketReader(WebSocketSender sender, bool deflate) : sender_(sender), deflate_(deflate) {}

  // Says what next() did.
  enum class Step {
    more,     // needs more bytes: append them to those that are left in `in` (at most 13), and call it again
    frame,    // read the head of a frame; frame() returns it
    payload,  // appended a piece of the frame's payload, without its mask
    bad       // not WebSocket, or a violation of the protocol (see why()); nothing more can be read
  };
  // Takes bytes from the front of `in`.
  Step next(std::string_view& in, std::string& payload);

  // Returns the head that was read last. Its `length` is from the sender and may be anything up to 2^63 - 1.
  const WebSocketFrame& frame() const { return frame_; }
  // Returns whether frame() has been read to its end.
  bool frame_done() const { return left_ == 0; }
  // Returns whether the message has ended as well. A control frame counts as a message.
  bool message_done() const { return left_ == 0 && frame_.fin; }
  // Returns what is wrong, as a constant text, or null.
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
  bool open_ = false;    // a message has begun, and its last frame has not arrived yet
  bool closed_ = false;  // a close frame has arrived, and nothing may follow it
  const char* why_ = nullptr;
};

// Writes the frames of one sender again.
class WebSocketWriter {
 public:
  explicit WebSocketWriter(WebSocketSender as) : as_(as) {}

  // Appends the head of a frame. If the sender is a client, `key` masks the payload and must be random, because a peer
  // that can choose the key also chooses the bytes on the wire.
  void begin(const WebSocketFrame& frame, const WebSocketKey& key, std::string& out);
  // Appends payload of that frame, frame.length bytes in total.
  void payload(std::string_view bytes, std::string& out);

 private:
  WebSocketSender as_;
  WebSocketKey key_{};
  size_t key_at_ = 0;
};

}  // namespace bottle::guard
