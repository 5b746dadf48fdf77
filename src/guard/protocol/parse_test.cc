// Tests the parsers of untrusted bytes, and replays the fuzzers' corpora.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "guard/net/tls.h"
#include "guard/protocol/client_hello.h"
#include "guard/protocol/dns.h"
#include "guard/protocol/ssh_watch.h"

namespace bottle::guard {
namespace {

using namespace std::literals;

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

// A client may send records of one byte, each in pieces.
TEST(ClientHello, LooksAtEachByteOfTinyRecordsOnce) {
  constexpr size_t kSize = 32'000;
  std::string message("\1\0\x7d\0", 4), records;  // its length is more than that
  message.resize(kSize);
  for (char c : message) records += std::string("\x16\3\1\0\1", 5) + c;
  auto seconds = [](const auto& work) {
    clock_t before = clock();
    work();
    return static_cast<double>(clock() - before) / CLOCKS_PER_SEC;
  };
  ClientHello hello;
  auto read_all = [&](size_t piece) {
    ArrivingHello arriving;
    for (size_t size = piece; size < records.size(); size += piece)
      ASSERT_EQ(arriving.read(std::string_view(records).substr(0, size), hello), Parse::incomplete);
  };
  double many = seconds([&] { read_all(1); }), few = seconds([&] {
                                                 for (int i = 0; i < 100; ++i) read_all(10'000);
                                               });
  EXPECT_LT(many, 10 * few + 1);
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

TEST(Dns, answers_only_its_own_names) {
  const policy::Address guard = *policy::parse_address("10.0.0.2");
  DnsQuery q;
  auto ask = [&](std::string_view name, int type) {
    std::string bytes = query(name, type);
    EXPECT_EQ(parse_dns_query(bytes, q), Parse::ok);
    return dns_answer(bytes, q, q.name == "guard" ? &guard : nullptr);
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

// A client may send thousands of queries at once, and everything else waits while they are answered.
TEST(Dns, answers_a_few_queries_over_tcp_in_each_turn) {
  int asked = 0;
  auto answer = [&](std::string_view query) {
    ++asked;
    return query == "bad" ? "" : std::string(query);
  };
  std::string all, in, out;
  for (int i = 0; i < 3000; ++i) all += "\0\1"s + static_cast<char>('a' + i % 26);
  in = all + "\0\5ab"s;
  for (DnsTurn turn = DnsTurn::more; turn == DnsTurn::more;) {
    int before = asked;
    turn = answer_dns_queries(in, out, answer);
    ASSERT_LE(asked - before, kMostAnswersInTurn);
  }
  EXPECT_EQ(asked, 3000);
  EXPECT_EQ(out, all);
  EXPECT_EQ(in, "\0\5ab"s) << "the rest has not arrived";
  EXPECT_EQ(answer_dns_queries(in, out, answer), DnsTurn::waits);
  in = "\0\1a\0\3bad\0\1b"s;
  out.clear();
  EXPECT_EQ(answer_dns_queries(in, out, answer), DnsTurn::refused);
  EXPECT_EQ(out, "\0\1a"s);
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
    EXPECT_EQ(watch.proof(), ssh_string(key) + ssh_string("sig"));
  }
  // In a group exchange, the group is in message 31 and the key in message 33.
  EXPECT_EQ(SshWatch(key).feed(head + ssh_packet("\x1f" + ssh_string("p") + ssh_string("g")) +
                               ssh_packet("\x21" + ssh_string(key) + ssh_string("f") + ssh_string("s"))),
            SshWatch::State::matched);
  EXPECT_EQ(SshWatch(key).feed(head + ssh_packet("\x1f" + ssh_string("other-key") + ssh_string("f") + ssh_string("s"))),
            SshWatch::State::refused);
  for (const std::string& bad : {std::string("\0\0\0\7sig", 7), ssh_string("sig") + "x"})
    EXPECT_EQ(SshWatch(key).feed(head + ssh_packet("\x1f" + ssh_string(key) + ssh_string("f") + bad)),
              SshWatch::State::refused)
        << "without exactly one signature";
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
    ClientHello hello;
    DnsQuery q;
    std::string folder = entry.path().parent_path().filename();
    Parse parsed = folder == "client_hello" ? parse_client_hello(bytes, hello) : parse_dns_query(bytes, q);
    std::string name = entry.path().filename();
    if (name.starts_with("ok")) EXPECT_EQ(parsed, Parse::ok) << entry.path();
    if (name.starts_with("bad")) EXPECT_EQ(parsed, Parse::bad) << entry.path();
    ++count;
  }
  EXPECT_GE(count, 9);
}

}  // namespace
}  // namespace bottle::guard
