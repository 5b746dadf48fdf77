// Tests what happens to VMs whose providers fail or give false answers, or whose makers die.
#include "machine/machine_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "base/files/unreadable_test.h"
#include "base/os/process.h"
#include "machine/inventory.h"
#include "machine/user_data.h"

namespace bottle::machine {
namespace {

using nlohmann::json;

// The provider may need half a minute to answer.
TEST_F(Machine, ThePartsOfAVmThatIsJustBeingMadeAreNoOrphans) {
  good();
  ASSERT_TRUE(prepare_vm(spec()));
  std::string directory = directories_.vm("vm-1"), away = root_ / "away";
  std::filesystem::rename(directory, away);
  std::string list = *read_file(directories_.config + "/providers/fake/list");
  hook("list", "mv '" + away + "' '" + directory + "'\n" + list);
  ASSERT_TRUE(write_file_atomically(cloud() + "/disk-9", "id-disk-9|s1|" + owner_label(directories_) + "|running\n"));
  auto inventory = take_inventory(directories_, environment_, {{"fake", {}, true}}, limits_, {});
  ASSERT_TRUE(inventory);
  ASSERT_EQ(inventory->all.size(), 1u);
  EXPECT_FALSE(inventory->all[0].orphan()) << "a VM of its session has got a record";
  // It may get one after that, too.
  Found found = inventory->all[0];
  found.belongs = Belongs::to_my_sweep;
  EXPECT_FALSE(still_orphan(found, directories_));
  forget("vm-1", directories_);
  EXPECT_TRUE(still_orphan(found, directories_));
}

// A later command would look for the VM's files in another place.
TEST_F(Machine, ARecordWithAPathThatJsonCannotHoldIsNotWritten) {
  good();
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm);
  vm->record.vm.state_dir += "/caf\xe9";
  auto saved = save(vm->record, directories_);
  ASSERT_FALSE(saved);
  EXPECT_EQ(saved.error().code, Code::invalid);
  EXPECT_NE(saved.error().what.find("state_dir"), std::string::npos) << saved.error().what;
  EXPECT_TRUE(load("vm-1", directories_)) << "the record from before is still there";
}

TEST_F(Machine, DestroyIsConfirmedByStatusAndList) {
  good();
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm) << vm.error().what;
  ASSERT_TRUE(create_vm(*vm, spec(), {}));
  EXPECT_EQ(vm->id, "id-vm-1");
  EXPECT_EQ(load("vm-1", directories_)->vm.id, "id-vm-1");
  auto gone = destroy_vm("vm-1", "fake", directories_, destroying(), {});
  ASSERT_TRUE(gone) << gone.error().what;
  EXPECT_TRUE(gone->confirmed);
  EXPECT_TRUE(std::filesystem::is_empty(cloud()));
  EXPECT_FALSE(std::filesystem::exists(directories_.vm("vm-1"))) << "keys and record";
  auto again = destroy_vm("vm-1", "fake", directories_, destroying(), {});
  EXPECT_TRUE(again && again->confirmed) << "destroying what is gone";
}

TEST_F(Machine, AFalseAnswerOfAProviderIsDetected) {
  good();
  hook("destroy", R"sh(echo x >>"$CLOUD/../calls"; echo '{"status": "gone"}')sh");
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
  DestroyOptions options = destroying();
  std::chrono::steady_clock::time_point now{};
  options.clock = [&] { return now += std::chrono::milliseconds(options.patience_ms / 3); };
  auto gone = destroy_vm("vm-1", "fake", directories_, options, {});
  ASSERT_TRUE(gone) << gone.error().what;
  EXPECT_FALSE(gone->confirmed);
  EXPECT_GT(calls(), 2) << "ordered again";
  ASSERT_FALSE(gone->left.empty());
  EXPECT_NE(gone->left[0].find("running, although its destroy printed gone"), std::string::npos) << gone->left[0];
  EXPECT_TRUE(load("vm-1", directories_)) << "the record stays for the next one";
  good();
  EXPECT_TRUE(destroy_vm("vm-1", "fake", directories_, destroying(), {})->confirmed);
}

TEST_F(Machine, LeftoversOfAVmAreDestroyedToo) {
  good();
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
  std::string owner = owner_label(directories_);
  ASSERT_TRUE(write_file_atomically(cloud() + "/disk-9", "id-disk-9|s1|" + owner + "|running\n"));
  ASSERT_TRUE(write_file_atomically(cloud() + "/vm-12", "id-vm-12|s12|" + owner + "|running\n"));
  ASSERT_TRUE(write_file_atomically(cloud() + "/theirs", "id-theirs|s1|another|running\n"));
  auto gone = destroy_vm("vm-1", "fake", directories_, destroying(), {});
  ASSERT_TRUE(gone && gone->confirmed);
  EXPECT_FALSE(std::filesystem::exists(cloud() + "/disk-9")) << "of the same session";
  EXPECT_TRUE(std::filesystem::exists(cloud() + "/vm-12")) << "another VM whose name begins alike";
  EXPECT_TRUE(std::filesystem::exists(cloud() + "/theirs")) << "another owner's";
}

// The label depends on the id of the state directory and on that of the machine, and either may change.
TEST_F(Machine, AVmThatTheRecordNamesWithItsLabelIsOursAfterTheLabelHasChanged) {
  good();
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
  std::string label = owner_label(directories_);
  ASSERT_TRUE(write_file_atomically(directories_.sessions.substr(0, directories_.sessions.rfind('/')) + "/machine",
                                    "0123456789abcdef\n" + std::string(12, '0') + "\nlaptop\n"));
  ASSERT_NE(owner_label(directories_), label);
  auto belongs = [&] {
    auto inventory = take_inventory(directories_, environment_, {{"fake", {}, true}}, limits_, {});
    return inventory && inventory->all.size() == 1 ? inventory->all[0].belongs : Belongs::to_my_sweep;
  };
  EXPECT_EQ(belongs(), Belongs::to_me);
  ASSERT_TRUE(write_file_atomically(cloud() + "/vm-1", "id-vm-1|s1||running\n"));
  EXPECT_EQ(belongs(), Belongs::to_others) << "the provider does not know whose it is";
}

TEST_F(Machine, AFailingDestroyIsRetriedUnlessCredentialsAreMissing) {
  good();
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
  hook("destroy",
       R"sh(echo x >>"$CLOUD/../calls"
[ "$(wc -l <"$CLOUD/../calls")" -gt 3 ] || { echo "503 from the cloud" >&2; exit 1; }
rm -f "$CLOUD/vm-1"; echo '{"status":"gone"}')sh");
  EXPECT_TRUE(destroy_vm("vm-1", "fake", directories_, destroying(), {})->confirmed);
  EXPECT_EQ(calls(), 4);

  auto second = prepare_vm(spec());
  ASSERT_TRUE(second && create_vm(*second, spec(), {}));
  hook("destroy", R"sh(echo x >>"$CLOUD/../calls"; exit 77)sh");
  auto gone = destroy_vm("vm-1", "fake", directories_, destroying(), {});
  EXPECT_FALSE(gone->confirmed);
  EXPECT_EQ(calls(), 5);
}

TEST_F(Machine, ACreateThatFailsHalfwayLeavesNothing) {
  good();
  hook("create", R"sh(echo "id-vm-1|s1|$BOTTLE_OWNER|running" >"$CLOUD/$BOTTLE_VM_NAME"; echo half way >&2; exit 1)sh");
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm);
  EXPECT_FALSE(create_vm(*vm, spec(), {}));
  EXPECT_FALSE(std::filesystem::is_empty(cloud()));
  EXPECT_TRUE(destroy_vm("vm-1", "fake", directories_, destroying(), {})->confirmed);
  EXPECT_TRUE(std::filesystem::is_empty(cloud()));
}

TEST_F(Machine, ACreateWhoseCallerDiedIsEndedBeforeItsVmIsDestroyed) {
  good();
  // `create` waits before it orders the machine, and its caller has died.
  hook("create", R"sh(sleep 1000; echo "id-vm-1|s1|$BOTTLE_OWNER|running" >"$CLOUD/$BOTTLE_VM_NAME")sh");
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm);
  pid_t child = ::fork();
  if (child == 0) {
    vm->record.owner = ProcessIdentity::self();
    (void)save(vm->record, directories_);
    VmSpec s = spec();
    s.limits.create = 1'000'000;
    (void)create_vm(*vm, s, {});
    ::_exit(0);
  }
  int hook_pid = 0;
  for (int i = 0; i < 6000 && !hook_pid; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (auto record = load("vm-1", directories_)) hook_pid = record->hook.pid;
  }
  ASSERT_GT(hook_pid, 0);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_NE(process_start(hook_pid).value(), "") << "the hook outlived its caller";
  auto gone = destroy_vm("vm-1", "fake", directories_, destroying(), {});
  ASSERT_TRUE(gone) << gone.error().what;
  EXPECT_TRUE(gone->confirmed);
  EXPECT_EQ(process_start(hook_pid).value(), "");
  EXPECT_TRUE(std::filesystem::is_empty(cloud()));
}

// Nobody would record the disk that such a hook keeps.
TEST_F(Machine, ABakeWhoseCallerDiedIsEndedBeforeItsVmIsDestroyed) {
  good();
  hook("bake", R"sh(trap 'rm "$CLOUD/half"; exit 1' TERM; : >"$CLOUD/half"; sleep 1000 & wait)sh");
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm);
  pid_t child = ::fork();
  if (child == 0) {
    vm->record.owner = ProcessIdentity::self();
    (void)save(vm->record, directories_);
    (void)create_vm(*vm, spec(), {});
    (void)keep_disk(vm->record, "", spec(), {});
    ::_exit(0);
  }
  auto its_hook = [&] {
    auto record = load("vm-1", directories_);
    return record && record->hook.alive();
  };
  (void)wait_for([&] { return std::filesystem::exists(cloud() + "/half") && its_hook(); });
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  auto record = load("vm-1", directories_);
  ASSERT_TRUE(record && record->hook.alive());
  auto gone = destroy_vm("vm-1", "fake", directories_, destroying(), {});
  ASSERT_TRUE(gone) << gone.error().what;
  EXPECT_TRUE(gone->confirmed);
  EXPECT_FALSE(record->hook.alive());
  EXPECT_TRUE(std::filesystem::is_empty(cloud()));
}

TEST_F(Machine, ABakeRunsToItsEndAfterAStop) {
  good();
  hook("bake", "echo '{\"image\": \"disk-1\"}'");
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm);
  ASSERT_TRUE(create_vm(*vm, spec(), {}));
  std::stop_source stop;
  stop.request_stop();
  VmSpec stopped = spec();
  stopped.limits.stop = stop.get_token();
  auto image = keep_disk(vm->record, "", stopped, {});
  EXPECT_EQ(image.value_or(""), "disk-1");
  auto record = load("vm-1", directories_);
  ASSERT_TRUE(record);
  EXPECT_EQ(record->hook.pid, 0);
}

TEST_F(Machine, TheLockIsHeldAsLongAsTheHookLives) {
  good();
  hook("create", "echo x >>\"$CLOUD/../calls\"; read -r end <\"$CLOUD/../gate\"; echo '{\"id\":\"a\"}'");
  std::string gate = (root_ / "gate").string();
  ASSERT_EQ(::mkfifo(gate.c_str(), 0600), 0);
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm);
  std::thread creating([&] { (void)create_vm(*vm, spec(), {}); });
  for (int i = 0; i < 60'000 && calls() == 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_FALSE(lock_vm("vm-1", directories_, 0));
  UniqueFd end(::open(gate.c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_TRUE(write_all(end.get(), "end\n"));
  creating.join();
  EXPECT_TRUE(lock_vm("vm-1", directories_, 60'000));
}

TEST_F(Machine, TheRecordIsWrittenBeforeTheVmIsMade) {
  good();
  ASSERT_TRUE(prepare_vm(spec()));
  EXPECT_TRUE(is_recorded("vm-1", directories_));
  EXPECT_TRUE(std::filesystem::is_empty(cloud()));
  EXPECT_EQ(prepare_vm(spec()).error().code, Code::conflict) << "two VMs of one name";
}

TEST_F(Machine, TheOnlySecretInTheUserDataIsTheFirstHostKey) {
  good();
  std::filesystem::remove(root_ / "bin" / "ssh-keygen");  // new keys
  environment_["TOKEN"] = "s3cr3t-value";
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm);
  auto text = *read_file(vm->record.vm.user_data);
  ASSERT_TRUE(text.starts_with("#cloud-config\n"));
  auto config = json::parse(text.substr(14));
  EXPECT_EQ(config["users"][0]["name"], "bottle");
  EXPECT_EQ(config["users"][0]["ssh_authorized_keys"].size(), 1u);
  EXPECT_TRUE(config["users"][0]["lock_passwd"]);
  EXPECT_EQ(text.find("s3cr3t"), std::string::npos);
  auto key = *read_file(vm->target.identity);
  EXPECT_EQ(text.find(key.substr(80, 60)), std::string::npos) << "the private key that signs in stays here";
  struct stat st{};
  ASSERT_EQ(::stat(vm->target.identity.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
  ASSERT_EQ(::stat(directories_.vm("vm-1").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0700u);
  EXPECT_FALSE(std::filesystem::exists(directories_.vm("vm-1") + "/host")) << "the host key is in the user-data only";
}

// The operator's configuration may have a ProxyCommand, other trusted keys or variables to send for all hosts.
TEST(SshArgv, TheOperatorsConfigurationDoesNotApplyToAVm) {
  ssh::Target target;
  target.host = "192.0.2.1";
  target.user = "bottle";
  target.known_hosts = "/vms/v/known_hosts";
  target.identity = "/vms/v/key";
  target.host_key_alias = "v";
  std::string line;
  for (const auto& word : ssh_argv(target, "true")) line += word + " ";
  for (const char* part : {"-F none ", "GSSAPIDelegateCredentials=no ", "GlobalKnownHostsFile=none ", "HostKeyAlias=v ",
                           "IdentityFile=\"/vms/v/key\" ", "BatchMode=yes ", "-- 192.0.2.1 true "})
    EXPECT_NE(line.find(part), std::string::npos) << line;
}

// NFS makes a lock of a byte range out of it, which needs a descriptor for writing.
TEST_F(Machine, TheLockOfAVmIsOnADescriptorForWriting) {
  good();
  ASSERT_TRUE(prepare_vm(spec()));
  auto lock = lock_vm("vm-1", directories_, 0);
  ASSERT_TRUE(lock);
  EXPECT_EQ(::fcntl(lock->get(), F_GETFL) & O_ACCMODE, O_RDWR);
}

TEST_F(Machine, AFileSystemWithoutLocksIsNotAnotherProcess) {
  good();
  ASSERT_TRUE(prepare_vm(spec()));
  auto says_so = with_failing(SYS_flock, ENOLCK, [&] {
    auto told = [](const auto& result) {
      return !result && result.error().code != Code::timed_out &&
             result.error().what.find("No locks available") != std::string::npos;
    };
    return told(lock_vm("vm-1", directories_, 3'600'000)) &&
           told(start_reaper("vm-1", directories_, environment_, "/bin/true"));
  });
  if (!says_so) GTEST_SKIP() << "this system cannot inject errors";
  EXPECT_TRUE(*says_so);
}

TEST_F(Machine, RecordsWithoutTheKeyHeldAreRead) {
  good();
  ASSERT_TRUE(prepare_vm(spec()));
  std::string path = directories_.vm("vm-1") + "/vm.json";
  auto old = json::parse(*read_file(path));
  old.erase("held");
  ASSERT_TRUE(write_file_atomically(path, old.dump()));
  EXPECT_FALSE(load("vm-1", directories_)->held);
  old["held"] = "yes";
  ASSERT_TRUE(write_file_atomically(path, old.dump()));
  EXPECT_FALSE(load("vm-1", directories_));
}

TEST_F(Machine, ARecordWithANegativeSizeOrTimeIsRefused) {
  good();
  ASSERT_TRUE(prepare_vm(spec()));
  std::string path = directories_.vm("vm-1") + "/vm.json";
  auto record = json::parse(*read_file(path));
  for (const char* key : {"cpus", "memory_mb", "disk_gb", "ttl", "idle"}) {
    auto wrong = record;
    wrong[key] = -1;
    ASSERT_TRUE(write_file_atomically(path, wrong.dump()));
    EXPECT_FALSE(load("vm-1", directories_)) << key;
  }
}

TEST_F(Machine, ADirectoryThatMayHaveARecordIsNotForgotten) {
  std::string directory = directories_.vm("vm-1"), away = root_ / "away";
  ASSERT_TRUE(make_directories(away));
  ASSERT_TRUE(write_file_atomically(away + "/key", "secret"));
  auto age = [&](const std::string& path) {
    std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now() - std::chrono::minutes(1));
  };
  ASSERT_TRUE(make_directories(directories_.vms));
  std::filesystem::create_symlink(away, directory);
  age(away);
  forget_unfinished("vm-1", directories_);
  EXPECT_TRUE(std::filesystem::exists(away + "/key"));
  std::filesystem::remove(directory);
  std::filesystem::rename(away, directory);
  age(directory);
  forget_unfinished("vm-1", directories_);
  EXPECT_FALSE(std::filesystem::exists(directory)) << "there is no record";
}

TEST_F(Machine, OnlyAMissingRecordMeansThatTheVmIsGone) {
  good();
  EXPECT_TRUE(is_gone(load("vm-1", directories_)));
  ASSERT_TRUE(prepare_vm(spec()));
  EXPECT_FALSE(is_gone(load("vm-1", directories_)));
  std::string directory = directories_.vm("vm-1"), record = directory + "/vm.json";
  std::filesystem::permissions(directory, std::filesystem::perms::all);
  EXPECT_FALSE(is_gone(load("vm-1", directories_))) << "others can write to it";
  std::filesystem::permissions(directory, std::filesystem::perms::owner_all);
  ASSERT_TRUE(write_file_atomically(record, "{"));
  EXPECT_FALSE(is_gone(load("vm-1", directories_))) << "half of it was written";
  std::filesystem::remove(record);
  std::filesystem::create_directory(record);
  EXPECT_FALSE(is_gone(load("vm-1", directories_))) << "it is a directory";
  std::filesystem::remove(record);
  forget("vm-1", directories_);
  EXPECT_TRUE(is_gone(load("vm-1", directories_)));
}

// Otherwise a VM in use would look like one that no record names, and be destroyed.
TEST_F(Machine, ThereIsNoInventoryWithoutTheRecords) {
  good();
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
  std::string away = directories_.vms + "-away";
  std::filesystem::rename(directories_.vms, away);
  ASSERT_TRUE(write_file_atomically(directories_.vms, ""));
  auto inventory = take_inventory(directories_, environment_, {{vm->record.vm.wanted.provider, {}, true}}, limits_, {});
  ASSERT_FALSE(inventory);
  EXPECT_EQ(inventory.error().what, "reading " + directories_.vms + ": Not a directory");
  std::filesystem::remove(directories_.vms);
  std::filesystem::rename(away, directories_.vms);
  EXPECT_TRUE(take_inventory(directories_, environment_, {}, limits_, {}));
}

// Its owner may be alive, or it may hold work.
TEST_F(Machine, AVmWhoseRecordCannotBeReadIsNoOrphan) {
  good();
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
  for (const char* name : {"disk-9", "lost"})
    ASSERT_TRUE(write_file_atomically(cloud() + "/" + name,
                                      "id-" + std::string(name) + "|s1|" + owner_label(directories_) + "|running\n"));
  std::string directory = directories_.vm("vm-1"), away = root_ / "away";
  Found lost{.provider = "fake", .listed = {.id = "id-vm-1", .name = "vm-1"}, .belongs = Belongs::to_my_sweep};
  auto expect_none = [&](const std::string& when) {
    auto inventory = take_inventory(directories_, environment_, {{"fake", {}, true}}, limits_, {});
    ASSERT_TRUE(inventory) << when;
    EXPECT_EQ(inventory->all.size(), 3u) << when;
    for (const auto& found : inventory->all) EXPECT_FALSE(found.orphan()) << found.listed.name << ": " << when;
    EXPECT_TRUE(inventory->unread.contains("vm-1")) << when;
    EXPECT_FALSE(still_orphan(lost, directories_)) << when;
    EXPECT_TRUE(is_recorded("vm-1", directories_)) << when;
    forget_unfinished("vm-1", directories_);
  };
  std::filesystem::permissions(directory, std::filesystem::perms::all);
  expect_none("others can write to it");
  std::filesystem::permissions(directory, std::filesystem::perms::owner_all);
  std::filesystem::rename(directory, away);
  for (const std::string& to : {away, directory}) {
    std::filesystem::create_symlink(to, directory);
    expect_none("it is a link to " + to);
    std::filesystem::remove(directory);
  }
  std::filesystem::rename(away, directory);
  std::string record = directory + "/vm.json", text = *read_file(record);
  ASSERT_TRUE(write_file_atomically(record, "{"));
  expect_none("it is malformed");
  ASSERT_TRUE(write_file_atomically(record, text));
  auto inventory = *take_inventory(directories_, environment_, {}, limits_, {});
  EXPECT_TRUE(inventory.unread.empty());
  EXPECT_FALSE(std::ranges::any_of(inventory.all, &Found::orphan)) << "vm-1 and its session are in use";
}

TEST_F(Machine, AVmThatWasStartedAgainIsFoundAtItsNewAddress) {
  good();
  ASSERT_TRUE(prepare_vm(spec()));
  auto at = [&] { return ask_address("vm-1", directories_, destroying().environment); };
  EXPECT_EQ(at()->host, "198.51.100.7");
  hook("ssh-info", R"sh(echo '{"host": "198.51.100.9", "port": 2222, "user": "bottle"}')sh");
  EXPECT_EQ(at()->host, "198.51.100.9");
  EXPECT_EQ(at()->port, 2222);
  hook("ssh-info", "exit 75");
  EXPECT_EQ(at().error().code, Code::unavailable);
  EXPECT_FALSE(ask_address("vm-2", directories_, destroying().environment));
}

TEST_F(Machine, SettingTheClockDoesNotMakeAWatchedVmAnOrphan) {
  good();
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
  vm->record.until = now_seconds() - 10;
  ASSERT_TRUE(save(vm->record, directories_));
  EXPECT_TRUE(orphaned(vm->record, directories_));
  UniqueFd reaper(::open((directories_.vm("vm-1") + "/reaper").c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::flock(reaper.get(), LOCK_EX), 0);
  EXPECT_FALSE(orphaned(vm->record, directories_));
  // A disk of its session, which the provider lists beside it, is not an orphan either.
  ASSERT_TRUE(write_file_atomically(cloud() + "/disk-9", "id-disk-9|s1|" + owner_label(directories_) + "|running\n"));
  for (const auto& found : take_inventory(directories_, environment_, {}, limits_, {})->all)
    EXPECT_FALSE(found.orphan()) << found.listed.id;
  vm->record.owner.start_time = "1";
  EXPECT_TRUE(orphaned(vm->record, directories_)) << "its owner is dead";
}

TEST_F(Machine, AnOrphanIsCheckedAgainBeforeItIsDestroyed) {
  good();
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
  vm->record.owner.start_time = "1";
  ASSERT_TRUE(save(vm->record, directories_));
  auto inventory = *take_inventory(directories_, environment_, {}, limits_, {});
  ASSERT_EQ(inventory.all.size(), 1u);
  const Found& found = inventory.all[0];
  EXPECT_TRUE(found.orphan() && still_orphan(found, directories_));
  ASSERT_TRUE(take_over("vm-1", directories_));
  EXPECT_FALSE(still_orphan(found, directories_)) << "somebody looks after it again";
  forget("vm-1", directories_);
  EXPECT_FALSE(still_orphan(found, directories_)) << "its reaper was quicker";
}

}  // namespace
}  // namespace bottle::machine
