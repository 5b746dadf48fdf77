// Tests what the supervisor does about a guard. The test plays the guard itself, at the other end of its channel.
#include "session/guard_watch.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <thread>

#include "base/files/file.h"
#include "session/guard_link/framed_test.h"
#include "session/images/guard_image.h"
#include "session/ledger/files.h"
#include "session/ledger/names.h"
#include "session/session_world_test.h"

namespace bottle::session {
namespace {

using docker::FakeCall, docker::FakeDocker;

struct Pair {
  UniqueFd ours, theirs;
};
Pair connected() {
  int ends[2] = {-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

wire::Decision allowed(const std::string& host) {
  return {.action = wire::DecisionAction::allow, .kind = wire::DecisionKind::connect, .host = host};
}

class WatchedGuard : public ::testing::Test {
 protected:
  // Has the guard send a message, which the watch has not read yet.
  void say(const wire::FromGuard& message) { EXPECT_TRUE(write_all(guard.ours.get(), framed(message))); }
  // Returns the configurations that the guard was sent since the last call.
  std::vector<wire::GuardConfig> told() {
    std::vector<wire::GuardConfig> all;
    char buffer[65536];
    for (ssize_t n; (n = ::recv(guard.ours.get(), buffer, sizeof buffer, MSG_DONTWAIT)) > 0;)
      lines.append(buffer, static_cast<size_t>(n));
    for (size_t end; (end = lines.find('\n')) != std::string::npos; lines.erase(0, end + 1)) {
      auto message = wire::decode<wire::ToGuard>(std::string_view(lines).substr(0, end), wire::From::ours);
      EXPECT_TRUE(message);
      if (const auto* configure = message ? std::get_if<wire::Configure>(&*message) : nullptr)
        all.push_back(configure->config);
    }
    return all;
  }
  // Returns how many events of this kind the launcher has got since the last call, which drops all others.
  template <class Kind>
  int count_events() {
    int count = 0;
    while (wait_readable(terminal.ours.get(), 0)) {
      auto frame = wire::receive_frame(terminal.ours.get());
      if (!frame) break;
      auto event = wire::decode<wire::Event>(frame->bytes, wire::From::ours);
      if (event && std::holds_alternative<Kind>(*event)) ++count;
    }
    return count;
  }
  // Does the part of a turn that reads from the guard. Returns whether the guard was read from.
  bool read() {
    Poller poller;
    watch.add_to(poller);
    poller.wait(0);
    watch.handle(poller);
    return poller.readable(running.guard.fd());
  }
  void die() {
    guard.ours.reset();
    EXPECT_TRUE(read());
    EXPECT_FALSE(watch.is_up());
  }
  void write_record() {
    watch.retry_record();
    watch.update();
  }
  std::string results() const { return session.job.directories.results_of("x1"); }
  std::string record() const { return read_file(results() + "/" + kAudit).value_or(""); }

  TestSession session{Side::far};
  FakeDocker docker;
  std::unique_ptr<docker::Engine> engine = docker.connect();
  Pair guard = connected(), terminal = connected();
  std::string lines;
  Running running{.agent = docker::Attached(UniqueFd(), ""),
                  .agent_early = "",
                  .guard = GuardLink(docker::Attached(std::move(guard.theirs), "")),
                  .guard_config = {},
                  .root = *pki::Root::make("x1"),
                  .report = {},
                  .ssh_agent = nullptr,
                  .subnet = {},
                  .sent = {},
                  .disk = nullptr};
  Clients clients{std::move(terminal.theirs)};
  std::atomic<bool> ending = false;
  GuardKeeper::Time now = GuardKeeper::Clock::now();
  // Without its directory, the record cannot be written.
  GuardWatch watch{*engine,
                   session.job,
                   running,
                   clients,
                   {.on_agent_request = [](const wire::AgentRequest&) {},
                    .on_stream = [](const wire::StreamPart&) {},
                    .on_ssh_tunnel = [](const wire::SshTunnel&) {},
                    .on_lost = [] {},
                    .is_ending = [this] { return ending.load(); },
                    .clock = [this] { return now; }}};
};

TEST_F(WatchedGuard, IsToldToLetNothingThroughWhileTheRecordCannotBeWritten) {
  write_record();
  auto configs = told();
  ASSERT_FALSE(configs.empty());
  EXPECT_NE(configs.back().unrecorded, "");
  EXPECT_EQ(count_events<wire::RecordFull>(), 1);
  // What was under way is kept.
  say(allowed("under-way.test"));
  EXPECT_TRUE(read());
  ASSERT_TRUE(make_directories(results()));
  write_record();
  EXPECT_NE(record().find("under-way.test"), std::string::npos) << record();
  configs = told();
  ASSERT_FALSE(configs.empty());
  EXPECT_EQ(configs.back().unrecorded, "");
  EXPECT_EQ(count_events<wire::RecordBack>(), 1);
}

TEST_F(WatchedGuard, IsNotReadFromWhileTooMuchWaitsForTheDisk) {
  // A reason is not recorded beyond this length.
  auto large = allowed("large.test");
  large.reason = std::string(2000, 'x');
  for (size_t kept = 0; kept <= AuditFile::kMostKept; kept += large.reason.size()) watch.record(large);
  say(allowed("later.test"));
  EXPECT_FALSE(read());
  ASSERT_TRUE(make_directories(results()));
  watch.retry_record();
  EXPECT_TRUE(read());
  EXPECT_NE(record().find("later.test"), std::string::npos);
}

// A guard that starts serves before anyone takes it.
TEST_F(WatchedGuard, WhatItAllowsInARestartIsRecordedEvenIfTheAgentEndsMeanwhile) {
  ASSERT_TRUE(make_directories(results()));
  die();
  session.furnish(docker);
  session.guard = [](const wire::GuardConfig&) { return wire::encode(wire::FromGuard(allowed("early.test"))) + "\n"; };
  ASSERT_TRUE(engine->create_container(Names("x1").guard,
                                       {{"Image", guard_reference()}, {"HostConfig", {{"NetworkMode", "none"}}}}));
  watch.revive();
  ending = true;
  watch.end_restart();
  EXPECT_TRUE(watch.is_up());
  wire::SessionResult result;
  watch.end(result);
  EXPECT_FALSE(watch.is_up());
  EXPECT_EQ(result.egress->allowed, 1u);
  EXPECT_NE(record().find("early.test"), std::string::npos) << record();
}

TEST_F(WatchedGuard, NoFurtherAttemptIsAnnouncedOnceTheAgentEnds) {
  die();
  EXPECT_EQ(count_events<wire::GuardLost>(), 1) << "that it died";
  // There is no container to attach to. The fourth failure in a row is the one that would be announced.
  docker.set_fault([this](const FakeCall& call) {
    if (call.method == "attach to container" && call.nth == 4) ending = true;
    return docker::Fault::none;
  });
  for (; !ending; now += std::chrono::milliseconds(20)) {
    watch.revive();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  watch.end_restart();
  EXPECT_EQ(count_events<wire::GuardLost>(), 0);
}

}  // namespace
}  // namespace bottle::session
