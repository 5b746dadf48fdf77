// Makes sweeps fail at every call, on an engine in memory, and checks that a later sweep completes them.
#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>

#include "base/defer.h"
#include "base/files/file.h"
#include "base/files/unreadable_test.h"
#include "session/audit/audit_file.h"
#include "session/collect/reach_work.h"
#include "session/ledger/graves.h"
#include "session/session_world_test.h"
#include "session/sweep/nfs_test.h"

namespace bottle::session {
namespace {

using docker::Fault, docker::FakeCall, docker::FakeDocker;

// Runs the session, and returns the moment after its agent has ended and before its work is home.
std::optional<Moment> moment_after_agent(TestSession& alive) {
  std::optional<Moment> moment;
  FakeDocker docker;
  alive.furnish(docker);
  docker.set_fault([&](const FakeCall& call) {
    if (call.method == "wait for container") moment = alive.moment(docker, call);
    return Fault::none;
  });
  EXPECT_TRUE(alive.run(docker).result);
  docker.set_fault({});
  return moment;
}

// Provides a session whose process died after its agent had ended and before its work was home.
class DeadSession : public ::testing::Test {
 protected:
  DeadSession() {
    TestSession alive(Side::far);
    if (auto found = moment_after_agent(alive)) moment = *found;
  }
  ~DeadSession() override { std::filesystem::remove_all(moment.directory); }

  std::vector<FakeCall> calls_of_a_sweep() {
    TestSession session(Side::far);
    FakeDocker docker;
    session.go_to(moment, docker);
    EXPECT_EQ(session.sweep_all(docker).size(), 1u);
    session.check_end(docker, "a sweep");
    EXPECT_TRUE(session.worked);
    return docker.calls();
  }

  Moment moment;
};

// Whoever reads the work may die while the engine makes the container, which may then appear later. A full disk may
// have left part of a line in the ledger.
TEST_F(DeadSession, ALedgerNamesTheRequestForAContainerThatShowsTheWork) {
  for (const std::string torn : {"", "{\"asked\":"}) {
    TestSession session(Side::far);
    FakeDocker docker;
    session.go_to(moment, docker);
    docker.with_world([](docker::FakeWorld& world) { (void)world.remove_container("bottle-x1-agent"); });
    std::string directory = session.scratch.directories.session("x1"), ledger = directory + "/ledger";
    ASSERT_TRUE(write_file_atomically(ledger, *read_file(ledger) + torn));
    auto create_connections = [&] { return read_ledger(session.scratch.directories, "x1")->create_connections; };
    auto before = create_connections();
    std::vector<uint64_t> at_request;
    docker.set_fault([&](const FakeCall& call) {
      if (call.method == "create container") at_request = create_connections();
      return Fault::none;
    });
    auto view = read_ledger(session.scratch.directories, "x1");
    ASSERT_TRUE(view && view->work);
    auto engine = docker.connect();
    auto shown = reach_work(*engine, belongings_of("x1", *view), directory, view->work->workdir,
                            [&](uint64_t end) { return note_asked(directory, end); });
    ASSERT_TRUE(shown && *shown) << shown.error().what;
    ASSERT_EQ(at_request.size(), before.size() + 1) << torn;
    EXPECT_EQ(create_connections(), at_request);
  }
}

TEST_F(DeadSession, ASweepThatFailsIsCompletedByTheNext) {
  std::vector<std::pair<std::string, Fault>> failures;
  for (const auto& call : calls_of_a_sweep())
    for (Fault fault : {Fault::refused, Fault::silent, Fault::lost, Fault::cut})
      failures.emplace_back(call.text(), fault);
  EXPECT_GT(failures.size(), 40u);
  for_each_at_once(failures, [&](const auto& failure) {
    std::string when =
        "a sweep whose " + failure.first + " fails, fault " + std::to_string(static_cast<int>(failure.second));
    TestSession session(Side::far);
    FakeDocker docker;
    session.go_to(moment, docker);
    docker.set_fault([&](const FakeCall& call) { return call.text() == failure.first ? failure.second : Fault::none; });
    (void)session.sweep_all(docker);
    docker.set_fault({});
    session.check(docker, when);
    (void)session.sweep_all(docker);
    session.check_end(docker, when + ", then another");
  });
}

TEST_F(DeadSession, ASweeperThatDiesIsReplaced) {
  TestSession first(Side::far);
  FakeDocker docker;
  first.go_to(moment, docker);
  std::mutex lock;
  std::vector<Moment> moments;
  docker.set_fault([&](const FakeCall& call) {
    Moment now = first.moment(docker, call);
    std::scoped_lock hold(lock);
    moments.push_back(std::move(now));
    return Fault::none;
  });
  (void)first.sweep_all(docker);
  docker.set_fault({});
  EXPECT_GT(moments.size(), 10u);
  for_each_at_once(moments, [](const Moment& last) {
    TestSession session(Side::far);
    FakeDocker docker;
    session.go_to(last, docker);
    session.check(docker, "a sweeper dead at " + last.call.text());
    (void)session.sweep_all(docker);
    session.check_end(docker, "a sweeper dead at " + last.call.text());
    std::filesystem::remove_all(last.directory);
  });
}

// `docker container prune` removes containers that are stopped, and leaves volumes with names.
TEST_F(DeadSession, WorkWhoseContainerIsGoneComesHomeFromItsVolume) {
  std::vector<std::pair<std::string, Fault>> failures = {{"", Fault::none}};
  for (Fault fault : {Fault::refused, Fault::silent, Fault::lost, Fault::late}) {
    // An engine that says that there is no container has nothing to lose.
    if (fault != Fault::lost) failures.emplace_back("inspect container bottle-x1-agent #1", fault);
    failures.emplace_back("inspect volume bottle-x1-work #1", fault);
    failures.emplace_back("create container bottle-x1-agent #1", fault);
  }
  for_each_at_once(failures, [&](const auto& failure) {
    std::string when = failure.first + " fails, fault " + std::to_string(static_cast<int>(failure.second));
    TestSession session(Side::far);
    FakeDocker docker;
    session.go_to(moment, docker);
    docker.with_world([](docker::FakeWorld& world) { ASSERT_TRUE(world.remove_container("bottle-x1-agent")); });
    session.worked = true;
    docker.set_fault([&](const FakeCall& call) { return call.text() == failure.first ? failure.second : Fault::none; });
    auto swept = session.sweep_all(docker);
    docker.set_fault({});
    ASSERT_EQ(swept.size(), 1u) << when;
    if (!failure.first.empty()) {
      EXPECT_TRUE(swept[0].back && swept[0].back->held) << when;
      EXPECT_TRUE(docker.world().volumes.contains("bottle-x1-work")) << when;
      docker.catch_up();
      (void)session.sweep_all(docker);
    }
    session.check_end(docker, when);
  });
}

// The right one may be down, with its disk not mounted, or no longer be the one behind the socket.
TEST_F(DeadSession, AnotherEngineBehindTheSameSocketDoesNotSayWhatIsGone) {
  TestSession session(Side::far);
  FakeDocker docker, other;
  session.go_to(moment, docker);
  session.furnish(other);
  other.set_forgery([](const FakeCall& call, nlohmann::json& answer) {
    if (call.method == "info") answer["ID"] = "other";
  });
  auto swept = session.sweep_all(other);
  ASSERT_EQ(swept.size(), 1u);
  EXPECT_FALSE(swept[0].receipt.confirmed);
  EXPECT_FALSE(swept[0].back) << swept[0].back->error;
  ASSERT_EQ(swept[0].receipt.left.size(), 1u);
  EXPECT_TRUE(swept[0].receipt.left[0].starts_with("session x1: another engine answers at "))
      << swept[0].receipt.left[0];
  session.check(docker, "a sweep with another engine");
  for (const auto& call : other.calls()) EXPECT_EQ(call.method, "info");
  (void)session.sweep_all(docker);
  session.check_end(docker, "the right engine is back");
}

// An engine of Docker 20.10 keeps its id when it starts without its disk. Earlier versions did not record the rest of
// its identity. See also HostileEngine.AnEngineWithoutItsDataEndsNoSession.
TEST_F(DeadSession, NoEngineSaysWhatIsGoneUnlessItHasTheDataOfTheSession) {
  for (const char* recorded : {"", "fake"}) {
    TestSession session(Side::far);
    FakeDocker docker, other;
    session.go_to(moment, docker);
    session.furnish(other);
    other.with_world([](docker::FakeWorld& world) { ASSERT_TRUE(world.create_network("none", {})); });
    std::string ledger = session.scratch.directories.session("x1") + "/ledger", text = *read_file(ledger);
    ASSERT_TRUE(write_file_atomically(ledger, text + "{\"engine_id\":\"" + recorded + "\"}\n"));
    auto swept = session.sweep_all(other);
    ASSERT_EQ(swept.size(), 1u);
    ASSERT_TRUE(swept[0].back) << recorded;
    EXPECT_TRUE(swept[0].back->held && swept[0].back->error.contains("may not have the data"))
        << recorded << swept[0].back->error;
    ASSERT_FALSE(swept[0].receipt.left.empty());
    EXPECT_EQ(swept[0].receipt.left.back(), "container bottle-x1-agent: its work is not home: " + swept[0].back->error);
    (void)session.sweep_all(docker);
    session.check_end(docker, "the right engine is back");
  }
}

// Older versions of Podman refuse to stop a container that was never started.
TEST_F(DeadSession, WorkInAContainerThatDoesNotRunNeedsNoStop) {
  using State = docker::FakeContainer::State;
  for (State state : {State::created, State::exited, State::running}) {
    TestSession session(Side::far);
    FakeDocker docker;
    session.go_to(moment, docker);
    session.worked = true;
    docker.with_world([&](docker::FakeWorld& world) {
      if (state == State::created) ASSERT_TRUE(world.remove_container("bottle-x1-agent"));
      else world.containers.at("bottle-x1-agent").state = state;
    });
    docker.set_fault([](const FakeCall& call) {
      return call.method == "stop container" && call.object != "bottle-x1-guard" ? Fault::refused : Fault::none;
    });
    auto swept = session.sweep_all(docker);
    docker.set_fault({});
    ASSERT_EQ(swept.size(), 1u);
    ASSERT_TRUE(swept[0].back);
    EXPECT_EQ(swept[0].back->held, state == State::running) << swept[0].back->error;
    if (state != State::running) session.check_end(docker, "a sweep of a container that does not run");
  }
}

// If this sweep died, no later one would wait for what a request without a record makes.
TEST_F(DeadSession, ARequestThatCannotBeRecordedIsNotSent) {
  TestSession session(Side::far);
  FakeDocker docker;
  session.go_to(moment, docker);
  docker.with_world([](docker::FakeWorld& world) { ASSERT_TRUE(world.remove_container("bottle-x1-agent")); });
  auto is_held = with_failing(SYS_write, ENOSPC, [&] {
    auto swept = session.sweep_all(docker);
    auto makes = [](const FakeCall& call) { return call.method == "create container"; };
    // Where ps tells whether the owner lives, it cannot write its answer either, and the session may count as living.
    bool is_kept = swept.empty() || (swept[0].back && swept[0].back->held);
    return is_kept && std::ranges::none_of(docker.calls(), makes);
  });
  if (!is_held) GTEST_SKIP() << "this system cannot inject errors";
  EXPECT_TRUE(*is_held);
}

// If the volume is gone too, nothing can bring the work back, but the operator must learn of it. There is no work if
// the agent never began.
TEST_F(DeadSession, LostWorkIsReported) {
  const std::string running = "{\"running\":true}\n";
  for (const std::string& last : {std::string("{\"ended\":0}\n"), running, std::string()}) {
    TestSession session(Side::far);
    FakeDocker docker;
    session.go_to(moment, docker);
    std::string ledger = session.scratch.directories.sessions + "/x1/ledger";
    std::string text = *read_file(ledger);
    if (size_t at = text.find(running); at != std::string::npos) text.erase(at, running.size());
    ASSERT_TRUE(write_file_atomically(ledger, text + last));
    docker.with_world([](docker::FakeWorld& world) {
      ASSERT_TRUE(world.remove_container("bottle-x1-agent"));
      ASSERT_TRUE(world.remove_volume("bottle-x1-work"));
    });
    auto swept = session.sweep_all(docker);
    ASSERT_EQ(swept.size(), 1u);
    EXPECT_TRUE(swept[0].receipt.confirmed);
    ASSERT_EQ(swept[0].back.has_value(), !last.empty()) << last;
    if (last.empty()) continue;
    EXPECT_FALSE(swept[0].back->held);
    EXPECT_NE(swept[0].back->error.find("lost"), std::string::npos) << swept[0].back->error;
  }
}

TEST_F(DeadSession, SeveralSimultaneousSweepersSweepItOnce) {
  TestSession session(Side::far);
  FakeDocker docker;
  session.go_to(moment, docker);
  std::atomic<int> swept = 0;
  for_each_at_once(std::vector<int>{1, 2, 3, 4},
                   [&](int) { swept += static_cast<int>(session.sweep_all(docker).size()); });
  EXPECT_EQ(swept, 1);
  session.check_end(docker, "four sweeps at once");
}

// Things with the session's names that another session or another program has made since must stay.
TEST_F(DeadSession, OnlyThingsWithTheOwnersLabelsAreRemoved) {
  Owner other = Owner::self();
  for (const docker::Labels& labels : std::vector<docker::Labels>{
           {},
           {{"bottle.session", "x1"}},
           {{"bottle.session", "x1"}, {"bottle.owner", other.to_label()}},
           {{"bottle.session", "x2"},
            {"bottle.owner", moment.world.volumes.at("bottle-x1-home").labels.at("bottle.owner")}},
       }) {
    TestSession session(Side::far);
    FakeDocker docker;
    session.go_to(moment, docker);
    docker.with_world([&](docker::FakeWorld& world) { world.volumes.at("bottle-x1-home").labels = labels; });
    auto swept = session.sweep_all(docker);
    ASSERT_EQ(swept.size(), 1u);
    EXPECT_TRUE(docker.world().volumes.contains("bottle-x1-home"));
    EXPECT_EQ(swept[0].receipt.confirmed, labels.contains("bottle.owner")) << "another session's is not a loss";
    EXPECT_TRUE(session.is_home());
  }
}

// An engine that ends while it makes a volume keeps it without its labels.
TEST(CutShort, AVolumeWithoutLabelsIsRemoved) {
  for (const docker::Labels& labels : std::vector<docker::Labels>{{}, {{"owner", "me"}}}) {
    std::optional<Moment> moment;
    {
      FakeDocker docker;
      TestSession alive(Side::far);
      alive.furnish(docker);
      docker.set_fault([&](const FakeCall& call) {
        if (call.text() == "create container bottle-x1-agent #1") moment = alive.moment(docker, call);
        return Fault::none;
      });
      EXPECT_TRUE(alive.run(docker).result);
      docker.set_fault({});
    }
    ASSERT_TRUE(moment);
    TestSession session(Side::far);
    FakeDocker docker;
    session.go_to(*moment, docker);
    docker.with_world([&](docker::FakeWorld& world) { (void)world.create_volume("bottle-x1-home", labels); });
    auto swept = session.sweep_all(docker);
    ASSERT_EQ(swept.size(), 1u);
    EXPECT_EQ(swept[0].receipt.confirmed, labels.empty());
    EXPECT_EQ(docker.world().volumes.contains("bottle-x1-home"), !labels.empty());
    std::filesystem::remove_all(moment->directory);
  }
}

// Such a volume may appear after the session was swept.
TEST(CutShort, AVolumeWithoutLabelsIsRemovedFromTheGrave) {
  TestSession session(Side::far);
  FakeDocker docker;
  session.furnish(docker);
  std::string grave = graves_in(session.scratch.directories) + "/x1";
  for (const std::string last : {R"({"asked":7})", R"({"foreign":true})", R"({"running":true})"}) {
    std::filesystem::remove_all(grave);
    docker.with_world([&](docker::FakeWorld& world) { (void)world.create_volume("bottle-x1-home", {}); });
    session.scratch.dead("x1",
                         {R"({"engine":"/nonexistent/engine.sock"})", R"({"asked":7})",
                          R"({"make":[{"kind":"volume","name":"bottle-x1-home"}]})", last},
                         "graves");
    (void)session.sweep_all(docker);
    EXPECT_EQ(docker.world().volumes.contains("bottle-x1-home"), !last.contains("asked")) << last;
  }
}

// The operator may have been away for longer than that.
TEST(Grave, IsVisitedHoweverOldItIs) {
  TestSession session(Side::far);
  FakeDocker docker;
  session.furnish(docker);
  docker.with_world([](docker::FakeWorld& world) { (void)world.create_volume("bottle-x1-home", {}); });
  std::string grave = session.scratch.dead("x1",
                                           {R"({"engine":"/nonexistent/engine.sock"})", R"({"asked":7})",
                                            R"({"make":[{"kind":"volume","name":"bottle-x1-home"}]})"},
                                           "graves");
  std::filesystem::last_write_time(grave + "/ledger",
                                   std::filesystem::file_time_type::clock::now() - std::chrono::days(8));
  ASSERT_TRUE(write_file_atomically(grave + "/silent", ""));
  (void)session.sweep_all(docker);
  EXPECT_FALSE(docker.world().volumes.contains("bottle-x1-home"));
  EXPECT_FALSE(std::filesystem::exists(grave)) << "nothing is left";
}

// An operator may make it between the check of the names and the engine's request.
TEST(CutShort, AVolumeThatTheLaunchRefusedStays) {
  TestSession session(Side::far);
  FakeDocker docker;
  session.furnish(docker);
  docker.set_fault([&](const FakeCall& call) {
    if (call.text() == "create container bottle-x1-agent #1")
      docker.with_world([](docker::FakeWorld& world) { (void)world.create_volume("bottle-x1-home", {}); });
    return Fault::none;
  });
  EXPECT_TRUE(session.run(docker).failure);
  docker.set_fault({});
  session.kill_owner(docker);
  ASSERT_EQ(find_orphans(session.scratch.directories).size(), 1u);
  (void)session.sweep_all(docker);
  EXPECT_TRUE(docker.world().volumes.contains("bottle-x1-home"));
}

// Writes the record of a session, and returns its seal.
wire::AuditSeal leave_record(const std::string& path) {
  std::filesystem::remove(path);
  AuditFile audit(path);
  for (const char* host : {"a.example.org", "b.example.org"})
    audit.add({.action = wire::DecisionAction::allow, .host = host});
  return audit.close();
}

TEST_F(DeadSession, ARecordWithASealInItsResultIsNotSealedAgain) {
  TestSession session(Side::far);
  FakeDocker docker;
  session.go_to(moment, docker);
  std::string results = session.scratch.directories.results + "/x1", record = results + "/egress.jsonl";
  wire::SessionResult told{.session = "x1", .exit = 7, .audit = {leave_record(record)}};
  ASSERT_TRUE(write_file_atomically(results + "/result.json", wire::encode(told, wire::Layout::pretty)));
  std::string whole = *read_file(record), cut = whole.substr(0, whole.find('\n') + 1);
  ASSERT_TRUE(write_file_atomically(record, cut));
  ASSERT_EQ(session.sweep_all(docker).size(), 1u);
  auto result = wire::decode<wire::SessionResult>(*read_file(results + "/result.json"), wire::From::ours);
  ASSERT_TRUE(result && result->back && result->audit.size() == 1);
  EXPECT_EQ(result->audit[0].head, told.audit[0].head) << "a cut record looks whole";
  EXPECT_EQ(*read_file(record), cut);
}

TEST_F(DeadSession, ARecordIsEndedEvenWithoutWork) {
  TestSession session(Side::far);
  FakeDocker docker;
  session.go_to(moment, docker);
  docker.with_world([](docker::FakeWorld& world) { world.containers.erase("bottle-x1-agent"); });
  std::string record = session.scratch.directories.results + "/x1/egress.jsonl";
  auto seal = leave_record(record);
  std::string whole = *read_file(record), open = whole.substr(0, whole.rfind('\n', whole.size() - 2) + 1);
  ASSERT_TRUE(write_file_atomically(record, open + "{\"action\":\"al"));
  ASSERT_EQ(session.sweep_all(docker).size(), 1u);
  EXPECT_NE(read_file(record)->find("\"action\":\"end\""), std::string::npos) << *read_file(record);
  EXPECT_EQ(AuditFile(record).close().lines, seal.lines);
}

// The directory would look like a session for as long as it is there.
TEST(Nfs, NoDirectoryOfASessionIsLeft) {
  g_is_nfs = true;
  Defer end([] { g_is_nfs = false; });
  std::optional<Moment> moment;
  {
    TestSession alive(Side::far);
    moment = moment_after_agent(alive);
    EXPECT_TRUE(std::filesystem::is_empty(alive.scratch.directories.sessions)) << "its supervisor has removed it";
  }
  ASSERT_TRUE(moment);
  TestSession session(Side::far);
  FakeDocker docker;
  session.go_to(*moment, docker);
  (void)session.sweep_all(docker);
  EXPECT_TRUE(std::filesystem::is_empty(session.scratch.directories.sessions)) << "a sweep has removed it";
  std::filesystem::remove_all(moment->directory);
}

// The transcript is all that an agent makes that has no workspace of its own.
TEST(NoWork, ADeadSessionKeepsItsTranscriptAndHasAResult) {
  for (auto mode : {manifest::WorkspaceMode::none, manifest::WorkspaceMode::bind}) {
    std::optional<Moment> moment;
    {
      TestSession alive;
      alive.job.plan.workspace_mode = mode;
      alive.agent = [](docker::FakeProcess& process, const wire::Go&) {
        process.put("/home/agent/.claude/projects/p/1.jsonl", "{\"said\":\"hello\"}\n");
        return 0;
      };
      moment = moment_after_agent(alive);
    }
    ASSERT_TRUE(moment);
    TestSession session;
    FakeDocker docker;
    session.go_to(*moment, docker);
    std::string results = session.scratch.directories.results + "/x1", record = results + "/egress.jsonl";
    leave_record(record);
    std::string whole = *read_file(record);
    ASSERT_TRUE(write_file_atomically(record, whole.substr(0, whole.rfind('\n', whole.size() - 2) + 1)));
    ASSERT_EQ(session.sweep_all(docker).size(), 1u);
    session.check_end(docker, "a session without work");
    auto text = read_file(results + "/result.json");
    ASSERT_TRUE(text) << "no result";
    auto result = wire::decode<wire::SessionResult>(*text, wire::From::ours);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->exit, 125);
    EXPECT_TRUE(result->back && result->back->error.empty());
    EXPECT_TRUE(result->receipt.confirmed);
    EXPECT_EQ(result->audit.size(), 1u);
    EXPECT_NE(read_file(record)->find("\"action\":\"end\""), std::string::npos) << "the audit looks cut off";
    EXPECT_EQ(read_file(results + "/transcript/1.jsonl").value_or("none"), "{\"said\":\"hello\"}\n");
    std::filesystem::remove_all(moment->directory);
  }
}

// The supervisor died before the agent began.
TEST(NoWork, TheAuditOfALaunchThatDiedIsEnded) {
  TestSession session;
  FakeDocker docker;
  session.furnish(docker);
  session.scratch.dead("x1", {R"({"engine":"/run/fake-engine.sock"})", kMakes});
  std::string results = session.scratch.directories.results + "/x1", record = results + "/egress.jsonl";
  ASSERT_TRUE(make_directories(results));
  leave_record(record);
  std::string whole = *read_file(record);
  ASSERT_TRUE(write_file_atomically(record, whole.substr(0, whole.rfind('\n', whole.size() - 2) + 1)));
  ASSERT_EQ(session.sweep_all(docker).size(), 1u);
  EXPECT_NE(read_file(record)->find("\"action\":\"end\""), std::string::npos) << "the audit looks cut off";
}

}  // namespace
}  // namespace bottle::session
