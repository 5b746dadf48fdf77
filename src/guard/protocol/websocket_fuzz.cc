// Checks that a connection that is cut anywhere reads the same, and that what was read and written again
// reads the same. The first byte selects the sender and what was agreed on, and the second one the sizes of the pieces.
#include <cstdlib>

#include "guard/protocol/websocket.h"

using namespace bottle::guard;

namespace {

struct Reading {
  std::string story, payload;  // the frames and where they end, and what they carry
  bool bad = false;
};

Reading read(WebSocketSender sender, bool deflate, std::string_view bytes, size_t piece, std::string* again) {
  WebSocketReader reader(sender, deflate);
  WebSocketWriter writer(sender);
  Reading reading;
  std::string in;
  uint64_t left = 0;
  while (!bytes.empty()) {
    in += bytes.substr(0, piece);
    bytes.remove_prefix(std::min(piece, bytes.size()));
    std::string_view rest = in;
    for (;;) {
      size_t before = reading.payload.size();
      auto step = reader.next(rest, reading.payload);
      size_t grown = reading.payload.size() - before;
      if (step != WebSocketReader::Step::payload && grown) std::abort();
      if (step == WebSocketReader::Step::bad) {
        if (!reader.why()) std::abort();
        reading.bad = true;
        return reading;
      }
      if (step == WebSocketReader::Step::more) break;
      if (step == WebSocketReader::Step::frame) {
        const auto& frame = reader.frame();
        if (left || (frame.control() && frame.length > 125) || (frame.compressed && !deflate)) std::abort();
        left = frame.length;
        reading.story += std::to_string(frame.opcode) + (frame.fin ? "f" : "") + (frame.compressed ? "c" : "") +
                         std::to_string(frame.length) + " ";
        if (again) writer.begin(frame, {'k', '\0', '\xff', 'y'}, *again);
      } else {
        if (grown == 0 || grown > left) std::abort();
        left -= grown;
        if (again) writer.payload(std::string_view(reading.payload).substr(before), *again);
      }
      if (reader.frame_done() != (left == 0)) std::abort();
    }
    if (left == 0 && rest.size() > 13) std::abort();
    in.erase(0, in.size() - rest.size());
  }
  return reading;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, size_t size) {
  if (size < 2) return 0;
  auto sender = data[0] & 1 ? WebSocketSender::client : WebSocketSender::server;
  bool deflate = data[0] & 2;
  std::string_view bytes(reinterpret_cast<const char*>(data + 2), size - 2);
  std::string again;
  auto whole = read(sender, deflate, bytes, bytes.size(), &again);
  auto cut = read(sender, deflate, bytes, data[1] % 19 + 1, nullptr);
  if (whole.bad != cut.bad || whole.story != cut.story || whole.payload != cut.payload) std::abort();
  auto reread = read(sender, deflate, again, data[1] % 7 + 1, nullptr);
  if (reread.bad || reread.story != whole.story || reread.payload != whole.payload) std::abort();
  return 0;
}
