// Opens more connections than a guard can hold. The guard must refuse the surplus, and recover.
#include <sys/resource.h>

#include "guard/program/guard_test.h"

namespace bottle::guard {
namespace {

const std::string kConnect = "CONNECT site.test:443 HTTP/1.1\r\nHost: site.test:443\r\n\r\n";

class ManyConnectionsTest : public GuardTest {
 protected:
  void start_with_site() {
    site_ = listen_on_loopback(port_of_site_);
    listen(site_.get(), 1024);  // the kernel completes the connections, and no program accepts them
    route("site.test", port_of_site_);
    allow("site.test");
    start();
  }
  // Opens a connection whose request never ends.
  UniqueFd begin() {
    UniqueFd fd = dial_loopback(port_);
    EXPECT_TRUE(write_all(fd.get(), kConnect.substr(0, 10)));
    return fd;
  }
  // Sends requests until the guard has noticed that there is room again.
  bool serves_again() {
    for (int i = 0; i < 100; ++i)
      if (raw(kConnect).starts_with("HTTP/1.1 200 ")) return true;
    return false;
  }

  UniqueFd site_;
  uint16_t port_of_site_ = 0;
};

TEST_F(ManyConnectionsTest, ConnectionsBeyondTheLimitAreRefused) {
  descriptors_ = 160;  // for 48 connections and their servers
  start_with_site();
  std::vector<TestPeer> tunnels;
  for (int i = 0; i < 48; ++i) {
    tunnels.push_back(connect_to("site.test"));
    ASSERT_TRUE(answer_.starts_with("HTTP/1.1 200 ")) << i << ": " << answer_;
  }
  std::string answer = raw(kConnect);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503 bottle too_many_connections\r\n")) << answer;
  json line = audited("too_many_connections");
  EXPECT_EQ(line["action"], "close") << line;
  EXPECT_NE(answer.find(line["id"].get<std::string>()), answer.npos) << answer;
  tunnels.pop_back();
  EXPECT_TRUE(serves_again());
}

TEST_F(ManyConnectionsTest, MessagesThatDoNotEndCountAsMemory) {
  rlimit files{};
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  Origin server(nullptr, "", [](const std::string&) {
    return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
  });
  route("ws.test", server.port);
  allow({{"host", "ws.test"}, {"ports", {80}}});
  start();
  // The head of a text frame of 90,000 bytes, most of which follow.
  std::string part("\x81\xff\0\0\0\0\0\1\x5f\x90key!", 14);
  while (part.size() < 80'000) part += "some words of a text ";
  constexpr int kMany = 2500;
  std::vector<TestPeer> clients;
  std::string answer = "HTTP/1.1 101 ";
  while (answer.starts_with("HTTP/1.1 101 ") && clients.size() < kMany) {
    TestPeer& client = clients.emplace_back(TestPeer{dial_loopback(port_), {}, {}});
    client.write("GET http://ws.test/ HTTP/1.1\r\nHost: ws.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    answer = client.head();
    client.write(part);
    while (next_message(0)["type"] != "timeout") {  // the guard accepts no clients while nobody reads the record
    }
  }
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503 bottle too_many_connections\r\n")) << clients.size() << ": " << answer;
  EXPECT_LT(most_resident(), kMostMemory) << (most_resident() >> 20) << " MB";
}

TEST_F(ManyConnectionsTest, AClientIsToldThatNoDescriptorsAreLeft) {
  start_with_site();
  rlimit few{32, 32};  // the guard is not told of this limit
  ASSERT_EQ(prlimit(pid_, RLIMIT_NOFILE, &few, nullptr), 0) << std::strerror(errno);
  std::vector<UniqueFd> clients;
  for (int i = 0; i < 40; ++i) clients.push_back(begin());
  std::string answer = raw(kConnect);
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503 bottle too_many_connections\r\n")) << answer;
  clients.clear();
  EXPECT_TRUE(serves_again());
}

TEST_F(ManyConnectionsTest, ThereIsNoDescriptorForTheServer) {
  start_with_site();
  rlimit few{32, 32};
  ASSERT_EQ(prlimit(pid_, RLIMIT_NOFILE, &few, nullptr), 0) << std::strerror(errno);
  std::vector<TestPeer> tunnels;
  for (int i = 0; i < 32 && (i == 0 || answer_.starts_with("HTTP/1.1 200 ")); ++i)
    tunnels.push_back(connect_to("site.test"));
  EXPECT_TRUE(answer_.starts_with("HTTP/1.1 503 bottle too_many_connections\r\n")) << answer_;
  tunnels.clear();
  EXPECT_TRUE(serves_again());
}

TEST_F(ManyConnectionsTest, ThousandsAreServed) {
  constexpr size_t kMany = 4200;
  rlimit files;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &files), 0);
  if (files.rlim_max < 2 * kMany + 100) GTEST_SKIP() << "this machine allows a process " << files.rlim_max << " files";
  files.rlim_cur = files.rlim_max;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &files), 0);
  start_with_site();
  std::vector<TestPeer> clients;
  for (size_t i = 0; i < kMany; ++i) {
    TestPeer& client = clients.emplace_back(TestPeer{dial_loopback(port_), {}, {}});
    client.write("GET /alive HTTP/1.1\r\nHost: guard\r\n\r\n");  // its answer lasts as long as the guard
    ASSERT_TRUE(client.head().starts_with("HTTP/1.1 200 ")) << i;
  }
  EXPECT_TRUE(raw(kConnect).starts_with("HTTP/1.1 200 "));
}

// The guard's listeners are level-triggered, and the loop would spin while there is no descriptor for a client.
TEST_F(GuardTest, ClientsOfTheNameServerWaitForADescriptorWithoutWork) {
  constexpr uint16_t kPort = 5353;
  const std::string address = own_address();
  config_["dns"] = address + ":" + std::to_string(kPort);
  Origin origin(nullptr, "", [](const std::string&) { return ok("x"); });
  route("a.test", origin.port);
  allow("a.test");
  descriptors_ = 128;
  start();
  std::vector<TestPeer> tunnels, clients;
  for (int i = 0; i < 32; ++i) {
    tunnels.push_back(connect_to("a.test"));
    ASSERT_TRUE(answer_.starts_with("HTTP/1.1 200 ")) << answer_;
  }
  for (int i = 0; i < 64; ++i) {
    clients.push_back({dial_loopback(kPort, address), {}, {}});
    clients.back().write(std::string(1, '\0'));
  }
  TestPeer last{dial_loopback(kPort, address), {}, {}};
  std::string query("\0\x14\0\1\1\0\0\1\0\0\0\0\0\0\2no\0\0\1\0\1", 22);
  last.write(query);
  double before = cpu();
  pollfd answered{last.fd.get(), POLLIN, 0};
  EXPECT_EQ(poll(&answered, 1, 500), 0) << "there was a descriptor for it";
  EXPECT_LT(cpu() - before, 0.1);
  clients.clear();
  EXPECT_EQ(poll(&answered, 1, kPatienceMs), 1) << "it was forgotten";
}

}  // namespace
}  // namespace bottle::guard
