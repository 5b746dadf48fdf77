#include "remote/near/transfers/deliver.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "base/files/file.h"
#include "ssh/stand_in_test.h"

namespace bottle::remote {
namespace {

namespace fs = std::filesystem;

// Delivers to a script that stands in for ssh and for the machine behind it.
class DeliverTest : public ::testing::Test {
 protected:
  DeliverTest() {
    job_.plan.session = "s1";
    job_.plan.workspace = root_ + "/work";
    job_.plan.workspace_mode = manifest::WorkspaceMode::copy;
    job_.directories.sessions = root_ + "/sessions";
    job_.directories.cache = root_ + "/cache";
    job_.remote.emplace();
    job_.remote->address = {.target = {.host = "machine"}, .program = "p"};
    std::mt19937 random(1);
    std::string noise(1 << 20, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    EXPECT_TRUE(make_directories(job_.plan.workspace) && make_directories(root_ + "/sessions/s1"));
    EXPECT_TRUE(write_file_atomically(job_.plan.workspace + "/noise", noise));
    ssh_.does("exit 0", "cat >" + root_ + "/arrived; echo ok");
  }

  Delivered deliver(uint64_t most_kept, const Result<>& noted = {}) {
    return remote::deliver(
        job_, FarSide::reach(job_.remote->address).value(), [&](const std::string&) { return noted; }, {}, most_kept);
  }
  // Counts the files that describe what the machine keeps.
  size_t indexes() const {
    size_t count = 0;
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(root_ + "/cache/sent", none))
      count += entry.path().extension() != ".time";
    return count;
  }

  ssh::StandIn ssh_;
  std::string root_ = ssh_.root();
  Job job_;
};

TEST_F(DeliverTest, AWorkspaceThatIsTooLargeToBeKeptIsDelivered) {
  auto delivered = deliver(4096);
  EXPECT_TRUE(delivered.taken) << delivered.taken.error().what;
  EXPECT_GT(fs::file_size(root_ + "/arrived"), 1u << 20);
  EXPECT_EQ(indexes(), 0u);
  EXPECT_TRUE(deliver(8 << 20).taken);
  EXPECT_EQ(indexes(), 1u);
  EXPECT_TRUE(deliver(4096).taken);
  EXPECT_LT(fs::file_size(root_ + "/arrived"), 64u << 10) << "the machine still has the earlier delivery";
  EXPECT_EQ(indexes(), 1u);
}

TEST_F(DeliverTest, AVmGetsAWorkspaceThatIsTooLargeToBeKept) {
  job_.remote->vm.emplace();
  auto delivered = deliver(4096);
  EXPECT_TRUE(delivered.taken) << delivered.taken.error().what;
  EXPECT_EQ(indexes(), 0u);
}

// Without the base, the work of the agent could not be compared with anything.
TEST_F(DeliverTest, NothingIsDeliveredIfTheBaseCannotBeNoted) {
  ssh_.does("exit 0", "exec cat >/dev/null");
  auto delivered = deliver(8 << 20, fail(Code::internal, "the ledger cannot be written"));
  ASSERT_FALSE(delivered.taken);
  EXPECT_EQ(delivered.taken.error().what, "the ledger cannot be written");
}

TEST_F(DeliverTest, AMachineThatSkipsTheWorkspaceIsNotBelieved) {
  ssh_.does("exit 0", "exec <&-; echo ok");
  EXPECT_EQ(deliver(8 << 20).taken.error().code, Code::protocol);
  EXPECT_EQ(indexes(), 0u);
}

}  // namespace
}  // namespace bottle::remote
