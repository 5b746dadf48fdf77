// Tests near sides that take over a session from one that died.
#include <fcntl.h>
#include <gtest/gtest.h>

#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <filesystem>

#include "base/files/file.h"
#include "base/os/poller.h"
#include "remote/near/driver.h"
#include "session/console/client.h"
#include "session/ledger/files.h"
#include "session/ledger/ledger.h"
#include "ssh/stand_in_test.h"
#include "wire/codec/failure.h"

namespace bottle::remote {
namespace {

// Leaves the ledger of a session on another machine whose near side died, and a stand-in for ssh that reaches the
// machine once the file `there` exists. What that machine gets is in the file `got`.
class Adopted : public ::testing::Test {
 protected:
  Adopted() {
    job_.plan.session = "one";
    job_.directories.sessions = root() + "/sessions";
    job_.directories.results = root() + "/results";
    EXPECT_TRUE(make_directories(job_.directories.sessions));
    wire::MachineAddress address{.target = {.host = "machine"}, .program = "p"};
    session::Owner dead = session::Owner::self();
    dead.process.start_time = "1";
    auto ledger = Ledger::create(job_.directories.session("one"), dead);
    EXPECT_TRUE(ledger && ledger->note({.session = "one", .machine = address, .plan = job_.plan}));
    job_.remote = wire::RemoteJob{.address = address, .task = wire::RemoteJob::Task::adopt};
    EXPECT_TRUE(write_file_atomically(root() + "/hello", wire::encode(wire::Hello{}) + "\n"));
    // Descriptor 3 keeps the connection open, which would end if cat(1) had only the file.
    ssh_.does("exit 0",
              "[ -e " + root() + "/there ] || exit 1; cat " + root() + "/hello; exec cat 3>&1 >>" + root() + "/got");
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    client_.reset(ends[0]);
    clients_.emplace(UniqueFd(ends[1]));
    driver_.emplace(job_, *clients_, std::nullopt);
  }
  const std::string& root() const { return ssh_.root(); }
  std::string got() const { return read_file(root() + "/got").value_or(""); }

  // Adds what the near side that died had noted.
  void had_noted(const wire::LedgerRecord& record) {
    session::Owner dead = session::Owner::self();
    dead.process.start_time = "1";
    auto ledger = Ledger::adopt(job_.directories.session("one"), dead);
    ASSERT_TRUE(ledger && ledger->note(record));
  }

  // Lets the machine answer an attach with this frame, and a fetch with these commands.
  void answers_attach(const std::string& frame, const std::string& fetch = "exit 1") {
    EXPECT_TRUE(write_file_atomically(root() + "/answer", frame));
    ssh_.does("exit 0", "case \"$*\" in *fetch*) " + fetch + " ;; esac; cat " + root() +
                            "/hello; head -c 5 >/dev/null; cat " + root() + "/answer; exec cat 3>&1 >/dev/null");
  }

  void turn(int most_ms = 1000) {
    Poller poller;
    poller.wait(std::min(driver_->add_to(poller), most_ms));
    driver_->handle(poller);
    char buffer[4096];
    for (ssize_t n; (n = ::recv(client_.get(), buffer, sizeof buffer, MSG_DONTWAIT)) > 0;)
      told_.append(buffer, static_cast<size_t>(n));
  }
  bool comes_true(const std::function<bool()>& is_true) {
    for (auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
         std::chrono::steady_clock::now() < until; turn(5))
      if (is_true()) return true;
    return false;
  }

  ssh::StandIn ssh_;
  Job job_;
  UniqueFd client_;
  std::optional<Clients> clients_;
  std::optional<Driver> driver_;
  std::string told_;
};

TEST_F(Adopted, WhatAClientSendsWhileTheConnectionIsDownIsNotForgotten) {
  const std::string old_size = wire::encode(wire::Resize{1, 2}), size = wire::encode(wire::Resize{40, 100}),
                    denial = wire::encode(wire::PolicyChange{"1", wire::PolicyChange::Deny{"evil.example.org"}});
  for (const auto& [type, bytes] :
       {std::pair(FrameType::resize, old_size), std::pair(FrameType::resize, size),
        std::pair(FrameType::policy, denial), std::pair(FrameType::input, std::string("abc"))})
    ASSERT_TRUE(wire::send_frame(client_.get(), type, bytes));
  driver_->open();
  ASSERT_TRUE(comes_true([&] { return told_.contains("link-trying"); })) << told_;
  turn();
  ASSERT_TRUE(write_file_atomically(root() + "/there", ""));
  const std::string kept = wire::encode(FrameType::resize, size) + wire::encode(FrameType::policy, denial);
  EXPECT_TRUE(comes_true([&] { return got().contains(kept); })) << got();
  EXPECT_FALSE(got().contains(old_size));
  EXPECT_FALSE(got().contains("abc"));
  EXPECT_TRUE(comes_true([&] { return told_.contains("3 bytes of input did not reach the agent"); })) << told_;
}

// A machine forgets a session only when its work is home, so this one looks in another place than before.
TEST_F(Adopted, TheRecordStaysIfTheMachineDoesNotKnowASessionThatRan) {
  had_noted({.running = true, .ran = true});
  const Error unknown{Code::not_found, "there is no session one on the remote machine"};
  answers_attach(wire::encode(FrameType::failure, wire::encode(unknown)));
  driver_->open();
  EXPECT_TRUE(comes_true([&] { return driver_->is_over(); }));
  EXPECT_TRUE(told_.contains("machine has no record of session one")) << told_;
  auto view = session::read_ledger(job_.directories, "one");
  ASSERT_TRUE(view) << view.error().what;
  EXPECT_EQ(view->ran, session::LedgerView::Ran::yes);
}

// The near side that died may have been about to hear that the agent runs.
TEST_F(Adopted, TheRecordSaysThatTheAgentMayHaveRunIfTheMachineHasItsWork) {
  const Error unknown{Code::not_found, "there is no session one on the remote machine"};
  answers_attach(wire::encode(FrameType::failure, wire::encode(unknown)),
                 "exit 1 ;; *forget*) echo '{\"session\":\"one\",\"forgotten\":false}'; exit 1");
  driver_->open();
  EXPECT_TRUE(comes_true([&] { return driver_->is_over(); }));
  EXPECT_TRUE(told_.contains("its work may still be on that machine")) << told_;
  auto view = session::read_ledger(job_.directories, "one");
  ASSERT_TRUE(view) << view.error().what;
  EXPECT_EQ(view->ran, session::LedgerView::Ran::perhaps);
}

// Only the engine of the session can say that nothing is left of it (remote/far/session_id.h).
class AdoptedWithEngine : public Adopted {
 protected:
  // Attaches, and returns the request to attach.
  std::string asked() {
    EXPECT_TRUE(write_file_atomically(root() + "/there", ""));
    driver_->open();
    EXPECT_TRUE(comes_true([&] { return got().contains(R"("session":"one")") && got().contains('}'); })) << got();
    return got();
  }
};

TEST_F(AdoptedWithEngine, AnAttachNamesTheEngineOnWhichTheAgentMayHaveRun) {
  had_noted({.engine_id = "6CXF:BQ4D", .running = true, .ran = false});
  EXPECT_TRUE(asked().contains(R"("engine_id":"6CXF:BQ4D")")) << got();
}

TEST_F(AdoptedWithEngine, AnAttachSaysThatAnEarlierVersionDidNotRecordTheEngine) {
  had_noted({.running = true, .ran = false});
  EXPECT_TRUE(asked().contains(R"("engine_id":"")")) << got();
}

TEST_F(AdoptedWithEngine, AnAttachNamesNoEngineIfTheAgentCannotHaveRun) {
  EXPECT_FALSE(asked().contains("engine_id")) << got();
}

TEST_F(AdoptedWithEngine, AFetchNamesTheEngine) {
  had_noted({.engine_id = "6CXF:BQ4D", .running = true, .ran = true});
  answers_attach(wire::encode(FrameType::result, wire::encode(wire::SessionResult{.session = "one"})),
                 "echo \"$*\" >" + root() + "/words; exit 1");
  driver_->open();
  auto words = [&] { return read_file(root() + "/words").value_or(""); };
  EXPECT_TRUE(comes_true([&] { return words().contains("'6CXF:BQ4D'"); })) << words();
}

// Fetching may take hours, and `bottle stop` waits only for two minutes for a sign of life.
TEST_F(Adopted, ClientsAreServedDuringTheFetch) {
  wire::SessionResult ended{.session = "one"};
  answers_attach(wire::encode(FrameType::result, wire::encode(ended)), "for i in $(seq 100); do [ -e " + root() +
                                                                           "/go ] && exit 1; sleep 0.1; done; touch " +
                                                                           root() + "/waited; exit 1");
  driver_->open();
  ASSERT_TRUE(comes_true([&] { return told_.contains("collecting"); })) << told_;
  auto client = session::connect_to(job_.directories.session("one") + "/" + session::kSocket);
  ASSERT_TRUE(client) << client.error().what;
  ASSERT_TRUE(wire::send_frame(client->get(), FrameType::attach, wire::encode(wire::Attach{})));
  EXPECT_TRUE(comes_true([&] { return wait_readable(client->get(), 0); }));
  EXPECT_FALSE(std::filesystem::exists(root() + "/waited")) << "the answer came only after the fetch";
  ASSERT_TRUE(write_file_atomically(root() + "/go", ""));
}

// A later near side, and programs that connect to the VM themselves, read the address in the ledger.
TEST(Adoption, TheLedgerGetsTheAddressAtWhichAVmWasFound) {
  char path[] = "/tmp/driver_test_XXXXXX";
  std::string root = ::mkdtemp(path);
  Job job;
  job.plan.session = "one";
  job.directories.sessions = root + "/sessions";
  job.directories.results = root + "/results";
  std::filesystem::create_directories(job.directories.sessions);
  std::filesystem::permissions(root, std::filesystem::perms::owner_all);
  wire::MachineAddress address{.target = {.host = "127.0.0.1", .port = 1}};
  {
    session::Owner dead = session::Owner::self();
    dead.process.start_time = "1";
    auto ledger = Ledger::create(job.directories.session("one"), dead);
    ASSERT_TRUE(ledger) << ledger.error().what;
    ASSERT_TRUE(ledger->note({.session = "one", .machine = address, .plan = job.plan}));
    ASSERT_TRUE(ledger->note({.vm = wire::LedgerVm{"bottle-one", "fake", {}}}));
  }
  address.target.port = 2;
  job.remote = wire::RemoteJob{.address = address, .task = wire::RemoteJob::Task::adopt};
  job.remote->vm.emplace().environment = {{"HOME", root}, {"PATH", "/usr/bin:/bin"}};
  Clients clients(UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)));
  {
    Driver driver(job, clients, std::nullopt);
    driver.open();
  }
  auto view = session::read_ledger(job.directories, "one");
  ASSERT_TRUE(view) << view.error().what;
  ASSERT_TRUE(view->machine);
  EXPECT_EQ(view->machine->target.port, 2);
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace bottle::remote
