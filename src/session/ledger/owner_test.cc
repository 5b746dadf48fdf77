#include "session/ledger/ledger.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>

#include "base/files/file.h"
#include "base/files/unreadable_test.h"
#include "base/os/this_program.h"

namespace bottle::session {
namespace {

TEST(Owner, IsAliveUntilItsLastThreadHasEnded) {
  if (!can_be_far_side()) GTEST_SKIP() << "POSIX does not tell about threads";
  pid_t child = ::fork();
  if (child == 0) {
    for (;;) ::pause();
  }
  Owner owner{::getuid(), {child, "", this_boot()}};
  auto stat = *read_file("/proc/" + std::to_string(child) + "/stat");
  std::istringstream rest(stat.substr(stat.rfind(')') + 1));
  for (int i = 3; i <= 22; ++i) rest >> owner.process.start_time;
  EXPECT_FALSE(owner.is_gone());
  ::kill(child, SIGKILL);
  EXPECT_TRUE(owner.is_gone()) << "a process that is being killed is waited for";
  ::waitpid(child, nullptr, 0);
}

TEST(Owner, IsNotTakenForDeadWithoutDescriptors) {
  Owner owner = Owner::self();
  EXPECT_FALSE(without_descriptors([&] { return owner.is_gone(); }));
}

TEST(Owner, AReusedPidIsNotTheOwner) {
  Owner owner = Owner::self();
  owner.process.start_time += "1";
  EXPECT_TRUE(owner.is_gone());
  auto back = Owner::from_label(Owner::self().to_label());
  ASSERT_TRUE(back);
  EXPECT_FALSE(back->is_gone());
}

}  // namespace
}  // namespace bottle::session
