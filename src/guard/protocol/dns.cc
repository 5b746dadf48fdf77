// The agent writes the questions, and programs of the bottle read the answers. A question is copied unchanged into
// its answer, including the capitals with which some resolvers recognize forged answers. Everything after the
// question, such as the options of EDNS, is ignored, because every answer is short enough for a client without them.
#include "guard/protocol/dns.h"

namespace bottle::guard {
namespace {

uint16_t number(std::string_view bytes, size_t at) {
  return static_cast<uint16_t>(static_cast<unsigned char>(bytes[at]) << 8 | static_cast<unsigned char>(bytes[at + 1]));
}
void put(std::string& out, unsigned value) {
  out += static_cast<char>(value >> 8);
  out += static_cast<char>(value);
}

}  // namespace

Parse parse_dns_query(std::string_view bytes, DnsQuery& query) {
  query = {};
  if (bytes.size() < 12 || bytes.size() > 4096) return Parse::bad;
  query.id = number(bytes, 0);
  query.flags = number(bytes, 2);
  // The message is a response or has another opcode. Answering those could cause loops.
  if (query.flags & 0xf800) return Parse::bad;
  if (number(bytes, 4) != 1 || number(bytes, 6) != 0) return Parse::bad;
  size_t at = 12;
  while (true) {
    if (at >= bytes.size()) return Parse::bad;
    size_t length = static_cast<unsigned char>(bytes[at++]);
    if (length == 0) break;
    // A length above 63 is a pointer to another name, which makes no sense in a message with a single name.
    if (length > 63 || at + length > bytes.size()) return Parse::bad;
    if (!query.name.empty()) query.name += '.';
    for (char c : bytes.substr(at, length)) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
      // A '.' within a label would make a different name look like one of the bottle's.
      query.name += c > 0x20 && c < 0x7f && c != '.' ? c : '?';
    }
    at += length;
    if (query.name.size() > 253) return Parse::bad;
  }
  if (at + 4 > bytes.size()) return Parse::bad;
  query.type = number(bytes, at);
  query.klass = number(bytes, at + 2);
  query.size = at + 4;
  return Parse::ok;
}

std::string dns_answer(std::string_view bytes, const DnsQuery& query, const policy::Address* address) {
  bool known = address && query.klass == 1;
  constexpr unsigned kA = 1, kAaaa = 28, kResponse = 0x8000, kAuthoritative = 0x0400, kRecursion = 0x0180,
                     kNxDomain = 3;
  bool answer = known && query.type == (address->v6 ? kAaaa : kA);
  std::string out;
  put(out, query.id);
  // "Recursion available" keeps stub resolvers from looking for another server.
  put(out, kResponse | kAuthoritative | (query.flags & 0x0100) | (kRecursion & 0x0080) | (known ? 0 : kNxDomain));
  put(out, 1);
  put(out, answer);
  put(out, 0);
  put(out, 0);
  out.append(bytes.substr(12, query.size - 12));
  if (answer) {
    size_t length = address->v6 ? 16 : 4;
    // This points to the name in the question (RFC 1035 §4.1.4).
    put(out, 0xc00c);
    put(out, query.type);
    put(out, 1);
    put(out, 0);
    put(out, 60);  // TTL in seconds
    put(out, static_cast<unsigned>(length));
    out.append(reinterpret_cast<const char*>(address->bytes.data()), length);
  }
  return out;
}

DnsTurn answer_dns_queries(std::string& in, std::string& out,
                           const std::function<std::string(std::string_view)>& answer) {
  std::string_view left = in;
  DnsTurn turn = DnsTurn::more;
  for (int i = 0; i < kMostAnswersInTurn; ++i) {
    size_t size = left.size() < 2 ? 0 : static_cast<unsigned char>(left[0]) << 8 | static_cast<unsigned char>(left[1]);
    if (left.size() < 2 + size) {
      turn = DnsTurn::waits;
      break;
    }
    std::string reply = answer(left.substr(2, size));
    left.remove_prefix(2 + size);
    if (reply.empty()) {
      turn = DnsTurn::refused;
      break;
    }
    out += static_cast<char>(reply.size() >> 8);
    out += static_cast<char>(reply.size());
    out += reply;
  }
  in.erase(0, in.size() - left.size());
  return turn;
}

}  // namespace bottle::guard
