// An ssh server shows its host key in the clear, in the last message of the key exchange before encryption begins.
// The watch follows the server's packets up to that message. The usual methods of key exchange put the key at the
// front of that message, as a string, and the signature at its end. Message 33 of a group exchange does the same. If
// encryption begins without such a message, the connection is refused, because nothing after that can be read.
#include "guard/protocol/ssh_watch.h"

#include <cstdint>

namespace bottle::guard {
namespace {

// A packet of 35000 bytes is the largest that every side must accept (RFC 4253 §6.1).
constexpr size_t kMostBytes = 256 * 1024, kMostPacket = 35000;

size_t number(std::string_view bytes) {
  size_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(bytes[static_cast<size_t>(i)]);
  return value;
}

// Takes one length-prefixed string from the front.
bool take_string(std::string_view& bytes, std::string_view& out) {
  if (bytes.size() < 4) return false;
  size_t length = number(bytes);
  if (length > bytes.size() - 4) return false;
  out = bytes.substr(4, length);
  bytes.remove_prefix(4 + length);
  return true;
}

}  // namespace

SshWatch::State SshWatch::refuse(const char* why) {
  why_ = why;
  return state_ = State::refused;
}

// Judges one packet of the server, without its length and padding.
SshWatch::State SshWatch::packet(std::string_view payload) {
  enum : unsigned char { kNewKeys = 21, kReplyOrGroup = 31, kGexReply = 33 };
  auto type = static_cast<unsigned char>(payload[0]);
  if (type == kNewKeys) return refuse("the server started encryption without sending a host key");
  if (type != kReplyOrGroup && type != kGexReply) return state_;
  std::string_view rest = payload.substr(1), first, second, signature;
  if (!take_string(rest, first)) return refuse("the server's key exchange reply is malformed");
  size_t key_size = 4 + first.size();
  if (first == key_ && take_string(rest, second) && !rest.empty()) {
    std::string_view signature_field = rest;
    if (!take_string(rest, signature) || !rest.empty()) return refuse("the server's key exchange reply is malformed");
    proof_.assign(payload.substr(1, key_size)).append(signature_field);
    return state_ = State::matched;
  }
  // In a group exchange, message 31 has the group (two numbers and nothing else), and the key comes in message 33.
  if (type == kReplyOrGroup && first != key_ && take_string(rest, second) && rest.empty()) return state_;
  return refuse("the server's host key is not the one in the manifest");
}

SshWatch::State SshWatch::feed(std::string_view bytes) {
  if (state_ != State::more) return state_;
  seen_ += bytes.size();
  if (seen_ > kMostBytes) return refuse("the server sent no host key within the first 256 KB");
  buffer_.append(bytes);
  while (!greeted_) {
    size_t end = buffer_.find('\n');
    if (end == std::string::npos) return buffer_.size() > 1024 ? refuse("the server does not speak ssh") : state_;
    // A server may send other lines before its version (RFC 4253 §4.2).
    std::string line = buffer_.substr(0, end);
    buffer_.erase(0, end + 1);
    if (line.starts_with("SSH-2.0-") || line.starts_with("SSH-1.99-")) greeted_ = true;
    else if (line.starts_with("SSH-") || line.starts_with("HTTP/"))
      return refuse("the server does not speak version 2 of ssh");
  }
  while (buffer_.size() >= 5) {
    size_t length = number(buffer_), padding = static_cast<unsigned char>(buffer_[4]);
    // The length covers the byte for the padding's length, the payload and the padding. The payload must not be empty.
    if (length < 2 || length > kMostPacket || padding + 1 >= length)
      return refuse("the server sent a malformed ssh packet");
    if (buffer_.size() < 4 + length) break;
    std::string payload = buffer_.substr(5, length - 1 - padding);
    buffer_.erase(0, 4 + length);
    if (packet(payload) != State::more) {
      std::string().swap(buffer_);
      break;
    }
  }
  return state_;
}

}  // namespace bottle::guard
