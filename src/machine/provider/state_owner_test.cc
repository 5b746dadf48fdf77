#include "machine/provider/state_owner.h"

#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <iterator>
#include <thread>

#include "base/files/file.h"
#include "machine/provider/owner_label.h"

namespace bottle::machine {
namespace {

class StateOwner : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/state_owner_XXXXXX";
    root_ = ::mkdtemp(path);
    directories_ = Directories::from({{"HOME", root_}});
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  Result<> bind(const MachineFacts& here) const { return bind_state(directories_, here); }
  std::string file() const { return root_ + "/.local/state/bottle/machine"; }

  std::string root_;
  Directories directories_;
  const MachineFacts here_{"id-1", "laptop"};
};

TEST_F(StateOwner, TheFirstMachineOwnsTheDirectory) {
  EXPECT_EQ(state_id(directories_), "");
  ASSERT_TRUE(bind(here_));
  std::string id = state_id(directories_);
  EXPECT_EQ(id.size(), 16u);
  EXPECT_TRUE(bind(here_));
  EXPECT_EQ(state_id(directories_), id);
  EXPECT_EQ(read_file(file())->find("id-1"), std::string::npos);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(root_ + "/.local/state/bottle"), {}), 1);
}

// Its records would look like those of dead processes, and what they own would be removed.
TEST_F(StateOwner, AnotherMachineIsRefused) {
  ASSERT_TRUE(bind(here_));
  for (const MachineFacts& other : {MachineFacts{"id-2", "laptop"},  // the home is on a server
                                    {"id-1", "container"},           // the image has an id
                                    {"", "laptop"}}) {
    auto bound = bind(other);
    ASSERT_FALSE(bound) << other.id << " " << other.host;
    EXPECT_EQ(bound.error().code, Code::conflict);
    EXPECT_NE(bound.error().what.find("another machine (laptop)"), std::string::npos) << bound.error().what;
    EXPECT_NE(bound.error().todo.find("remove all lines but the first from " + file()), std::string::npos)
        << bound.error().todo;
  }
  std::string before = state_id(directories_);
  std::filesystem::remove(file());
  EXPECT_TRUE(bind({"id-2", "laptop"}));
  EXPECT_NE(state_id(directories_), before) << "a copy has an id of its own";
}

// VMs that have no record are known only by their label, which contains the id.
TEST_F(StateOwner, TheAdviceInTheMessageKeepsTheLabel) {
  ASSERT_TRUE(bind(here_));
  std::string label = owner_label(directories_), id = state_id(directories_);
  const MachineFacts renamed{here_.id, "desk"};
  ASSERT_FALSE(bind(renamed));
  for (std::string rest : {"\n", "", "\n\n"}) {  // as an editor may leave it
    ASSERT_TRUE(write_file_atomically(file(), id + rest));
    EXPECT_EQ(owner_label(directories_), label);
    ASSERT_TRUE(bind(renamed));
    EXPECT_EQ(owner_label(directories_), label);
    EXPECT_TRUE(bind(renamed));
    EXPECT_FALSE(bind(here_)) << "it belongs to the machine with the new name";
  }
}

// The directory had no id when these VMs were made, so their label has none.
TEST_F(StateOwner, ADirectoryThatHasHadVmsKeepsItsLabel) {
  std::string label = owner_label(directories_);
  ASSERT_TRUE(make_directories(directories_.vms));
  ASSERT_TRUE(bind(here_));
  EXPECT_EQ(owner_label(directories_), label);
  EXPECT_TRUE(bind(here_));
  EXPECT_FALSE(bind({"id-2", "laptop"}));
  ASSERT_TRUE(write_file_atomically(file(), "\n"));
  EXPECT_TRUE(bind({"id-2", "laptop"}));
  EXPECT_EQ(owner_label(directories_), label);
}

TEST_F(StateOwner, AFileThatCannotBeTrustedIsAnError) {
  constexpr std::chrono::milliseconds kPatience{20};
  ASSERT_TRUE(bind(here_));
  for (const char* text : {"", "x", "../\n\n\n", "0123\nx\nlaptop\n"}) {
    ASSERT_TRUE(write_file_atomically(file(), text));
    EXPECT_FALSE(bind_state(directories_, here_, kPatience)) << text;
    EXPECT_EQ(state_id(directories_, kPatience), "");
  }
  std::filesystem::remove(file());
  ASSERT_TRUE(bind(here_));
  std::filesystem::permissions(file(), std::filesystem::perms::others_write, std::filesystem::perm_options::add);
  EXPECT_FALSE(bind(here_));
}

TEST_F(StateOwner, AFileInThePlaceOfTheDirectoryComesWithAdvice) {
  ASSERT_TRUE(make_directories(root_ + "/.local/state"));
  ASSERT_TRUE(write_file_atomically(root_ + "/.local/state/bottle", "mine"));
  auto bound = bind(here_);
  ASSERT_FALSE(bound);
  EXPECT_NE(bound.error().what.find(root_ + "/.local/state/bottle cannot be opened"), std::string::npos);
  EXPECT_NE(bound.error().todo.find("set XDG_STATE_HOME"), std::string::npos) << bound.error().todo;
}

// Another process may have made the file just now.
TEST_F(StateOwner, AFileThatIsBeingWrittenIsWaitedFor) {
  ASSERT_TRUE(bind(here_));
  std::string text = *read_file(file());
  ASSERT_TRUE(write_file_atomically(file(), ""));
  std::thread writer([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(30));
    EXPECT_TRUE(write_file_atomically(file(), text));
  });
  EXPECT_TRUE(bind(here_));
  writer.join();
}

TEST_F(StateOwner, TheGroupMayWriteTheDirectory) {
  std::filesystem::create_directories(root_ + "/.local/state/bottle");
  std::filesystem::permissions(root_ + "/.local/state/bottle", std::filesystem::perms(0775));
  ASSERT_TRUE(bind(here_));
  EXPECT_TRUE(bind(here_)) << "only what is read from the directory must be the operator's";
}

TEST_F(StateOwner, ThisMachineKnowsItself) {
  ASSERT_TRUE(bind(MachineFacts::read()));
  EXPECT_TRUE(bind(MachineFacts::read()));
}

}  // namespace
}  // namespace bottle::machine
