// These tests cover the parsers of untrusted bytes, and replay the fuzzers' corpora.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "guard/core/tls.h"
#include "guard/protocol/body.h"
#include "guard/protocol/client_hello.h"
#include "guard/protocol/dns.h"
#include "guard/protocol/http_head.h"
#include "guard/protocol/ssh_watch.h"

namespace bottle::guard {
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
  EXPECT_TRUE(head.close);
  EXPECT_EQ(head.host, "a.b");
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

TEST(HttpHead, responses) {
  Head head;
  EXPECT_EQ(parse_response("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n", head), Parse::ok);
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(parse_response("HTTP/1.1 204\r\n\r\n", head), Parse::ok);
  EXPECT_EQ(parse_response("HTTP/1.1 999 Request denied\r\n\r\n", head), Parse::ok);
  EXPECT_EQ(head.status, 999);
  for (const char* text : {"HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 099 x\r\n\r\n", "ICY 200 OK\r\n\r\n",
                           "HTTP/1.1  200 OK\r\n\r\n", "HTTP/1.1 200OK\r\n\r\n"}) {
    EXPECT_EQ(parse_response(text, head), Parse::bad) << text;
    std::string beyond = text;
    EXPECT_EQ(repair_response(beyond, head), Parse::bad) << text;
  }
  std::string many = "HTTP/1.1 200 OK\r\n";
  for (int i = 0; i < 300; ++i) many += "X-Header-" + std::to_string(i) + ": " + std::string(900, 'v') + "\r\n";
  EXPECT_EQ(parse_response(many + "\r\n", head), Parse::ok) << head.why;
  EXPECT_EQ(head.headers.size(), 300u);
  EXPECT_EQ(parse_response("HTTP/1.1 200 OK\r\nX: " + std::string(kMaxAnswerHead, 'x'), head), Parse::bad);
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

// Returns what an answer is repaired to, or "bad" or "incomplete".
std::string repaired(std::string bytes) {
  Head head;
  if (parse_response(bytes, head) == Parse::ok) return "not bad";
  Parse parsed = repair_response(bytes, head);
  if (parsed != Parse::ok) return parsed == Parse::bad ? "bad" : "incomplete";
  EXPECT_TRUE(head.close);
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
           {"HTTP/1.1 200 OK\nA: b\n", "incomplete"},
           {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "bad"},
           {"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", "bad"},
           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "bad"}})
    EXPECT_EQ(repaired(sent), right) << sent;
  std::string not_http = "220 mail.example.org\n";
  Head head;
  EXPECT_EQ(repair_response(not_http, head), Parse::bad) << "what is not HTTP is not waited for";
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

TEST(Body, chunked_however_it_is_cut) {
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
  for (const char* bad : {"3\nabc\r\n", "3\r\nabcd\r\n", "-1\r\n", "\r\n", "x\r\n", "1234567890123456\r\n",
                          "3 x\rb\r\n", "3\r\nabc\n0\r\n\r\n"}) {
    bool ok, done;
    std::string rest;
    unchunk(bad, 100, ok, done, rest);
    EXPECT_FALSE(ok) << bad;
  }
}

// Returns a real ClientHello from the library.
std::string hello_for(const char* name) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL* ssl = SSL_new(context);
  if (name) SSL_set_tlsext_host_name(ssl, name);
  BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl, in, out);
  SSL_connect(ssl);
  char* data;
  long size = BIO_get_mem_data(out, &data);
  std::string bytes(data, static_cast<size_t>(size));
  SSL_free(ssl);
  SSL_CTX_free(context);
  return bytes;
}

TEST(ClientHello, reads_the_name) {
  std::string bytes = hello_for("www.example.org");
  ClientHello hello;
  for (size_t i = 0; i < bytes.size(); ++i)
    ASSERT_EQ(parse_client_hello(std::string_view(bytes).substr(0, i), hello), Parse::incomplete) << i;
  ASSERT_EQ(parse_client_hello(bytes, hello), Parse::ok);
  EXPECT_EQ(hello.sni, "www.example.org");
  // This is the same message in two records.
  std::string body = bytes.substr(5), split;
  for (auto part : {body.substr(0, 50), body.substr(50)})
    split += std::string("\x16\x03\x01") + static_cast<char>(part.size() >> 8) + static_cast<char>(part.size()) + part;
  ASSERT_EQ(parse_client_hello(split, hello), Parse::ok);
  EXPECT_EQ(hello.sni, "www.example.org");
  bytes = hello_for(nullptr);
  ASSERT_EQ(parse_client_hello(bytes, hello), Parse::ok);
  EXPECT_EQ(hello.sni, "");
  for (std::string_view bad : {"GET / HTTP/1.1\r\n\r\n"sv, "SSH-2.0-x\r\n"sv, "\x16\x02\x01"sv,
                               "\x17\x03\x03\0\x05hello"sv, "\x16\x03\x01\0\0"sv, "\x16\x03\x01\0\x01\x02"sv})
    EXPECT_EQ(parse_client_hello(bad, hello), Parse::bad) << bad;
}

std::string query(std::string_view name, int type) {
  std::string bytes("\x12\x34\x01\0\0\x01\0\0\0\0\0\0", 12);
  while (!name.empty()) {
    auto label = name.substr(0, name.find('.'));
    bytes += static_cast<char>(label.size());
    bytes += label;
    name.remove_prefix(std::min(name.size(), label.size() + 1));
  }
  return bytes + '\0' + '\0' + static_cast<char>(type) + std::string("\0\1", 2);
}

TEST(Dns, answers_its_names_only) {
  std::map<std::string, policy::Address> names{{"guard", *policy::parse_address("10.0.0.2")}};
  DnsQuery q;
  auto ask = [&](std::string_view name, int type) {
    std::string bytes = query(name, type);
    EXPECT_EQ(parse_dns_query(bytes, q), Parse::ok);
    return dns_answer(bytes, q, names);
  };
  std::string answer = ask("GuArd", 1);
  EXPECT_EQ(answer[3] & 15, 0);
  EXPECT_TRUE(answer.ends_with("\x0a\0\0\2"sv));
  answer = ask("guard", 28);
  EXPECT_EQ(answer[3] & 15, 0);
  EXPECT_EQ(answer[7], 0);
  EXPECT_EQ(ask("secret.example.org", 1)[3] & 15, 3);
  EXPECT_EQ(q.name, "secret.example.org");
  std::string bytes = query("a.b", 1);
  for (size_t i = 0; i < bytes.size(); ++i)
    EXPECT_EQ(parse_dns_query(std::string_view(bytes).substr(0, i), q), Parse::bad);
  bytes[2] = '\x80';
  EXPECT_EQ(parse_dns_query(bytes, q), Parse::bad);
  EXPECT_EQ(parse_dns_query("\x12\x34\x01\0\0\x01\0\0\0\0\0\0\xc0\x0c\0\1\0\1"sv, q), Parse::bad);
}

std::string ssh_string(std::string_view text) {
  return std::string("\0\0", 2) + static_cast<char>(text.size() >> 8) + static_cast<char>(text.size()) +
         std::string(text);
}
std::string ssh_packet(std::string payload) { return ssh_string(std::string(1, '\4') + payload + "pppp"); }

TEST(SshWatch, compares_the_host_key) {
  std::string key = "the-host-key-blob", head = "banner\r\nSSH-2.0-x\r\n" + ssh_packet("\x14kexinit");
  std::string good = head + ssh_packet("\x1f" + ssh_string(key) + ssh_string("f") + ssh_string("sig"));
  for (size_t cut = 1; cut < good.size(); cut += 7) {
    SshWatch watch(key);
    for (size_t at = 0; at < good.size(); at += cut) watch.feed(std::string_view(good).substr(at, cut));
    EXPECT_EQ(watch.feed(""), SshWatch::State::matched) << cut << watch.why();
  }
  // In a group exchange, the group is in message 31 and the key in message 33.
  EXPECT_EQ(SshWatch(key).feed(head + ssh_packet("\x1f" + ssh_string("p") + ssh_string("g")) +
                               ssh_packet("\x21" + ssh_string(key) + ssh_string("f") + ssh_string("s"))),
            SshWatch::State::matched);
  EXPECT_EQ(SshWatch(key).feed(head + ssh_packet("\x1f" + ssh_string("other-key") + ssh_string("f") + ssh_string("s"))),
            SshWatch::State::refused);
  EXPECT_EQ(SshWatch(key).feed(head + ssh_packet("\x15")), SshWatch::State::refused);
  EXPECT_EQ(SshWatch(key).feed("HTTP/1.1 200 OK\r\n"), SshWatch::State::refused);
  EXPECT_EQ(SshWatch(key).feed("SSH-2.0-x\r\n\xff\xff\xff\xff\x04"), SshWatch::State::refused);
}

// Everything that the fuzzers have found must still be handled.
TEST(Corpus, replays) {
  int count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator("src/guard/protocol/corpus")) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(file)), {});
    Head head;
    ClientHello hello;
    DnsQuery q;
    std::string folder = entry.path().parent_path().filename();
    Parse parsed = folder == "http_head"      ? parse_request(bytes, head)
                   : folder == "client_hello" ? parse_client_hello(bytes, hello)
                                              : parse_dns_query(bytes, q);
    std::string name = entry.path().filename();
    if (name.starts_with("ok")) EXPECT_EQ(parsed, Parse::ok) << entry.path();
    if (name.starts_with("bad")) EXPECT_EQ(parsed, Parse::bad) << entry.path();
    ++count;
  }
  EXPECT_GE(count, 9);
}

}  // namespace
}  // namespace bottle::guard
