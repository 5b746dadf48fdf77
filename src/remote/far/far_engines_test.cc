// Checks what the far side concludes from what an engine has and does not have.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <thread>
#include <utility>

#include "base/defer.h"
#include "base/files/file.h"
#include "base/os/deadline.h"
#include "remote/far/far_world_test.h"
#include "session/ledger/files.h"
#include "session/ledger/ledger.h"
#include "session/ledger/ledger_file.h"
#include "session/ledger/names.h"
#include "session/sweep/nfs_test.h"
#include "transfer/delivery.h"

namespace bottle::remote {
namespace {

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
    EXPECT_EQ(far({"fetch", "nightly", "0b", "fake"}), 0);
    std::string fetched = testing::internal::GetCapturedStdout();
    EXPECT_NE(fetched.find(transfer::kHeld), std::string::npos) << fetched;
  }
  world_.connect = [](const docker::Endpoint&) -> Result<std::unique_ptr<docker::Engine>> {
    return fail(Code::unavailable, "no engine answers");
  };
  EXPECT_NE(attached("0b").bytes.find("no engine answers"), std::string::npos) << "it may have the work";
}

// The disk with the state directory may also have the engine's data. Without it, the engine has no data and a new id.
TEST_F(Far, AnotherEngineDoesNotKnowWhetherThereIsWork) {
  use_engine();
  auto is_held = [&](const std::string& engine_id) {
    testing::internal::CaptureStdout();
    EXPECT_EQ(far({"fetch", "nightly", "0b", engine_id}), 0);
    return testing::internal::GetCapturedStdout().contains(transfer::kHeld);
  };
  EXPECT_TRUE(attached("0b", "fake").bytes.contains("not_found"));
  EXPECT_FALSE(is_held("fake"));
  auto other = attached("0b", "the engine of before");
  EXPECT_EQ(other.type, FrameType::failure);
  EXPECT_TRUE(other.bytes.contains("unavailable")) << other.bytes;
  EXPECT_TRUE(other.bytes.contains("its container engine or the engine's data has changed")) << other.bytes;
  EXPECT_TRUE(other.bytes.contains("/var/lib/docker is mounted")) << other.bytes;
  EXPECT_TRUE(is_held("the engine of before"));
  auto unknown = attached("0b", "");
  EXPECT_TRUE(unknown.bytes.contains("unavailable")) << unknown.bytes;
  for (const auto& answer : {other, unknown}) {
    EXPECT_TRUE(answer.bytes.contains("remove the session's directory from the state directory of your own machine"));
    EXPECT_TRUE(answer.bytes.contains("`bottle vm destroy`")) << answer.bytes;
  }
  EXPECT_TRUE(is_held(""));
  docker_.set_forgery([](const docker::FakeCall& call, nlohmann::json& answer) {
    if (call.method == "info") answer.erase("ID");
  });
  EXPECT_TRUE(attached("0b", "fake").bytes.contains("unavailable")) << "an engine that gives no id may be any";
  EXPECT_TRUE(is_held("fake"));
  EXPECT_TRUE(attached("0b").bytes.contains("not_found")) << "no agent can have run";
}

// Docker 20.10 keeps the engine's id in /etc/docker, and not on the disk that is missing.
TEST_F(Far, AnEngineWithoutItsDataDoesNotKnowWhetherThereIsWork) {
  use_engine();
  std::string data = docker_.with_world([](docker::FakeWorld& world) { return *world.create_network("none", {}); });
  EXPECT_TRUE(attached("0b", "fake/" + data).bytes.contains("not_found"));
  docker_.with_world([](docker::FakeWorld& world) {
    ASSERT_TRUE(world.remove_network("none"));
    ASSERT_TRUE(world.create_network("none", {}));
  });
  auto answer = attached("0b", "fake/" + data);
  EXPECT_TRUE(answer.bytes.contains("unavailable")) << answer.bytes;
  EXPECT_TRUE(answer.bytes.contains("the engine's data has changed")) << answer.bytes;
}

// The near side gives up a connection that is silent for 13 seconds, and an engine may take a minute for one answer.
TEST_F(Far, ASlowEngineLeavesNoSilence) {
  use_engine();
  world_.pong_every = std::chrono::milliseconds(1);
  std::string slow;
  docker_.set_fault([&](const docker::FakeCall& call) {
    if (!call.text().starts_with(slow)) return docker::Fault::none;
    for (auto end = Deadline::in(std::chrono::seconds(20)); pongs_ == 0 && !end.is_over();)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return docker::Fault::none;
  });
  slow = "list volumes";
  EXPECT_EQ(attached("0b", "fake").type, FrameType::failure);
  EXPECT_GT(pongs_, 0) << "while it is asked for what it has of the session";
  pongs_ = 0;
  slow = "inspect container";
  scratch_.dead("nightly", {R"({"id":"0b"})", R"({"engine":"/run/docker.sock"})",
                            R"({"make":[{"kind":"container","name":"bottle-nightly-agent"}]})"});
  (void)attached("0b", "fake");
  EXPECT_GT(pongs_, 0) << "during a sweep";
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

// The near side holds the work until the engine that had it says that it is gone.
TEST_F(FarEngines, WorkThatSomethingElseRemovedIsReportedAsGone) {
  hold_work();
  note(R"({"engine_id":"fake"})");
  EXPECT_FALSE(fetched().contains(transfer::kGone));
  first_.with_world([](docker::FakeWorld& world) {
    (void)world.remove_container("bottle-nightly-agent");
    world.volumes.clear();
  });
  auto archives = fetched();
  EXPECT_TRUE(archives.contains(transfer::kGone));
  EXPECT_FALSE(archives.contains(transfer::kHeld) || archives.contains(session::kArchive));
}

// Otherwise, the near side would give up before it learns why the work is held.
TEST_F(FarEngines, TheNearSideWaitsForASlowEngine) {
  auto slowest = [&] {
    auto count = [](docker::FakeDocker& engine) {
      // The engine is asked for this network while it describes itself.
      return std::ranges::count_if(engine.calls(), [](const auto& call) { return call.method != "inspect network"; });
    };
    auto before = count(first_) + count(second_);
    EXPECT_TRUE(fetched().contains(transfer::kHeld));
    return std::chrono::seconds(10) + (count(first_) + count(second_) - before) * std::chrono::minutes(1);
  };
  hold_work();
  note(R"({"engine_id":"fake/the data of before"})");
  first_.with_world([](docker::FakeWorld& world) { world = {}; });
  EXPECT_EQ(slowest(), std::chrono::seconds(250));
  EXPECT_LT(slowest(), transfer::kFetchPatience);
  std::filesystem::remove_all(session_);
  EXPECT_GT(slowest(), std::chrono::seconds(100));
  EXPECT_LT(slowest(), transfer::kFetchPatience);
}

// An earlier version did not record which engine that was.
TEST_F(FarEngines, WorkIsHeldIfItsEngineIsNotKnown) {
  hold_work();
  first_.with_world([](docker::FakeWorld& world) {
    (void)world.remove_container("bottle-nightly-agent");
    world.volumes.clear();
  });
  auto archives = fetched();
  EXPECT_FALSE(archives.contains(transfer::kGone));
  EXPECT_NE(archives[transfer::kHeld].find("may not have the data"), std::string::npos) << archives[transfer::kHeld];
}

// The supervisor died before it could note that the agent runs, and has left results without work. The near side would
// treat them as complete.
TEST_F(FarEngines, AnEngineWithoutItsDataDoesNotEndASession) {
  hold_work();
  note(R"({"engine_id":"fake/the data of before"})");
  ASSERT_TRUE(make_directories(results()));
  for (const char* name : {"/id", "/egress.jsonl"}) ASSERT_TRUE(write_file_atomically(results() + name, "0b"));
  docker::FakeWorld data = first_.world();
  first_.with_world([](docker::FakeWorld& world) { world = {}; });
  (void)attached("0b", "fake/the data of before");
  auto archives = fetched();
  EXPECT_TRUE(archives[transfer::kHeld].contains("may not have the data")) << archives[transfer::kHeld];
  for (const char* home : {"", "home"}) {
    testing::internal::CaptureStderr();
    EXPECT_NE(far({"forget", "nightly", "0b", home}), 0);
    std::string said = testing::internal::GetCapturedStderr();
    EXPECT_TRUE(said.contains("may not have the data")) << said;
  }
  EXPECT_TRUE(std::filesystem::exists(session_ + "/ledger"));
  first_.with_world([&](docker::FakeWorld& world) { world = data; });
  EXPECT_TRUE(fetched()[session::kArchive].contains("the work"));
  EXPECT_EQ(far({"forget", "nightly", "0b", "home"}), 0);
  EXPECT_FALSE(has_container());
  EXPECT_FALSE(std::filesystem::exists(session_));
}

// Otherwise, the near side would conclude that there is none, and would let this machine forget it.
TEST_F(FarEngines, WorkThatAnotherProcessSavesDuringTheFetchIsSent) {
  hold_work();
  note(R"({"engine_id":"fake"})");
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

// NFS keeps the directory of an open file, and the ledger is locked until it is removed.
TEST_F(FarEngines, NoDirectoryOfAForgottenSessionIsLeftOnNfs) {
  session::g_is_nfs = true;
  Defer end([] { session::g_is_nfs = false; });
  EXPECT_EQ(far({"forget", "nightly", "0b"}), 0);
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
  hold_work();
  auto other = fetched()[transfer::kHeld];
  first_answers_ = false;
  auto silent = fetched()[transfer::kHeld];
  first_answers_ = true;
  first_.with_world([](docker::FakeWorld& world) { world = {}; });
  note(R"({"engine_id":"fake/the data of before"})");
  auto without_data = fetched()[transfer::kHeld];
  // The operator may have a directory of the same path, which is not this one.
  for (const auto& text : {said, other, silent, without_data}) {
    EXPECT_TRUE(text.contains("remove " + session_ + " on that machine and then the session's directory")) << text;
    EXPECT_TRUE(text.contains("`bottle vm destroy`")) << text;
  }
}

}  // namespace
}  // namespace bottle::remote
