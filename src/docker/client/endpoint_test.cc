#include "docker/client/endpoint.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>

#include "base/files/file.h"
#include "base/ids.h"

namespace bottle::docker {
namespace {

class EndpointTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(make_directories(home_ + "/.docker/contexts/meta/abc")); }
  void TearDown() override { std::filesystem::remove_all(home_); }
  void write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(write_file_atomically(home_ + "/" + name, text));
  }
  Result<Endpoint> find(std::map<std::string, std::string> more = {}) {
    more.emplace("HOME", home_);
    return find_endpoint(more);
  }
  std::string home_ = "/tmp/home-" + random_hex(6);
};

TEST_F(EndpointTest, AcceptsOnlyUnixSockets) {
  EXPECT_EQ(find({{"DOCKER_HOST", "unix:///x"}})->socket, "/x");
  for (const char* url : {"tcp://192.0.2.1:2375", "ssh://host", "unix://relative", "/x", "fd://"}) {
    auto found = find({{"DOCKER_HOST", url}});
    ASSERT_FALSE(found) << url;
    EXPECT_EQ(found.error().code, Code::invalid);
    EXPECT_FALSE(found.error().todo.empty());
  }
}

TEST_F(EndpointTest, UsesTheCurrentContext) {
  write(".docker/config.json", R"({"currentContext":"mine"})");
  EXPECT_EQ(find().error().code, Code::not_found);
  write(".docker/contexts/meta/abc/meta.json", R"({"Name":"mine","Endpoints":{"docker":{"Host":"unix:///ctx.sock"}}})");
  EXPECT_EQ(find()->socket, "/ctx.sock");
  EXPECT_EQ(find({{"DOCKER_HOST", "unix:///x"}})->socket, "/x") << "DOCKER_HOST comes first";
  EXPECT_EQ(find({{"DOCKER_CONTEXT", "other"}}).error().code, Code::not_found);
  write(".docker/contexts/meta/abc/meta.json", R"({"Name":"mine","Endpoints":{"docker":{"Host":"ssh://box"}}})");
  EXPECT_EQ(find().error().code, Code::invalid);
  for (const char* nonsense : {"[]", R"({"Name":"mine","Endpoints":5})", R"({"Name":5})", "{"}) {
    write(".docker/contexts/meta/abc/meta.json", nonsense);
    EXPECT_FALSE(find()) << nonsense;
  }
}

TEST_F(EndpointTest, SaysThatTheContextsCannotBeRead) {
  ASSERT_TRUE(make_directories(home_ + "/other/contexts"));
  write("other/contexts/meta", "");
  auto found = find({{"DOCKER_CONTEXT", "mine"}, {"DOCKER_CONFIG", home_ + "/other"}});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().what, "reading " + home_ + "/other/contexts/meta: Not a directory");
}

TEST_F(EndpointTest, SkipsASocketWithoutAListener) {
  // The test needs a machine whose own engine does not answer first.
  if (::access("/var/run/docker.sock", F_OK) == 0) GTEST_SKIP() << "an engine is here";
  auto listen_at = [&](const std::string& path, bool alive) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path.c_str());
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    if (alive) ::listen(fd.get(), 1);
    return fd;
  };
  ASSERT_TRUE(make_directories(home_ + "/.docker/run"));
  UniqueFd dead = listen_at(home_ + "/docker.sock", false);
  EXPECT_EQ(find({{"XDG_RUNTIME_DIR", home_}})->socket, home_ + "/docker.sock")
      << "better one that can be complained about";
  UniqueFd alive = listen_at(home_ + "/.docker/run/docker.sock", true);
  EXPECT_EQ(find({{"XDG_RUNTIME_DIR", home_}})->socket, home_ + "/.docker/run/docker.sock");
}

TEST_F(EndpointTest, DoesNotMistakePodmanForDocker) {
  if (::access("/var/run/docker.sock", F_OK) == 0) GTEST_SKIP() << "an engine is here";
  ASSERT_TRUE(make_directories(home_ + "/podman"));
  write("podman/podman.sock", "");
  auto found = find({{"XDG_RUNTIME_DIR", home_}});
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::unavailable);
  EXPECT_NE(found.error().what.find("Podman (" + home_ + "/podman/podman.sock)"), std::string::npos)
      << found.error().what;
}

}  // namespace
}  // namespace bottle::docker
