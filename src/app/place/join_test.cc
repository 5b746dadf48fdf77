// Tests how a command connects to a session whose near side lives.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "app/commands/command_test.h"
#include "wire/ledger.h"

namespace bottle::app {
namespace {

class Join : public Commands {
 protected:
  // Begins a session on another machine, with an ssh that notes how it was called.
  Join() {
    begin("one");
    wire::LedgerRecord record;
    record.machine = wire::MachineAddress{.target = {.host = "machine.example"}};
    write(kLedger, read(kLedger) + wire::encode(record) + "\n");
    std::string ssh = write("bin/ssh", "#!/bin/sh\necho \"$*\" >>" + home() + "/calls\n");
    EXPECT_EQ(::chmod(ssh.c_str(), 0700), 0);
    set("PATH", home() + "/bin:/usr/bin:/bin");
    EXPECT_EQ(::mkdir((home() + "/run").c_str(), 0700), 0);
    set("XDG_RUNTIME_DIR", home() + "/run");
  }
  static constexpr const char* kLedger = ".local/state/bottle/sessions/one/ledger";
};

// The near side reconnects without asking, and then finds this connection.
TEST_F(Join, ATerminalMakesTheConnectionThatANearSideCannotMake) {
  EXPECT_NE(bottle({"attach", "one"}).status, 0) << "nothing listens";
  EXPECT_EQ(read("calls"), "") << "there is no terminal on which ssh could ask";
  UniqueFd master(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  char name[128];
  ASSERT_TRUE(master && ::grantpt(master.get()) == 0 && ::unlockpt(master.get()) == 0);
  ASSERT_EQ(::ptsname_r(master.get(), name, sizeof name), 0);
  UniqueFd terminal(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
  ASSERT_EQ(::dup2(terminal.get(), 0), 0);
  EXPECT_NE(bottle({"attach", "one"}).status, 0);
  EXPECT_NE(read("calls").find("BatchMode=no"), std::string::npos) << read("calls");
  EXPECT_NE(read("calls").find("machine.example"), std::string::npos) << read("calls");
}

}  // namespace
}  // namespace bottle::app
