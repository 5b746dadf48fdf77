// Runs whole sessions on an engine in memory and checks what is left in its world, whatever fails.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <future>
#include <mutex>

#include "base/files/file.h"
#include "session/images/guard_image.h"
#include "session/launch.h"
#include "session/session_world_test.h"

namespace bottle::session {
namespace {

using docker::Fault, docker::FakeCall, docker::FakeDocker;
using wire::FrameType;
using namespace std::chrono_literals;

// Names a call of a session, and how it fails.
struct Failure {
  std::string call;
  Fault fault;
  Fault of(const FakeCall& other) const { return other.text() == call ? fault : Fault::none; }
  std::string text() const {
    constexpr const char* kNames[] = {"works",        "is refused", "gets no answer", "loses its answer",
                                      "is done late", "is cut",     "is shortened"};
    return call + " " + kNames[static_cast<int>(fault)];
  }
};

std::vector<Failure> failures_of(const std::vector<FakeCall>& calls) {
  std::vector<Failure> all;
  for (const auto& call : calls) {
    for (Fault fault : {Fault::refused, Fault::silent, Fault::lost}) all.push_back({call.text(), fault});
    if (call.method.starts_with("create")) all.push_back({call.text(), Fault::late});
    if (call.method == "get archive")
      for (Fault fault : {Fault::cut, Fault::shortened}) all.push_back({call.text(), fault});
  }
  return all;
}

void sweep_until_nothing_is_found(TestSession& session, FakeDocker& docker) {
  for (int i = 0; i < 3 && !find_orphans(session.scratch.directories).empty(); ++i) (void)session.sweep_all(docker);
}

// Runs a session whose calls end as `fault` says, then sweeps, and checks what the session and the sweep left.
void run_and_sweep(Side side, const std::string& when, const std::function<Fault(const FakeCall&)>& fault) {
  TestSession session(side);
  FakeDocker docker;
  session.furnish(docker);
  docker.set_fault(fault);
  session.run(docker);
  docker.set_fault({});
  session.check(docker, when);
  session.kill_owner(docker);
  sweep_until_nothing_is_found(session, docker);
  session.check_end(docker, when + ", then a sweep");
}

TEST(FailingCalls, ASessionLeavesItsResultAndNothingElse) {
  for (Side side : {Side::local, Side::far}) {
    TestSession session(side);
    FakeDocker docker;
    session.furnish(docker);
    auto outcome = session.run(docker);
    ASSERT_TRUE(outcome.result) << outcome.failure.value_or(Error()).what;
    EXPECT_EQ(outcome.result->exit, 7);
    EXPECT_TRUE(outcome.result->receipt.confirmed);
    EXPECT_EQ(outcome.output, "the agent says hello\n");
    session.check_end(docker, "a session");
  }
}

// To describe itself, the engine starts two programs, and the launcher has already requested that. Large work takes
// minutes to collect. A near side that gets no answer meanwhile assumes that the connection is broken.
TEST(FailingCalls, ClientsAreAnsweredWhileTheWorkIsCollectedAndTheRestRemoved) {
  TestSession session(Side::far);
  FakeDocker docker;
  session.furnish(docker);
  struct Step {
    std::string call;
    std::promise<void> reached, answered;
    std::once_flag once = {};
  } steps[] = {{"get archive", {}, {}}, {"remove container", {}, {}}};
  docker.set_fault([&](const FakeCall& call) {
    for (auto& step : steps)
      if (session.worked && call.method == step.call)
        std::call_once(step.once, [&] {
          step.reached.set_value();
          EXPECT_EQ(step.answered.get_future().wait_for(60s), std::future_status::ready) << step.call;
        });
    return Fault::none;
  });
  auto outcome = session.run(docker, [&](Launcher& launcher) {
    for (auto& step : steps) {
      if (step.reached.get_future().wait_for(60s) != std::future_status::ready) return;
      launcher.send(FrameType::ping, "");
      launcher.await("the answer", [](const wire::Frame& frame) { return frame.type == FrameType::pong; });
      step.answered.set_value();
    }
  });
  ASSERT_TRUE(outcome.result) << outcome.failure.value_or(Error()).what;
  session.check_end(docker, "a session that was asked while it ended");
}

TEST(FailingCalls, AStartDoesNotAskTheEngineAboutItself) {
  for (const auto& call : TestSession(Side::far).run_well()) EXPECT_NE(call.method, "info");
}

TEST(FailingCalls, AStartLooksForTheGuardsImageOnlyIfItIsMissing) {
  for (const auto& call : TestSession(Side::far).run_well())
    EXPECT_FALSE(call.text().contains("image " + guard_reference())) << call.text();
  TestSession session(Side::far);
  FakeDocker docker;
  session.furnish(docker);
  docker.with_world([](docker::FakeWorld& world) { EXPECT_TRUE(world.remove_image(guard_reference())); });
  auto outcome = session.run(docker);
  ASSERT_TRUE(outcome.result) << outcome.failure.value_or(Error()).what;
  EXPECT_EQ(outcome.result->exit, 7);
  EXPECT_TRUE(docker.connect()->image_exists(guard_reference()).value_or(false));
}

// Another near side's session of the same name has ended, and that near side has not fetched its work yet.
TEST(FailingCalls, ASessionOfAnotherNearSideKeepsItsResults) {
  TestSession session(Side::far);
  FakeDocker docker;
  session.furnish(docker);
  std::string results = session.scratch.directories.results + "/x1";
  ASSERT_TRUE(make_directories(results));
  ASSERT_TRUE(write_file_atomically(results + "/id", "0b"));
  ASSERT_TRUE(write_file_atomically(results + "/workspace.tar", "its work"));
  session.job.id = "0a";
  auto outcome = session.run(docker);
  ASSERT_TRUE(outcome.failure);
  EXPECT_EQ(outcome.failure->code, Code::conflict);
  EXPECT_EQ(read_file(results + "/workspace.tar").value_or(""), "its work");
  EXPECT_EQ(read_file(results + "/id").value_or(""), "0b");
  EXPECT_FALSE(session.worked);
  std::filesystem::remove_all(results);
  outcome = session.run(docker);
  ASSERT_TRUE(outcome.result) << outcome.failure.value_or(Error()).what;
  EXPECT_EQ(read_file(results + "/id").value_or(""), "0a");
}

// The launch sends the configuration while the guard starts, and only the guard makes room for all of it.
TEST(FailingCalls, AGuardThatDoesNotStartEndsTheLaunchWhileItsConfigurationIsSent) {
  TestSession session(Side::far);
  FakeDocker docker;
  session.furnish(docker);
  session.job.ca_bundle = std::string(1 << 20, 'x');
  docker.set_fault([](const FakeCall& call) {
    return call.text() == "start container bottle-x1-guard #1" ? Fault::refused : Fault::none;
  });
  auto outcome = session.run(docker);
  ASSERT_TRUE(outcome.failure);
  EXPECT_NE(outcome.failure->what.find("start container bottle-x1-guard"), std::string::npos) << outcome.failure->what;
  EXPECT_FALSE(session.worked);
  docker.set_fault({});
  session.check_end(docker, "a guard that does not start");
}

// The supervisor waits for a restart of the guard before it removes the guard.
TEST(FailingCalls, AGuardThatDoesNotReadItsConfigurationFailsToStart) {
  TestSession session(Side::far);
  FakeDocker docker;
  session.furnish(docker);
  std::promise<void> over;
  docker.set_program(guard_reference(), [over = over.get_future().share()](docker::FakeProcess&) {
    over.wait();
    return 0;
  });
  auto engine = docker.connect();
  ASSERT_TRUE(
      engine->create_container("guard", {{"Image", guard_reference()}, {"HostConfig", {{"NetworkMode", "none"}}}}));
  auto root = pki::Root::make("x1");
  ASSERT_TRUE(root);
  wire::GuardConfig config;
  config.ca_bundle = std::string(1 << 20, 'x');
  auto link = start_guard(*engine, "guard", config, **root, {}, std::chrono::milliseconds(50));
  over.set_value();
  ASSERT_FALSE(link);
  EXPECT_EQ(link.error().what, "the guard did not read its configuration within 50 ms");
}

// Whichever call fails, in whatever way, the session and the sweep after it leave nothing and lose no work.
TEST(FailingCalls, AFailingCallLeavesNothingAndLosesNoWork) {
  auto failures = failures_of(TestSession(Side::far).run_well());
  EXPECT_GT(failures.size(), 100u);
  for_each_at_once(failures, [](const Failure& failure) {
    run_and_sweep(Side::far, failure.text(), [&](const FakeCall& call) { return failure.of(call); });
  });
}

// Does the same on the operator's machine, where git sorts the work that comes home. Only calls that concern the work
// differ.
TEST(FailingCalls, WorkThatCannotBeSortedIsKept) {
  std::vector<FakeCall> calls;
  for (const auto& call : TestSession().run_well())
    if (call.method == "get archive" || call.method == "put archive" || call.method == "wait for container")
      calls.push_back(call);
  for_each_at_once(failures_of(calls), [](const Failure& failure) {
    run_and_sweep(Side::local, failure.text(), [&](const FakeCall& call) { return failure.of(call); });
  });
}

// An engine may end its answer regularly although it failed in the middle of the archive.
TEST(FailingCalls, AnArchiveWithoutItsEndMarkIsNotTheWork) {
  for (Side side : {Side::local, Side::far}) {
    TestSession session(side);
    FakeDocker docker;
    session.furnish(docker);
    docker.set_fault([](const FakeCall& call) {
      return call.method == "get archive" && call.object.ends_with("/workspace") ? Fault::shortened : Fault::none;
    });
    auto outcome = session.run(docker);
    ASSERT_TRUE(outcome.result && outcome.result->back);
    EXPECT_TRUE(outcome.result->back->held);
    EXPECT_NE(outcome.result->back->error.find("cut off"), std::string::npos) << outcome.result->back->error;
    docker.set_fault({});
    session.kill_owner(docker);
    sweep_until_nothing_is_found(session, docker);
    session.check_end(docker, "a session whose archive was cut off");
  }
}

// Without the ledger, no sweep would find out that the work is lost and report it.
TEST(FailingCalls, WorkThatSomethingElseRemovesWhileItComesHomeIsReportedAsLost) {
  TestSession session(Side::far);
  FakeDocker docker;
  session.furnish(docker);
  docker.set_fault([&](const FakeCall& call) {
    if (call.method == "get archive" && call.object.ends_with("/workspace"))
      docker.with_world([](docker::FakeWorld& world) {
        EXPECT_TRUE(world.remove_container("bottle-x1-agent"));
        auto volumes = world.volumes;
        for (const auto& [name, volume] : volumes)
          if (name.starts_with("bottle-x1")) EXPECT_TRUE(world.remove_volume(name));
      });
    return Fault::none;
  });
  auto outcome = session.run(docker);
  docker.set_fault({});
  ASSERT_TRUE(outcome.result && outcome.result->back);
  EXPECT_TRUE(outcome.result->back->held);
  EXPECT_FALSE(outcome.result->receipt.confirmed);
  EXPECT_EQ(outcome.result->receipt.left, std::vector<std::string>{"container bottle-x1-agent: it holds the work"});
  session.kill_owner(docker);
  auto swept = session.sweep_all(docker);
  ASSERT_EQ(swept.size(), 1u);
  ASSERT_TRUE(swept[0].back);
  EXPECT_FALSE(swept[0].back->held);
  EXPECT_NE(swept[0].back->error.find("lost"), std::string::npos) << swept[0].back->error;
  EXPECT_TRUE(swept[0].receipt.confirmed);
}

// Leaves work that can be sorted, and a repository that comes home only in the archive.
void make_repository_beside_work(docker::FakeProcess& process) {
  process.put("/workspace/made.txt", kWork);
  process.put("/workspace/tool/.git/HEAD", "ref: refs/heads/main\n");
}

// What could not be sorted is only in the archive. Without it, the container still holds work.
TEST(FailingCalls, IncompleteWorkIsHeldWithoutItsArchive) {
  TestSession session;
  FakeDocker docker;
  session.furnish(docker);
  session.agent = [&](docker::FakeProcess& process, const wire::Go&) {
    make_repository_beside_work(process);
    session.worked = true;
    return 0;
  };
  std::string archive = session.scratch.directories.results + "/x1/workspace.tar";
  ASSERT_TRUE(make_directories(archive + ".part"));
  auto outcome = session.run(docker);
  ASSERT_TRUE(outcome.result && outcome.result->back);
  EXPECT_TRUE(outcome.result->back->held);
  EXPECT_NE(outcome.result->back->error.find("workspace.tar"), std::string::npos) << outcome.result->back->error;
  EXPECT_NE(outcome.result->back->text.find("bottle cleanup"), std::string::npos) << outcome.result->back->text;
  session.kill_owner(docker);
  auto again = session.sweep_all(docker);
  ASSERT_EQ(again.size(), 1u);
  ASSERT_TRUE(again[0].back && again[0].back->held);
  EXPECT_FALSE(again[0].receipt.confirmed);
  EXPECT_EQ(again[0].receipt.left,
            std::vector{"container bottle-x1-agent: it holds the work: " + again[0].back->error});
  std::filesystem::remove(archive + ".part");
  sweep_until_nothing_is_found(session, docker);
  session.check_end(docker, "a session whose archive could not be written at first");
  EXPECT_NE(read_file(archive).value_or("").find("tool/.git/HEAD"), std::string::npos);
}

// A hole takes nothing on the agent's disk, and the engine's archive has zeros in its place.
TEST(FailingCalls, AnArchiveHasHolesWhereTheWorkHas) {
  TestSession session;
  FakeDocker docker;
  session.furnish(docker);
  session.agent = [&](docker::FakeProcess& process, const wire::Go&) {
    make_repository_beside_work(process);
    process.put("/workspace/large.img", std::string(4 << 20, '\0'));
    session.worked = true;
    return 0;
  };
  auto outcome = session.run(docker);
  ASSERT_TRUE(outcome.result && outcome.result->back);
  struct stat archive{};
  ASSERT_EQ(::stat(outcome.result->back->archive.c_str(), &archive), 0) << outcome.result->back->error;
  EXPECT_GT(archive.st_size, 4 << 20);
  EXPECT_LT(archive.st_blocks * 512, 2 << 20);
}

// An attempt writes gigabytes before it fails, and every `bottle start` sweeps.
TEST(FailingCalls, WorkForWhichThereWasNoRoomWaitsForMore) {
  TestSession session;
  FakeDocker docker;
  session.furnish(docker);
  session.agent = [&](docker::FakeProcess& process, const wire::Go&) {
    make_repository_beside_work(process);
    session.worked = true;
    return 0;
  };
  std::string scratch = session.scratch.directories.session("x1");
  ASSERT_TRUE(make_directories(session.scratch.directories.results + "/x1/workspace.tar.part"));
  ASSERT_TRUE(session.run(docker).result);
  session.kill_owner(docker);
  ASSERT_TRUE(write_file_atomically(scratch + "/no-room", std::to_string(UINT64_MAX >> 1) + "\ntoo large"));
  int reads = 0;
  docker.set_fault([&](const FakeCall& call) {
    reads += call.method == "get archive";
    return Fault::none;
  });
  auto sweep_now = [&](Retry retry) {
    return sweep(session.scratch.directories, find_orphans(session.scratch.directories), docker.connector(), 1min,
                 retry);
  };
  auto waits = sweep_now(Retry::if_room);
  ASSERT_TRUE(waits.size() == 1 && waits[0].back && waits[0].back->held);
  EXPECT_EQ(waits[0].back->error, "too large");
  EXPECT_EQ(reads, 0);
  std::filesystem::remove(session.scratch.directories.results + "/x1/workspace.tar.part");
  ASSERT_TRUE(write_file_atomically(scratch + "/no-room", "1\ntoo large"));
  auto tried = sweep_now(Retry::if_room);
  ASSERT_TRUE(tried.size() == 1 && tried[0].back);
  EXPECT_FALSE(tried[0].back->held) << tried[0].back->error;
  EXPECT_GT(reads, 0);
}

// What came home, and what to look at in it, is only in the result. A process that dies once the work counts as home
// must have written it, and the sweep adds the receipt.
TEST(FailingCalls, TheAccountOfTheWorkIsWrittenOnceTheWorkIsHome) {
  TestSession alive;
  FakeDocker docker;
  alive.furnish(docker);
  alive.agent = [&](docker::FakeProcess& process, const wire::Go&) {
    make_repository_beside_work(process);
    return 3;
  };
  std::mutex lock;
  std::vector<Moment> moments;
  docker.set_fault([&](const FakeCall& call) {
    auto view = read_ledger(alive.scratch.directories, "x1");
    std::scoped_lock hold(lock);
    if (view && view->home) moments.push_back(alive.moment(docker, call));
    return Fault::none;
  });
  ASSERT_TRUE(alive.run(docker).result);
  docker.set_fault({});
  ASSERT_GT(moments.size(), 3u);
  for (const auto& moment : moments) {
    std::string when = "dead at " + moment.call.text();
    TestSession session;
    FakeDocker docker;
    session.go_to(moment, docker);
    sweep_until_nothing_is_found(session, docker);
    session.check_end(docker, when);
    auto text = read_file(session.scratch.directories.results + "/x1/result.json");
    ASSERT_TRUE(text) << when;
    auto result = wire::decode<wire::SessionResult>(*text, wire::From::ours);
    ASSERT_TRUE(result) << when;
    EXPECT_EQ(result->exit, 3) << when;
    EXPECT_TRUE(result->receipt.confirmed) << when;
    ASSERT_TRUE(result->back && result->back->sorted) << when;
    EXPECT_EQ(result->back->sorted->skipped, 1u) << when;
    EXPECT_FALSE(result->back->sorted->flagged.empty()) << when;
    EXPECT_FALSE(result->back->archive.empty()) << when;
    std::filesystem::remove_all(moment.directory);
  }
}

// If the result cannot be written, the work does not count as home.
TEST(FailingCalls, WorkWhoseAccountCannotBeWrittenIsHeld) {
  TestSession session;
  FakeDocker docker;
  session.furnish(docker);
  std::string blocked = session.scratch.directories.results + "/x1/result.json";
  ASSERT_TRUE(make_directories(blocked + "/x"));
  auto outcome = session.run(docker);
  ASSERT_TRUE(outcome.result && outcome.result->back);
  EXPECT_TRUE(outcome.result->back->held);
  session.kill_owner(docker);
  auto again = session.sweep_all(docker);
  ASSERT_EQ(again.size(), 1u);
  EXPECT_TRUE(again[0].back && again[0].back->held);
  std::filesystem::remove_all(blocked);
  sweep_until_nothing_is_found(session, docker);
  session.check_end(docker, "a session whose result could not be written at first");
  EXPECT_TRUE(read_file(blocked));
}

// The engine dies and does not return, so from a certain call on, it answers none.
TEST(FailingCalls, AfterTheEngineDiedASweepRemovesWhatIsLeft) {
  auto calls = TestSession(Side::far).run_well();
  for_each_at_once(calls, [](const FakeCall& last) {
    std::atomic<bool> dead = false;
    run_and_sweep(Side::far, "silence from " + last.text(), [&](const FakeCall& call) {
      if (call.text() == last.text()) dead = true;
      return dead ? Fault::silent : Fault::none;
    });
  });
}

// The session's process may die at every call. The engine may still carry out that call afterward.
TEST(FailingCalls, ASessionThatDiesAtAnyMomentIsSwept) {
  TestSession alive(Side::far);
  FakeDocker docker;
  alive.furnish(docker);
  std::mutex lock;
  std::vector<Moment> moments;
  docker.set_fault([&](const FakeCall& call) {
    Moment now = alive.moment(docker, call);
    std::scoped_lock hold(lock);
    moments.push_back(std::move(now));
    return Fault::none;
  });
  ASSERT_TRUE(alive.run(docker).result);
  for_each_at_once(moments, [](const Moment& moment) {
    for (auto pending : {PendingCall::dropped, PendingCall::carried_out}) {
      bool is_done_later = pending == PendingCall::carried_out;
      if (is_done_later && !moment.call.connection) continue;
      std::string when = "dead at " + moment.call.text() + (is_done_later ? ", which is done later" : "");
      TestSession session(Side::far);
      FakeDocker docker;
      session.go_to(moment, docker, pending);
      session.check(docker, when);
      sweep_until_nothing_is_found(session, docker);
      session.check_end(docker, when);
    }
    std::filesystem::remove_all(moment.directory);
  });
}

}  // namespace
}  // namespace bottle::session
