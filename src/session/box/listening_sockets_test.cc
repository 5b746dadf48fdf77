#include "session/box/listening_sockets.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <filesystem>
#include <fstream>

#include "base/ids.h"
#include "base/os/descriptors.h"
#include "base/unix_address.h"

namespace bottle::session {
namespace {

namespace fs = std::filesystem;

class ListeningSockets : public ::testing::Test {
 protected:
  ListeningSockets() { fs::create_directories(directory_ + "/a/b"); }
  ~ListeningSockets() override { fs::remove_all(directory_); }
  UniqueFd bound(const std::string& name, int type) {
    UniqueFd fd = open_socket(AF_UNIX, type);
    auto address = unix_address(directory_ + "/" + name).value();
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  const std::string directory_ = "/tmp/sockets-" + random_hex(4);
};

TEST_F(ListeningSockets, OfAServiceAreFound) {
  EXPECT_TRUE(check_no_service_listens(directory_));
  UniqueFd service = bound("a/b/service", SOCK_STREAM);
  EXPECT_TRUE(check_no_service_listens(directory_)) << "nothing listens yet";
  ASSERT_EQ(::listen(service.get(), 1), 0);
  auto found = check_no_service_listens(directory_);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::denied);
  EXPECT_TRUE(found.error().what.contains("a/b/service")) << found.error().what;
  service.reset();
  EXPECT_TRUE(check_no_service_listens(directory_)) << "its process is gone";
}

TEST_F(ListeningSockets, OfOtherTypesAreFound) {
  UniqueFd service = bound("datagrams", SOCK_DGRAM);
  EXPECT_FALSE(check_no_service_listens(directory_));
  service.reset();
  EXPECT_TRUE(check_no_service_listens(directory_));
}

TEST_F(ListeningSockets, OfABusyServiceAreFound) {
  UniqueFd service = bound("busy", SOCK_STREAM);
  ASSERT_EQ(::listen(service.get(), 0), 0);
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(check_no_service_listens(directory_)) << "the backlog is full";
}

TEST_F(ListeningSockets, BehindLinksDoNotCount) {
  UniqueFd service = bound("a/service", SOCK_STREAM);
  ASSERT_EQ(::listen(service.get(), 1), 0);
  fs::create_symlink(directory_ + "/a", directory_ + "/a/b/link");
  EXPECT_TRUE(check_no_service_listens(directory_ + "/a/b"));
  EXPECT_FALSE(check_no_service_listens(directory_ + "/no-such")) << "nothing is known of it";
}

}  // namespace
}  // namespace bottle::session
