// Tests what a near side writes into the ledger, does to a VM and leaves in the results.
#include "remote/near/driver.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "base/files/file.h"
#include "session/ledger/files.h"
#include "session/ledger/info.h"
#include "ssh/stand_in_test.h"
#include "transfer/delivery.h"

namespace bottle::remote {
namespace {

using Obstacle = input::FetchFailed::Obstacle;

const Progress kSilent = [](const std::string&) {};

// Provides the job of a session on a VM, and a provider of scripts that note their calls.
class Vms : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/driver_test_XXXXXX";
    root_ = ::mkdtemp(path);
    for (const char* hook : {"create", "ssh-info", "status", "destroy", "list"}) {
      std::string answer = hook == std::string("list") ? R"({"machines": []})" : R"({"status": "gone"})";
      ASSERT_TRUE(make_directories(root_ + "/.config/bottle/providers/fake"));
      ASSERT_TRUE(write_file_atomically(root_ + "/.config/bottle/providers/fake/" + hook,
                                        "#!/bin/sh\necho $0 >>" + root_ + "/calls\necho '" + answer + "'\n", 0755));
    }
    job_.plan.session = "one";
    job_.directories = Directories::from({{"HOME", root_}});
    ASSERT_TRUE(make_directories(job_.directories.sessions));
    job_.remote.emplace();
    auto& vm = job_.remote->vm.emplace();
    vm.environment = {{"HOME", root_}, {"PATH", "/usr/bin:/bin"}};
    vm.vm.name = "lab";
    vm.vm.provider = "fake";
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  void set_hook(const std::string& name, const std::string& commands) {
    ASSERT_TRUE(write_file_atomically(root_ + "/.config/bottle/providers/fake/" + name,
                                      "#!/bin/sh\ncd " + root_ + " || exit 1\n" + commands + "\n", 0755));
  }

  // Drives the session to its end, and returns everything that its launcher was told. Once the file `stop` exists, the
  // session is told to stop.
  std::string told_until_over() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    UniqueFd launcher(ends[0]);
    {
      Clients clients{UniqueFd(ends[1])};
      Driver driver(job_, clients, std::nullopt);
      driver.open();
      for (auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60); !driver.is_over();) {
        EXPECT_LT(std::chrono::steady_clock::now(), until) << "the session does not end";
        if (std::chrono::steady_clock::now() > until) break;
        Poller poller;
        poller.wait(std::min(driver.add_to(poller), 5));  // the end of a thread wakes nobody
        driver.handle(poller);
        if (std::filesystem::remove(root_ + "/stop")) driver.stop();
      }
    }
    std::string told;
    char buffer[4096];
    for (ssize_t n; (n = ::recv(launcher.get(), buffer, sizeof buffer, MSG_DONTWAIT)) > 0;)
      told.append(buffer, static_cast<size_t>(n));
    return told;
  }
  std::string calls() const { return read_file(root_ + "/calls").value_or(""); }

  // Leaves the ledger of a session whose near side died, and whose VM has no record any more.
  void abandon_without_vm(const std::vector<wire::LedgerRecord>& notes) {
    session::Owner dead = session::Owner::self();
    dead.process.start_time = "1";
    auto ledger = Ledger::create(job_.directories.session("one"), dead);
    ASSERT_TRUE(ledger) << ledger.error().what;
    job_.remote->address.target = {.host = "127.0.0.1", .port = 1};
    ASSERT_TRUE(ledger->note({.session = "one", .machine = job_.remote->address, .plan = job_.plan}));
    ASSERT_TRUE(ledger->note({.vm = wire::LedgerVm{"bottle-one", "fake", {}}}));
    ASSERT_TRUE(ledger->note({.running = true}));
    for (const auto& note : notes) ASSERT_TRUE(ledger->note(note));
    job_.remote->task = wire::RemoteJob::Task::adopt;
  }
  void leave_result(const wire::SessionResult& result) {
    std::string results = job_.directories.results_of("one");
    ASSERT_TRUE(make_directories(results));
    ASSERT_TRUE(write_file_atomically(results + "/" + session::kResult, wire::encode(result)));
  }
  Result<wire::SessionResult> result() const { return session::read_result(job_.directories.results_of("one")); }

  std::string root_;
  Job job_;
};

// --keep promises that the VM stays until it expires.
TEST_F(Vms, AStartLeavesTheVmThatAnEarlierSessionOfItsNameKept) {
  machine::Record kept;
  kept.vm.name = "bottle-one";
  kept.vm.id = "kept-1";
  kept.vm.wanted.provider = "fake";
  kept.keep = true;
  kept.until = machine::now_seconds() + 3600;
  auto places = job_.directories;
  ASSERT_TRUE(make_directories(places.vm("bottle-one")));
  ASSERT_TRUE(machine::save(kept, places));
  std::string told = told_until_over();
  EXPECT_NE(told.find("bottle-one of an earlier session still exists"), std::string::npos) << told;
  EXPECT_EQ(told.find("may still exist"), std::string::npos) << told;
  EXPECT_EQ(calls(), "");
  EXPECT_TRUE(machine::is_recorded("bottle-one", places));
  EXPECT_FALSE(std::filesystem::exists(job_.directories.session("one")));
}

TEST_F(Vms, AStartThatCannotBeOpenedDoesNotAskForAVm) {
  ASSERT_TRUE(write_file_atomically(job_.directories.results, ""));
  std::string told = told_until_over();
  EXPECT_NE(told.find(job_.directories.results), std::string::npos) << told;
  EXPECT_EQ(told.find("may still exist"), std::string::npos) << told;
  EXPECT_EQ(told.find("destroying"), std::string::npos) << told;
  EXPECT_EQ(calls(), "");
  EXPECT_FALSE(std::filesystem::exists(job_.directories.session("one")));
}

// It would write into a record that another thread reads, and tell about a VM that is being destroyed.
TEST_F(Vms, AVmThatBecomesReadyWhileItIsDestroyedIsNotTakenOver) {
  job_.remote->task = wire::RemoteJob::Task::begin_unseen;
  set_hook("create", "echo '{\"id\": \"late-1\"}'");
  // The news comes while the VM is being destroyed, and the second call shows that it has been read.
  set_hook("ssh-info",
           "[ -e news ] && { touch again; exit 1; }\ntouch stop\n"
           "until [ -e destroying ]; do sleep 0.01; done\ntouch news; echo 'late news' >&2; exit 75");
  set_hook("destroy", "touch destroying\nuntil [ -e again ]; do sleep 0.01; done\necho '{\"status\": \"gone\"}'");
  std::string told = told_until_over();
  EXPECT_TRUE(std::filesystem::exists(root_ + "/again")) << told;
  EXPECT_NE(told.find("destroying"), std::string::npos) << told;
  EXPECT_EQ(told.find("late news"), std::string::npos) << told;
}

// Its broker would refuse everything, because it could not record anything.
TEST_F(Vms, AStartThatFindsItsNameTakenLeavesTheResultsOfTheOtherSession) {
  auto other = Ledger::create(job_.directories.session("one"), session::Owner::self());
  ASSERT_TRUE(other) << other.error().what;
  ASSERT_TRUE(make_directories(job_.directories.results_of("one")));
  std::string told = told_until_over();
  EXPECT_NE(told.find("already exists"), std::string::npos) << told;
  EXPECT_TRUE(std::filesystem::exists(job_.directories.results_of("one")));
}

// The ledger is removed, so only the results can say that work was lost.
TEST_F(Vms, TheResultTellsThatTheVmWasDestroyedWhileTheConnectionWasDown) {
  abandon_without_vm({});
  std::string told = told_until_over();
  EXPECT_NE(told.find("the VM bottle-one is gone"), std::string::npos) << told;
  EXPECT_FALSE(std::filesystem::exists(job_.directories.session("one")));
  auto saved = result();
  ASSERT_TRUE(saved) << saved.error().what;
  ASSERT_TRUE(saved->back);
  EXPECT_NE(saved->back->text.find("so is the work"), std::string::npos) << saved->back->text;
  EXPECT_NE(saved->back->error, "");
  EXPECT_EQ(saved->exit, 125);
  EXPECT_EQ(saved->what, "the VM was gone before the session's end was known");
  ASSERT_TRUE(saved->receipt.vm);
  EXPECT_TRUE(saved->receipt.vm->is_gone());
}

// The near side died after the work was home, and its reaper destroyed the VM.
TEST_F(Vms, ASessionWhoseWorkIsHomeKeepsItsResultWhenItsVmGoes) {
  abandon_without_vm({{.ended = 0}, {.home = true}});
  wire::SessionResult earlier{.session = "one", .bottle = "web", .exit = 0, .limit = "time"};
  earlier.egress = wire::EgressResult{.allowed = 7};
  earlier.audit = {{.file = session::kAudit, .lines = 7, .head = std::string(64, 'a')}};
  earlier.back = wire::WorkResult{.text = "Nothing changed."};
  leave_result(earlier);
  std::string told = told_until_over();
  EXPECT_EQ(told.find("not fetched"), std::string::npos) << told;
  EXPECT_NE(told.find("Nothing changed."), std::string::npos) << told;
  EXPECT_FALSE(std::filesystem::exists(job_.directories.session("one")));
  auto saved = result();
  ASSERT_TRUE(saved) << saved.error().what;
  EXPECT_EQ(saved->exit, 0);
  EXPECT_EQ(saved->what, "");
  EXPECT_EQ(saved->limit, "time");
  ASSERT_TRUE(saved->egress);
  EXPECT_EQ(saved->egress->allowed, 7u);
  ASSERT_EQ(saved->audit.size(), 1u);
  EXPECT_EQ(saved->audit[0].head, std::string(64, 'a'));
  ASSERT_TRUE(saved->back);
  EXPECT_EQ(saved->back->text, "Nothing changed.");
  EXPECT_EQ(saved->back->error, "");
  EXPECT_TRUE(saved->receipt.confirmed);
}

// The near side died while it removed the session. The machine has forgotten the session, but the VM still exists.
TEST_F(Vms, ASessionWhoseWorkIsHomeEndsAsItDidAndWithoutItsVm) {
  abandon_without_vm({{.ended = 3}, {.home = true}});
  machine::Record left;
  left.vm.name = "bottle-one";
  left.vm.id = "left-1";
  left.vm.session = "one";
  left.vm.wanted.provider = "fake";
  left.until = machine::now_seconds() + 3600;
  ASSERT_TRUE(make_directories(job_.directories.vm("bottle-one")));
  ASSERT_TRUE(machine::save(left, job_.directories));
  wire::SessionResult earlier{.session = "one", .bottle = "web", .exit = 3, .limit = "time"};
  earlier.back = wire::WorkResult{.text = "Nothing changed."};
  leave_result(earlier);
  ssh::StandIn ssh;
  ssh.does("exit 0",
           "case \"$*\" in *forget*) echo '{\"session\": \"one\", \"forgotten\": true}' ;; *) exit 1 ;; esac");
  std::string told = told_until_over();
  EXPECT_NE(told.find("Nothing changed."), std::string::npos) << told;
  EXPECT_NE(calls().find("/destroy"), std::string::npos) << calls();
  EXPECT_FALSE(machine::is_recorded("bottle-one", job_.directories));
  EXPECT_FALSE(std::filesystem::exists(job_.directories.session("one")));
  auto saved = result();
  ASSERT_TRUE(saved) << saved.error().what;
  EXPECT_EQ(saved->exit, 3);
  EXPECT_EQ(saved->limit, "time");
  ASSERT_TRUE(saved->back && saved->receipt.vm && saved->receipt.forgotten);
  EXPECT_EQ(saved->back->text, "Nothing changed.");
  EXPECT_TRUE(*saved->receipt.forgotten);
  EXPECT_TRUE(saved->receipt.vm->is_gone());
  EXPECT_TRUE(saved->receipt.confirmed);
}

// It died between the result and the ledger's note.
TEST_F(Vms, AResultWithTheWorkCountsAlthoughTheLedgerDoesNotCallItHome) {
  abandon_without_vm({{.ended = 3}});
  wire::SessionResult earlier{.session = "one", .exit = 3};
  earlier.back = wire::WorkResult{.text = "Fetched.", .sorted = wire::ReceivedWork{}};
  leave_result(earlier);
  std::string told = told_until_over();
  EXPECT_EQ(told.find("not fetched"), std::string::npos) << told;
  auto saved = result();
  ASSERT_TRUE(saved && saved->back);
  EXPECT_EQ(saved->exit, 3);
  EXPECT_EQ(saved->back->text, "Fetched.");
}

TEST_F(Vms, WorkThatAnEarlierResultCallsUnfetchedIsLostWithTheVm) {
  abandon_without_vm({{.ended = 3}});
  wire::SessionResult earlier{.session = "one", .exit = 3, .limit = "time"};
  earlier.back = wire::WorkResult{.text = "The work is still there.", .error = "no connection"};
  leave_result(earlier);
  std::string told = told_until_over();
  EXPECT_NE(told.find("not fetched"), std::string::npos) << told;
  auto saved = result();
  ASSERT_TRUE(saved && saved->back);
  EXPECT_EQ(saved->exit, 3);
  EXPECT_EQ(saved->what, "");
  EXPECT_EQ(saved->limit, "time");
  EXPECT_NE(saved->back->text.find("so is the work"), std::string::npos) << saved->back->text;
}

TEST_F(Vms, TheLedgersExitStatusCountsIfThereIsNoResult) {
  abandon_without_vm({{.ended = 3}});
  told_until_over();
  auto saved = result();
  ASSERT_TRUE(saved && saved->back);
  EXPECT_EQ(saved->exit, 3);
  EXPECT_EQ(saved->what, "");
}

// Otherwise, nothing on this machine would say that there was work.
TEST_F(Vms, TheRecordStaysIfTheResultCannotBeWritten) {
  abandon_without_vm({});
  std::string path = job_.directories.results_of("one") + "/" + session::kResult;
  ASSERT_TRUE(make_directories(path + "/in-the-way"));
  std::string told = told_until_over();
  EXPECT_NE(told.find("Is a directory"), std::string::npos) << told;
  EXPECT_NE(told.find("bottle cleanup"), std::string::npos) << told;
  EXPECT_TRUE(session::read_ledger(job_.directories, "one"));
}

// The far side said how the session ended, and the VM went before the work came.
TEST_F(Vms, TheFarSidesResultStaysWhenTheWorkIsLost) {
  abandon_without_vm({});
  Clients clients(UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)));
  NearRecord record{job_.remote->address, "bottle-one", job_.directories.session("one")};
  wire::SessionResult far{.session = "one", .exit = 4, .limit = "time"};
  far.audit = {{.file = session::kAudit, .lines = 7, .head = std::string(64, 'a')}};
  ASSERT_TRUE(make_directories(job_.directories.results_of("one")));
  NearAudit audit(job_.directories.results_of("one") + "/" + session::kNearAudit, clients);
  Conclusion conclusion(job_, record, kSilent, nullptr, far);
  auto accounted = conclusion.account_for_vm(audit);
  EXPECT_TRUE(accounted.written) << accounted.written.error().what;
  EXPECT_FALSE(accounted.end.home);
  auto saved = result();
  ASSERT_TRUE(saved && saved->back);
  EXPECT_EQ(saved->exit, 4);
  EXPECT_EQ(saved->limit, "time");
  EXPECT_EQ(saved->audit.size(), 1u);
  EXPECT_NE(saved->back->text.find("so is the work"), std::string::npos) << saved->back->text;

  std::filesystem::remove_all(job_.directories.session("one"));
  EXPECT_FALSE(conclusion.account_for_vm(audit).written) << "without its ledger, nobody knows whether it was home";
}

// The far side's own files about a session are removed with the session.
TEST_F(Vms, TheRecordedRulesAreWrittenOnThisMachine) {
  abandon_without_vm({});
  job_.plan.bottle = "web";
  Clients clients(UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)));
  NearRecord record{.address = {}, .vm_name = "", .directory = job_.directories.session("one")};
  wire::SessionResult far{.session = "one"};
  far.egress = wire::EgressResult{.recorded = std::vector<std::string>{"allowed.example.org"}};
  std::string results = job_.directories.results_of("one");
  ASSERT_TRUE(make_directories(results));
  NearAudit audit(results + "/" + session::kNearAudit, clients);
  auto written = [&] { return read_file(results + "/allow.yaml").value_or(""); };
  Conclusion(job_, record, kSilent, nullptr, far).save_result(audit);
  EXPECT_EQ(written(), "") << "the operator did not ask for it";
  job_.plan.record = true;
  Conclusion(job_, record, kSilent, nullptr, far).save_result(audit);
  EXPECT_TRUE(
      written().ends_with("in bottle web. Read these rules before you use them.\nallow:\n  - allowed.example.org\n"))
      << written();
}

// Without the reason, the operator cannot find out why something is left.
TEST_F(Vms, TheReceiptSaysWhyTheMachineKeepsTheResults) {
  ssh::StandIn ssh;
  ssh.does("exit 0", "(head -c 1000 /dev/zero | tr '\\0' x; echo ': no engine answers') >&2; exit 1");
  auto side = FarSide::reach({.target = {.host = "machine"}, .program = "p"});
  ASSERT_TRUE(side) << side.error().what;
  Clients clients(UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)));
  NearRecord record{
      .address = {.target = {.host = "machine"}}, .vm_name = "", .directory = job_.directories.session("one")};
  Conclusion conclusion(job_, record, kSilent, &*side, std::nullopt);
  EXPECT_EQ(conclusion.forget_on_far_side().left, input::Forgotten::Left::something);
  ASSERT_TRUE(make_directories(job_.directories.results_of("one")));
  NearAudit audit(job_.directories.results_of("one") + "/" + session::kNearAudit, clients);
  auto left = conclusion.save_result(audit).receipt.left;
  ASSERT_EQ(left.size(), 1u);
  EXPECT_TRUE(left[0].starts_with("results on machine: ") && left[0].ends_with("no engine answers")) << left[0];
}

// Otherwise, a VM would be destroyed with the only copy.
TEST_F(Vms, AMachineThatAloneHasTheWorkIsHeard) {
  ssh::StandIn ssh;
  ssh.does("exit 0", "echo '{\"session\":\"one\",\"forgotten\":false}'; echo 'still in its results' >&2; exit 1");
  auto side = FarSide::reach({.target = {.host = "machine"}, .program = "p"});
  ASSERT_TRUE(side) << side.error().what;
  NearRecord record{.address = {}, .vm_name = "", .directory = job_.directories.session("one")};
  Conclusion conclusion(job_, record, kSilent, &*side, std::nullopt);
  EXPECT_EQ(conclusion.forget_on_far_side().left, input::Forgotten::Left::work);
  conclusion.was_home({.session = "one"});
  EXPECT_EQ(conclusion.forget_on_far_side().left, input::Forgotten::Left::something);
}

// A near side waits 20 seconds for work that is held, and 5 minutes for a connection.
TEST_F(Vms, AFetchTellsHeldWorkFromABrokenConnection) {
  ssh::StandIn ssh;
  std::string delivery;
  transfer::DeliveryWriter writer(sink_to(delivery));
  ASSERT_TRUE(writer.begin(transfer::kHeld) && writer.data("no engine answers") && writer.end_archive() &&
              writer.finish());
  ASSERT_TRUE(write_file_atomically(root_ + "/delivery", delivery));
  ssh.does("exit 0", "exec cat " + root_ + "/delivery");
  auto side = FarSide::reach({.target = {.host = "machine"}, .program = "p"});
  ASSERT_TRUE(side) << side.error().what;
  NearRecord record{.address = {}, .vm_name = "", .directory = job_.directories.session("one")};
  Conclusion conclusion(job_, record, kSilent, &*side, std::nullopt);
  WorkFetcher fetcher(job_, "");
  auto fetch = [&] {
    Input input = conclusion.fetch({}, fetcher);
    EXPECT_TRUE(std::holds_alternative<input::FetchFailed>(input));
    return std::get<input::FetchFailed>(input);
  };
  auto held = fetch();
  EXPECT_EQ(held.obstacle, Obstacle::held) << held.error.what;
  EXPECT_NE(held.error.what.find("no engine answers"), std::string::npos) << held.error.what;
  ASSERT_TRUE(write_file_atomically(root_ + "/delivery", delivery.substr(0, delivery.size() / 2)));
  auto broken = fetch();
  EXPECT_EQ(broken.obstacle, Obstacle::connection) << broken.error.what;
  // The far side could not even begin.
  ssh.does("exit 0", "echo 'the state directory belongs to another machine' >&2; exit 125");
  EXPECT_NE(fetch().error.what.find("belongs to another machine"), std::string::npos) << fetch().error.what;
  ssh.does("exit 0", "(head -c 1000 /dev/zero | tr '\\0' x; echo ' (the advice)') >&2; exit 125");
  EXPECT_TRUE(fetch().error.what.ends_with("x (the advice)")) << fetch().error.what;
  ssh.does("exit 0", "head -c 50000 /dev/zero | tr '\\0' x >&2; exit 125");
  EXPECT_LT(fetch().error.what.size(), 2000u);
}

// Otherwise, a machine that looks for the work in the wrong place would be told to forget it.
TEST_F(Vms, WorkThatAMachineHasIsNotLostBecauseItSendsNothing) {
  ssh::StandIn ssh;
  std::string delivery;
  ASSERT_TRUE(transfer::DeliveryWriter(sink_to(delivery)).finish());
  ASSERT_TRUE(write_file_atomically(root_ + "/delivery", delivery));
  ssh.does("exit 0", "exec cat " + root_ + "/delivery");
  auto side = FarSide::reach({.target = {.host = "machine"}, .program = "p"});
  ASSERT_TRUE(side) << side.error().what;
  NearRecord record{.address = {}, .vm_name = "", .directory = job_.directories.session("one")};
  wire::SessionResult far{.session = "one"};
  auto fetch = [&] {
    WorkFetcher fetcher(job_, "");
    return Conclusion(job_, record, kSilent, &*side, far).fetch({}, fetcher);
  };
  far.back = wire::WorkResult{.error = "no engine answered", .held = true};
  auto input = fetch();
  ASSERT_TRUE(std::holds_alternative<input::FetchFailed>(input));
  EXPECT_EQ(std::get<input::FetchFailed>(input).obstacle, Obstacle::held);
  EXPECT_NE(std::get<input::FetchFailed>(input).error.what.find("no engine answered"), std::string::npos);
  far.back = wire::WorkResult{.archive = "/results/one/workspace.tar"};
  auto saved = fetch();
  ASSERT_TRUE(std::holds_alternative<input::FetchFailed>(saved));
  EXPECT_EQ(std::get<input::FetchFailed>(saved).obstacle, Obstacle::held);
  far.back = wire::WorkResult();
  EXPECT_TRUE(std::holds_alternative<input::Fetched>(fetch())) << "there was nothing to hold";
}

// If any other answer counted, the work of an agent that still runs would be fetched, and its machine would be told to
// forget the session.
TEST_F(Vms, AnAgentCountsAsStoppedOnlyIfItsMachineSaysSo) {
  ssh::StandIn ssh;
  ssh.does("exit 0", "exit $(cat " + root_ + "/status)");
  auto side = FarSide::reach({.target = {.host = "machine"}, .program = "p"});
  ASSERT_TRUE(side) << side.error().what;
  NearRecord record{.address = {}, .vm_name = "", .directory = job_.directories.session("one")};
  for (int status : {0, 1, 125, 255}) {
    ASSERT_TRUE(write_file_atomically(root_ + "/status", std::to_string(status)));
    EXPECT_EQ(Conclusion(job_, record, kSilent, &*side, std::nullopt).stop_far_session().stopped, status == 0)
        << status;
  }
}

}  // namespace
}  // namespace bottle::remote
