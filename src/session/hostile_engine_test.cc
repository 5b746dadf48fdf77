// Tests engines that give false answers or have lost their data, and things of other users that have a session's names.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <optional>
#include <set>
#include <thread>

#include "base/files/file.h"
#include "session/ledger/graves.h"
#include "session/ledger/names.h"
#include "session/session_world_test.h"
#include "session/sweep/unrecorded.h"

namespace bottle::session {
namespace {

using docker::Fault, docker::FakeCall, docker::FakeDocker;
using nlohmann::json;

// Whatever an engine answers, the session ends, no work is lost, and nothing of others is removed.
TEST(HostileEngine, NoAnswerLosesWorkOrRemovesThingsOfOthers) {
  std::set<std::string> questions;  // a lie answers all calls with the same question
  for (const auto& call : TestSession(Side::far).run_well())
    if (call.method.starts_with("inspect") || call.method == "list") questions.insert(call.method + " " + call.object);
  std::vector<std::pair<std::string, json>> lies;
  for (const auto& question : questions)
    for (const json& lie :
         {json::array(), json::object(), json::array({7, nullptr, json::array()}),
          json{{"Id", 5}, {"Config", {{"Labels", {1, 2}}}}, {"Labels", "x"}, {"Name", 3}, {"Names", {4}}},
          json{{"Config", 7}, {"State", json::array()}, {"IPAM", {{"Config", {{"Gateway", 1}}}}}, {"Driver", 1}}})
      lies.emplace_back(question, lie);
  EXPECT_GT(lies.size(), 40u);
  for_each_at_once(lies, [](const auto& lie) {
    std::string when = lie.first + " answers " + lie.second.dump();
    TestSession session(Side::far);
    FakeDocker docker;
    session.furnish(docker);
    docker.set_forgery([&](const FakeCall& call, json& answer) {
      if (call.method + " " + call.object == lie.first) answer = lie.second;
    });
    (void)session.run(docker);
    session.check(docker, when);
    session.kill_owner(docker);
    (void)session.sweep_all(docker);
    docker.set_forgery({});
    session.check(docker, when);
    (void)session.sweep_all(docker);
    session.check_end(docker, when);
  });
}

// Makes things with the session's names before it starts, or just before it makes its own.
TEST(HostileEngine, ThingsOfOthersWithOurNamesStopTheStartAndStay) {
  std::vector<Thing> things = Names("x1").things();
  for_each_at_once(things, [&](const Thing& thing) {
    for (bool early : {true, false}) {
      if (!early && thing.name == Names("x1").meter) continue;  // a session that writes little makes no meter
      std::string when =
          "a foreign " + word_of(thing.kind) + " " + thing.name + (early ? " before" : " during") + " the start";
      TestSession session(Side::far);
      FakeDocker docker;
      session.furnish(docker);
      auto intrude = [&] {
        docker.with_world([&](docker::FakeWorld& world) {
          if (thing.kind == ThingKind::volume) (void)world.create_volume(thing.name, {{"owner", "me"}});
          if (thing.kind == ThingKind::network) (void)world.create_network(thing.name, {{"Labels", {{"owner", "me"}}}});
          if (thing.kind == ThingKind::container)
            (void)world.create_container(
                thing.name,
                {{"Image", "agent:1"}, {"Labels", {{"owner", "me"}}}, {"HostConfig", {{"NetworkMode", "none"}}}});
        });
      };
      if (early) intrude();
      docker.set_fault([&](const FakeCall& call) {
        if (call.method.starts_with("create") && call.object == "bottle-x1") intrude();
        if (call.method.starts_with("create") && call.object == thing.name) intrude();
        if (call.text() == "create container bottle-x1-agent #1") intrude();
        return Fault::none;
      });
      auto outcome = session.run(docker);
      ASSERT_TRUE(outcome.failure) << when;
      EXPECT_FALSE(session.worked) << when;
      EXPECT_TRUE(session.left(docker).contains(word_of(thing.kind) + " " + thing.name)) << when;
      EXPECT_EQ(session.left(docker).size(), 1u) << when;
    }
  });
}

// An engine that starts without its disk may keep its id, and lists nothing. With the disk, the things are there again,
// so their ledger must still be there.
TEST(HostileEngine, AnEngineWithoutItsDataEndsNoSession) {
  enum class Kind { bind, none, not_noted, home, grave };
  for (Kind kind : {Kind::bind, Kind::none, Kind::not_noted, Kind::home, Kind::grave}) {
    std::string when = "session " + std::to_string(static_cast<int>(kind));
    TestSession alive(kind == Kind::bind || kind == Kind::none ? Side::local : Side::far);
    if (kind == Kind::bind) alive.job.plan.workspace_mode = manifest::WorkspaceMode::bind;
    if (kind == Kind::none) alive.job.plan.workspace_mode = manifest::WorkspaceMode::none;
    if (alive.job.side() == Side::local) alive.agent = [](docker::FakeProcess&, const wire::Go&) { return 0; };
    std::optional<Moment> moment;
    FakeDocker before;
    alive.furnish(before);
    before.set_fault([&](const FakeCall& call) {
      if (call.method == "wait for container") moment = alive.moment(before, call);
      return Fault::none;
    });
    ASSERT_TRUE(alive.run(before).result) << when;
    before.set_fault({});
    ASSERT_TRUE(moment) << when;

    TestSession session(kind == Kind::bind || kind == Kind::none ? Side::local : Side::far);
    FakeDocker docker, without_data;
    session.go_to(*moment, docker);
    session.furnish(without_data);
    std::string directory = session.scratch.directories.session("x1"), ledger = directory + "/ledger",
                text = *read_file(ledger) + "{\"engine_id\":\"fake/the data of before\"}\n";
    // The agent runs, but the disk was full.
    if (size_t at = text.find("{\"running\":true}\n"); kind == Kind::not_noted && at != std::string::npos)
      text.erase(at, text.find('\n', at) + 1 - at);
    if (kind == Kind::home || kind == Kind::grave) {
      text += "{\"home\":true}\n";
      session.worked = false;
    }
    ASSERT_TRUE(write_file_atomically(ledger, text));
    if (kind == Kind::grave) {
      forget(session.scratch.directories, directory, {.receipt = {.session = "x1"}, .may_reappear = true},
             std::nullopt);
      age_graves(graves_in(session.scratch.directories));
    }
    auto swept = session.sweep_all(without_data);
    EXPECT_EQ(find_orphans(session.scratch.directories).size(), 1u) << when;
    EXPECT_FALSE(std::filesystem::exists(session.scratch.directories.results + "/x1/result.json")) << when;
    ASSERT_EQ(swept.size(), kind == Kind::grave ? 0u : 1u) << when;
    for (const auto& one : swept) {
      EXPECT_FALSE(one.receipt.confirmed) << when;
      EXPECT_EQ(one.receipt.removed, std::vector<std::string>()) << when;
      ASSERT_EQ(one.receipt.left.size(), 1u) << when;
      EXPECT_TRUE(one.receipt.left[0].starts_with("session x1: the engine at ")) << one.receipt.left[0];
      EXPECT_TRUE(one.receipt.left[0].contains("may not have the data")) << one.receipt.left[0];
    }
    (void)session.sweep_all(docker);
    session.check_end(docker, when + " on the engine with its data");
    std::filesystem::remove_all(moment->directory);
  }
}

// If another network takes the subnet that the launch guessed, the launch makes the agent's container again. It first
// removes the old container, but only if it is its own.
TEST(HostileEngine, AContainerOfOthersStaysWhenTheSubnetIsTaken) {
  TestSession session(Side::far);
  FakeDocker docker;
  session.furnish(docker);
  docker.set_fault([&](const FakeCall& call) {
    docker.with_world([&](docker::FakeWorld& world) {
      if (call.text() == "create network bottle-x1 #1") {
        auto after = world;
        (void)call.effect(after);
        (void)world.create_network(
            "other", {{"IPAM", {{"Config", json::array({{{"Subnet", after.networks.at("bottle-x1").subnet}}})}}}});
      }
      if (call.text() == "create container bottle-x1-agent #1")
        (void)world.create_container(call.object, {{"Image", "agent:1"}, {"HostConfig", {{"NetworkMode", "none"}}}});
    });
    return Fault::none;
  });
  auto outcome = session.run(docker);
  EXPECT_TRUE(outcome.failure);
  EXPECT_FALSE(session.worked);
  EXPECT_EQ(session.left(docker), std::set<std::string>{"container bottle-x1-agent"});
}

TEST(HostileEngine, AnImageWithASessionsLabelsIsNotStarted) {
  TestSession session(Side::far);
  FakeDocker docker;
  session.furnish(docker);
  docker.with_world([](docker::FakeWorld& world) {
    (*world.image("agent:1"))->labels = {{"bottle.session", "x1"}, {"bottle.owner", Owner::self().to_label()}};
  });
  auto outcome = session.run(docker);
  ASSERT_TRUE(outcome.failure);
  EXPECT_EQ(outcome.failure->code, Code::denied);
  EXPECT_FALSE(session.worked);
  EXPECT_EQ(session.left(docker), std::set<std::string>());
}

TEST(HostileEngine, ASelfTestThatFindsAWayOutDoesNotStartTheAgent) {
  TestSession session(Side::far);
  FakeDocker docker;
  session.furnish(docker);
  session.report.probes.push_back({"privileges", false, "CapEff=1"});
  auto outcome = session.run(docker);
  ASSERT_TRUE(outcome.failure);
  EXPECT_NE(outcome.failure->what.find("privileges: CapEff=1"), std::string::npos) << outcome.failure->what;
  EXPECT_NE(outcome.failure->todo.find("use another --runtime"), std::string::npos) << outcome.failure->todo;
  EXPECT_FALSE(session.worked);
  session.check_end(docker, "a self-test that fails");
}

TEST(HostileEngine, ASelfTestWithoutThreadsNamesTheSettingToRaise) {
  TestSession session(Side::far);
  FakeDocker docker;
  session.furnish(docker);
  session.report.probes.push_back({std::string(wire::kThreadsProbe), false, "not 10 threads"});
  auto outcome = session.run(docker);
  ASSERT_TRUE(outcome.failure);
  EXPECT_EQ(outcome.failure->code, Code::limit);
  EXPECT_EQ(outcome.failure->what,
            "the bottle's limit of processes is too small for the self-test: threads: not 10 threads");
  EXPECT_TRUE(outcome.failure->todo.starts_with("raise resources.pids")) << outcome.failure->todo;
  EXPECT_FALSE(session.worked);
  session.check_end(docker, "a self-test without threads");
}

// Long lists of foreign things must not hide our things or count as ours.
TEST(HostileEngine, LongListsOfForgedThingsAreNotOurs) {
  TestSession session(Side::far);
  FakeDocker docker;
  session.furnish(docker);
  docker.with_world([](docker::FakeWorld& world) {
    for (int i = 0; i < 2'000; ++i)
      (void)world.create_volume("forged-" + std::to_string(i),
                                {{"bottle.session", "x1"}, {"bottle.owner", Owner::self().to_label()}});
  });
  auto outcome = session.run(docker);
  ASSERT_TRUE(outcome.result) << outcome.failure.value_or(Error()).what;
  EXPECT_TRUE(outcome.result->receipt.confirmed);
  EXPECT_EQ(docker.world().volumes.size(), 2'001u);
  session.check_end(docker, "a session among forged things");
}

// Runs a session whose work cannot be fetched and whose things cannot be removed, and kills its owner.
void leave_everything(TestSession& session, FakeDocker& docker) {
  session.furnish(docker);
  docker.set_fault([](const FakeCall& call) {
    return call.method.starts_with("remove") || call.method == "get archive" ? Fault::refused : Fault::none;
  });
  (void)session.run(docker);
  docker.set_fault({});
  session.kill_owner(docker);
  // The guard ends once its supervisor is dead. Until then, the session counts as running.
  auto guard_runs = [&] {
    auto containers = docker.world().containers;
    auto guard = containers.find("bottle-x1-guard");
    return guard != containers.end() && guard->second.state == docker::FakeContainer::State::running;
  };
  for (int i = 0; i < 6000 && guard_runs(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

// After the state directory is lost, the things of the dead session have labels but no ledger. The container may be
// gone, too.
TEST(HostileEngine, AVolumeWithoutALedgerAndAContainerIsRemovedOnlyAfterItsWorkIsSaved) {
  TestSession session(Side::far);
  FakeDocker docker;
  leave_everything(session, docker);
  std::filesystem::remove_all(session.scratch.directories.sessions);
  docker.with_world([](docker::FakeWorld& world) { ASSERT_TRUE(world.remove_container("bottle-x1-agent")); });
  // Older versions of Podman refuse to stop the new container, which was never started.
  docker.set_fault([](const FakeCall& call) { return call.method == "stop container" ? Fault::refused : Fault::none; });
  auto engine = docker.connect();
  auto gone = remove_unrecorded(session.scratch.directories, *engine,
                                *find_unrecorded(session.scratch.directories, *engine), [](const std::string&) {});
  ASSERT_EQ(gone.size(), 1u);
  ASSERT_TRUE(gone[0].back);
  EXPECT_NE(read_file(gone[0].back->archive).value_or("").find(kWork), std::string::npos) << gone[0].back->error;
  EXPECT_EQ(session.left(docker), std::set<std::string>());
}

TEST(HostileEngine, ThingsWithoutALedgerAreRemovedOnlyAfterTheirWorkIsSaved) {
  TestSession session(Side::far);
  FakeDocker docker;
  leave_everything(session, docker);
  std::filesystem::remove_all(session.scratch.directories.sessions);
  docker.with_world([](docker::FakeWorld& world) {
    auto labels = world.volumes.at("bottle-x1-work").labels;
    (void)world.create_volume("not-as-we-name-things", labels);
  });
  auto engine = docker.connect();
  auto found = find_unrecorded(session.scratch.directories, *engine);
  ASSERT_TRUE(found);
  EXPECT_GE(found->size(), 4u);
  docker.set_fault([&](const FakeCall& call) { return call.method == "get archive" ? Fault::refused : Fault::none; });
  auto kept = remove_unrecorded(session.scratch.directories, *engine, *found, [](const std::string&) {});
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_TRUE(kept[0].back && kept[0].back->held);
  EXPECT_TRUE(docker.world().volumes.contains("bottle-x1-work")) << "the work could not be saved, so it stays";
  docker.set_fault({});
  auto gone = remove_unrecorded(session.scratch.directories, *engine,
                                *find_unrecorded(session.scratch.directories, *engine), [](const std::string&) {});
  ASSERT_EQ(gone.size(), 1u);
  ASSERT_TRUE(gone[0].back);
  EXPECT_NE(read_file(gone[0].back->archive).value_or("").find(kWork), std::string::npos);
  EXPECT_EQ(session.left(docker), std::set<std::string>());
  EXPECT_TRUE(docker.world().volumes.contains("not-as-we-name-things"));
}

// Changes the owner in the labels of everything that the session made.
void give_to(FakeDocker& docker, const Owner& owner) {
  docker.with_world([&](docker::FakeWorld& world) {
    auto change = [&](auto& things) {
      for (auto& [name, each] : things)
        if (each.labels.contains("bottle.owner")) each.labels["bottle.owner"] = owner.to_label();
    };
    change(world.containers);
    change(world.networks);
    change(world.volumes);
  });
}

void set_running(FakeDocker& docker, const std::string& name, bool runs) {
  docker.with_world([&](docker::FakeWorld& world) {
    using State = docker::FakeContainer::State;
    world.containers.at(name).state = runs ? State::running : State::exited;
  });
}

// Another machine of the same user may use the engine over a forwarded socket, and a process in another PID namespace
// cannot be seen from this one.
TEST(HostileEngine, ASessionThatMayRunElsewhereIsLeftAlone) {
  TestSession session(Side::far);
  FakeDocker docker;
  leave_everything(session, docker);
  std::filesystem::remove_all(session.scratch.directories.sessions);
  auto engine = docker.connect();
  auto spared = [&] {
    auto found = find_unrecorded(session.scratch.directories, *engine);
    EXPECT_TRUE(found && found->size() >= 4u);
    return std::ranges::count_if(*found, [](const Unrecorded& each) { return !each.spared.empty(); });
  };
  auto all = session.left(docker);
  Owner dead = Owner::self(), elsewhere = dead;
  dead.process.start_time += "1";
  elsewhere.process.boot_id = "00000000-0000-0000-0000-000000000000";

  give_to(docker, elsewhere);
  EXPECT_EQ(spared(), 0) << "nothing runs";
  set_running(docker, "bottle-x1-agent", true);
  EXPECT_EQ(spared(), static_cast<long>(all.size()));
  auto found = find_unrecorded(session.scratch.directories, *engine);
  EXPECT_TRUE(remove_unrecorded(session.scratch.directories, *engine, *found, [](const std::string&) {}).empty());
  EXPECT_EQ(session.left(docker), all);

  give_to(docker, dead);
  EXPECT_EQ(spared(), 0) << "an agent goes on running after its supervisor has died on this machine";
  set_running(docker, "bottle-x1-guard", true);
  EXPECT_EQ(spared(), static_cast<long>(all.size())) << "a guard does not";
}

// A sweep reports such a ledger and leaves it alone, because it may say where the work has to go.
TEST(HostileEngine, ThingsWithALedgerThatCannotBeReadAreLeftAlone) {
  TestSession session(Side::far);
  FakeDocker docker;
  leave_everything(session, docker);
  std::string directory = session.scratch.directories.sessions + "/x1", graves = graves_in(session.scratch.directories);
  auto count = [&] { return find_unrecorded(session.scratch.directories, *docker.connect())->size(); };
  EXPECT_EQ(count(), 0u);
  std::filesystem::permissions(directory, std::filesystem::perms::all);
  EXPECT_EQ(count(), 0u) << "others can write to its place";
  std::filesystem::permissions(directory, std::filesystem::perms::owner_all);
  ASSERT_TRUE(make_directories(graves));
  std::filesystem::rename(directory, graves + "/x1");
  ASSERT_TRUE(write_file_atomically(graves + "/x1/ledger", "{}\n"));
  EXPECT_EQ(count(), 0u) << "its grave is malformed";
  std::filesystem::remove_all(graves);
  EXPECT_GE(count(), 4u);
}

}  // namespace
}  // namespace bottle::session
