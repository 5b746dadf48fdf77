#include "guard/protocol/websocket.h"

#include <gtest/gtest.h>

namespace bottle::guard {
namespace {

using namespace std::literals;
using Step = WebSocketReader::Step;

struct Seen {
  std::string frames, payload, why;
};

Seen read(WebSocketReader reader, std::string_view bytes) {
  Seen seen;
  for (;;) {
    switch (reader.next(bytes, seen.payload)) {
      case Step::more:
        return seen;
      case Step::bad:
        seen.why = reader.why();
        return seen;
      case Step::frame:
        seen.frames += std::to_string(reader.frame().opcode) + (reader.frame().fin ? "! " : " ");
        break;
      case Step::payload:
        break;
    }
  }
}

Seen from_client(std::string_view bytes, bool deflate = false) {
  return read(WebSocketReader(WebSocketSender::client, deflate), bytes);
}
Seen from_server(std::string_view bytes, bool deflate = false) {
  return read(WebSocketReader(WebSocketSender::server, deflate), bytes);
}

TEST(WebSocket, reads_the_examples_of_the_standard) {
  // The examples are from RFC 6455 §5.7.
  EXPECT_EQ(from_server("\x81\x05Hello"sv).payload, "Hello");
  EXPECT_EQ(from_client("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58"sv).payload, "Hello");
  Seen pieces = from_server("\x01\x03Hel\x89\x02hi\x80\x02lo"sv);
  EXPECT_EQ(pieces.frames, "1 9! 0! ") << "a ping may come between the pieces of a message";
  EXPECT_EQ(pieces.payload, "Helhilo");
  EXPECT_EQ(from_server("\x82\x7e\x01\x00"s + std::string(256, 'x')).payload, std::string(256, 'x'));
  EXPECT_EQ(from_server("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"s + std::string(65536, 'x')).payload.size(), 65536u);
  EXPECT_EQ(from_server("\xc1\x01x\x88\x02\x03\xe8"sv, true).why, "");
}

TEST(WebSocket, refuses_malformed_frames) {
  std::string mask = "abcd";
  for (const auto& [what, bytes] : std::vector<std::pair<const char*, std::string>>{
           {"no mask from a client", "\x81\x01x"s},
           {"HTTP from a client", "GET / HTTP/1.1\r\n"s},
           {"RSV1 without an extension", "\xc1\x81"s + mask + "x"},
           {"RSV2", "\xa1\x81"s + mask + "x"},
           {"RSV3", "\x91\x81"s + mask + "x"},
           {"opcode 3", "\x83\x81"s + mask + "x"},
           {"opcode 11", "\x8b\x81"s + mask + "x"},
           {"a ping in pieces", "\x09\x81"s + mask + "x"},
           {"a long ping", "\x89\xfe\x00\x7e"s + mask},
           {"a length of two bytes that fits one", "\x81\xfe\x00\x7d"s + mask},
           {"a length of eight bytes that fits two", "\x81\xff\0\0\0\0\0\0\xff\xff"s + mask},
           {"a length of 64 bits", "\x81\xff\x80\0\0\0\0\1\0\0"s + mask},
           {"a continuation of nothing", "\x80\x81"s + mask + "x"},
           {"a message within a message", "\x01\x81"s + mask + "x\x81\x81" + mask + "x"},
           {"half a close code", "\x88\x81"s + mask + "x"},
           {"bytes after a close", "\x88\x80"s + mask + "\x81\x81" + mask + "x"}})
    EXPECT_NE(from_client(bytes).why, "") << what;
  EXPECT_NE(from_server("\x81\x81"s + mask + "x").why, "") << "a mask from a server";
  EXPECT_NE(from_server("HTTP/1.1 200 OK\r\n").why, "");
  EXPECT_NE(from_client("\xc9\x81"s + mask + "x", true).why, "") << "a compressed ping";
  EXPECT_NE(from_client("\x41\x81"s + mask + "x\xc0\x81" + mask + "x", true).why, "") << "a compressed continuation";
}

TEST(WebSocket, finds_the_ends_of_messages) {
  WebSocketReader reader(WebSocketSender::server, false);
  std::string payload, text = "\x01\x02Hi\x80\x00\x89\x00"s;
  std::string_view in = text;
  std::string ends;
  for (Step step; (step = reader.next(in, payload)) != Step::more;)
    ends += std::string(reader.frame_done() ? "f" : "") + (reader.message_done() ? "m " : " ");
  EXPECT_EQ(ends, " f fm fm ");
}

TEST(WebSocket, writes_frames_with_its_own_key) {
  WebSocketWriter writer(WebSocketSender::client);
  for (size_t length : {size_t{0}, size_t{1}, size_t{125}, size_t{126}, size_t{65535}, size_t{65536}}) {
    std::string out, text(length, 'x');
    writer.begin({WebSocketFrame::binary, true, false, length}, {'k', 'e', 'y', '!'}, out);
    for (size_t at = 0; at < length; at += 1001) writer.payload(std::string_view(text).substr(at, 1001), out);
    if (length > 8) {
      EXPECT_EQ(out.find("xxxx"), out.npos) << "the payload is masked";
    }
    Seen seen = from_client(out);
    EXPECT_EQ(seen.payload, text) << seen.why;
    EXPECT_EQ(seen.frames, "2! ");
  }
}

}  // namespace
}  // namespace bottle::guard
