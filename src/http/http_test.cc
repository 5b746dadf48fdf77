// Tests the parsers of HTTP, and replays the fuzzers' corpora.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "http/body.h"
#include "http/head.h"

namespace bottle::http {
namespace {

using namespace std::literals;

Parse request(std::string_view text) {
  Head head;
  return parse_request(text, head);
}

TEST(HttpHead, takes_ordinary_requests) {
  Head head;
  ASSERT_EQ(
      parse_request("POST http://a.b/c HTTP/1.1\r\nHost: a.b\r\nContent-Length: 3\r\nConnection: close, x\r\n\r\nabc",
                    head),
      Parse::ok)
      << head.why;
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.target, "http://a.b/c");
  EXPECT_EQ(head.content_length, 3u);
  EXPECT_FALSE(head.keeps_open());
  EXPECT_EQ(head.host, "a.b");
}

TEST(HttpHead, a_connect_needs_no_host_header) {
  EXPECT_EQ(request("CONNECT a.b:443 HTTP/1.1\r\n\r\n"), Parse::ok);
  EXPECT_EQ(request("CONNEC a.b:443 HTTP/1.1\r\n\r\n"), Parse::bad);
}

TEST(HttpHead, a_head_in_tiny_pieces_is_parsed_only_a_few_times) {
  for (std::string_view end : {"\r\n\r\n", "\n\n", "\n\r\n"}) {
    std::string whole = "HTTP/1.1 200 OK\r\nX: " + std::string(200'000, 'x') + std::string(end);
    ArrivingHead arriving;
    Head head;
    int parsed = 0;
    auto last = Parse::incomplete;
    auto parse = [&](size_t size) {
      return arriving.read(std::string_view(whole).substr(0, size), [&] {
        ++parsed;
        return parse_response(std::string_view(whole).substr(0, size), head);
      });
    };
    for (size_t size = 1; size <= whole.size(); ++size) last = parse(size);
    EXPECT_EQ(last, end == "\r\n\r\n" ? Parse::ok : Parse::bad);
    EXPECT_LT(parsed, 50);
    EXPECT_EQ(parse(20), Parse::incomplete);  // the next head
    EXPECT_EQ(parse(whole.size()), last);
  }
}

TEST(HttpHead, refuses_every_ambiguity) {
  for (std::string_view text :
       {"GET / HTTP/1.1\nHost: a\n\n"sv,
        "GET / HTTP/1.1\r\nHost: a\n\r\n"sv,
        "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n"sv,
        "GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n"sv,
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n"sv,
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"sv,
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n"sv,
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1,1\r\n\r\n"sv,
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n"sv,
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999\r\n\r\n"sv,
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"sv,
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n"sv,
        "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"sv,
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n"sv,
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\n\r\n"sv,
        "GET / HTTP/1.1\r\nHost: a\r\ncontent_length: 1\r\n\r\n"sv,
        "GET / HTTP/1.1\r\n\r\n"sv,
        "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n"sv,
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"sv,
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"sv,
        "GET / HTTP/2.0\r\nHost: a\r\n\r\n"sv,
        "G(T / HTTP/1.1\r\nHost: a\r\n\r\n"sv,
        "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"sv,
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"sv,
        "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n"sv,
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n"sv,
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n"sv,
        "GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n"sv,
        "\x16\x03\x01\0"sv,
        "GET / HTTP/1.1\r\nHost: a\r\nExpect: magic\r\n\r\n"sv})
    EXPECT_EQ(request(text), Parse::bad) << text;
  EXPECT_EQ(request("GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(kMaxHead, 'x')), Parse::bad);
}

TEST(HttpHead, every_prefix_is_incomplete) {
  std::string_view text = "GET / HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
  for (size_t i = 0; i < text.size(); ++i) EXPECT_EQ(request(text.substr(0, i)), Parse::incomplete) << i;
  EXPECT_EQ(request(text), Parse::ok);
}

TEST(HttpHead, parses_responses) {
  Head head;
  EXPECT_EQ(parse_response("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", head), Parse::ok);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(parse_response("HTTP/1.1 204\r\n\r\n", head), Parse::ok);
  EXPECT_EQ(parse_response("HTTP/1.1 999 Request denied\r\n\r\n", head), Parse::ok);
  EXPECT_EQ(head.status, 999);
  for (const char* text :
       {"HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 099 x\r\n\r\n", "ICY 200 OK\r\n\r\n", "HTTP/1.1 200OK\r\n\r\n"}) {
    EXPECT_EQ(parse_response(text, head), Parse::bad) << text;
    std::string beyond = text;
    EXPECT_EQ(repair_response(beyond, head), Parse::bad) << text;
  }
  std::string many = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 300; ++i) many += "X-Header-" + std::to_string(i) + ": " + std::string(900, 'v') + "\r\n";
  EXPECT_EQ(parse_response(many + "\r\n", head), Parse::ok) << head.why;
  EXPECT_EQ(head.headers.size(), 300u);
  EXPECT_EQ(parse_response("HTTP/1.1 200 OK\r\nX: " + std::string(kMaxAnswerHead, 'x'), head), Parse::bad);
  EXPECT_EQ(parse_response("HTTP/1.1 200 OK\r\nVary: a\r\nX: y\r\nvary: b, c\r\n\r\n", head), Parse::ok);
  EXPECT_EQ(head.list("Vary"), "a,b, c");
  EXPECT_EQ(head.list("Via"), "");
}

TEST(HttpHead, one_empty_line_before_a_request_is_skipped) {
  Head head;
  std::string_view text = "\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\nrest";
  for (size_t i = 0; i < text.size() - 4; ++i) EXPECT_EQ(request(text.substr(0, i)), Parse::incomplete) << i;
  ASSERT_EQ(parse_request(text, head), Parse::ok);
  EXPECT_EQ(head.size, text.size() - 4);
  EXPECT_EQ(head.text, text.substr(2, text.size() - 6));
  EXPECT_EQ(head.target, "/a");
  EXPECT_EQ(request("GET /gr\xc3\xbc\xc3\x9f HTTP/1.1\r\nHost: a\r\n\r\n"), Parse::ok);
}

TEST(Head, SaysWhetherTheConnectionStaysOpen) {
  for (const auto& [version, header, open] : {std::tuple("1.1", "", true),
                                              {"1.1", "Connection: close\r\n", false},
                                              {"1.1", "Connection: keep-alive, close\r\n", false},
                                              {"1.1", "Connection: close\r\nConnection: keep-alive\r\n", false},
                                              {"1.0", "", false},
                                              {"1.0", "Connection: Keep-Alive\r\n", true},
                                              {"1.0", "Connection: keep-alive, close\r\n", false}}) {
    Head head;
    std::string text = "GET / HTTP/" + std::string(version) + "\r\nHost: a\r\n" + header + "\r\n";
    ASSERT_EQ(parse_request(text, head), Parse::ok) << text;
    EXPECT_EQ(head.keeps_open(), open) << text;
  }
}

// Returns what an answer is repaired to, or "bad" or "incomplete".
std::string repaired(std::string bytes) {
  Head head;
  if (parse_response(bytes, head) == Parse::ok) return "not bad";
  Parse parsed = repair_response(bytes, head);
  if (parsed != Parse::ok) return parsed == Parse::bad ? "bad" : "incomplete";
  EXPECT_FALSE(head.keeps_open());
  return bytes;
}

TEST(HttpHead, answers_are_repaired) {
  const std::string close = "Connection: close\r\n\r\n";
  for (auto [sent, right] : std::vector<std::pair<std::string, std::string>>{
           {"HTTP/1.1 200 OK\r\nName : v\r\n\r\nbody", "HTTP/1.1 200 OK\r\nName: v\r\n" + close + "body"},
           {"HTTP/1.1 200 OK\nA: b\n\nbody\n", "HTTP/1.1 200 OK\r\nA: b\r\n" + close + "body\n"},
           {"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\td\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b c d\r\n" + close},
           {"HTTP/1.1 200 OK\r\nnot a header\r\n gone too\r\nA: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n" + close},
           {"HTTP/1.1 200 OK\r\nA: x\x01y\r\n\r\n", "HTTP/1.1 200 OK\r\nA: x y\r\n" + close},
           {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5, 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" + close},
           {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + close},
           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 5\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n" + close},
           {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + close},
           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: Chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + close},
           {"HTTP/1.1  200\tAll right\r\nA: b\r\n\r\n", "HTTP/1.1 200 All right\r\nA: b\r\n" + close},
           {"\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n" + close},
           {"\r\n\r\n", "incomplete"},
           {"\r\n\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "bad"},
           {"HTTP/1.1 2000 OK\r\n\r\n", "bad"},
           {"HTTP/1.1 200 OK\nA: b\n", "incomplete"},
           {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "bad"},
           {"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", "bad"},
           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "bad"}})
    EXPECT_EQ(repaired(sent), right) << sent;
  std::string not_http = "220 mail.example.org\n";
  Head head;
  EXPECT_EQ(repair_response(not_http, head), Parse::bad) << "what is not HTTP is not waited for";
}

TEST(HttpHead, an_answer_after_empty_lines_may_arrive_in_pieces) {
  const std::string whole = "\r\n\r\nHTTP/1.1 200 OK\r\nA: b\r\n\r\nbody";
  for (size_t first = 1; first < whole.size(); ++first)
    for (size_t second = 1; first + second <= whole.size(); ++second) {
      ArrivingHead arriving;
      Head head;
      std::string in;
      Parse parsed = Parse::incomplete;
      for (size_t at = 0, size = first; parsed == Parse::incomplete && at < whole.size(); at += size, size = second) {
        in += whole.substr(at, at ? second : first);
        parsed = arriving.read(in, [&] {
          Parse strict = parse_response(in, head);
          return strict == Parse::bad ? repair_response(in, head) : strict;
        });
        EXPECT_TRUE(parsed == Parse::ok || whole.starts_with(in)) << "a head that is incomplete does not change";
      }
      ASSERT_EQ(parsed, Parse::ok) << first << " " << second << " " << head.why;
    }
}

std::string unchunk(std::string_view text, size_t cut, bool& ok, bool& done, std::string& rest) {
  Body body(Body::Kind::chunked);
  std::string payload;
  rest.clear();
  ok = true;
  for (size_t at = 0; at < text.size() && ok; at += cut) {
    rest.append(text.substr(at, cut));
    ok = body.read(rest, payload);
  }
  done = body.done();
  return payload;
}

TEST(Body, chunked_bodies_are_read_however_they_are_cut) {
  std::string_view text = "3;ext=1\r\nabc\r\n0A\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\nGET";
  for (size_t cut = 1; cut <= text.size(); ++cut) {
    bool ok, done;
    std::string rest;
    EXPECT_EQ(unchunk(text, cut, ok, done, rest), "abc0123456789") << cut;
    EXPECT_TRUE(ok && done);
    EXPECT_EQ(rest, "GET");
  }
  Body with_trailers(Body::Kind::chunked);
  std::string in = "1\r\na\r\n0\r\nX-Sum:  1 \r\nno trailer\r\nX : y\r\n\r\n", payload;
  ASSERT_TRUE(with_trailers.read(in, payload) && with_trailers.done());
  EXPECT_EQ(with_trailers.trailers(), (std::vector<Body::Trailer>{{"X-Sum", "1"}}));
  for (size_t size : {15'000, 17'000}) {  // gRPC puts the details of an error into one trailer
    Body with_long_trailer(Body::Kind::chunked);
    in = "0\r\nX-Long: " + std::string(size, 'x') + "\r\n\r\n";
    EXPECT_EQ(with_long_trailer.read(in, payload) && with_long_trailer.done(), size < 16 * 1024) << size;
  }
  for (const char* bad : {"3\nabc\r\n", "3\r\nabcd\r\n", "-1\r\n", "\r\n", "x\r\n", "1234567890123456\r\n",
                          "3 x\rb\r\n", "3\r\nabc\n0\r\n\r\n"}) {
    bool ok, done;
    std::string rest;
    unchunk(bad, 100, ok, done, rest);
    EXPECT_FALSE(ok) << bad;
  }
}

TEST(Body, chunk_lines_of_answers_may_end_in_lf_alone) {
  Head head;
  ASSERT_EQ(parse_response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", head), Parse::ok);
  const std::string text = "2\nok\n3\r\nabc\n0\nX: y\n\nGET";
  for (size_t cut = 1; cut <= text.size(); ++cut) {
    Body body = Body::of_response(head, "GET");
    std::string rest, payload;
    for (size_t at = 0; at < text.size(); at += cut) {
      rest.append(text.substr(at, cut));
      ASSERT_TRUE(body.read(rest, payload)) << cut;
    }
    EXPECT_TRUE(body.done() && body.has_bare_lf());
    EXPECT_EQ(payload, "okabc");
    EXPECT_EQ(rest, "GET");
  }
}

TEST(Body, takes_over_many_bytes_instead_of_copying_them) {
  const std::string many(50'000, 'x');
  for (Body body : {Body(Body::Kind::until_close), Body(Body::Kind::length, 100'000)}) {
    std::string in = many, payload;
    const char* memory = in.data();
    ASSERT_TRUE(body.read(in, payload));
    EXPECT_EQ(payload.data(), memory);
    EXPECT_EQ(payload, many);
    EXPECT_TRUE(in.empty());
    in = many + "GET";
    ASSERT_TRUE(body.read(in, payload)) << "after other payload";
    EXPECT_EQ(payload.size(), body.kind() == Body::Kind::length ? 100'000u : 100'003u);
  }
  Body body(Body::Kind::length, 50'000);
  std::string in = many + "GET / HTTP/1.1\r\n\r\n", payload;
  ASSERT_TRUE(body.read(in, payload) && body.done());
  EXPECT_EQ(payload, many);
  EXPECT_TRUE(in.starts_with("GET / "));
}

// Runs every input that the fuzzers have found.
TEST(Corpus, replays) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("src/http/corpus/head")) {
    std::ifstream file(entry.path(), std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(file)), {});
    Parse parsed = request(bytes);
    std::string name = entry.path().filename();
    if (name.starts_with("ok")) EXPECT_EQ(parsed, Parse::ok) << entry.path();
    if (name.starts_with("bad")) EXPECT_EQ(parsed, Parse::bad) << entry.path();
    ++count;
  }
  EXPECT_GE(count, 3);
}

}  // namespace
}  // namespace bottle::http
