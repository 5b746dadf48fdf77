#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>

#include "base/files/file.h"
#include "base/ids.h"
#include "docker/answers.h"
#include "docker/client/http_engine.h"

namespace bottle::docker {
namespace {

using Json = nlohmann::json;
const std::string kStall = "STALL";  // an answer that never comes

std::string ok(const std::string& body) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
std::string status(int code, const std::string& message) {
  std::string body = Json{{"message", message}}.dump();
  return "HTTP/1.1 " + std::to_string(code) + " X\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

// Plays an engine that gives the test's answers. It reads whole requests and keeps them.
class ScriptedEngine {
 public:
  using Answer = std::function<std::string(const std::string& request)>;
  explicit ScriptedEngine(Answer answer, std::string version = "1.41")
      : path_("/tmp/engine-" + random_hex(6)), answer_(std::move(answer)), version_(std::move(version)) {
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path_.c_str());
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ::listen(listener_.get(), 8);
    thread_ = std::thread([this] {
      for (;;) {
        UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!fd) return;
        serve(fd.get());
      }
    });
  }
  explicit ScriptedEngine(std::string answer) : ScriptedEngine([answer](const std::string&) { return answer; }) {}
  ~ScriptedEngine() {
    ending_ = true;
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
    ::unlink(path_.c_str());
  }
  Endpoint endpoint() const { return {path_, "the test"}; }
  std::unique_ptr<Engine> engine() const {
    auto engine = connect(endpoint());
    EXPECT_TRUE(engine) << engine.error().what;
    return std::move(*engine);
  }
  std::string last() {
    std::lock_guard lock(mutex_);
    return requests_.back();
  }
  size_t count() {
    std::lock_guard lock(mutex_);
    return requests_.size();
  }

 private:
  static bool whole(const std::string& request) {
    size_t head = request.find("\r\n\r\n");
    if (head == std::string::npos) return false;
    if (request.find("chunked\r\n") < head) return request.ends_with("\r\n0\r\n\r\n");
    size_t length = request.find("Content-Length: ");
    return length > head || request.size() - head - 4 >= std::stoul(request.substr(length + 16));
  }
  void serve(int fd) {
    std::string request;
    char buffer[65536];
    while (!whole(request)) {
      ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
      if (n <= 0) break;
      request.append(buffer, static_cast<size_t>(n));
    }
    if (request.starts_with("GET /_ping")) {
      std::string pong = "HTTP/1.1 200 OK\r\nApi-Version: " + version_ + "\r\nContent-Length: 2\r\n\r\nOK";
      (void)::send(fd, pong.data(), pong.size(), MSG_NOSIGNAL);
      return;
    }
    {
      std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    std::string out = answer_(request);
    if (out == kStall) {
      while (!ending_ && ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT) != 0)
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      return;
    }
    (void)::send(fd, out.data(), out.size(), MSG_NOSIGNAL);
    if (!out.starts_with("HTTP/1.1 101")) return;
    for (ssize_t n; (n = ::recv(fd, buffer, sizeof buffer, 0)) > 0;)
      (void)::send(fd, buffer, static_cast<size_t>(n), MSG_NOSIGNAL);
  }

  std::string path_;
  Answer answer_;
  std::string version_;
  UniqueFd listener_;
  std::mutex mutex_;
  std::vector<std::string> requests_;
  std::atomic<bool> ending_ = false;
  std::thread thread_;
};

Engine::Reader reader_of(std::string text) {
  return [text = std::move(text), at = size_t{0}](char* buffer, size_t size) mutable -> Result<size_t> {
    size_t n = std::min(size, text.size() - at);
    text.copy(buffer, n, at);
    at += n;
    return n;
  };
}

std::string unchunked(std::string_view request) {
  std::string_view body = request.substr(request.find("\r\n\r\n") + 4);
  std::string out;
  for (;;) {
    size_t size = std::stoul(std::string(body.substr(0, body.find("\r\n"))), nullptr, 16);
    if (size == 0) return out;
    body.remove_prefix(body.find("\r\n") + 2);
    out += body.substr(0, size);
    body.remove_prefix(size + 2);
  }
}

// A process reads the limit only once, so each value is tested in a separate process.
TEST(EngineTimeout, IsTheDefaultUnlessItIsANumberOfSeconds) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (auto [text, seconds] : {std::pair{"5", 5}, {"5x", 60}, {"-5", 60}, {"", 60}})
    EXPECT_EXIT(
        {
          ::setenv("BOTTLE_ENGINE_TIMEOUT", text, 1);  // NOLINT(concurrency-mt-unsafe)
          std::_Exit(call_timeout_ms() / 1000);
        },
        testing::ExitedWithCode(seconds), "")
        << text;
}

TEST(Engine, NegotiatesTheOlderOfTwoVersions) {
  for (auto [theirs, spoken] : {std::pair{"1.41", "/v1.41/"}, {"1.44", "/v1.44/"}, {"1.52", "/v1.47/"}}) {
    ScriptedEngine fake([](const std::string&) { return ok("{}"); }, theirs);
    ASSERT_TRUE(fake.engine()->info());
    EXPECT_TRUE(fake.last().starts_with(std::string("GET ") + spoken + "info HTTP/1.1\r\n")) << fake.last();
  }
  for (const char* old : {"1.40", "2.0", "", "x", "1.41x"}) {
    ScriptedEngine fake([](const std::string&) { return ok("{}"); }, old);
    auto engine = connect(fake.endpoint());
    ASSERT_FALSE(engine) << old;
    EXPECT_EQ(engine.error().code, Code::invalid);
    EXPECT_FALSE(engine.error().todo.empty());
  }
}

TEST(Engine, SaysWhatToDoIfThereIsNoEngine) {
  auto none = connect({"/nonexistent/docker.sock", "the test"});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::unavailable);
  EXPECT_NE(none.error().todo.find("DOCKER_HOST"), std::string::npos);
  EXPECT_FALSE(connect({std::string(200, 'x'), "the test"}));
}

// An engine may end at any time, so every call says what to do, not only the first.
TEST(Engine, SaysWhatToDoIfTheEngineHasEndedSince) {
  std::unique_ptr<Engine> engine = ScriptedEngine(ok("{}")).engine();
  auto network = engine->inspect_network("n");
  ASSERT_FALSE(network);
  EXPECT_EQ(network.error().code, Code::unavailable);
  EXPECT_EQ(network.error().todo, "start dockerd");
}

TEST(Http, ReadsChunkedBodies) {
  ScriptedEngine fake(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: "
      "chunked\r\n\r\n9\r\n{\"Runtime\r\n11;x=y\r\ns\":{\"runsc\":{}}}\n\r\n0\r\nTrailer: x\r\n\r\n");
  auto info = fake.engine()->info();
  ASSERT_TRUE(info) << info.error().what;
  EXPECT_EQ(info->runtime_names(), std::vector<std::string>{"runsc"});
}

TEST(Http, RefusesInvalidHttp) {
  for (const char* answer : {
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}}\r\n0\r\n\r\n",   // longer than announced
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",   //
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x2\r\n{}\r\n0\r\n\r\n",  //
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n",      // a bare LF
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\n0\r\n\r\n",      //
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\n",      //
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n{}",
           "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n{}",
           "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
           "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\n{}",
           "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}",
           "HTTP/1.1 200 OK\r\nno colon\r\n\r\n{}",
           "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: a\x01z\r\n\r\n{}",  // a control byte
           "HTTP/1.1 200 O\x1bK\r\nContent-Length: 2\r\n\r\n{}",
           "HTTP/1.1 2x0 OK\r\n\r\n{}",
           "HTTP/2 200 OK\r\n\r\n{}",
           "SSH-2.0-x\r\n",
           "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnope",
           "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n5",
       }) {
    ScriptedEngine fake{std::string(answer)};
    auto info = fake.engine()->info();
    ASSERT_FALSE(info) << answer;
    EXPECT_EQ(info.error().code, Code::protocol) << answer << info.error().what;
  }
}

TEST(Http, ATruncatedAnswerIsAnError) {
  for (const char* answer : {"", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}",
                             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
                             "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"}) {
    ScriptedEngine fake{std::string(answer)};
    auto info = fake.engine()->info();
    ASSERT_FALSE(info) << answer;
    EXPECT_EQ(info.error().code, Code::closed) << answer;
  }
}

TEST(Http, ACallHasATimeLimit) {
  ScriptedEngine fake(kStall);
  auto engine = fake.engine();
  auto before = std::chrono::steady_clock::now();
  auto started = engine->start_container("x", 100);
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code, Code::timed_out);
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(30));
}

TEST(Engine, ErrorsNameTheActionAndTheEnginesMessage) {
  ScriptedEngine taken(status(409, "name taken"));
  auto made = taken.engine()->create_container("x", {{"Image", "y"}});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().code, Code::conflict);
  EXPECT_EQ(made.error().what, "creating the container x: the engine says: name taken");
  ScriptedEngine plain("HTTP/1.1 404 Not Found\r\nContent-Length: 19\r\n\r\n404 page not found\n");
  EXPECT_EQ(plain.engine()->info().error().what, "asking the engine about itself: the engine says: 404 page not found");
  ScriptedEngine odd("HTTP/1.1 500 X\r\nContent-Length: 13\r\n\r\n{\"message\":5}");
  EXPECT_EQ(odd.engine()->info().error().code, Code::internal);
}

TEST(Engine, AnswersOfAnUnexpectedShapeDoNotThrow) {
  for (const char* body : {"[]", "{}", "[1]", R"({"Id":5,"Runtimes":[],"StatusCode":"x","Volumes":5,"Config":[]})",
                           R"([{"IPAM":5},{"IPAM":{"Config":[5,{"Subnet":5}]}}])"}) {
    ScriptedEngine fake(ok(body));
    auto engine = fake.engine();
    (void)engine->create_container("x", {});
    (void)engine->create_network("x", {});
    (void)engine->list_by_label("volumes", "a");
    (void)engine->list_by_label("containers", "a");
    (void)engine->logs("x");
    (void)engine->import_image("x", reader_of(""), {});
    EXPECT_FALSE(engine->wait_container("x"));
    (void)engine->info();
  }
}

TEST(Engine, NamesAreEscapedInRequests) {
  ScriptedEngine fake(ok("{\"Id\":\"1\"}"));
  auto engine = fake.engine();
  ASSERT_TRUE(engine->create_container("a&b=c HTTP/1.1\r\nEvil: x/../y", {{"Image", "i"}}));
  EXPECT_TRUE(fake.last().starts_with(
      "POST /v1.41/containers/create?name=a%26b%3Dc%20HTTP%2F1.1%0D%0AEvil%3A%20x%2F..%2Fy HTTP/1.1\r\n"))
      << fake.last();
  size_t before = fake.count();
  auto bad = engine->create_container("x", {{"Image", "\xff"}});
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code, Code::invalid);
  EXPECT_EQ(fake.count(), before);
}

TEST(Engine, AttachReturnsTheStreamAndTheBytesThatCameWithTheHead) {
  ScriptedEngine fake("HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\nearly");
  auto attached = fake.engine()->attach("x");
  ASSERT_TRUE(attached) << attached.error().what;
  std::string early = attached->take_early();
  ASSERT_TRUE(write_all(attached->fd(), "echo"));
  ::shutdown(attached->fd(), SHUT_WR);
  char buffer[64];
  for (ssize_t n; (n = ::read(attached->fd(), buffer, sizeof buffer)) > 0;)
    early.append(buffer, static_cast<size_t>(n));
  EXPECT_EQ(early, "earlyecho");
}

TEST(Engine, ARefusedAttachReportsTheReason) {
  ScriptedEngine fake(status(404, "No such container: x"));
  auto attached = fake.engine()->attach("x");
  ASSERT_FALSE(attached);
  EXPECT_EQ(attached.error().code, Code::not_found);
  EXPECT_NE(attached.error().what.find("No such container"), std::string::npos);
}

TEST(Engine, SendsArchivesWhole) {
  std::string archive;
  for (int i = 0; archive.size() < 1 << 20; ++i) archive += std::to_string(i);
  ScriptedEngine fake("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  ASSERT_TRUE(fake.engine()->put_archive("x", "/a b", reader_of(archive)));
  EXPECT_TRUE(fake.last().starts_with("PUT /v1.41/containers/x/archive?path=%2Fa%20b HTTP/1.1\r\n"));
  EXPECT_TRUE(unchunked(fake.last()) == archive);
}

TEST(Engine, AnArchiveWhoseSourceFailsIsNotCompleted) {
  ScriptedEngine fake("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  int calls = 0;
  auto sent = fake.engine()->put_archive("x", "/", [&](char* buffer, size_t) -> Result<size_t> {
    if (++calls == 3) return fail(Code::not_found, "the disk is gone");
    *buffer = 'x';
    return 1;
  });
  ASSERT_FALSE(sent);
  EXPECT_NE(sent.error().what.find("the disk is gone"), std::string::npos);
  for (int i = 0; i < 12000 && fake.count() == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ASSERT_GT(fake.count(), 0u);
  EXPECT_FALSE(fake.last().ends_with("0\r\n\r\n"));
}

TEST(Engine, FetchesArchivesWholeOrNotAtAll) {
  ScriptedEngine fake("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n");
  std::string got;
  auto keep = sink_to(got);
  ASSERT_TRUE(fake.engine()->get_archive("x", "/w", keep));
  EXPECT_EQ(got, "abcdef");
  ScriptedEngine torn("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
  EXPECT_EQ(torn.engine()->get_archive("x", "/w", keep).error().code, Code::closed);
  got.clear();
  ScriptedEngine missing(status(404, "no such path"));
  EXPECT_EQ(missing.engine()->get_archive("x", "/w", keep).error().code, Code::not_found);
  EXPECT_EQ(got, "") << "an error's text is not an archive";
  auto full = fake.engine()->get_archive("x", "/w",
                                         [](std::string_view) -> Result<> { return fail(Code::limit, "disk full"); });
  EXPECT_EQ(full.error().code, Code::limit);
}

TEST(Engine, ImportReportsFailuresThatComeAfterTheStatus) {
  ScriptedEngine good(ok("{\"status\":\"sha256:1\"}\r\n"));
  ASSERT_TRUE(good.engine()->import_image("host:5000/a/b:c", reader_of("tar"), {"ENTRYPOINT [\"/x\"]"}));
  EXPECT_TRUE(good.last().starts_with(
      "POST /v1.41/images/create?fromSrc=-&repo=host%3A5000%2Fa%2Fb&tag=c&changes=ENTRYPOINT%20%5B%22%2Fx%22%5D "
      "HTTP/1.1\r\n"))
      << good.last();
  ASSERT_TRUE(good.engine()->import_image("host:5000/a", reader_of(""), {}));
  EXPECT_NE(good.last().find("repo=host%3A5000%2Fa&tag=latest "), std::string::npos);
  // The second is how an engine says it that leaves out the deprecated `error`.
  for (const char* why : {R"("errorDetail":{},"error":"no space left")", R"("errorDetail":{"message":"no space left"})",
                          R"("errorDetail":{})"}) {
    ScriptedEngine bad(ok("{\"status\":\"x\"}\r\n{" + std::string(why) + "}\r\n"));
    for (const auto& done :
         {bad.engine()->import_image("a:b", reader_of(""), {}), bad.engine()->load_image(reader_of(""))}) {
      ASSERT_FALSE(done) << why;
      EXPECT_EQ(done.error().what.contains("no space left"), std::string(why).contains("no space left")) << why;
    }
  }
}

TEST(Engine, RemovalIsIdempotentAndWaits) {
  ScriptedEngine gone(status(404, "no such"));
  auto engine = gone.engine();
  EXPECT_TRUE(engine->remove_container("x"));
  EXPECT_TRUE(engine->remove_network("x"));
  EXPECT_TRUE(engine->remove_volume("x"));
  EXPECT_TRUE(engine->remove_image("x"));
  std::atomic<int> asked = 0;
  ScriptedEngine busy([&](const std::string&) {
    return ++asked < 3 ? status(409, "removal of container x is already in progress") : status(404, "gone");
  });
  EXPECT_TRUE(busy.engine()->remove_container("x"));
  EXPECT_EQ(asked, 3);
  asked = 0;
  ScriptedEngine used([&](const std::string&) {
    return ++asked < 3 ? status(409, "volume is in use") : std::string("HTTP/1.1 204 No Content\r\n\r\n");
  });
  EXPECT_TRUE(used.engine()->remove_volume("x"));
  EXPECT_EQ(asked, 3);
  ScriptedEngine refuses(status(400, "bad name"));
  EXPECT_FALSE(refuses.engine()->remove_container("x"));
}

TEST(Engine, ListsByLabel) {
  ScriptedEngine fake([](const std::string& request) {
    return ok(request.starts_with("GET /v1.41/volumes") ? "{\"Volumes\":null}" : "[{\"Id\":\"1\"}]");
  });
  auto engine = fake.engine();
  EXPECT_EQ(engine->list_by_label("containers", "a=b")->size(), 1u);
  EXPECT_NE(fake.last().find("all=1&filters=%7B%22label%22%3A%5B%22a%3Db%22%5D%7D "), std::string::npos) << fake.last();
  EXPECT_EQ(*engine->list_by_label("volumes", "a=b"), Json::array());
}

TEST(Docker, PodmanIsRefusedAsSoonAsItAnswers) {
  // Podman 4 answers like this on its compatible socket.
  ScriptedEngine podman([](const std::string&) { return ""; },
                        "1.41\r\nLibpod-Api-Version: 4.3.1\r\nServer: Libpod/4.3.1 (linux)");
  auto engine = connect(podman.endpoint());
  ASSERT_FALSE(engine);
  EXPECT_EQ(engine.error().code, Code::invalid);
  EXPECT_NE(engine.error().what.find("is Podman"), std::string::npos) << engine.error().what;
  EXPECT_FALSE(engine.error().todo.empty());
  EXPECT_EQ(podman.count(), 0u) << "nothing else is asked of it";
}

}  // namespace
}  // namespace bottle::docker
