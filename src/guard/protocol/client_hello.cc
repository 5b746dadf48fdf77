// The guard must never read a different name than the server. Everything that could be read in two ways is therefore
// `bad`: a second server_name extension, a list with anything but one host name, lengths that do not fill the part
// around them, and a name with a zero byte.
//
// The message may come in several records (RFC 8446 §5.1). They are joined, because a name may be split between them.
#include "guard/protocol/client_hello.h"

#include <cstdint>

namespace bottle::guard {
namespace {

// Reads values from the front, and remembers whether a read went past the end.
struct Reader {
  std::string_view bytes;
  bool ok = true;

  size_t number(int width) {
    size_t value = 0;
    for (unsigned char c : take(static_cast<size_t>(width))) value = value << 8 | c;
    return value;
  }
  std::string_view take(size_t count) {
    if (count > bytes.size()) {
      ok = false;
      bytes = {};
      return {};
    }
    auto taken = bytes.substr(0, count);
    bytes.remove_prefix(count);
    return taken;
  }
  Reader vector(int width) { return {take(number(width)), ok}; }
};

// Reads a ClientHello after the four bytes of its type and length.
Parse parse_body(std::string_view body, ClientHello& hello) {
  Reader r{body};
  r.take(2 + 32);  // the legacy version and the random value
  // These are the session id, the cipher suites and the compression methods.
  if (r.vector(1).bytes.size() > 32) return Parse::bad;
  r.vector(2);
  r.vector(1);
  if (!r.ok) return Parse::bad;
  // A ClientHello of TLS 1.2 may have no extensions.
  if (r.bytes.empty()) return Parse::ok;
  Reader extensions = r.vector(2);
  if (!r.ok || !r.bytes.empty()) return Parse::bad;
  bool seen = false;
  while (!extensions.bytes.empty()) {
    size_t type = extensions.number(2);
    Reader data = extensions.vector(2);
    if (!extensions.ok) return Parse::bad;
    // 0 is server_name (RFC 6066 §3). Extensions of any other type do not matter here.
    if (type != 0) continue;
    if (seen) return Parse::bad;
    seen = true;
    Reader names = data.vector(2);
    if (!data.ok || !data.bytes.empty()) return Parse::bad;
    // Exactly one name is accepted, because the guard cannot predict which of two names a server would use.
    size_t kind = names.number(1);
    Reader name = names.vector(2);
    if (!names.ok || !names.bytes.empty() || kind != 0 || name.bytes.empty()) return Parse::bad;
    hello.sni = std::string(name.bytes);
    if (hello.sni.find('\0') != std::string::npos) return Parse::bad;
  }
  return Parse::ok;
}

}  // namespace

// Judges the beginning of the message: what was joined so far, followed by `begun`.
Parse ArrivingHello::judge(std::string_view begun) const {
  constexpr size_t kLimit = 32 * 1024;
  auto byte = [&](size_t i) {
    return static_cast<unsigned char>(i < joined_.size() ? joined_[i] : begun[i - joined_.size()]);
  };
  size_t size = joined_.size() + begun.size();
  // The message has the type `client_hello` and a length of three bytes.
  if (size > 0 && byte(0) != 1) return Parse::bad;
  if (size < 4) return Parse::incomplete;
  size_t need = (size_t{byte(1)} << 16 | size_t{byte(2)} << 8 | byte(3)) + 4;
  // Nothing may follow in the same record, because the server has not answered yet.
  if (need > kLimit + 4 || size > need) return Parse::bad;
  return size == need ? Parse::ok : Parse::incomplete;
}

Parse ArrivingHello::read(std::string_view bytes, ClientHello& hello) {
  hello = {};
  while (true) {
    std::string_view record = bytes.substr(at_);
    if (record.empty()) return Parse::incomplete;
    // A record has the type `handshake`, the version 3.x, and a length of at most 2^14 bytes.
    if (record[0] != 22) return Parse::bad;
    if (record.size() >= 2 && record[1] != 3) return Parse::bad;
    if (record.size() < 5) return Parse::incomplete;
    size_t length =
        static_cast<size_t>(static_cast<unsigned char>(record[3]) << 8 | static_cast<unsigned char>(record[4]));
    if (length == 0 || length > 16384) return Parse::bad;
    std::string_view content = record.substr(5, length);
    Parse judged = judge(content);
    if (judged == Parse::bad) return judged;
    if (judged == Parse::ok) return parse_body((joined_ + std::string(content)).substr(4), hello);
    if (content.size() < length) return Parse::incomplete;
    joined_.append(content);
    at_ += 5 + length;
  }
}

Parse parse_client_hello(std::string_view bytes, ClientHello& hello) { return ArrivingHello().read(bytes, hello); }

}  // namespace bottle::guard
