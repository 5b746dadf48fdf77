// Checks which sessions the verbs of the far side take for those of a near side. Two near sides may use the same name.
#include "remote/far/far.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fcntl.h>

#include <filesystem>
#include <map>

#include "base/files/file.h"
#include "base/os/descriptors.h"
#include "base/os/poller.h"
#include "docker/fake/fake_engine.h"
#include "session/ledger/files.h"
#include "session/ledger/ledger.h"
#include "session/ledger/ledger_file.h"
#include "session/ledger/names.h"
#include "session/ledger/scratch_test.h"
#include "transfer/delivery.h"
#include "wire/frames/frames.h"
#include "wire/request.h"
#include "wire/result.h"

namespace bottle::remote {

using wire::FrameType;

namespace {

class Far : public ::testing::Test {
 protected:
  Far() { world_.directories = scratch_.directories; }
  std::string results() const { return world_.directories.results + "/nightly"; }
  // Makes the results of a session that has ended.
  void end_session(const std::string& id) {
    ASSERT_TRUE(make_directories(results()));
    if (!id.empty()) {
      ASSERT_TRUE(write_file_atomically(results() + "/id", id));
    }
    ASSERT_TRUE(write_file_atomically(results() + "/workspace.tar", "the work"));
  }
  bool has_work() const { return std::filesystem::exists(results() + "/workspace.tar"); }
  int far(const std::vector<std::string>& words) { return far_main(world_, words); }
  void use_engine() {
    world_.engine_socket = "/run/docker.sock";
    world_.connect = [this](const docker::Endpoint&) { return docker_.connect(); };
  }
  // Attaches as a near side does that has lost its connection, and returns the last frame of the answer.
  wire::Frame attached(const std::string& id) {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    UniqueFd from(ends[0]), to(ends[1]), stdin_before(::dup(0));
    EXPECT_TRUE(wire::send_frame(to.get(), FrameType::attach, wire::encode(wire::Attach{"nightly", 0, id})));
    ::dup2(from.get(), 0);
    testing::internal::CaptureStdout();
    far({"serve"});
    std::string said = testing::internal::GetCapturedStdout();
    ::dup2(stdin_before.get(), 0);
    wire::FrameReader reader;
    reader.feed(std::string_view(said).substr(said.find('\n') + 1));  // after the hello
    wire::Frame last{};
    while (auto frame = reader.next()) last = std::move(*frame);
    return last;
  }

  docker::FakeDocker docker_;
  session::Scratch scratch_;
  FarWorld world_;
};

TEST_F(Far, ForgetsOnlyTheResultsOfTheSameSession) {
  end_session("0b");
  EXPECT_EQ(far({"forget", "nightly", "0a"}), 0) << "it has no such session, so nothing is left of it";
  EXPECT_EQ(far({"forget", "nightly"}), 0);
  EXPECT_TRUE(has_work());
  EXPECT_EQ(far({"forget", "nightly", "0b", "home"}), 0);
  EXPECT_FALSE(std::filesystem::exists(results()));
  end_session("");
  EXPECT_EQ(far({"forget", "nightly", "0a"}), 0);
  EXPECT_TRUE(has_work());
  EXPECT_EQ(far({"forget", "nightly", "", "home"}), 0) << "an earlier version began it";
  EXPECT_FALSE(has_work());
}

TEST_F(Far, SavedWorkIsForgottenOnlyIfTheNearSideHasIt) {
  end_session("0b");
  testing::internal::CaptureStdout();
  EXPECT_NE(far({"forget", "nightly", "0b"}), 0);
  auto answer = wire::decode<wire::Forgotten>(testing::internal::GetCapturedStdout(), wire::From::foreign);
  EXPECT_TRUE(has_work());
  ASSERT_TRUE(answer) << answer.error().what;
  EXPECT_FALSE(answer->forgotten);
  EXPECT_EQ(far({"forget", "nightly", "0b", "home"}), 0);
  EXPECT_FALSE(std::filesystem::exists(results()));
  end_session("0b");
  std::filesystem::remove(results() + "/workspace.tar");
  EXPECT_EQ(far({"forget", "nightly", "0b"}), 0) << "it has no work";
}

TEST_F(Far, ForgetsOnlyTheRecordOfTheSameSession) {
  scratch_.dead("nightly", {R"({"id":"0b"})", R"({"make":[{"kind":"container","name":"bottle-nightly-agent"}]})"});
  EXPECT_EQ(far({"forget", "nightly", "0a"}), 0);
  EXPECT_TRUE(std::filesystem::exists(world_.directories.sessions + "/nightly/ledger"));
  EXPECT_NE(far({"forget", "nightly", "0b"}), 0) << "no engine can confirm that its container is gone";
}

TEST_F(Far, FetchesOnlyTheResultsOfTheSameSession) {
  end_session("0b");
  EXPECT_NE(far({"fetch", "nightly", "0a"}), 0);
  EXPECT_EQ(far({"fetch", "nightly", "0b"}), 0);
}

TEST_F(Far, StopsAndReadsOnlyTheSameSession) {
  scratch_.dead("nightly", {R"({"id":"0b"})"});
  std::string path = world_.directories.sessions + "/nightly/socket";
  auto listener = listen_at(path, 1);
  ASSERT_TRUE(listener);
  for (const char* verb : {"attach", "checkpoint"}) EXPECT_NE(far({verb, "nightly", "0a"}), 0) << verb;
  EXPECT_EQ(far({"stop", "nightly", "0a"}), 0) << "it has ended";
  EXPECT_FALSE(wait_readable(listener->get(), 0)) << "nothing has connected to the other session";
}

// The near side takes one of these answers for the end of the agent and the other one for proof that there is no work.
TEST_F(Far, AnAttachIsAnsweredOnlyWithWhatIsKnown) {
  use_engine();
  auto unknown = attached("0b");
  EXPECT_EQ(unknown.type, FrameType::failure);
  EXPECT_NE(unknown.bytes.find("not_found"), std::string::npos) << unknown.bytes;
  end_session("0b");
  EXPECT_EQ(attached("0b").type, FrameType::result) << "its supervisor has died";
  std::string id = results() + "/id";
  std::filesystem::remove(id);
  ASSERT_TRUE(make_directories(id));
  auto unreadable = attached("0b");
  EXPECT_EQ(unreadable.type, FrameType::failure);
  EXPECT_NE(unreadable.bytes.find("unavailable"), std::string::npos) << unreadable.bytes;
}

// The machine may have restarted without the disk that has its state directory. The near side would forget the session,
// and destroy a VM with its work.
TEST_F(Far, ASessionIsUnknownOnlyIfTheEngineHasNothingOfIt) {
  use_engine();
  for (const char* role : {"work", "agent"}) {
    auto labels = session::labels("nightly", session::Owner::self(), "/elsewhere/nightly", role);
    docker_.with_world([&](docker::FakeWorld& world) {
      world.volumes.clear();
      world.add_image("image");
      if (std::string(role) == "work")
        world.volumes["bottle-nightly-work"] = {.name = "bottle-nightly-work", .labels = labels};
      else ASSERT_TRUE(world.create_container("bottle-nightly-agent", {{"Image", "image"}, {"Labels", labels}}));
    });
    auto answer = attached("0b");
    EXPECT_EQ(answer.type, FrameType::failure);
    EXPECT_NE(answer.bytes.find("unavailable"), std::string::npos) << answer.bytes;
    EXPECT_NE(answer.bytes.find(std::string("bottle-nightly-") + role), std::string::npos) << answer.bytes;
    EXPECT_NE(answer.bytes.find("make sure that bottle's state directory"), std::string::npos) << answer.bytes;
    testing::internal::CaptureStdout();
    EXPECT_EQ(far({"fetch", "nightly", "0b"}), 0);
    std::string fetched = testing::internal::GetCapturedStdout();
    EXPECT_NE(fetched.find(transfer::kHeld), std::string::npos) << fetched;
  }
  world_.connect = [](const docker::Endpoint&) -> Result<std::unique_ptr<docker::Engine>> {
    return fail(Code::unavailable, "no engine answers");
  };
  EXPECT_NE(attached("0b").bytes.find("no engine answers"), std::string::npos) << "it may have the work";
}

// Otherwise, the near side could not end its session as long as these exist.
TEST_F(Far, ThingsOfOthersAreNotThoseOfAnUnknownSession) {
  use_engine();
  std::string session = world_.directories.session("nightly");
  auto ledger = session::Ledger::create(session, session::Owner::self(), "0a");
  ASSERT_TRUE(ledger) << ledger.error().what;
  auto owner = session::read_ledger(world_.directories, "nightly")->owner;
  docker_.with_world([&](docker::FakeWorld& world) {
    world.add_image("image");
    auto other = session::labels("nightly", owner, session, "agent");
    ASSERT_TRUE(world.create_container("bottle-nightly-agent", {{"Image", "image"}, {"Labels", other}}));
    session::Owner stranger{.uid = ::geteuid() + 1, .process = session::Owner::self().process};
    world.volumes["bottle-nightly-work"] = {.name = "bottle-nightly-work",
                                            .labels = session::labels("nightly", stranger, session, "work")};
    auto copied = session::labels("nightly", session::Owner::self(), session, "agent");
    ASSERT_TRUE(world.create_container("from-an-image-of-an-agent", {{"Image", "image"}, {"Labels", copied}}));
  });
  auto answer = attached("0b");
  EXPECT_NE(answer.bytes.find("not_found"), std::string::npos) << answer.bytes;
  EXPECT_EQ(answer.bytes.find("unavailable"), std::string::npos) << answer.bytes;
}

TEST_F(Far, AnAgentWhoseSupervisorDoesNotListenHasNotEnded) {
  world_.supervisor_patience = std::chrono::milliseconds(10);
  end_session("0b");
  auto ledger = session::Ledger::create(world_.directories.session("nightly"), session::Owner::self(), "0b");
  ASSERT_TRUE(ledger);
  auto silent = attached("0b");
  EXPECT_EQ(silent.type, FrameType::failure);
  EXPECT_NE(silent.bytes.find("unavailable"), std::string::npos) << silent.bytes;
  for (const char* verb : {"stop", "forget"}) EXPECT_NE(far({verb, "nightly", "0b"}), 0) << verb;
  EXPECT_TRUE(has_work());
}

// The near side fetches the work only of a session that was stopped.
TEST_F(Far, ASessionCountsAsStoppedOnlyIfNothingSupervisesIt) {
  EXPECT_EQ(far({"stop", "nightly", "0b"}), 0);
  scratch_.dead("nightly", {R"({"id":"0b"})"});
  EXPECT_EQ(far({"stop", "nightly", "0b"}), 0);
  auto listener = listen_at(world_.directories.sessions + "/nightly/socket", 1);
  ASSERT_TRUE(listener);
  listener->reset();  // the supervisor is dead, and its socket is still there
  EXPECT_EQ(far({"stop", "nightly", "0b"}), 0);
  std::string ledger = world_.directories.sessions + "/nightly/ledger";
  std::filesystem::permissions(ledger, std::filesystem::perms::others_write, std::filesystem::perm_options::add);
  EXPECT_NE(far({"stop", "nightly", "0b"}), 0) << "it is not known whether there is one";
}

// A machine with two engines, of which the session ran on the first. Today, `bottle far` finds the second.
class FarEngines : public Far {
 protected:
  static constexpr const char* kFirst = "/run/first.sock";
  FarEngines() {
    world_.engine_socket = "/run/second.sock";
    world_.connect = [this](const docker::Endpoint& endpoint) -> Result<std::unique_ptr<docker::Engine>> {
      if (endpoint.socket != kFirst) return second_.connect();
      if (!first_answers_) return fail(Code::unavailable, "no engine answers on " + endpoint.socket);
      return first_.connect();
    };
    session_ = scratch_.dead("nightly", {R"({"id":"0b"})", std::string(R"({"engine":")") + kFirst + R"("})",
                                         R"({"make":[{"kind":"container","name":"bottle-nightly-agent"}]})"});
    first_.with_world([&](docker::FakeWorld& world) {
      world.add_image("image");
      auto owner = session::read_ledger(world_.directories, "nightly")->owner;
      auto made = world.create_container(
          "bottle-nightly-agent",
          {{"Image", "image"}, {"Labels", session::labels("nightly", owner, session_, "agent")}});
      ASSERT_TRUE(made) << made.error().what;
      world.put(**world.container(*made), "/workspace/made.txt", {.text = std::make_shared<std::string>("the work")});
    });
  }
  void note(const std::string& record) const {
    std::string ledger = session_ + "/ledger";
    ASSERT_TRUE(write_file_atomically(ledger, *read_file(ledger) + record + "\n"));
  }
  // Notes that the session has work.
  void hold_work() const {
    note(R"({"work":{"source":"/home/me/app","workdir":"/workspace","base":"","results":")" + results() +
         R"(","far":true}})");
  }
  // Runs `far fetch`, and returns what it delivers, by name.
  std::map<std::string, std::string> fetched(const std::string& verb = "fetch") {
    testing::internal::CaptureStdout();
    int status = far({verb, "nightly", "0b"});
    std::string path = scratch_.path + "/delivery";
    EXPECT_TRUE(write_file_atomically(path, testing::internal::GetCapturedStdout()));
    EXPECT_EQ(status, 0);
    std::map<std::string, std::string> archives;
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    auto read = transfer::read_delivery(
        fd.get(),
        [&](const std::string& name, const Source& source) -> Result<> {
          char buffer[4096];
          std::string& text = archives[name];
          while (size_t n = TRY(source(buffer, sizeof buffer))) text.append(buffer, n);
          return {};
        },
        1000);
    EXPECT_TRUE(read) << read.error().what;
    return archives;
  }
  bool has_container() {
    return first_.with_world(
        [](docker::FakeWorld& world) { return world.containers.contains("bottle-nightly-agent"); });
  }

  docker::FakeDocker first_, second_;
  bool first_answers_ = true;
  std::string session_;
};

TEST_F(FarEngines, WorkIsFetchedFromTheEngineThatTheLedgerNames) {
  hold_work();
  auto archives = fetched();
  EXPECT_NE(archives[session::kArchive].find("the work"), std::string::npos);
  EXPECT_NE(fetched("checkpoint")[session::kArchive].find("the work"), std::string::npos);
}

// The other engine would say that there is no container, which is no reason to think that there is no work.
TEST_F(FarEngines, WorkIsHeldWhileTheEngineThatTheLedgerNamesIsSilent) {
  hold_work();
  first_answers_ = false;
  auto archives = fetched();
  EXPECT_FALSE(archives.contains(session::kArchive));
  EXPECT_NE(archives[transfer::kHeld].find("no engine answers"), std::string::npos) << archives[transfer::kHeld];
  EXPECT_NE(far({"checkpoint", "nightly", "0b"}), 0);
}

// The near side holds the work until the engine that had it says so.
TEST_F(FarEngines, WorkThatSomethingElseRemovedIsReportedAsGone) {
  hold_work();
  EXPECT_FALSE(fetched().contains(transfer::kGone));
  first_.with_world([](docker::FakeWorld& world) {
    (void)world.remove_container("bottle-nightly-agent");
    world.volumes.clear();
  });
  auto archives = fetched();
  EXPECT_TRUE(archives.contains(transfer::kGone));
  EXPECT_FALSE(archives.contains(transfer::kHeld) || archives.contains(session::kArchive));
}

// Otherwise, the near side would conclude that there is none, and would let this machine forget it.
TEST_F(FarEngines, WorkThatAnotherProcessSavesDuringTheFetchIsSent) {
  hold_work();
  end_session("0b");
  std::string archive = results() + "/workspace.tar", part = archive + ".part";
  std::filesystem::rename(archive, part);
  bool is_asked = false;
  first_.set_fault([&](const docker::FakeCall&) {
    if (std::exchange(is_asked, true)) return docker::Fault::none;
    std::filesystem::rename(part, archive);
    first_.with_world([](docker::FakeWorld& world) { (void)world.remove_container("bottle-nightly-agent"); });
    std::filesystem::remove_all(session_);
    return docker::Fault::none;
  });
  EXPECT_EQ(fetched()[session::kArchive], "the work");
  EXPECT_TRUE(is_asked);
}

TEST_F(FarEngines, ASessionIsForgottenOnTheEngineThatTheLedgerNames) {
  first_answers_ = false;
  EXPECT_NE(far({"forget", "nightly", "0b"}), 0);
  EXPECT_TRUE(std::filesystem::exists(session_ + "/ledger")) << "the container is still there";
  first_answers_ = true;
  EXPECT_EQ(far({"forget", "nightly", "0b"}), 0);
  EXPECT_FALSE(has_container());
  EXPECT_FALSE(std::filesystem::exists(session_));
}

// Otherwise, a sweep could remove the record meanwhile, and a new session of that name would lose its own.
TEST_F(FarEngines, NobodyElseHandlesASessionWhileItIsForgotten) {
  auto lock = [&] { return session::LedgerFile::take(session_, Deadline::in_ms(0)); };
  bool is_asked = false;
  first_.set_fault([&](const docker::FakeCall&) {
    EXPECT_FALSE(lock());
    is_asked = true;
    return docker::Fault::none;
  });
  EXPECT_EQ(far({"forget", "nightly", "0b"}), 0);
  EXPECT_TRUE(is_asked);
  EXPECT_FALSE(std::filesystem::exists(session_));
}

TEST_F(FarEngines, WorkOfAnAgentThatRanIsForgottenOnlyIfTheNearSideHasIt) {
  hold_work();
  note(R"({"running":true})");
  EXPECT_NE(far({"forget", "nightly", "0b"}), 0);
  EXPECT_TRUE(has_container());
  EXPECT_EQ(far({"forget", "nightly", "0b", "home"}), 0);
  EXPECT_FALSE(has_container());
}

// A near side that gets no advice cannot know that there is something to do on this machine.
TEST_F(FarEngines, AReasonComesWithItsAdvice) {
  note(R"({"engine_id":"an engine that is gone"})");
  testing::internal::CaptureStderr();
  EXPECT_NE(far({"forget", "nightly", "0b"}), 0);
  std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("another engine answers"), std::string::npos) << said;
  EXPECT_NE(said.find("remove the session's directory"), std::string::npos) << said;
  hold_work();
  auto held = fetched()[transfer::kHeld];
  EXPECT_NE(held.find("remove the session's directory"), std::string::npos) << held;
}

TEST_F(Far, AMachineThatMayNotRunItSaysWhyInPlaceOfAHello) {
  testing::internal::CaptureStdout();
  far_refuse({Code::conflict, "it belongs to another machine", "use another one"}, {"serve"});
  for (const char* verb : {"fetch", "stop"}) far_refuse({Code::conflict, "their stderr is read", ""}, {verb});
  auto greeting = wire::decode_greeting(testing::internal::GetCapturedStdout());
  ASSERT_TRUE(greeting) << greeting.error().what;
  auto* refused = std::get_if<wire::Refused>(&*greeting);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->what, "it belongs to another machine");
  EXPECT_EQ(refused->todo, "use another one");
}

}  // namespace
}  // namespace bottle::remote
