#include "docker/client/abandoned.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/ids.h"
#include "base/unique_fd.h"
#include "base/unix_address.h"

namespace bottle::docker {
namespace {

class Abandoned : public ::testing::Test {
 protected:
  Abandoned() : path_("/tmp/bottle-test-" + random_hex(6)) {
    auto address = *unix_address(path_);
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
  }
  ~Abandoned() override { ::unlink(path_.c_str()); }
  UniqueFd connect() {
    auto address = *unix_address(path_);
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  UniqueFd accept() { return UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC)); }
  std::string path_;
  UniqueFd listener_;
};

TEST_F(Abandoned, ARequestWhoseClientIsGoneIsVisibleUntilItEnds) {
  UniqueFd client = connect();
  UniqueFd served = accept();
  auto end = other_end(client.get(), 1000);
  ASSERT_TRUE(end) << end.error().what;
  ASSERT_NE(*end, 0u);
  EXPECT_FALSE(is_abandoned(*end, path_)) << "its client lives";
  ::shutdown(client.get(), SHUT_WR);
  EXPECT_FALSE(is_abandoned(*end, path_)) << "it only has nothing more to say";
  client.reset();
  EXPECT_TRUE(is_abandoned(*end, path_));
  EXPECT_FALSE(is_abandoned(*end, "/tmp")) << "another file's socket";
  served.reset();
  EXPECT_FALSE(is_abandoned(*end, path_));
}

TEST_F(Abandoned, WaitsUntilTheConnectionIsAccepted) {
  UniqueFd client = connect();
  auto end = other_end(client.get(), 50);
  ASSERT_FALSE(end);
  EXPECT_EQ(end.error().code, Code::timed_out);
  std::thread engine([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    UniqueFd served = accept();
    char c;
    (void)!::read(served.get(), &c, 1);
  });
  end = other_end(client.get(), 10000);
  EXPECT_TRUE(end && *end != 0);
  client.reset();
  engine.join();
}

TEST_F(Abandoned, OthersConnectionsDoNotMatter) {
  UniqueFd mine = connect();
  UniqueFd served = accept();
  UniqueFd other = connect();
  UniqueFd others = accept();
  auto end = other_end(mine.get(), 1000);
  other.reset();  // abandoned forever
  mine.reset();
  served.reset();
  EXPECT_FALSE(is_abandoned(*end, path_));
}

}  // namespace
}  // namespace bottle::docker
