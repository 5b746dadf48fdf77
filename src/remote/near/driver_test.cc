// Tests what a near side that adopts a session writes into the ledger.
#include "remote/near/driver.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace bottle::remote {
namespace {

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
  wire::Far far{.target = {.host = "127.0.0.1", .port = 1}};
  {
    session::Owner dead = session::Owner::self();
    dead.process.start_time = "1";
    auto ledger = Ledger::create(job.directories.session("one"), dead);
    ASSERT_TRUE(ledger) << ledger.error().what;
    ASSERT_TRUE(ledger->note({.session = "one", .remote = far, .plan = job.plan}));
    ASSERT_TRUE(ledger->note({.vm = wire::LedgerVm{"bottle-one", "fake", {}}}));
  }
  far.target.port = 2;
  job.remote = wire::RemoteJob{.far = far, .task = wire::RemoteJob::Task::adopt};
  job.remote->vm.emplace().environment = {{"HOME", root}, {"PATH", "/usr/bin:/bin"}};
  Clients clients(UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC)));
  {
    Driver driver(job, clients, std::nullopt);
    driver.open();
  }
  auto view = session::read_ledger(job.directories, "one");
  ASSERT_TRUE(view) << view.error().what;
  ASSERT_TRUE(view->remote);
  EXPECT_EQ(view->remote->target.port, 2);
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace bottle::remote
