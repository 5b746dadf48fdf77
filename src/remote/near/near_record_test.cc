#include "remote/near/near_record.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "base/files/file.h"

namespace bottle::remote {
namespace {

class VmIsGone : public ::testing::Test {
 protected:
  VmIsGone() {
    char path[] = "/tmp/near_record_test_XXXXXX";
    root_ = ::mkdtemp(path);
    job_.remote.emplace().vm.emplace().environment = {{"HOME", root_}};
    record_.vm_name = "vm-1";
    directory_ = vm_places(job_).directory("vm-1");
    EXPECT_TRUE(make_directories(directory_));
    machine::Record vm;
    vm.vm.name = "vm-1";
    EXPECT_TRUE(machine::save(vm, vm_places(job_)));
  }
  ~VmIsGone() override { std::filesystem::remove_all(root_); }

  bool is_gone() const { return vm_is_gone(job_, record_); }

  Job job_;
  NearRecord record_;
  std::string root_, directory_;
};

TEST_F(VmIsGone, OnlyWhenItsRecordIsRemoved) {
  ASSERT_TRUE(machine::load("vm-1", vm_places(job_)));
  EXPECT_FALSE(is_gone());
  machine::forget("vm-1", vm_places(job_));
  EXPECT_TRUE(is_gone());
}

TEST_F(VmIsGone, NotWhenItsRecordCannotBeRead) {
  ASSERT_TRUE(write_file_atomically(directory_ + "/vm.json", "torn"));
  EXPECT_FALSE(is_gone());
  ASSERT_EQ(::chmod(directory_.c_str(), 0777), 0);
  EXPECT_FALSE(is_gone());
}

TEST_F(VmIsGone, NeverForASessionWithoutOne) {
  record_.vm_name.clear();
  EXPECT_FALSE(is_gone());
}

}  // namespace
}  // namespace bottle::remote
