#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <thread>

#include "base/ids.h"
#include "docker/engine.h"
#include "docker/tar.h"

namespace bottle::docker {
namespace {

// An engine of one answer: whatever is asked, it sends `answer` and closes.
class FakeEngine {
 public:
  explicit FakeEngine(std::string answer) : path_(::testing::TempDir() + "/engine-" + random_hex(4)) {
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path_.c_str());
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ::listen(listener_.get(), 8);
    thread_ = std::thread([this, answer] {
      for (;;) {
        UniqueFd fd(::accept(listener_.get(), nullptr, nullptr));
        if (!fd) return;
        char buffer[4096];
        ssize_t n = ::recv(fd.get(), buffer, sizeof buffer, 0);
        std::string asked(buffer, n > 0 ? static_cast<size_t>(n) : 0);
        std::string ping = "HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\nContent-Length: 2\r\n\r\nOK";
        const std::string& text = asked.starts_with("GET /_ping") && !answer.starts_with("PING") ? ping : answer;
        std::string out = text.starts_with("PING") ? text.substr(4) : text;
        (void)::send(fd.get(), out.data(), out.size(), MSG_NOSIGNAL);
      }
    });
  }
  ~FakeEngine() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
    ::unlink(path_.c_str());
  }
  Endpoint endpoint() const { return {path_, "the test"}; }

 private:
  std::string path_;
  UniqueFd listener_;
  std::thread thread_;
};

TEST(Engine, ReadsChunkedBodies) {
  FakeEngine fake("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{\"Runtime\r\n11\r\ns\":{\"runsc\":{}}}\n\r\n0\r\n\r\n");
  auto engine = Engine::connect(fake.endpoint());
  ASSERT_TRUE(engine) << engine.error().what;
  auto runtimes = engine->runtimes();
  ASSERT_TRUE(runtimes) << runtimes.error().what;
  EXPECT_EQ(*runtimes, std::vector<std::string>{"runsc"});
}

TEST(Engine, SaysWhatTheEngineSaidWhileDoingWhat) {
  FakeEngine fake("HTTP/1.1 409 Conflict\r\nContent-Length: 24\r\n\r\n{\"message\":\"name taken\"}\n");
  auto engine = Engine::connect(fake.endpoint());
  ASSERT_TRUE(engine);
  auto made = engine->create_container("x", {{"Image", "y"}});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::conflict);
  EXPECT_EQ(made.error().what, "creating the container x: the engine says: name taken");
}

TEST(Engine, RefusesAnOldEngineAndAnAnswerCutShort) {
  FakeEngine old("PINGHTTP/1.1 200 OK\r\nApi-Version: 1.40\r\nContent-Length: 0\r\n\r\n");
  auto engine = Engine::connect(old.endpoint());
  ASSERT_FALSE(engine);
  EXPECT_NE(engine.error().what.find("too old"), std::string::npos);
  FakeEngine torn("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}");
  auto second = Engine::connect(torn.endpoint());
  ASSERT_TRUE(second);
  EXPECT_EQ(second->info().error().code, Code::closed);
}

TEST(Endpoint, OnlyUnixSockets) {
  EXPECT_EQ(find_endpoint({{"DOCKER_HOST", "unix:///x"}})->socket, "/x");
  EXPECT_EQ(find_endpoint({{"DOCKER_HOST", "tcp://1.2.3.4:2375"}}).error().code, Code::invalid);
}

TEST(Demux, TakesFramesInAnyPiecesAndRefusesNonsense) {
  std::string wire = std::string("\1\0\0\0\0\0\0\2hi", 10) + std::string("\2\0\0\0\0\0\0\1!", 9);
  std::string out, err;
  Demux demux;
  for (char c : wire) ASSERT_TRUE(demux.feed({&c, 1}, [&](int s, std::string_view b) { (s == 1 ? out : err).append(b); }));
  EXPECT_EQ(out, "hi");
  EXPECT_EQ(err, "!");
  EXPECT_FALSE(Demux().feed("GET / HTTP", [](int, std::string_view) {}));
}

TEST(Tar, WritesLongNamesAndPadsShrunkFiles) {
  std::string archive;
  TarWriter tar([&](std::string_view bytes) -> Result<> {
    archive.append(bytes);
    return {};
  });
  ASSERT_TRUE(tar.file(std::string(150, 'a'), 0644, 0, 0, "x"));
  ASSERT_TRUE(tar.begin_file("short", 0644, 0, 0, 10));
  ASSERT_TRUE(tar.data("12345"));
  ASSERT_TRUE(tar.end_file());
  EXPECT_FALSE(tar.begin_file("grown", 0644, 0, 0, 1).has_value() && tar.data("12").has_value());
  EXPECT_EQ(archive.size() % 512, 0u);
  EXPECT_NE(archive.find("path=" + std::string(150, 'a')), std::string::npos);
}

}  // namespace
}  // namespace bottle::docker
