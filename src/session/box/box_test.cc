// Makes networks and trials on an engine in memory.
#include <gtest/gtest.h>

#include "base/files/entries.h"
#include "docker/fake/fake_engine.h"
#include "session/box/containers.h"
#include "session/box/network.h"
#include "session/box/runtime_trial.h"
#include "session/images/guard_image.h"
#include "session/images/programs.h"
#include "session/ledger/ledger.h"
#include "session/ledger/names.h"
#include "session/ledger/scratch_test.h"

namespace bottle::session {
namespace {

using docker::Fault, docker::FakeCall, docker::FakeDocker, docker::FakeWorld;
using nlohmann::json;

class Box : public ::testing::Test {
 protected:
  FakeDocker docker;
  std::unique_ptr<docker::Engine> engine = docker.connect();
  Scratch scratch;
};

TEST_F(Box, AnInternalNetworkAvoidsASubnetThatIsTaken) {
  Subnet first = subnet_at("10.231", 20);
  (void)engine->create_network("other", {{"IPAM", {{"Config", {{{"Subnet", first.cidr}}}}}}});
  auto made = make_internal_network(*engine, "bottle-x1", json::object(), first);
  ASSERT_TRUE(made) << made.error().what;
  EXPECT_NE(*made, first);
  auto world = docker.world();
  EXPECT_EQ(world.networks.at("bottle-x1").subnet, made->cidr);
  EXPECT_EQ(world.networks.at("bottle-x1").config["Internal"], true);
  EXPECT_EQ(make_internal_network(*engine, "bottle-x1", json::object(), {}).error().code, Code::conflict);
}

TEST_F(Box, TheEgressNetworkIsMadeOnceAndCheckedAfterwards) {
  std::string gateway = *ensure_egress_network(*engine);
  EXPECT_EQ(*ensure_egress_network(*engine), gateway);
  EXPECT_EQ(*host_address(*engine), gateway) << "an engine without a default bridge";
  docker.with_world([](FakeWorld& world) { world.networks.at(kEgressNetwork).config["EnableIPv6"] = true; });
  auto unfit = ensure_egress_network(*engine);
  ASSERT_FALSE(unfit);
  EXPECT_EQ(unfit.error().code, Code::conflict);
  EXPECT_NE(unfit.error().todo.find("docker network rm"), std::string::npos);
  (void)engine->create_network("bridge",
                               {{"IPAM", {{"Config", {{{"Subnet", "172.17.0.0/16"}, {"Gateway", "172.17.0.1"}}}}}}});
  EXPECT_EQ(*host_address(*engine), "172.17.0.1");
}

// A daemon.json may make docker-init the first process of each container, and an engine allows as much swap as memory
// unless it is told otherwise.
void expect_no_defaults(const json& config) {
  const json& host = config["HostConfig"];
  EXPECT_TRUE(host["Memory"].is_number()) << host;
  EXPECT_EQ(host["MemorySwap"], host["Memory"]) << host;
  EXPECT_EQ(host["Init"], false) << host;
}

TEST_F(Box, NoContainerHasSwapOrTheEnginesInit) {
  wire::Job job;
  job.plan.session = "x1";
  Subnet subnet = subnet_at("10.231", 20);
  expect_no_defaults(guard_container("guard", json::object()));
  expect_no_defaults(offline_guard_container("guard", "bottle-x1", subnet, json::object()));
  expect_no_defaults(agent_container(job, subnet, "10.0.0.1", json::object()));
}

// Images of web servers name SIGWINCH or SIGQUIT.
TEST_F(Box, TheImageDoesNotChooseTheSignalThatStopsTheAgent) {
  wire::Job job;
  job.plan.session = "x1";
  EXPECT_EQ(agent_container(job, subnet_at("10.231", 20), "10.0.0.1", json::object())["StopSignal"], "SIGTERM");
}

// Another start makes the network after we have checked and before we make it.
TEST_F(Box, TwoStartsShareOneEgressNetwork) {
  docker.set_fault([&](const FakeCall& call) {
    if (call.text() == "create network bottle-egress #1") EXPECT_TRUE(ensure_egress_network(*docker.connect()));
    return Fault::none;
  });
  EXPECT_TRUE(ensure_egress_network(*engine));
  EXPECT_EQ(docker.world().networks.size(), 1u);
}

// -- trials

class Trial : public Box {
 protected:
  Trial() {
    docker.with_world([](FakeWorld& world) { world.add_image(guard_reference()); });
    docker.set_program(guard_reference(), [this](docker::FakeProcess&) { return status; });
  }
  Result<> ensure() {
    return ensure_runtime(*engine, scratch.directories, *engine->info(), scratch.path + "/state/runtimes.json", "auto");
  }
  size_t trials() {
    size_t count = 0;
    for (const auto& call : docker.calls()) count += call.method == "start container";
    return count;
  }
  bool has_grave() {
    std::error_code none;
    return std::filesystem::directory_iterator(scratch.path + "/graves", none) != std::filesystem::directory_iterator();
  }
  int status = 0;
};

TEST_F(Trial, ARuntimeIsTriedOnceForAnEngine) {
  EXPECT_TRUE(ensure());
  EXPECT_TRUE(ensure());
  EXPECT_EQ(trials(), 1u);
  EXPECT_TRUE(docker.world().containers.empty());
  EXPECT_FALSE(has_grave());
}

TEST_F(Trial, ATrialHasNoSwapAndNotTheEnginesInit) {
  docker.set_fault([this](const FakeCall& call) {
    if (call.method == "start container")
      for (const auto& [name, container] : docker.world().containers) expect_no_defaults(container.config);
    return Fault::none;
  });
  EXPECT_TRUE(ensure());
  EXPECT_EQ(trials(), 1u);
}

TEST_F(Trial, ARuntimeThatFailsIsReportedAndTriedAgain) {
  status = 3;
  for (size_t times : {1u, 2u}) {
    auto tried = ensure();
    ASSERT_FALSE(tried);
    EXPECT_NE(tried.error().what.find("exited with status 3"), std::string::npos) << tried.error().what;
    EXPECT_EQ(trials(), times);
  }
  EXPECT_TRUE(docker.world().containers.empty());
}

TEST_F(Trial, AMissingStateDirectoryIsNotBlamedOnTheRuntime) {
  scratch.directories.sessions = "/proc/nothing/sessions";
  auto refused = ensure();
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().what.starts_with("creating directory /proc/")) << refused.error().what;
  EXPECT_NE(refused.error().todo.find("XDG_STATE_HOME"), std::string::npos) << refused.error().todo;
}

TEST_F(Trial, ATrialThatCannotBeRemovedStaysOnRecord) {
  docker.set_fault([](const FakeCall& call) {
    return call.method == "remove container" || call.method == "start container" ? Fault::silent : Fault::none;
  });
  auto tried = ensure();
  ASSERT_FALSE(tried);
  EXPECT_NE(tried.error().what.find("it did not answer within"), std::string::npos) << tried.error().what;
  EXPECT_EQ(docker.world().containers.size(), 1u);
  EXPECT_TRUE(has_grave());
}

// The engine is slow: it finds no container to remove, and makes it a moment later.
TEST_F(Trial, AContainerThatMayStillAppearStaysOnRecord) {
  for (Fault fault : {Fault::late, Fault::lost, Fault::refused}) {
    docker.set_fault([&](const FakeCall& call) {
      if (call.method != "create container") return Fault::none;
      age_graves(scratch.path + "/graves");
      return fault;
    });
    EXPECT_FALSE(ensure());
    EXPECT_TRUE(are_graves_new(scratch.path + "/graves")) << "otherwise, the next sweep drops it too early";
    docker.catch_up();
    EXPECT_EQ(docker.world().containers.size(), fault == Fault::late ? 1u : 0u);
    EXPECT_EQ(has_grave(), fault != Fault::refused) << "only a refusal proves that nothing will appear";
    for (const auto& grave : *names_in(scratch.path + "/graves"))
      EXPECT_EQ(read_grave(scratch.directories, grave)->engine_id, "fake") << "another engine may get the socket";
    docker.with_world([](FakeWorld& world) { world.containers.clear(); });
    std::filesystem::remove_all(scratch.path + "/graves");
  }
}

}  // namespace
}  // namespace bottle::session
