#include "remote/near/near_record.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "base/files/file.h"
#include "base/os/descriptors.h"
#include "base/os/poller.h"
#include "base/text/path_parts.h"
#include "remote/near/driver.h"
#include "ssh/stand_in_test.h"

namespace bottle::remote {
namespace {

class VmIsGone : public ::testing::Test {
 protected:
  VmIsGone() {
    char path[] = "/tmp/near_record_test_XXXXXX";
    root_ = ::mkdtemp(path);
    job_.remote.emplace().vm.emplace().environment = {{"HOME", root_}};
    job_.directories = Directories::from({{"HOME", root_}});
    record_.vm_name = "vm-1";
    directory_ = job_.directories.vm("vm-1");
    EXPECT_TRUE(make_directories(directory_));
    machine::Record vm;
    vm.vm.name = "vm-1";
    EXPECT_TRUE(machine::save(vm, job_.directories));
  }
  ~VmIsGone() override { std::filesystem::remove_all(root_); }

  bool is_gone() const { return vm_is_gone(job_, record_); }

  Job job_;
  NearRecord record_;
  std::string root_, directory_;
};

TEST_F(VmIsGone, OnlyWhenItsRecordIsRemoved) {
  ASSERT_TRUE(machine::load("vm-1", job_.directories));
  EXPECT_FALSE(is_gone());
  machine::forget("vm-1", job_.directories);
  EXPECT_TRUE(is_gone());
}

TEST_F(VmIsGone, NotWhenItsRecordCannotBeRead) {
  ASSERT_TRUE(write_file_atomically(directory_ + "/vm.json", "torn"));
  EXPECT_FALSE(is_gone());
  ASSERT_EQ(::chmod(directory_.c_str(), 0777), 0);
  EXPECT_FALSE(is_gone());
}

TEST_F(VmIsGone, AVmThatMovedIsFound) {
  auto hook = [&](const std::string& name, const std::string& answer) {
    std::string path = root_ + "/.config/bottle/providers/fake/" + name;
    ASSERT_TRUE(make_directories(parent_of(path)));
    ASSERT_TRUE(write_file_atomically(path, "#!/bin/sh\n" + answer + "\n", 0700));
  };
  auto record = machine::load("vm-1", job_.directories).value();
  record.vm.wanted.provider = "fake";
  ASSERT_TRUE(machine::save(record, job_.directories));
  for (const char* name : {"create", "status", "destroy", "list"}) hook(name, "exit 1");
  hook("ssh-info", R"(echo '{"host": "198.51.100.9", "port": 2222, "user": "bottle"}')");
  MachineAddress address{.target = {.host = "198.51.100.7", .port = 22, .host_key_alias = "vm-1"}};
  auto now = where_vm_moved(address, "vm-1", job_.directories, job_.remote->vm->environment);
  ASSERT_TRUE(now);
  EXPECT_EQ(now->target.host, "198.51.100.9");
  EXPECT_EQ(now->target.port, 2222);
  EXPECT_EQ(now->target.host_key_alias, "vm-1") << "it still has its key";
  EXPECT_FALSE(where_vm_moved(*now, "vm-1", job_.directories, job_.remote->vm->environment)) << "the VM has not moved";
  hook("ssh-info", "exit 75");
  EXPECT_FALSE(where_vm_moved(address, "vm-1", job_.directories, job_.remote->vm->environment)) << "nobody knows";
}

TEST_F(VmIsGone, NeverForASessionWithoutOne) {
  record_.vm_name.clear();
  EXPECT_FALSE(is_gone());
}

// Starts a session on a machine whose connection is a pair of pipes.
class RecordOfAStart : public ::testing::Test {
 protected:
  RecordOfAStart() {
    job_.plan.session = "one";
    job_.directories.sessions = ssh_.root() + "/sessions";
    job_.directories.results = ssh_.root() + "/results";
    EXPECT_TRUE(make_directories(job_.directories.sessions));
    ssh_.does("exit 0", "exit 1");
    job_.remote.emplace().address = {.target = {.host = "machine"}, .program = "p"};
    auto to_machine = make_pipe(), to_us = make_pipe();
    EXPECT_TRUE(to_machine && to_us);
    channel_ = {.in = std::move(to_machine->write), .out = std::move(to_us->read)};
    from_us_ = std::move(to_machine->read);
    to_us_ = std::move(to_us->write);
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    launcher_.reset(ends[0]);
    clients_.emplace(UniqueFd(ends[1]));
  }
  void open() {
    driver_.emplace(job_, *clients_, std::move(channel_));
    driver_->open();
  }
  bool comes_true(const std::function<bool()>& is_true) {
    for (auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
         std::chrono::steady_clock::now() < until;) {
      if (is_true()) return true;
      Poller poller;
      poller.wait(driver_->add_to(poller));
      driver_->handle(poller);
    }
    return false;
  }
  session::LedgerView record() const { return session::read_ledger(job_.directories, "one").value(); }
  static wire::Hello hello() {
    wire::Hello hello;
    hello.engine = wire::EngineHello{.id = "6CXF:BQ4D"};
    return hello;
  }

  ssh::StandIn ssh_;
  Job job_;
  Channel channel_;
  UniqueFd from_us_, to_us_, launcher_;
  std::optional<Clients> clients_;
  std::optional<Driver> driver_;
};

// The machine may restart before this side hears that the agent runs, and come back with another engine.
TEST_F(RecordOfAStart, HasTheEngineOnceTheAgentMayRun) {
  channel_.hello = hello();
  job_.remote->engine_id = "6CXF:BQ4D";  // the launcher has read the hello
  open();
  EXPECT_EQ(record().ran, session::LedgerView::Ran::perhaps);
  EXPECT_EQ(record().engine_id, "6CXF:BQ4D");
}

TEST_F(RecordOfAStart, HasTheEngineOfAHelloThatComesLate) {
  job_.remote->task = wire::RemoteJob::Task::begin_unseen;
  open();
  ASSERT_TRUE(write_all(to_us_.get(), wire::encode(hello()) + "\n"));
  ASSERT_TRUE(wire::send_frame(launcher_.get(), FrameType::values, wire::encode(wire::Values())));
  EXPECT_TRUE(comes_true([&] { return record().may_have_run(); }));
  EXPECT_EQ(record().engine_id, "6CXF:BQ4D");
}

TEST_F(RecordOfAStart, HasNoEngineThatGaveNoId) {
  channel_.hello = hello();
  open();
  EXPECT_EQ(record().ran, session::LedgerView::Ran::perhaps);
  EXPECT_EQ(record().engine_id, "");
}

}  // namespace
}  // namespace bottle::remote
