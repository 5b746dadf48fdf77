// Checks that the record of decisions is complete, whatever the agent sends: traffic waits for the record,
// refusals are counted, and the memory stays bounded.
#include <sys/resource.h>

#include <set>

#include "base/os/descriptors.h"
#include "base/os/process.h"
#include "guard/audit/repeats.h"
#include "guard/program/secrets_test.h"

namespace bottle::guard {
namespace {

using namespace std::chrono_literals;

std::string post(int number) {
  std::string path = "/n/" + std::to_string(number);
  return "POST http://site.test" + path + " HTTP/1.1\r\nHost: site.test\r\nContent-Length: 0\r\n\r\n";
}

std::string denied(const std::string& host) {
  return "GET http://" + host + "/ HTTP/1.1\r\nHost: " + host + "\r\n\r\n";
}

class RecordTest : public GuardTest {
 protected:
  void SetUp() override {
    GuardTest::SetUp();
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  // Returns the origin server, which remembers the requests that it saw. Starts it at the first call.
  Origin& site() {
    if (!site_)
      site_ = std::make_unique<Origin>(nullptr, "", [this](const std::string& request) {
        std::lock_guard lock(mutex_);
        seen_.insert(request.substr(5, request.find(' ', 5) - 5));
        return ok("");
      });
    return *site_;
  }
  std::set<std::string> seen() {
    std::lock_guard lock(mutex_);
    return seen_;
  }
  void start_with_site() {
    route("site.test", site().port);
    allow({{"host", "site.test"}, {"ports", {80}}});
    start();
  }
  // Reads lines of the record until `enough` returns true or no more arrive.
  void take_lines(const std::function<bool()>& enough) {
    for (auto until = std::chrono::steady_clock::now() + 300s; !enough();) {
      json line = next_line(50);
      if (line["type"] == "end" || std::chrono::steady_clock::now() > until) return;
      if (line["type"] != "audit") continue;
      ++lines_;
      if (line["action"] == "allow") recorded_.insert(line.value("path", ""));
      else denials_[line["host"].get<std::string>()] += line.value("count", 1);
    }
  }
  // A client that writes from its own thread and reads the answers, so that neither side waits for the other.
  struct Client {
    Client(uint16_t port, std::string bytes) : wire{dial_loopback(port), {}, {}} {
      writer = std::thread([this, bytes = std::move(bytes)] { wire.write(bytes); });
      reader = std::thread([this] {
        timeval patience{60, 0};
        setsockopt(wire.fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        std::string text;
        for (char buffer[65536]; ssize_t n = recv(wire.fd.get(), buffer, sizeof buffer, 0);) {
          if (n < 0) return;
          text.append(buffer, static_cast<size_t>(n));
          size_t at = 0;
          for (size_t next; (next = text.find("HTTP/1.1 ", at)) != std::string::npos; at = next + 9) ++answers;
          text.erase(0, std::max(at, text.size() - std::min<size_t>(text.size(), 8)));
        }
      });
    }
    ~Client() {
      shutdown(wire.fd.get(), SHUT_RDWR);
      writer.join();
      reader.join();
    }
    TestPeer wire;
    std::atomic<int> answers = 0;
    std::thread writer, reader;
  };

  std::unique_ptr<Origin> site_;
  std::mutex mutex_;
  std::set<std::string> seen_, recorded_;
  std::map<std::string, int> denials_;
  int lines_ = 0;
};

TEST_F(RecordTest, EveryDecisionIsRecordedBeforeAnythingIsSent) {
  start_with_site();
  constexpr int kRequests = 3000;
  std::string all;
  for (int i = 0; i < kRequests; ++i) all += post(i);
  Client client(port_, all);
  // The reader of the record does not read, so the guard stops long before all requests have been sent.
  ASSERT_TRUE(comes_true([&] { return !seen().empty(); }));
  EXPECT_LT(settled([&] { return seen().size(); }), 1000u);
  // The guard continues with the requests as soon as the record is read.
  take_lines([&] { return recorded_.size() == kRequests; });
  EXPECT_EQ(recorded_.size(), static_cast<size_t>(kRequests));
  EXPECT_TRUE(comes_true([&] { return seen().size() == kRequests; }));
}

TEST_F(RecordTest, AReaderThatDiscardsTheRecordLosesIt) {
  // This test shows what the others prevent: it weakens the protection and sees traffic that is in no record.
  start_with_site();
  constexpr size_t kRequests = 1500;
  std::string all;
  for (size_t i = 0; i < kRequests; ++i) all += post(static_cast<int>(i));
  Client client(port_, all);
  char thrown_away[4096];
  EXPECT_TRUE(comes_true([&] {
    for (pollfd p{guard_->out(), POLLIN, 0}; poll(&p, 1, 0) == 1;)
      if (read(guard_->out(), thrown_away, sizeof thrown_away) <= 0) break;
    return seen().size() == kRequests;
  }));
  EXPECT_TRUE(recorded_.empty());
}

TEST_F(RecordTest, TheRecordOfAKilledGuardHasEverythingThatWasSent) {
  start_with_site();
  std::string all;
  for (int i = 0; i < 3000; ++i) all += post(i);
  Client client(port_, all);
  ASSERT_TRUE(comes_true([&] { return seen().size() >= 100; }));
  guard_->end(0);
  settled([&] { return seen().size(); });  // what it had sent has arrived
  auto out = seen();
  take_lines([] { return false; });
  for (const auto& path : out) EXPECT_TRUE(recorded_.contains(path)) << path;
}

TEST_F(RecordTest, AFloodOfRefusalsLosesNoAllowedRequestAndTakesLittleMemory) {
  start_with_site();
  constexpr int kDenials = 40'000, kEvery = 100;
  std::string all;
  for (int i = 0; i < kDenials; ++i) {
    all += denied(i % 3 ? "no.test" : "n" + std::to_string(i) + ".no.test");
    if (i % kEvery == 0) all += post(i);
  }
  Client client(port_, all);
  auto total = [&] {
    int sum = 0;
    for (const auto& [host, count] : denials_) sum += count;
    return sum;
  };
  take_lines([&] { return recorded_.size() == kDenials / kEvery && client.answers == kDenials + kDenials / kEvery; });
  EXPECT_EQ(recorded_.size(), static_cast<size_t>(kDenials / kEvery));
  EXPECT_LT(most_resident(), kMostMemory - (176u << 20));
  // Pending counts are written when the guard exits.
  EXPECT_TRUE(write_all(guard_->in(), "{\"type\":\"shutdown\"}\n"));
  take_lines([] { return false; });
  EXPECT_EQ(total(), kDenials);
  EXPECT_GT(denials_["no.test"], kDenials / 2);
  EXPECT_LT(lines_, kDenials / 10) << "a flood is a few lines";
}

TEST_F(RecordTest, AFewRefusalsAreWrittenIndividually) {
  start();
  for (int i = 0; i < 20; ++i) raw("GET http://no.test/" + std::to_string(i) + " HTTP/1.1\r\nHost: no.test\r\n\r\n");
  for (int i = 0; i < 20; ++i) EXPECT_EQ(audited("not_allowed")["path"], "/" + std::to_string(i));
}

// Words of a reason may be part of a secret. What is missing decides which rule the operator is offered.
TEST_F(RecordTest, WhatARefusalLacksDoesNotDependOnTheWordsOfItsReason) {
  config_["known"] = json::array({{{"name", "words"}, {"value", "names this host"}}});
  start();
  for (const std::string& head :
       {denied("no.test"), std::string("CONNECT no.test:443 HTTP/1.1\r\nHost: no.test:443\r\n\r\n")}) {
    raw(head);
    json line = audited("not_allowed");
    EXPECT_EQ(line["lacks"], "host") << line;
    EXPECT_EQ(line["reason"].get<std::string>().find("names this host"), std::string::npos) << line;
  }
}

TEST_F(RecordTest, AFloodOfHeadsAndConnectionsTakesLittleMemory) {
  start_with_site();
  std::vector<UniqueFd> held;
  std::string head = "GET http://site.test/ HTTP/1.1\r\nHost: site.test\r\nX: " + std::string(60'000, 'x');
  for (int i = 0; i < 1500; ++i) {
    held.push_back(dial_loopback(port_));
    if (::send(held.back().get(), head.data(), head.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0) held.pop_back();
  }
  // Other connections wait or are cut, and the memory stays within its limit.
  EXPECT_LT(settled([&] { return most_resident(); }), kMostMemory);
  held.clear();
  std::string answer;
  for (int i = 0; i < 100 && !answer.starts_with("HTTP/1.1 200"); ++i) answer = raw(post(1));
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << answer;
}

TEST_F(RecordTest, AFloodOfConnectsIsCounted) {
  start();
  constexpr int kConnects = 2000;
  auto since = std::chrono::steady_clock::now();
  std::thread reader([&] { take_lines([&] { return denials_["a.no.test"] + denials_["b.no.test"] >= kConnects; }); });
  for (int i = 0; i < kConnects; ++i) {
    std::string to = i % 2 ? "a.no.test:443" : "b.no.test:443";
    ASSERT_TRUE(raw("CONNECT " + to + " HTTP/1.1\r\nHost: " + to + "\r\n\r\n").starts_with("HTTP/1.1 403"));
  }
  EXPECT_TRUE(write_all(guard_->in(), "{\"type\":\"shutdown\"}\n"));
  reader.join();
  EXPECT_EQ(denials_["a.no.test"] + denials_["b.no.test"], kConnects);
  auto seconds = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now() - since).count();
  EXPECT_LT(lines_, Repeats::kAtOnce + (seconds + 10) * Repeats::kASecond);
}

TEST_F(RecordTest, WithoutARecordEverythingIsRefused) {
  config_["unrecorded"] = "the record is full";
  start_with_site();
  EXPECT_NE(raw(post(1)).find("HTTP/1.1 503 "), std::string::npos);
  EXPECT_NE(raw("CONNECT site.test:443 HTTP/1.1\r\nHost: site.test:443\r\n\r\n").find("X-Bottle-Error: unrecorded"),
            std::string::npos);
  EXPECT_EQ(audited("unrecorded")["reason"], "the record is full");
  EXPECT_EQ(site().accepted, 0);
  config_.erase("unrecorded");
  EXPECT_EQ(configure()["type"], "ready");
  EXPECT_TRUE(raw(post(2)).starts_with("HTTP/1.1 200"));
}

TEST_F(RecordTest, AFullDiskStopsTheTraffic) {
  route("site.test", site().port);
  allow({{"host", "site.test"}, {"ports", {80}}});
  config_["listen"] = json::array({"127.0.0.1:0"});
  PipeEnds in = make_pipe().value();
  UniqueFd full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  EXPECT_TRUE(write_all(in.write.get(), config_.dump()));
  in.write.reset();
  auto guard = Child::spawn(
      {.argv = {GUARD_PROGRAM, "--config-fd", "3", "--audit-fd", "4"}, .passed = {{in.read.get(), 3}, {full.get(), 4}}},
      Child::null(), Child::null(), Child::pipe());
  ASSERT_TRUE(guard) << guard.error().what;
  std::string line;
  for (char c; read(guard->err(), &c, 1) == 1 && c != '\n';) line += c;
  port_ = static_cast<uint16_t>(std::stoi(line.substr(line.rfind(':') + 1)));
  for (int i = 0; i < 2; ++i) {
    std::string answer = raw(post(i));
    EXPECT_NE(answer.find("X-Bottle-Error: unrecorded"), std::string::npos) << answer;
  }
  EXPECT_TRUE(seen().empty());
}

TEST(GuardProgram, RefusesADescriptorThatIsNotANumber) {
  for (const char* number : {"3x", "x", "-1", ""}) {
    auto ended = capture({.argv = {GUARD_PROGRAM, "--config-fd", number}}, {.timeout_ms = 60000});
    ASSERT_TRUE(ended);
    EXPECT_EQ(ended->status, 2);
    EXPECT_TRUE(ended->err.starts_with("usage: ")) << number << ": " << ended->err;
  }
}

class FindingsInPathTest : public SecretsTest {};

TEST_F(FindingsInPathTest, OnlyTheBytesOfAFindingAreMissingInTheRecord) {
  auto sink = origin("sink.test");
  config_["egress"]["on_secret"] = "warn";
  start();
  const std::string token = "ghp_" + std::string("x7Kq2mZ9bR4tW1cV8nL5pD3fH6jS0gYaQeUu");
  EXPECT_TRUE(
      ask("sink.test", "GET /upload/" + token + "/of/work?q=1 HTTP/1.1\r\nHost: sink.test\r\n\r\n").ends_with("fine"));
  std::string stars(token.size(), '*');
  EXPECT_EQ(audited("secret").value("path", ""), "/upload/" + stars + "/of/work");
  EXPECT_EQ(audited("allowed").value("path", ""), "/upload/" + stars + "/of/work");
  EXPECT_TRUE(ask("sink.test", "GET /next HTTP/1.1\r\nHost: sink.test\r\n\r\n").ends_with("fine"));
  json line;
  do line = audited("allowed");
  while (line.value("kind", "") != "http");
  EXPECT_EQ(line.value("path", ""), "/next");
}

// A secret that the agent adds to a request must not hide another one.
TEST_F(FindingsInPathTest, EachSecretThatPassesIsRecorded) {
  auto sink = origin("sink.test");
  config_["egress"]["on_secret"] = "warn";
  start();
  std::string twice = std::string(kPlaceholder) + "," + kPlaceholder;
  EXPECT_TRUE(ask("sink.test", "GET / HTTP/1.1\r\nHost: sink.test\r\nX-A: " + twice + "\r\nX-B: " + kOther + "\r\n\r\n")
                  .ends_with("fine"));
  raw("CONNECT mark.test:443 HTTP/1.1\r\nHost: mark.test:443\r\n\r\n");
  std::map<std::string, int> seen;
  for (json line; (line = next_line())["type"] == "audit" && line.value("host", "") != "mark.test";)
    for (const char* name : {"\"tok\"", "\"db\""})
      if (line.value("reason", "").find(std::string("secret ") + name) != std::string::npos)
        ++seen[line.value("code", "") + " " + name];
  EXPECT_EQ(seen["secret \"tok\""], 1) << "it is there twice";
  EXPECT_GE(seen["secret \"db\""], 1);
}

TEST_F(FindingsInPathTest, ManyFindingsDoNotHideThePathOfARefusedRequest) {
  const std::string known = "k7Qw5Zt8v2Rm";
  config_["known"] = json::array({{{"name", "deploy"}, {"value", known}}});
  start();
  std::string path = "/upload";
  for (int i = 0; i < 300; ++i) path += "/" + known;
  raw("GET http://other.test" + path + " HTTP/1.1\r\nHost: other.test\r\n\r\n");
  std::string recorded = audited("not_allowed").value("path", "");
  EXPECT_TRUE(recorded.starts_with("/upload/" + std::string(known.size(), '*') + "/")) << recorded;
}

}  // namespace
}  // namespace bottle::guard
