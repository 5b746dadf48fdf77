#include "remote/near/transfers/transfers.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/files/file.h"
#include "ssh/stand_in_test.h"

namespace bottle::remote {
namespace {

using namespace std::chrono_literals;

// The session's loop serves nobody while it waits.
TEST(Transfers, TheEndOfASessionDoesNotWaitForACheckpointThatNeverPauses) {
  ssh::StandIn ssh;
  std::string root = ssh.root();
  Job job;
  job.plan.session = "s1";
  job.plan.workspace = root + "/work";
  job.plan.workspace_mode = manifest::WorkspaceMode::copy;
  job.directories.sessions = root + "/sessions";
  job.directories.results = root + "/results";
  job.remote.emplace();
  job.remote->address = {.target = {.host = "machine"}, .program = "p"};
  // The machine never pauses. Without the stop, it ends after some seconds with half a delivery.
  ssh.does("exit 0", "printf '{\"to\":\"x\"}\\n'; : >" + root +
                         "/begun; n=0; while [ $n -lt 5000000 ]; do printf '\\0\\0\\0\\4abcd'; n=$((n + 1)); done");
  FarSide side = FarSide::reach(job.remote->address).value();
  Transfers transfers(job, 0s);
  EXPECT_FALSE(transfers.poll_checkpoint(&side));
  for (auto until = std::chrono::steady_clock::now() + 60s; !read_file(root + "/begun");) {
    ASSERT_LT(std::chrono::steady_clock::now(), until);
    std::this_thread::sleep_for(10ms);
  }
  (void)transfers.idle_fetcher();
  auto done = transfers.poll_checkpoint(nullptr);
  ASSERT_TRUE(done);
  ASSERT_FALSE(*done);
  EXPECT_EQ(done->error().code, Code::canceled) << done->error().what;
}

}  // namespace
}  // namespace bottle::remote
