// Where RFC 6455 lets receivers be tolerant, this parser fails, because two ends might read such frames in different
// ways, and then the guard would have scanned something other than what arrives. Frames are parsed and written again,
// never copied, so the other side gets only what the guard has parsed.
#include "guard/protocol/websocket.h"

#include <algorithm>
#include <cstring>

namespace bottle::guard {
namespace {

constexpr uint64_t kMostControl = 125;

// Adds `bytes` to `out` and masks or unmasks them, which is the same operation. `at` is the position in the key, and
// advances.
void append_masked(std::string_view bytes, const WebSocketKey& key, size_t& at, std::string& out) {
  size_t start = out.size();
  out.append(bytes);
  // The key repeats every four bytes, so two copies of it mask a word of eight.
  char pattern[8];
  for (size_t i = 0; i < sizeof pattern; ++i) pattern[i] = key[(at + i) % 4];
  uint64_t wide;
  std::memcpy(&wide, pattern, sizeof wide);
  char* p = out.data() + start;
  size_t i = 0;
  for (; i + sizeof wide <= bytes.size(); i += sizeof wide) {
    uint64_t word;
    std::memcpy(&word, p + i, sizeof word);
    word ^= wide;
    std::memcpy(p + i, &word, sizeof word);
  }
  for (; i < bytes.size(); ++i) p[i] = static_cast<char>(p[i] ^ pattern[i % sizeof wide]);
  at = (at + bytes.size()) % 4;
}

}  // namespace

WebSocketReader::Step WebSocketReader::fail(const char* why) {
  why_ = why;
  return Step::bad;
}

// Returns what is wrong with the first two bytes of a frame, or null if nothing is.
const char* WebSocketReader::judge(uint8_t first, uint8_t second) const {
  bool fin = first & 0x80, compressed = first & 0x40, masked = second & 0x80;
  uint8_t opcode = first & 0x0f;
  bool control = opcode >= WebSocketFrame::close;
  if (closed_) return "bytes after a close frame";
  if (first & 0x30) return "a reserved bit is set";
  if (opcode > WebSocketFrame::pong || (opcode > WebSocketFrame::binary && !control)) return "an unknown opcode";
  // A client must mask and a server must not (RFC 6455 §5.1).
  if (masked != (sender_ == WebSocketSender::client)) return masked ? "a masked frame" : "a frame without a mask";
  if (control && (!fin || (second & 0x7f) > kMostControl)) return "a control frame that is too long or in pieces";
  if (control ? compressed : compressed && (!deflate_ || opcode == WebSocketFrame::continuation))
    return "a frame is marked as compressed that must not be";
  if (!control && open_ != (opcode == WebSocketFrame::continuation))
    return open_ ? "a message begins within another" : "a continuation of no message";
  // The code has two bytes (RFC 6455 §5.5.1).
  if (opcode == WebSocketFrame::close && (second & 0x7f) == 1) return "a close frame with half a code";
  return nullptr;
}

// Reads the head of a frame once all of it has arrived.
WebSocketReader::Step WebSocketReader::head(std::string_view& in) {
  auto byte = [&](size_t i) { return static_cast<uint8_t>(in[i]); };
  if (in.size() < 2) return Step::more;
  if (const char* wrong = judge(byte(0), byte(1))) return fail(wrong);
  uint64_t length = byte(1) & 0x7f;
  size_t extended = length == 127 ? 8 : length == 126 ? 2 : 0, mask = byte(1) & 0x80 ? 4 : 0;
  if (in.size() < 2 + extended + mask) return Step::more;
  if (extended) {
    length = 0;
    for (size_t i = 0; i < extended; ++i) length = length << 8 | byte(2 + i);
    // Only the shortest form of a length is allowed (RFC 6455 §5.2).
    if (length < (extended == 2 ? 126u : 65536u)) return fail("a length that could be written shorter");
    if (length >> 63) return fail("a length of more than 63 bits");
  }
  frame_ = {static_cast<uint8_t>(byte(0) & 0x0f), (byte(0) & 0x80) != 0, (byte(0) & 0x40) != 0, length};
  std::copy_n(in.begin() + static_cast<long>(2 + extended), mask, key_.begin());
  if (!mask) key_.fill(0);
  key_at_ = 0;
  left_ = length;
  if (!frame_.control()) open_ = !frame_.fin;
  closed_ |= frame_.opcode == WebSocketFrame::close;
  in.remove_prefix(2 + extended + mask);
  return Step::frame;
}

WebSocketReader::Step WebSocketReader::next(std::string_view& in, std::string& payload) {
  if (why_) return Step::bad;
  if (in.empty()) return Step::more;
  if (left_ == 0) return head(in);
  size_t size = static_cast<size_t>(std::min<uint64_t>(left_, in.size()));
  append_masked(in.substr(0, size), key_, key_at_, payload);
  in.remove_prefix(size);
  left_ -= size;
  return Step::payload;
}

void WebSocketWriter::begin(const WebSocketFrame& frame, const WebSocketKey& key, std::string& out) {
  uint8_t mask = as_ == WebSocketSender::client ? 0x80 : 0;
  out += static_cast<char>((frame.fin ? 0x80 : 0) | (frame.compressed ? 0x40 : 0) | frame.opcode);
  int extended = frame.length > 65535 ? 8 : frame.length > 125 ? 2 : 0;
  out += static_cast<char>(mask | (extended == 8 ? 127 : extended == 2 ? 126 : static_cast<uint8_t>(frame.length)));
  for (int shift = (extended - 1) * 8; shift >= 0; shift -= 8) out += static_cast<char>(frame.length >> shift & 0xff);
  key_at_ = 0;
  key_.fill(0);
  if (!mask) return;
  key_ = key;
  out.append(key.data(), key.size());
}

void WebSocketWriter::payload(std::string_view bytes, std::string& out) { append_masked(bytes, key_, key_at_, out); }

}  // namespace bottle::guard
