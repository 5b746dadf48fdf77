// Tests a session while its agent works, on an engine in memory.
#include "session/watch.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <algorithm>
#include <chrono>
#include <future>
#include <thread>
#include <utility>

#include "base/files/file.h"
#include "base/os/descriptors.h"
#include "session/agent/agent_input.h"
#include "session/console/client.h"
#include "session/session_world_test.h"
#include "wire/request.h"

namespace bottle::session {
namespace {

using docker::FakeCall, docker::FakeDocker;
using wire::Frame, wire::FrameType;

class Working : public ::testing::Test {
 protected:
  Working() {
    session.furnish(docker);
    session.job.plan.headless = false;
    // Repeats each line, and ends when a line asks for it.
    session.agent = [this](docker::FakeProcess& process, const wire::Go&) {
      process.write("ready\n");
      for (std::string line; !(line = process.read_line()).empty();) {
        if (line == "end") break;
        process.write("heard " + line + "\n");
      }
      session.work(process);
      return 3;
    };
  }
  TestSession session{Side::far};
  FakeDocker docker;
};

TEST_F(Working, InputReachesTheAgentAndItsOutputComesBack) {
  auto outcome = session.run(docker, [](Launcher& launcher) {
    launcher.await_event<wire::AgentRuns>("the agent ran");
    launcher.await_output("ready");
    launcher.send(FrameType::input, "hello\n");
    launcher.await_output("heard hello");
    launcher.send(FrameType::input, "end\n");
  });
  ASSERT_TRUE(outcome.result) << outcome.failure.value_or(Error()).what;
  EXPECT_EQ(outcome.result->exit, 3);
  session.check_end(docker, "a conversation");
}

// If the supervisor waited for an agent that does not read, it would do nothing else, such as recording the guard's
// decisions.
TEST_F(Working, InputThatTheAgentDoesNotReadKeepsNothingWaiting) {
  std::promise<void> waited;
  session.agent = [this, waited = waited.get_future().share()](docker::FakeProcess& process, const wire::Go&) {
    session.work(process);
    process.write("ready\n");
    waited.wait();
    size_t size = 0;
    for (std::string line; (line = process.read_line()) != "end" && !line.empty();) size += line.size() + 1;
    process.write("heard " + std::to_string(size) + "\n");
    return 0;
  };
  constexpr size_t kParts = 48, kPart = 16 << 10;  // more than a socket holds, and less than is kept
  auto outcome = session.run(docker, [&](Launcher& launcher) {
    launcher.await_output("ready");
    auto begun = std::chrono::steady_clock::now();
    std::string part(kPart, 'x');
    part.back() = '\n';
    for (size_t i = 0; i < kParts; ++i) launcher.send(FrameType::input, part);
    launcher.send(FrameType::ping, "");
    launcher.await("the answer", [](const Frame& frame) { return frame.type == FrameType::pong; });
    EXPECT_LT(std::chrono::steady_clock::now() - begun, session.input_patience);
    waited.set_value();
    launcher.send(FrameType::input, "end\n");
    launcher.await_output("heard " + std::to_string(kParts * kPart));
  });
  EXPECT_TRUE(outcome.result);
}

TEST_F(Working, InputThatTheAgentDoesNotGetIsToldOnce) {
  int room = 0;
  socklen_t size = sizeof room;
  ASSERT_EQ(::getsockopt(open_socket(AF_UNIX, SOCK_STREAM).get(), SOL_SOCKET, SO_SNDBUF, &room, &size), 0);
  std::promise<void> told;
  session.input_patience = std::chrono::milliseconds(200);
  session.agent = [this, told = told.get_future().share()](docker::FakeProcess& process, const wire::Go&) {
    session.work(process);
    process.write("ready\n");
    told.wait();
    return 0;
  };
  auto outcome = session.run(docker, [&](Launcher& launcher) {
    launcher.await_output("ready");
    // This fills the agent's socket and what is kept for it. The launcher's own socket has room for the rest.
    for (size_t sent = 0; sent < AgentInput::kMost + static_cast<size_t>(room); sent += 16 << 10)
      launcher.send(FrameType::input, std::string(16 << 10, 'x'));
    auto warning = launcher.await_event<wire::Warning>("a warning");
    EXPECT_TRUE(warning.what.starts_with("the agent does not read its input, so ")) << warning.what;
    told.set_value();
  });
  EXPECT_TRUE(outcome.result);
}

TEST_F(Working, AStopEndsTheAgentAndBringsItsWorkHome) {
  session.agent = [this](docker::FakeProcess& process, const wire::Go&) {
    session.work(process);
    process.write("ready\n");
    process.read_line();
    return 0;
  };
  auto outcome = session.run(docker, [](Launcher& launcher) {
    launcher.await_output("ready");
    launcher.send(FrameType::stop, "");
  });
  ASSERT_TRUE(outcome.result);
  EXPECT_EQ(outcome.result->exit, 143);
  session.check_end(docker, "a stop");
}

TEST_F(Working, AStopThatTheEngineRefusesCanBeRepeated) {
  docker.set_fault([](const FakeCall& call) {
    return call.text() == "stop container bottle-x1-agent #1" ? docker::Fault::refused : docker::Fault::none;
  });
  auto outcome = session.run(docker, [this](Launcher& launcher) {
    launcher.await_output("ready");
    for (FrameType type : {FrameType::stop, FrameType::stop, FrameType::ping}) launcher.send(type, "");
    launcher.await("both stops", [](const Frame& frame) { return frame.type == FrameType::pong; });
    docker.kill("bottle-x1-agent");  // so that an agent that was not stopped ends, too
  });
  ASSERT_TRUE(outcome.result);
  EXPECT_EQ(outcome.result->exit, 143);
}

bool agent_runs(FakeDocker& docker) {
  return docker.with_world([](docker::FakeWorld& world) {
    auto agent = world.container("bottle-x1-agent");
    return agent && (*agent)->state == docker::FakeContainer::State::running;
  });
}

// Runs an agent whose stream breaks while it works, and returns whether its work was collected while it was running.
struct Unheard {
  Outcome outcome;
  bool is_collected_running = false;
};
Unheard lose_the_stream(TestSession& session, FakeDocker& docker, docker::Fault stop) {
  session.agent = [&session, &docker](docker::FakeProcess& process, const wire::Go&) {
    process.write("ready\n");
    // The agent may be stopped as soon as its stream has ended.
    session.worked = true;
    process.put("/workspace/made.txt", kWork);
    process.hang_up();
    while (agent_runs(docker)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return 0;
  };
  std::atomic<bool> is_collected_running = false;
  docker.set_fault([&, stop](const FakeCall& call) {
    if (call.method == "get archive" && agent_runs(docker)) is_collected_running = true;
    // The time limit of these calls need not pass in the test.
    if (call.method == "wait for container" && call.object == "bottle-x1-agent" && agent_runs(docker))
      return docker::Fault::silent;
    return call.method == "stop container" ? stop : docker::Fault::none;
  });
  auto outcome = session.run(docker);
  docker.set_fault({});
  return {outcome, is_collected_running};
}

// A proxy in front of the engine may close an idle stream.
TEST_F(Working, AnAgentWhoseStreamBreaksIsStoppedBeforeItsWorkIsCollected) {
  auto unheard = lose_the_stream(session, docker, docker::Fault::none);
  ASSERT_TRUE(unheard.outcome.result);
  EXPECT_FALSE(unheard.is_collected_running);
  EXPECT_EQ(unheard.outcome.result->exit, 125);
  EXPECT_NE(unheard.outcome.result->what.find("closed the agent's stream"), std::string::npos)
      << unheard.outcome.result->what;
  session.check_end(docker, "a stream that breaks");
}

// The agent may use the network until it is stopped, and a guard writes the counts of refusals at the latest when it
// ends.
TEST_F(Working, TheRecordIsClosedAfterTheAgentHasEndedAndThenTheGuard) {
  bool is_asked_while_the_agent_runs = true;
  session.guard_end = [&] {
    is_asked_while_the_agent_runs = agent_runs(docker);
    wire::FromGuard last = wire::Decision{.action = wire::DecisionAction::deny,
                                          .kind = wire::DecisionKind::connect,
                                          .host = "late.example.org",
                                          .code = "not_allowed",
                                          .count = 40};
    return wire::encode(last) + "\n";
  };
  auto unheard = lose_the_stream(session, docker, docker::Fault::none);
  EXPECT_FALSE(is_asked_while_the_agent_runs);
  ASSERT_TRUE(unheard.outcome.result);
  auto record = read_file(session.job.directories.results + "/x1/egress.jsonl");
  ASSERT_TRUE(record);
  EXPECT_NE(record->find("late.example.org"), std::string::npos) << *record;
  ASSERT_EQ(unheard.outcome.result->audit.size(), 1u);
  EXPECT_EQ(unheard.outcome.result->audit[0].lines, static_cast<uint64_t>(std::ranges::count(*record, '\n')));
}

// The kernel can need long for the end of a container, and the engine says that it runs until then.
TEST_F(Working, AnAgentThatEndsSlowlyKeepsItsStatus) {
  std::promise<void> asked_again;
  session.agent = [this, again = asked_again.get_future().share()](docker::FakeProcess& process, const wire::Go&) {
    session.work(process);
    process.hang_up();
    // If the agent is stopped instead of waited for, the test must end, too.
    again.wait_for(std::chrono::seconds(10));
    return 3;
  };
  docker.set_fault([&](const FakeCall& call) {
    if (call.method != "wait for container" || call.object != "bottle-x1-agent") return docker::Fault::none;
    if (call.nth == 2) asked_again.set_value();
    return call.nth == 1 ? docker::Fault::silent : docker::Fault::none;
  });
  auto outcome = session.run(docker);
  docker.set_fault({});
  ASSERT_TRUE(outcome.result);
  EXPECT_EQ(outcome.result->exit, 3);
  EXPECT_EQ(outcome.result->what, "");
  session.check_end(docker, "a slow end");
}

// An engine that cannot wait for a container may still know how it ended.
TEST_F(Working, AnAgentWhoseEndIsOnlyInspectedKeepsItsStatus) {
  session.agent = [this](docker::FakeProcess& process, const wire::Go&) {
    session.work(process);
    return 3;
  };
  docker.set_fault([&](const FakeCall& call) {
    if (call.object != "bottle-x1-agent") return docker::Fault::none;
    // The engine's answer is due once the container has ended.
    while (call.method == "wait for container" && agent_runs(docker))
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return call.method == "wait for container" || call.method == "stop container" ? docker::Fault::refused
                                                                                  : docker::Fault::none;
  });
  auto outcome = session.run(docker);
  docker.set_fault({});
  ASSERT_TRUE(outcome.result);
  EXPECT_EQ(outcome.result->exit, 3);
  session.check_end(docker, "an end that is only inspected");
}

TEST_F(Working, AStoppedAgentThatEndsSlowlyIsNotExplainedByItsStream) {
  session.agent = [this](docker::FakeProcess& process, const wire::Go&) {
    session.work(process);
    process.write("ready\n");
    process.read_line();
    return 0;
  };
  docker.set_fault([&](const FakeCall& call) {
    bool waits = call.method == "wait for container" && call.object == "bottle-x1-agent";
    return waits && call.nth <= 2 ? docker::Fault::silent : docker::Fault::none;
  });
  std::atomic<bool> stopping = false;
  docker.set_forgery([&](const FakeCall& call, nlohmann::json& answer) {
    if (stopping && call.method == "inspect container" && call.object == "bottle-x1-agent")
      answer["State"].update({{"Status", "running"}, {"Running", true}});
  });
  auto outcome = session.run(docker, [&](Launcher& launcher) {
    launcher.await_output("ready");
    stopping = true;
    launcher.send(FrameType::stop, "");
  });
  docker.set_forgery({});
  docker.set_fault({});
  ASSERT_TRUE(outcome.result);
  EXPECT_EQ(outcome.result->exit, 143);
  EXPECT_EQ(outcome.result->what, "");
  session.check_end(docker, "a slow end after a stop");
}

TEST_F(Working, TheWorkOfAnAgentThatCannotBeStoppedIsHeld) {
  auto unheard = lose_the_stream(session, docker, docker::Fault::refused);
  ASSERT_TRUE(unheard.outcome.result && unheard.outcome.result->back);
  EXPECT_FALSE(unheard.is_collected_running);
  EXPECT_TRUE(unheard.outcome.result->back->held);
  EXPECT_TRUE(docker.world().containers.contains("bottle-x1-agent"));
  session.kill_owner(docker);

  docker.set_fault([](const FakeCall& call) {
    return call.method == "stop container" ? docker::Fault::refused : docker::Fault::none;
  });
  auto swept = session.sweep_all(docker);
  ASSERT_EQ(swept.size(), 1u);
  EXPECT_TRUE(swept[0].back && swept[0].back->held) << "a sweep cannot stop it either";
  docker.set_fault({});
  (void)session.sweep_all(docker);
  session.check_end(docker, "an agent that could not be stopped at first");
}

TEST_F(Working, AChangedTerminalSizeReachesTheContainer) {
  std::promise<void> resized;
  // An engine under load refuses a call. The terminal does not repeat its size.
  docker.set_fault([&](const FakeCall& call) {
    if (call.text() == "resize container bottle-x1-agent #1") return docker::Fault::refused;
    if (call.text() == "resize container bottle-x1-agent #2") resized.set_value();
    return docker::Fault::none;
  });
  (void)session.run(docker, [&](Launcher& launcher) {
    launcher.await_output("ready");
    launcher.send(FrameType::resize, wire::encode(wire::Resize{40, 100}));
    EXPECT_EQ(resized.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
    launcher.send(FrameType::input, "end\n");
  });
}

TEST_F(Working, TheAgentContinuesIfItsLauncherExits) {
  (void)session.run(docker, [this](Launcher& launcher) {
    launcher.await_output("ready");
    launcher.leave();
    auto later = connect_to(session.scratch.directories.sessions + "/x1/socket");
    ASSERT_TRUE(later) << later.error().what;
    Launcher second{std::move(*later)};
    second.send(FrameType::attach, wire::encode(wire::Attach{}));
    second.await_output("ready");
    second.send(FrameType::input, "end\n");
    auto outcome = second.outcome();
    ASSERT_TRUE(outcome.result);
    EXPECT_EQ(outcome.result->exit, 3);
  });
  session.check_end(docker, "a session whose launcher left");
}

TEST_F(Working, AGuardThatDiesIsRestartedWithTheChangedPolicy) {
  auto outcome = session.run(docker, [this](Launcher& launcher) {
    launcher.await_output("ready");
    launcher.send(FrameType::policy,
                  wire::encode(wire::PolicyChange{"1", wire::PolicyChange::Deny{"evil.example.org"}}));
    launcher.await_event<wire::PolicyChanged>("the guard took the change");
    docker.kill("bottle-x1-guard");
    launcher.await_event<wire::GuardLost>("the guard's death was told");
    launcher.await_event<wire::GuardBack>("the guard was back");
    launcher.send(FrameType::input, "end\n");
  });
  ASSERT_TRUE(outcome.result) << outcome.failure.value_or(Error()).what;
  session.check_end(docker, "a session whose guard died");
}

// Changes that are made while the next guard starts are not in its first configuration.
TEST_F(Working, ANewGuardGetsTheChangesThatWereMadeWhileItStarted) {
  std::promise<void> hanging, go_on, has_root;
  auto proceed = go_on.get_future().share();
  docker.set_fault([&](const FakeCall& call) {
    if (call.text() == "start container bottle-x1-guard #2") {
      hanging.set_value();
      proceed.wait();
    }
    return docker::Fault::none;
  });
  session.guard = [&, told = false](const wire::GuardConfig& config) mutable {
    if (!std::exchange(told, told || config.egress.extra_ca.ends_with("A ROOT")) && told) has_root.set_value();
    return std::string();
  };
  auto outcome = session.run(docker, [&](Launcher& launcher) {
    launcher.await_output("ready");
    docker.kill("bottle-x1-guard");
    hanging.get_future().wait();
    launcher.send(FrameType::guard, wire::encode(wire::ToFarGuard(wire::NearSideHere{"A ROOT"})));
    launcher.send(FrameType::ping, "");
    launcher.await("the change was made", [](const Frame& frame) { return frame.type == FrameType::pong; });
    go_on.set_value();
    EXPECT_EQ(has_root.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
    launcher.send(FrameType::input, "end\n");
  });
  EXPECT_TRUE(outcome.result);
}

// The keys are on the near side, which signs only on connections that the guard reports.
TEST_F(Working, ANearSideLearnsOfTheSshTunnelsThatWereOpenBefore) {
  session.guard = [told = false](const wire::GuardConfig&) mutable {
    if (std::exchange(told, true)) return std::string();
    std::string lines;
    for (const wire::SshTunnel& tunnel :
         {wire::SshTunnel{1, std::string(64, 'a')}, {2, std::string(64, 'b')}, {1, std::nullopt}})
      lines += wire::encode(wire::FromGuard(tunnel)) + "\n";
    return lines;
  };
  std::vector<std::string> came;
  auto outcome = session.run(docker, [&](Launcher& launcher) {
    launcher.await_output("ready");
    launcher.send(FrameType::guard, wire::encode(wire::ToFarGuard(wire::NearSideHere{})));
    launcher.await("the tunnel was reported", [&](const Frame& frame) {
      if (frame.type == FrameType::guard) came.push_back(frame.bytes);
      return frame.type == FrameType::guard && frame.bytes.find("bbb") != std::string::npos;
    });
    launcher.send(FrameType::input, "end\n");
  });
  EXPECT_TRUE(outcome.result);
  EXPECT_EQ(came, (std::vector{wire::encode(wire::ToNearSide(wire::FarGuardHere{})),
                               wire::encode(wire::ToNearSide(wire::SshTunnelsFollow{})),
                               wire::encode(wire::ToNearSide(wire::SshTunnel{2, std::string(64, 'b')}))}));
}

// The messages that come together with a guard's first answer are decisions like any other.
TEST_F(Working, WhatAGuardAllowsWhileItStartsIsRecorded) {
  std::atomic<int> starts = 0;
  session.guard = [&](const wire::GuardConfig&) {
    wire::FromGuard decision = wire::Decision{.action = wire::DecisionAction::allow,
                                              .kind = wire::DecisionKind::connect,
                                              .host = "early" + std::to_string(++starts) + ".test",
                                              .port = 443};
    return wire::encode(decision) + "\n";
  };
  auto outcome = session.run(docker, [this](Launcher& launcher) {
    launcher.await_output("ready");
    docker.kill("bottle-x1-guard");
    launcher.await_event<wire::GuardBack>("the guard was back");
    launcher.send(FrameType::input, "end\n");
  });
  ASSERT_TRUE(outcome.result) << outcome.failure.value_or(Error()).what;
  EXPECT_EQ(outcome.result->egress->allowed, 2u);
  auto record = read_file(session.scratch.directories.results + "/x1/egress.jsonl");
  ASSERT_TRUE(record);
  for (const char* host : {"early1.test", "early2.test"}) EXPECT_NE(record->find(host), std::string::npos) << *record;
}

// A real engine notices an exit later than the supervisor, whose connection breaks immediately.
TEST_F(Working, TheCauseOfTheGuardsDeathIsReadOnceTheEngineKnowsIt) {
  docker.set_forgery([&](const FakeCall& call, nlohmann::json& answer) {
    if (call.text() != "inspect container bottle-x1-guard #1" || !answer.contains("State")) return;
    auto calls = docker.calls();
    bool is_known = std::ranges::any_of(
        calls, [](const FakeCall& each) { return each.text() == "wait for container bottle-x1-guard #1"; });
    answer["State"] = {{"OOMKilled", false}, {"ExitCode", is_known ? 137 : 0}};
  });
  std::string cause;
  auto outcome = session.run(docker, [&](Launcher& launcher) {
    launcher.await_output("ready");
    docker.kill("bottle-x1-guard");
    cause = launcher.await_event<wire::GuardLost>("the guard's death was told").what;
    launcher.await_event<wire::GuardBack>("the guard was back");
    launcher.send(FrameType::input, "end\n");
  });
  EXPECT_TRUE(outcome.result);
  EXPECT_TRUE(cause.starts_with("the guard was killed by signal 9, perhaps because it ran out of memory;")) << cause;
}

// No answer of the engine about the dead guard may end the session.
TEST_F(Working, NoAnswerAboutADeadGuardEndsTheSession) {
  for (const auto& state : {nlohmann::json("x"), nlohmann::json{{"OOMKilled", 1}, {"ExitCode", "x"}}}) {
    TestSession one(Side::far);
    FakeDocker engine;
    one.furnish(engine);
    one.agent = [](docker::FakeProcess& process, const wire::Go&) {
      process.write("ready\n");
      process.read_line();
      return 0;
    };
    engine.set_forgery([&](const FakeCall& call, nlohmann::json& answer) {
      if (call.text() == "inspect container bottle-x1-guard #1" && answer.contains("State")) answer["State"] = state;
    });
    auto outcome = one.run(engine, [&](Launcher& launcher) {
      launcher.await_output("ready");
      engine.kill("bottle-x1-guard");
      launcher.await_event<wire::GuardBack>("the guard was back");
      launcher.send(FrameType::input, "end\n");
    });
    EXPECT_TRUE(outcome.result) << state;
  }
}

// The inside helper, which is the container's first process, survives, so only the engine can report what happened.
TEST_F(Working, AnAgentThatRanOutOfMemoryIsReported) {
  docker.set_forgery([&](const FakeCall& call, nlohmann::json& answer) {
    if (call.text() == "inspect container bottle-x1-agent #1" && answer.contains("State"))
      answer["State"]["OOMKilled"] = true;
  });
  auto outcome = session.run(docker, [](Launcher& launcher) {
    launcher.await_output("ready");
    launcher.send(FrameType::input, "end\n");
  });
  ASSERT_TRUE(outcome.result);
  EXPECT_EQ(outcome.result->exit, 3) << "the status is the agent's own";
  EXPECT_EQ(outcome.result->limit, "resources.memory");
  EXPECT_NE(outcome.result->what.find("reached 4 GiB (`resources.memory`)"), std::string::npos) << outcome.result->what;
}

}  // namespace
}  // namespace bottle::session
