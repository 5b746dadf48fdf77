// Resolves both families of a name's addresses with a name server that answers like real ones.
#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <thread>

#include "base/unique_fd.h"
#include "guard/net/resolver.h"
#include "guard/net/targets.h"
#include "guard/net/task.h"

namespace bottle::guard {
namespace {

// Answers names according to their first letters. "4" stands for IPv4 addresses and "6" for IPv6 addresses, and the
// digits that follow say how many. With "x" instead of the digits, no answer ever arrives. "4:02-6:x.test" is written
// "402-6x.test".
class NameServer {
 public:
  NameServer() : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in a{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof a;
    EXPECT_EQ(bind(fd_.get(), reinterpret_cast<sockaddr*>(&a), size), 0);
    getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&a), &size);
    at = "127.0.0.1:" + std::to_string(ntohs(a.sin_port));
    thread_ = std::thread([this] { serve(); });
  }
  ~NameServer() {
    over_ = true;
    thread_.join();
  }
  std::string at;
  std::atomic<int> asked = 0;

 private:
  void serve() {
    while (!over_) {
      pollfd p{fd_.get(), POLLIN, 0};
      if (poll(&p, 1, 20) != 1) continue;
      char buffer[512];
      sockaddr_in from;
      socklen_t size = sizeof from;
      ssize_t n = recvfrom(fd_.get(), buffer, sizeof buffer, 0, reinterpret_cast<sockaddr*>(&from), &size);
      if (n < 18) continue;
      ++asked;
      std::string reply = answer({buffer, static_cast<size_t>(n)});
      if (!reply.empty()) sendto(fd_.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), size);
    }
  }
  static std::string answer(std::string query) {
    size_t end = query.find('\0', 12) + 5;
    bool six = query[end - 3] == 28;
    std::string name = query.substr(13, 7);
    std::string count = six ? name.substr(5, 2) : name.substr(1, 2);
    if (count[0] == 'x') return "";
    int records = std::stoi(count);
    query.resize(end);
    query[2] = '\x81', query[3] = '\x80', query[7] = static_cast<char>(records), query[9] = query[11] = 0;
    for (int i = 1; i <= records; ++i) {
      query += std::string("\xc0\x0c\0", 3) + (six ? '\x1c' : '\1') + std::string("\0\1\0\0\0\x3c\0", 7);
      if (six) query += std::string("\x10\x26\x06\x28\0\0\0\0\0\0\0\0\0\0\0\0\0", 16) + static_cast<char>(i);
      else query += std::string("\x04\x5d\xb8\xd8", 4) + static_cast<char>(i);
    }
    return query;
  }

  UniqueFd fd_;
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

// Waits like a dial, or until both families are known, at most 5 s. Then ends the loop.
Detached use(Loop& loop, Resolver& resolver, std::string name, bool both, std::shared_ptr<Lookup>& lookup,
             int64_t& took) {
  Waker waker(loop);
  int64_t begun = loop.now();
  lookup = resolver.lookup(name);
  Lookup::Watcher watcher(*lookup, waker);
  auto usable_at = [&] { return both && !lookup->done() ? Lookup::kNever : lookup->usable_at(); };
  while (loop.now() < usable_at() && loop.now() < begun + 5000)
    co_await waker.wait(std::min(begun + 5000, usable_at()));
  took = loop.now() - begun;
  loop.stop();
}

class ResolverTest : public testing::Test {
 protected:
  // Returns the milliseconds until the addresses of the name could be used.
  int64_t took(const std::string& name, bool both = false) {
    int64_t took = -1;
    loop_ = std::make_unique<Loop>();
    resolver_ = std::make_unique<Resolver>(*loop_);
    resolver_->use(server_.at);
    use(*loop_, *resolver_, name, both, lookup_, took);
    loop_->run([&] { return resolver_->turn(); });
    return took;
  }
  // Returns the least of several times, because others may keep the processor.
  int64_t least(const std::string& name) {
    int64_t least = took(name);
    for (int i = 0; i < 20 && least >= kSoon; ++i) least = std::min(least, took(name));
    return least;
  }
  static constexpr int64_t kSoon = 900;  // less than the name server's first time-out

  NameServer server_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<Resolver> resolver_;
  std::shared_ptr<Lookup> lookup_;
};

TEST_F(ResolverTest, AFamilyThatNeverAnswersCosts50Milliseconds) {
  int64_t waited = least("401-6xx.test");
  EXPECT_GE(waited, Lookup::kResolutionDelay);
  EXPECT_LT(waited, kSoon);
  EXPECT_EQ(lookup_->four.addresses.size(), 1u);
  EXPECT_FALSE(lookup_->six.done);
}

TEST_F(ResolverTest, IPv6AddressesAreUsedImmediately) {
  EXPECT_LT(least("4xx-601.test"), kSoon);
  EXPECT_EQ(lookup_->six.addresses.size(), 1u);
  EXPECT_FALSE(lookup_->four.done);
}

TEST_F(ResolverTest, NoAddressesOfOneFamilyIsAnAnswer) {
  EXPECT_LT(least("401-600.test"), kSoon);
  EXPECT_TRUE(lookup_->done());
  took("400-600.test");
  EXPECT_TRUE(lookup_->done());
  EXPECT_NE(lookup_->error(), "");
}

TEST_F(ResolverTest, EachFamilyHasItsOwnLimit) {
  took("420-616.test", true);
  EXPECT_EQ(lookup_->six.addresses.size(), 16u);
  EXPECT_EQ(lookup_->four.addresses.size(), 20u);
}

TEST(Targets, AlternateBeginningWithIPv6) {
  auto endpoint = [](const char* text) { return *policy::parse_endpoint(text); };
  Targets targets;
  EXPECT_FALSE(targets.more());
  for (const char* each : {"192.0.2.1:1", "192.0.2.2:1", "192.0.2.1:1", "192.0.2.3:1", "[2001:db8::1]:1"})
    targets.add(endpoint(each));
  std::string order;
  for (int i = 0; i < 2; ++i) order += to_string(targets.next()) + " ";
  targets.add(endpoint("[2001:db8::2]:1"));
  while (targets.more()) order += to_string(targets.next()) + " ";
  EXPECT_EQ(order, "[2001:db8::1]:1 192.0.2.1:1 [2001:db8::2]:1 192.0.2.2:1 192.0.2.3:1 ");
}

}  // namespace
}  // namespace bottle::guard
