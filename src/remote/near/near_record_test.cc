#include "remote/near/near_record.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>

#include "base/files/file.h"
#include "base/text/path_parts.h"

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

}  // namespace
}  // namespace bottle::remote
