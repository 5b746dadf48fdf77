#include "session/disk/disk_watch.h"

#include <gtest/gtest.h>
#include <sys/utsname.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <set>
#include <thread>

#include "base/ids.h"
#include "docker/fake/fake_engine.h"
#include "session/images/guard_image.h"
#include "session/ledger/ledger_file.h"
#include "session/ledger/names.h"
#include "session/ledger/scratch_test.h"
#include "session/ledger/teardown.h"

namespace bottle::session {
namespace {

using wire::EngineStorage, wire::Job;
using namespace std::chrono_literals;
using nlohmann::json;

constexpr uint64_t kGiB = 1ull << 30;

// Returns the state of a disk with so many bytes taken, and with plenty of free space.
DiskState taken(uint64_t bytes) { return {bytes, 1000 * kGiB}; }

TEST(DiskTrigger, IsDueWhenTheDiskHasLostWhatTheAgentMayStillWrite) {
  DiskTrigger::Time now{};
  DiskTrigger trigger(10 * kGiB, taken(50 * kGiB), now);
  EXPECT_FALSE(trigger.is_due(taken(59 * kGiB), now));
  ASSERT_TRUE(trigger.is_due(taken(60 * kGiB), now));
  trigger.counted(4 * kGiB, 1s, now);  // others wrote the rest
  EXPECT_FALSE(trigger.is_due(taken(65 * kGiB), now + 10s)) << "6 GiB are left";
  EXPECT_TRUE(trigger.is_due(taken(66 * kGiB), now + 10s));
}

TEST(DiskTrigger, FilesFromBeforeTheFirstCheckCount) {
  DiskTrigger::Time now{};
  DiskTrigger trigger(10 * kGiB, taken(50 * kGiB), now);
  EXPECT_TRUE(trigger.is_due(taken(60 * kGiB), now));
}

TEST(DiskTrigger, FilesDeletedByOthersDoNotHideTheAgents) {
  DiskTrigger::Time now{};
  DiskTrigger trigger(10 * kGiB, taken(100 * kGiB), now);
  EXPECT_FALSE(trigger.is_due(taken(50 * kGiB), now));
  EXPECT_TRUE(trigger.is_due(taken(60 * kGiB), now));
}

TEST(DiskTrigger, CountingTakesASmallPartOfTheTime) {
  DiskTrigger::Time now{};
  DiskTrigger trigger(10 * kGiB, taken(0), now);
  ASSERT_TRUE(trigger.is_due(taken(20 * kGiB), now));
  trigger.counted(9 * kGiB, 5s, now);
  EXPECT_FALSE(trigger.is_due(taken(30 * kGiB), now + 19s));
  EXPECT_TRUE(trigger.is_due(taken(30 * kGiB), now + 20s));
  trigger.counted(10 * kGiB, 0s, now + 20s);
  EXPECT_FALSE(trigger.is_due(taken(30 * kGiB), now + 60s)) << "at its limit, but the disk has not changed";
}

TEST(DiskTrigger, ASmallLimitIsEnforced) {
  DiskTrigger::Time now{};
  DiskTrigger trigger(8 << 20, taken(0), now);
  EXPECT_FALSE(trigger.is_due(taken(4 << 20), now));
  EXPECT_TRUE(trigger.is_due(taken(8 << 20), now));
}

TEST(DiskTrigger, AfterAFailureItIsDueAgain) {
  DiskTrigger::Time now{};
  DiskTrigger trigger(10 * kGiB, taken(0), now);
  ASSERT_TRUE(trigger.is_due(taken(20 * kGiB), now));
  trigger.counted(std::nullopt, 0s, now);
  EXPECT_FALSE(trigger.is_due(taken(20 * kGiB), now + 1s));
  EXPECT_TRUE(trigger.is_due(taken(20 * kGiB), now + 2s));
}

TEST(DiskTrigger, WithoutALocalDiskACountIsDueEveryMinute) {
  DiskTrigger::Time now{};
  DiskTrigger trigger(10 * kGiB, std::nullopt, now);
  EXPECT_FALSE(trigger.is_due(std::nullopt, now + 59s));
  EXPECT_TRUE(trigger.is_due(std::nullopt, now + 60s));
  trigger.counted(kGiB, 1s, now + 61s);
  EXPECT_FALSE(trigger.is_due(std::nullopt, now + 119s));
  EXPECT_TRUE(trigger.is_due(std::nullopt, now + 120s));
}

TEST(DiskTrigger, AnAlmostFullDiskThatLostTheLimitStopsTheAgent) {
  DiskTrigger::Time now{};
  DiskTrigger trigger(10 * kGiB, taken(50 * kGiB), now);
  EXPECT_FALSE(trigger.is_disk_almost_full(DiskState{61 * kGiB, kGiB}));
  EXPECT_TRUE(trigger.is_disk_almost_full(DiskState{61 * kGiB, 100 << 20}));
  EXPECT_FALSE(trigger.is_disk_almost_full(DiskState{59 * kGiB, 100 << 20})) << "it was almost full before";
}

EngineStorage engine_with(const std::string& driver, const std::string& backing) {
  return {.driver = driver, .backing = backing};
}

TEST(DiskWatch, AStorageOptionIsUsedIfTheDriverMaySupportIt) {
  auto option = [](const EngineStorage& storage) {
    json container = {{"HostConfig", json::object()}};
    bool limited = limit_layer(container, storage, 20 * kGiB, kGiB);
    EXPECT_EQ(limited, container["HostConfig"].contains("StorageOpt"));
    return limited ? container["HostConfig"]["StorageOpt"]["size"].get<std::string>() : "";
  };
  EXPECT_EQ(option(engine_with("overlay2", "xfs")), std::to_string(20 * kGiB));
  EXPECT_EQ(option(engine_with("zfs", "zfs")), std::to_string(20 * kGiB));
  EXPECT_EQ(option(engine_with("btrfs", "btrfs")), std::to_string(21 * kGiB)) << "its quota counts the image too";
  EXPECT_EQ(option(engine_with("overlay2", "extfs")), "");
  EXPECT_EQ(option({}), "");
}

// Returns the description of an engine on this machine's kernel.
EngineStorage local_engine(const std::string& directory, const std::string& driver = "overlay2") {
  utsname here{};
  EXPECT_EQ(::uname(&here), 0);
  return storage_of({.kernel = here.release, .root_directory = directory, .storage_driver = driver});
}

constexpr const char* kOneDisk = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n";

// Provides a directory that stands for an engine's.
class EngineDirectory : public ::testing::Test {
 protected:
  EngineDirectory() { std::filesystem::create_directories(path + "/volumes"); }
  ~EngineDirectory() override { std::filesystem::remove_all(path); }
  // Returns a line of the list of mounts.
  std::string mount(const std::string& below, const std::string& device, const std::string& type = "ext4") {
    return "40 22 " + device + " / " + path + below + " rw,relatime shared:2 - " + type + " /dev/x rw\n";
  }
  bool is_watched(const std::string& more_mounts) {
    return !directories_of(local_engine(path), kOneDisk + more_mounts).empty();
  }
  std::string path = std::filesystem::temp_directory_path() / ("disk watch-" + random_hex(6));
};

TEST_F(EngineDirectory, OfAnotherKernelIsNotLocal) {
  EXPECT_EQ(directories_of(local_engine(path), std::string(kOneDisk)).at(0), path);
  EXPECT_TRUE(directories_of({.directory = path, .kernel = "1.0"}, std::string(kOneDisk)).empty());
  EXPECT_TRUE(directories_of({}, std::string(kOneDisk)).empty());
}

// The disk of the directory does not change when the agent writes to such a disk.
TEST_F(EngineDirectory, WithAnotherDiskBelowItIsNotWatched) {
  std::string spaces = path;
  path.replace(path.find(' '), 1, "\\040");  // as the kernel writes it
  std::string volumes = mount("/volumes", "8:17"), layers = mount("/zfs/graph", "0:50", "zfs"),
              same = mount("", "8:1") + mount("/volumes", "8:1"),
              containers = mount("/overlay2/abc/merged", "0:51", "overlay") +
                           mount("/containers/abc/mounts/shm", "0:52", "tmpfs") + mount("/netns/1", "0:4", "nsfs"),
              elsewhere = mount("-other/volumes", "8:17");
  std::string moved = mount("", "8:33") + mount("/volumes", "8:1");
  path = spaces;
  EXPECT_FALSE(is_watched(volumes));
  EXPECT_FALSE(is_watched(layers));
  EXPECT_FALSE(is_watched(moved)) << "the directory itself is on another disk";
  EXPECT_TRUE(is_watched(""));
  EXPECT_TRUE(is_watched(same)) << "engines mount directories onto themselves";
  EXPECT_TRUE(is_watched(containers + elsewhere));
  EXPECT_TRUE(directories_of(local_engine(path), fail(Code::not_found, "no list")).empty());
  EXPECT_TRUE(directories_of(local_engine(path, "zfs"), std::string(kOneDisk)).empty());
}

TEST_F(EngineDirectory, WithALinkInItIsNotWatched) {
  std::filesystem::create_directory_symlink("/", path + "/overlay2");
  EXPECT_FALSE(is_watched(""));
}

// Runs an agent on an engine in memory. It may write nothing more, so a count is due immediately.
class WatchedAgent : public ::testing::Test {
 protected:
  WatchedAgent() {
    docker_.with_world([](docker::FakeWorld& world) {
      world.add_image(guard_reference());
      world.add_image("agent:1");
      (void)world.create_container("bottle-s1-agent",
                                   {{"Image", "agent:1"}, {"HostConfig", {{"NetworkMode", "none"}}}});
    });
    docker_.set_forgery([](const docker::FakeCall& call, json& answer) {
      if (call.method != "inspect container") return;
      answer["State"]["StartedAt"] = "2026-11-28T12:00:00Z";
      answer["HostConfig"] = {{"Runtime", "runc"}};
    });
    job_.plan.session = "s1";
    job_.plan.workdir = "/workspace";
    job_.plan.resources.disk = 0;
  }

  // Checks until the agent must be stopped, and returns the reason.
  std::string stopped(const std::string& meter_says, std::vector<std::string> directories = {"/"}) {
    docker_.set_program(guard_reference(), [meter_says](docker::FakeProcess& meter) {
      meter.write(meter_says);
      return 0;
    });
    auto engine = docker_.connect();
    engine->note_creates(note_);
    DiskTrigger::Time now{};
    DiskWatch watch(*engine, job_, std::move(directories), labels("s1", Owner::self(), "/ledger", "meter"),
                    [&] { return now += 1s; });
    std::string why;
    for (auto until = std::chrono::steady_clock::now() + 60s; why.empty() && std::chrono::steady_clock::now() < until;
         std::this_thread::sleep_for(1ms))
      why = watch.check();
    watch.end();
    return why;
  }

  bool has_meter() { return docker_.world().names().contains("container bottle-s1-meter"); }

  docker::FakeDocker docker_;
  Job job_;
  std::function<Result<>(uint64_t)> note_;
};

// The ledger may be on another disk than the engine's, and the guard stops all traffic meanwhile.
TEST_F(WatchedAgent, IsNotStoppedWhenTheDiskWithTheLedgerIsFull) {
  Scratch scratch;
  auto ledger = LedgerFile::take(scratch.dead("s1", {}), Deadline::in_ms(0));
  ASSERT_TRUE(ledger);
  int asked = 0;
  note_ = [&](uint64_t end) {
    // A record that is too long cannot be written either.
    LedgerRecord record{.asked = end};
    if (++asked <= 5) record.owner = std::string(1000, 'x');
    return ledger->append(record, LedgerFile::Flush::no);
  };
  std::string why = stopped("{\"bytes\":2147483648,\"complete\":true}\n");
  EXPECT_TRUE(why.starts_with("the agent has written 2 GiB, more than")) << why;
  EXPECT_EQ(asked, 6);
}

// Engines in VMs and on ZFS don't show how full their disks are. The agent may have filled the disk with the ledger.
TEST_F(WatchedAgent, IsStoppedWhenTheDiskWithTheLedgerStaysFullAndTheDiskOfTheEngineIsNotSeen) {
  Scratch scratch;
  auto ledger = LedgerFile::take(scratch.dead("s1", {}), Deadline::in_ms(0));
  ASSERT_TRUE(ledger);
  note_ = [&](uint64_t end) {
    return ledger->append({.owner = std::string(1000, 'x'), .asked = end}, LedgerFile::Flush::no);
  };
  std::string why = stopped("{\"bytes\":0,\"complete\":true}\n", {});
  EXPECT_NE(why.find("cannot be counted"), std::string::npos) << why;
}

TEST_F(WatchedAgent, IsStoppedWhenItHasWrittenTooMuch) {
  std::string why = stopped("{\"bytes\":2147483648,\"complete\":true}\n");
  EXPECT_TRUE(why.starts_with("the agent has written 2 GiB, more than")) << why;
  EXPECT_FALSE(has_meter());
}

TEST_F(WatchedAgent, IsStoppedWhenAForeignContainerHasTheNameOfTheMeter) {
  ASSERT_TRUE(docker_.connect()->create_container("bottle-s1-meter", {{"Image", guard_reference()}}));
  std::string why = stopped("{\"bytes\":2147483648,\"complete\":true}\n");
  EXPECT_NE(why.find("cannot be counted"), std::string::npos) << why;
  EXPECT_TRUE(has_meter()) << "it was removed, although it is not ours";
}

TEST_F(WatchedAgent, IsStoppedWhenCountingFails) {
  std::string why = stopped("{\"bytes\":0,\"complete\":false}\n");
  EXPECT_NE(why.find("cannot be counted"), std::string::npos) << why;
}

// The supervisor dies during a count. The meter mounts all volumes of the agent's container, and no ledger names those
// that the image declares.
TEST_F(WatchedAgent, LeavesNoVolumeOfItsImageIfItsSupervisorDiesDuringACount) {
  Belongings what{
      "s1", Owner::self(), {{ThingKind::container, "bottle-s1-meter"}, {ThingKind::container, "bottle-s1-agent"}}};
  // The containers of one stage are removed in any order.
  for (int i = 0; i < 20; ++i) {
    docker_.with_world([&](docker::FakeWorld& world) {
      world.add_image("agent:2").volumes = {"/data"};
      (void)world.remove_container("bottle-s1-agent");
      json agent = {{"Image", "agent:2"}, {"Labels", labels("s1", what.owner, "/ledger", "agent")}};
      ASSERT_TRUE(world.create_container("bottle-s1-agent", agent));
      std::string volume = *(*world.container("bottle-s1-agent"))->anonymous.begin();
      json mounts = {{{"Type", "volume"}, {"Source", volume}, {"Target", "/written/0"}}};
      json meter = {{"Image", guard_reference()},
                    {"Labels", labels("s1", what.owner, "/ledger", "meter")},
                    {"HostConfig", {{"NetworkMode", "none"}, {"Mounts", mounts}}}};
      ASSERT_TRUE(world.create_container("bottle-s1-meter", meter));
    });
    auto engine = docker_.connect();
    EXPECT_TRUE(tear_down(*engine, what).confirmed);
    ASSERT_TRUE(docker_.world().volumes.empty());
  }
}

json agent_with(const std::string& runtime, const json& mounts) {
  return {{"Id", "abc"},
          {"State", {{"StartedAt", "2026-11-28T12:00:00.5Z"}}},
          {"HostConfig", {{"Runtime", runtime}}},
          {"Mounts", mounts}};
}

json volume(const std::string& name, const std::string& at) {
  return {{"Type", "volume"}, {"Name", name}, {"Destination", at}};
}

TEST(Meter, HasOnlyTheRightsThatItNeeds) {
  json mounts = json::array({volume("bottle-s1-home", "/home/agent")});
  auto meter = meter_container(agent_with("runc", mounts), json::object());
  ASSERT_TRUE(meter);
  EXPECT_FALSE(meter->needs_layer);
  const json& host = meter->config["HostConfig"];
  EXPECT_EQ(host["NetworkMode"], "none");
  EXPECT_EQ(host["PidMode"], "container:abc");
  EXPECT_EQ(host["CapDrop"], json{"ALL"});
  EXPECT_EQ(host["MemorySwap"], host["Memory"]);
  EXPECT_EQ(host["Init"], false);
  EXPECT_EQ(host["CapAdd"], (json{"DAC_READ_SEARCH", "SYS_PTRACE"}));
  EXPECT_EQ(meter->config["Cmd"], (json{"--measure", "1795867200", "500000000", "/proc/1/root/", "/written/0"}));

  // A runtime with its own kernel does not show its processes to other containers.
  meter = meter_container(agent_with("runsc", json::array()), json::object());
  ASSERT_TRUE(meter);
  EXPECT_TRUE(meter->needs_layer);
  EXPECT_FALSE(meter->config["HostConfig"].contains("PidMode"));
}

// An image may declare volumes, which are then mounted without a name that bottle gave.
TEST(Meter, CountsEachVolumeOfTheAgentsContainerOnce) {
  json mounts = {volume("bottle-s1-home", "/home/agent"),
                 volume("0123abcd", "/data"),
                 volume("0123abcd", "/data2"),
                 {{"Type", "bind"}, {"Source", "/home/me/project"}, {"Destination", "/workspace"}},
                 {{"Type", "tmpfs"}, {"Destination", "/run"}}};
  for (const char* runtime : {"runc", "runsc"}) {
    auto meter = meter_container(agent_with(runtime, mounts), json::object());
    ASSERT_TRUE(meter);
    std::set<std::string> sources;
    for (const auto& mount : meter->config["HostConfig"]["Mounts"]) {
      EXPECT_EQ(mount["ReadOnly"], true);
      EXPECT_TRUE(std::ranges::count(meter->config["Cmd"], mount["Target"]));
      EXPECT_TRUE(sources.insert(mount["Source"]).second) << mount;
    }
    EXPECT_EQ(sources, (std::set<std::string>{"bottle-s1-home", "0123abcd"}));
  }
}

// Such a file may be older than the container by the clock that is right again.
TEST(Meter, CountsFilesFromATimeWhenTheClockWasBehind) {
  ClockSteps clock;
  auto note = [&](double set, double steady) {
    clock.note(ClockSteps::Seconds(set), ClockSteps::Seconds(steady));
    return clock.furthest_behind();
  };
  EXPECT_EQ(note(1'000'000, 10), 0s);
  EXPECT_EQ(note(1'000'000.5, 10.5), 0s);
  EXPECT_EQ(note(996'401, 11), 3600s) << "set back by an hour";
  EXPECT_EQ(note(1'000'002, 12), 3600s) << "and forward again";
  EXPECT_EQ(note(1'007'203, 13), 3600s) << "too far";
  EXPECT_EQ(note(1'000'004, 14), 3600s);
  // A time service makes the clock slower, which is not a step.
  for (int i = 0; i < 1000; ++i) EXPECT_EQ(note(1'000'004 + i * 0.49, 14 + i * 0.5), 3600s);
  json mounts = json::array({volume("bottle-s1-home", "/home/agent")});
  auto since = [&](std::chrono::seconds behind) {
    auto meter = meter_container(agent_with("runc", mounts), json::object(), behind);
    return meter ? std::stoll(meter->config["Cmd"][1].get<std::string>()) : 0;
  };
  EXPECT_EQ(since(3600s), since(0s) - 3600);
}

TEST(Meter, IsNotMadeForAContainerThatTheEngineDoesNotDescribe) {
  for (const json& mounts : {json(), json("x"), json{{{"Type", "volume"}, {"Name", 1}}}})
    EXPECT_FALSE(meter_container(agent_with("runc", mounts), json::object())) << mounts;
  json agent = agent_with("runc", json::array());
  EXPECT_TRUE(meter_container(agent, json::object()));
  agent["State"]["StartedAt"] = "never";
  EXPECT_FALSE(meter_container(agent, json::object()));
}

}  // namespace
}  // namespace bottle::session
