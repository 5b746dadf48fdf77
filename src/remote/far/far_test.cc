// Checks which sessions the verbs of the far side recognize as those of a near side. Two near sides may use the same
// name.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <future>

#include "base/files/file.h"
#include "base/os/descriptors.h"
#include "base/os/poller.h"
#include "remote/far/far_world_test.h"
#include "session/ledger/ledger.h"
#include "wire/request.h"
#include "wire/result.h"

namespace bottle::remote {

namespace {

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

// The near side treats one of these answers as the end of the agent and the other one as proof that there is no work.
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

// The supervisor may be of an earlier version, which refuses keys that it does not know.
TEST_F(Far, ASupervisorIsNotToldWhichEngineItHas) {
  auto ledger = session::Ledger::create(world_.directories.session("nightly"), session::Owner::self(), "0b");
  ASSERT_TRUE(ledger) << ledger.error().what;
  auto listener = listen_at(world_.directories.sessions + "/nightly/socket", 1);
  ASSERT_TRUE(listener);
  auto got = std::async(std::launch::async, [&] {
    UniqueFd client(::accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
    auto frame = wire::receive_frame(client.get());
    return frame ? frame->bytes : "";
  });
  (void)attached("0b", "fake");
  auto attach = wire::decode<wire::Attach>(got.get(), wire::From::ours);
  ASSERT_TRUE(attach) << attach.error().what;
  EXPECT_EQ(attach->id, "0b");
  EXPECT_FALSE(attach->engine_id);
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
