// Providers that hang, lie, print garbage and fail half way, as shell scripts written here; and what becomes of their VMs.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "base/file.h"
#include "base/ids.h"
#include "base/process.h"
#include "machine/carried.h"
#include "machine/conformance.h"
#include "machine/destroy.h"
#include "machine/inventory.h"
#include "machine/reaper.h"
#include "machine/user_data.h"
#include "machine/vm.h"

namespace bottle::machine {
namespace {

using nlohmann::json;

class Machine : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = std::filesystem::temp_directory_path() / ("bottle-machine-" + random_hex(4));
    std::filesystem::create_directories(root_ / "home");
    environment_ = {{"HOME", (root_ / "home").string()}, {"PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"}, {"CLOUD", cloud()}};
    places_ = Places::from(environment_);
    std::filesystem::create_directories(cloud());
    limits_.create = 3000;
    limits_.other = 2000;
    limits_.retry = 3000;
    limits_.backoff = 20;
    limits_.backoff_most = 100;
  }
  void TearDown() override { std::filesystem::remove_all(root_); }

  std::string cloud() const { return (root_ / "cloud").string(); }

  void hook(const std::string& name, const std::string& script) {
    std::string directory = places_.config + "/providers/fake";
    ASSERT_TRUE(make_directories(directory));
    ASSERT_TRUE(write_file_atomically(directory + "/" + name, "#!/bin/sh\n" + script + "\n", 0755));
  }

  // A provider that keeps the contract, whose cloud is a directory: a machine is a file there.
  void good() {
    hook("create", R"sh(umask 077; f="$CLOUD/$BOTTLE_VM_NAME"
[ -e "$f" ] || { echo "id-$BOTTLE_VM_NAME|$BOTTLE_SESSION|$BOTTLE_OWNER|running" >"$f.new"; mv "$f.new" "$f"; }
echo "making it" >&2
echo "{\"id\": \"id-$BOTTLE_VM_NAME\", \"cost_per_hour\": \"0.005 USD\"}")sh");
    std::string mine = R"sh(f="$CLOUD/${BOTTLE_VM_ID#id-}"; [ -n "$BOTTLE_VM_ID" ] || f="$CLOUD/$BOTTLE_VM_NAME"
)sh";
    hook("ssh-info", R"sh(echo '{"host": "198.51.100.7", "port": 22, "user": "bottle"}')sh");
    hook("status", mine + R"sh([ -e "$f" ] && echo '{"status": "running"}' || echo '{"status": "gone"}')sh");
    hook("destroy", mine + R"sh(rm -f "$f"; echo destroy >>"$CLOUD/../calls"; echo '{"status": "gone"}')sh");
    hook("list", R"sh(cd "$CLOUD"; echo '{"machines": ['; c=
for f in *; do [ -e "$f" ] || continue; IFS='|' read -r id session owner status <"$f"
printf '%s{"id":"%s","name":"%s","session":"%s","owner":"%s","created":"2026-01-01T00:00:00Z","status":"%s"}\n' "$c" "$id" "$f" "$session" "$owner" "$status"; c=,
done; echo ']}')sh");
  }

  Result<Provider> fake() { return Provider::find("fake", places_, environment_, limits_); }
  VmRequest request() { return {.name = "vm-1", .session = "s1", .owner = owner_label(places_)}; }
  DestroyOptions destroying() {
    DestroyOptions options;
    options.limits = limits_;
    options.patience_ms = 2500;
    options.settle_ms = 50;
    options.environment = environment_;
    return options;
  }
  VmSpec spec() {
    VmSpec spec;
    spec.name = "vm-1";
    spec.session = "s1";
    spec.provider = "fake";
    spec.environment = environment_;
    spec.limits = limits_;
    return spec;
  }
  int calls() const {
    auto text = read_file((root_ / "calls").string());
    return text ? static_cast<int>(std::count(text->begin(), text->end(), '\n')) : 0;
  }

  std::filesystem::path root_;
  Environment environment_;
  Places places_;
  Limits limits_;
};

TEST_F(Machine, TheContractHolds) {
  good();
  auto provider = fake();
  ASSERT_TRUE(provider) << provider.error().what;
  std::vector<std::string> said;
  auto created = provider->create(request(), [&](const std::string& line) { said.push_back(line); });
  ASSERT_TRUE(created) << created.error().what;
  EXPECT_EQ(created->id, "id-vm-1");
  EXPECT_EQ(created->cost_per_hour, "0.005 USD");
  EXPECT_EQ(said, std::vector<std::string>{"making it"});
  auto all = provider->list(request().owner, {}, {});
  ASSERT_TRUE(all) << all.error().what;
  ASSERT_EQ(all->size(), 1u);
  EXPECT_EQ(all->front().session, "s1");
}

TEST_F(Machine, ExitStatusesBecomeCodes) {
  good();
  struct Case {
    const char* script;
    Code code;
  };
  for (const Case& c : {Case{"echo no quota >&2; exit 73", Code::limit}, {"exit 77", Code::denied}, {"echo install it >&2; exit 78", Code::invalid}, {"exit 1", Code::internal},
                        {"kill -9 $$", Code::internal}, {"echo hello", Code::protocol}, {"", Code::protocol}, {"echo '{\"id\":\"a\"} {\"id\":\"b\"}'", Code::protocol},
                        {"echo '[1]'", Code::protocol}, {"echo '{\"id\":\"a\",\"id\":\"b\"}'", Code::protocol}, {"echo '{\"id\":7}'", Code::protocol}, {"echo '{\"id\":\"\"}'", Code::protocol},
                        {"printf '{\"id\":\"a\\\\u001b[2J\"}'", Code::protocol}, {"printf '{\"id\":\"\\377\"}'", Code::protocol}, {"printf '{\"id\":\"a\\302\\233b\"}'", Code::protocol},
                        {"echo '{\"id\":\"a\",\"cost_per_hour\":\"\\u009b31m\"}'", Code::protocol}, {"head -c 2000000 /dev/zero", Code::limit},
                        {"yes | head -c 3000000", Code::limit}}) {
    hook("create", c.script);
    auto created = fake()->create(request(), {});
    ASSERT_FALSE(created) << c.script;
    EXPECT_EQ(created.error().code, c.code) << c.script << ": " << created.error().what;
  }
}

TEST_F(Machine, AHookThatHangsIsEndedWithAllItStarted) {
  good();
  limits_.create = 300;
  hook("create", "echo thinking >&2; sleep 1000 & echo $! >$CLOUD/../pid; wait");
  auto created = fake()->create(request(), {});
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, Code::timed_out);
  EXPECT_NE(created.error().what.find("thinking"), std::string::npos) << created.error().what;
  int pid = std::atoi(read_file((root_ / "pid").string())->c_str());
  for (int i = 0; i < 100 && !process_start(pid).empty(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(process_start(pid), "") << "the hook's child lives";
}

TEST_F(Machine, WhatIsLeftRunningDoesNotHoldTheAnswer) {
  good();
  hook("create", "sleep 3 & echo '{\"id\":\"a\"}'");
  auto begun = std::chrono::steady_clock::now();
  ASSERT_TRUE(fake()->create(request(), {}));
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::milliseconds(2500));
}

TEST_F(Machine, TryAgainIsTriedAgain) {
  good();
  hook("create", "n=$(cat $CLOUD/../n 2>/dev/null || echo 0); n=$((n+1)); echo $n >$CLOUD/../n; [ $n -gt 3 ] || exit 75; echo '{\"id\":\"fourth\"}'");
  auto created = fake()->create(request(), {});
  ASSERT_TRUE(created) << created.error().what;
  EXPECT_EQ(created->id, "fourth");
  hook("status", "exit 75");
  limits_.retry = 200;
  auto status = fake()->status(request(), {});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::unavailable);
}

TEST_F(Machine, WordsOfAHookCannotPlayWithTheTerminal) {
  good();
  hook("create", "printf 'a\\033[2Jb\\302\\233c\\377d\\n' >&2; exit 1");
  std::string line;
  auto created = fake()->create(request(), [&](const std::string& said) { line = said; });
  EXPECT_EQ(line, "a [2Jb c\xef\xbf\xbd" "d");
  EXPECT_EQ(created.error().what.find('\033'), std::string::npos);
}

TEST_F(Machine, NoPlaceToSignInThatSshWouldReadAsAnOption) {
  for (const char* answer : {R"sh({"host":"-oProxyCommand=id"})sh", R"sh({"host":"a b"})sh", R"sh({"host":"h","user":"-l"})sh", R"sh({"host":"h","port":0})sh", R"sh({"host":"h","port":70000})sh",
                             R"sh({"host":"h","port":"22"})sh", R"sh({"host":"h:22x"})sh", R"sh({"host":"u@h"})sh", R"sh({})sh"})
    EXPECT_FALSE(read_where(json::parse(answer))) << answer;
  EXPECT_EQ(read_where(json::parse(R"sh({"host":"2001:db8::1"})sh"))->host, "2001:db8::1");
}

TEST_F(Machine, OthersMayNotWriteOurHooks) {
  good();
  ::chmod((places_.config + "/providers/fake/create").c_str(), 0777);
  auto created = fake()->create(request(), {});
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, Code::denied);
  EXPECT_FALSE(Provider::find("../fake", places_, environment_));
  EXPECT_EQ(Provider::find("nothere", places_, environment_).error().code, Code::not_found);
}

TEST_F(Machine, TheCarriedProvidersAreUnpackedAndMended) {
  auto names = carried_providers();
  ASSERT_TRUE(std::ranges::find(names, "qemu") != names.end());
  auto qemu = Provider::find("qemu", places_, environment_);
  ASSERT_TRUE(qemu) << qemu.error().what;
  std::string create = qemu->directory() + "/create";
  std::string before = *read_file(create);
  ASSERT_TRUE(write_file_atomically(create, "#!/bin/sh\nid\n", 0755));
  ASSERT_TRUE(Provider::find("qemu", places_, environment_));
  EXPECT_EQ(*read_file(create), before) << "what was changed in the cache is not run";
}

TEST_F(Machine, DestroyIsConfirmedByStatusAndList) {
  good();
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm) << vm.error().what;
  ASSERT_TRUE(create_vm(*vm, spec(), {}));
  EXPECT_EQ(vm->id, "id-vm-1");
  EXPECT_EQ(load("vm-1", places_)->vm.id, "id-vm-1");
  auto gone = destroy_vm("vm-1", "fake", places_, destroying(), {});
  ASSERT_TRUE(gone) << gone.error().what;
  EXPECT_TRUE(gone->confirmed);
  EXPECT_TRUE(std::filesystem::is_empty(cloud()));
  EXPECT_FALSE(std::filesystem::exists(places_.directory("vm-1"))) << "keys and record";
  auto again = destroy_vm("vm-1", "fake", places_, destroying(), {});
  EXPECT_TRUE(again && again->confirmed) << "destroying what is gone";
}

TEST_F(Machine, ALiarIsNotBelieved) {
  good();
  hook("destroy", R"sh(echo x >>"$CLOUD/../calls"; echo '{"status": "gone"}')sh");
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
  auto gone = destroy_vm("vm-1", "fake", places_, destroying(), {});
  ASSERT_TRUE(gone) << gone.error().what;
  EXPECT_FALSE(gone->confirmed);
  EXPECT_GT(calls(), 2) << "ordered again";
  ASSERT_FALSE(gone->left.empty());
  EXPECT_NE(gone->left[0].find("running, after its destroy said gone"), std::string::npos) << gone->left[0];
  EXPECT_TRUE(load("vm-1", places_)) << "the record stays for the next one";
  good();
  EXPECT_TRUE(destroy_vm("vm-1", "fake", places_, destroying(), {})->confirmed);
}

TEST_F(Machine, WhatAVmLeftIsDestroyedToo) {
  good();
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
  std::string owner = owner_label(places_);
  ASSERT_TRUE(write_file_atomically(cloud() + "/disk-9", "id-disk-9|s1|" + owner + "|running\n"));
  ASSERT_TRUE(write_file_atomically(cloud() + "/vm-12", "id-vm-12|s12|" + owner + "|running\n"));
  ASSERT_TRUE(write_file_atomically(cloud() + "/theirs", "id-theirs|s1|another|running\n"));
  auto gone = destroy_vm("vm-1", "fake", places_, destroying(), {});
  ASSERT_TRUE(gone && gone->confirmed);
  EXPECT_FALSE(std::filesystem::exists(cloud() + "/disk-9")) << "of the same session";
  EXPECT_TRUE(std::filesystem::exists(cloud() + "/vm-12")) << "another VM whose name begins alike";
  EXPECT_TRUE(std::filesystem::exists(cloud() + "/theirs")) << "another owner's";
}

TEST_F(Machine, AFailingDestroyIsRetriedAndWithoutCredentialsIsNot) {
  good();
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
  hook("destroy", R"sh(echo x >>"$CLOUD/../calls"; [ "$(wc -l <"$CLOUD/../calls")" -gt 3 ] || { echo "503 from the cloud" >&2; exit 1; }
rm -f "$CLOUD/vm-1"; echo '{"status":"gone"}')sh");
  EXPECT_TRUE(destroy_vm("vm-1", "fake", places_, destroying(), {})->confirmed);
  EXPECT_EQ(calls(), 4);

  auto second = prepare_vm(spec());
  ASSERT_TRUE(second && create_vm(*second, spec(), {}));
  hook("destroy", R"sh(echo x >>"$CLOUD/../calls"; exit 77)sh");
  auto gone = destroy_vm("vm-1", "fake", places_, destroying(), {});
  EXPECT_FALSE(gone->confirmed);
  EXPECT_EQ(calls(), 5);
}

TEST_F(Machine, ACreateThatFailsHalfWayLeavesNothing) {
  good();
  hook("create", R"sh(echo "id-vm-1|s1|$BOTTLE_OWNER|running" >"$CLOUD/$BOTTLE_VM_NAME"; echo half way >&2; exit 1)sh");
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm);
  EXPECT_FALSE(create_vm(*vm, spec(), {}));
  EXPECT_FALSE(std::filesystem::is_empty(cloud()));
  EXPECT_TRUE(destroy_vm("vm-1", "fake", places_, destroying(), {})->confirmed);
  EXPECT_TRUE(std::filesystem::is_empty(cloud()));
}

TEST_F(Machine, ACreateWhoseCallerDiedIsEndedBeforeItsVmIsDestroyed) {
  good();
  // It takes a while before it orders the machine, and nobody waits for it any more.
  hook("create", R"sh(sleep 30; echo "id-vm-1|s1|$BOTTLE_OWNER|running" >"$CLOUD/$BOTTLE_VM_NAME")sh");
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm);
  pid_t child = ::fork();
  if (child == 0) {
    vm->record.owner = ProcessIdentity::self();
    (void)save(vm->record, places_);
    VmSpec s = spec();
    s.limits.create = 60000;
    (void)create_vm(*vm, s, {});
    ::_exit(0);
  }
  int hook_pid = 0;
  for (int i = 0; i < 200 && !hook_pid; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (auto record = load("vm-1", places_)) hook_pid = record->hook.pid;
  }
  ASSERT_GT(hook_pid, 0);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_NE(process_start(hook_pid), "") << "the hook outlived its caller";
  auto gone = destroy_vm("vm-1", "fake", places_, destroying(), {});
  ASSERT_TRUE(gone) << gone.error().what;
  EXPECT_TRUE(gone->confirmed);
  EXPECT_EQ(process_start(hook_pid), "");
  EXPECT_TRUE(std::filesystem::is_empty(cloud()));
}

TEST_F(Machine, TheLockIsHeldAsLongAsTheHookLives) {
  good();
  hook("create", "sleep 1; echo '{\"id\":\"a\"}'");
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm);
  std::thread creating([&] { (void)create_vm(*vm, spec(), {}); });
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  EXPECT_FALSE(lock_vm("vm-1", places_, 0));
  creating.join();
  EXPECT_TRUE(lock_vm("vm-1", places_, 1000));
}

TEST_F(Machine, TheLedgerComesBeforeTheVm) {
  good();
  VmSpec s = spec();
  json noted;
  s.will_make = [&](const json& record) -> Result<> {
    noted = record;
    EXPECT_TRUE(std::filesystem::is_empty(cloud()));
    return {};
  };
  ASSERT_TRUE(prepare_vm(s));
  EXPECT_EQ(noted["kind"], "vm");
  EXPECT_EQ(noted["name"], "vm-1");
  EXPECT_EQ(noted["provider"], "fake");
  EXPECT_EQ(prepare_vm(spec()).error().code, Code::conflict) << "two VMs of one name";
}

TEST_F(Machine, TheUserDataHoldsNoSecretButTheFirstHostKey) {
  good();
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
  ASSERT_EQ(::stat(places_.directory("vm-1").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0700u);
  EXPECT_FALSE(std::filesystem::exists(places_.directory("vm-1") + "/host")) << "the host key is in the user-data only";
}

TEST_F(Machine, OnlyTheDeadAndTheLateAreAbandoned) {
  Record record;
  record.until = 1000;
  record.owner = ProcessIdentity::self();
  EXPECT_FALSE(abandoned(record, 999));
  EXPECT_TRUE(abandoned(record, 1000)) << "its time is up";
  record.owner.start_time = "1";
  EXPECT_TRUE(abandoned(record, 10)) << "another process has the number";
  for (bool* why : {&record.keep, &record.held}) {
    *why = true;
    EXPECT_FALSE(abandoned(record, 10));
    EXPECT_TRUE(abandoned(record, 1000));
    *why = false;
  }
}

TEST_F(Machine, WhatMayBeThereAgainIsHeld) {
  good();
  for (const char* status : {"running", "pending"}) {
    ASSERT_TRUE(prepare_vm(spec()));
    hook("status", "echo '{\"status\": \"" + std::string(status) + "\"}'");
    EXPECT_TRUE(hold_unless_ended("vm-1", places_, destroying())) << status;
    EXPECT_TRUE(load("vm-1", places_)->held) << status;
    forget("vm-1", places_);
  }
  ASSERT_TRUE(prepare_vm(spec()));
  for (const char* status : {"stopped", "gone"}) {
    hook("status", "echo '{\"status\": \"" + std::string(status) + "\"}'");
    EXPECT_FALSE(hold_unless_ended("vm-1", places_, destroying())) << status;
    EXPECT_FALSE(load("vm-1", places_)->held) << status;
  }
  hook("status", "exit 77");
  EXPECT_TRUE(hold_unless_ended("vm-1", places_, destroying())) << "nobody knows";
  ASSERT_TRUE(take_over("vm-1", places_));
  EXPECT_FALSE(load("vm-1", places_)->held) << "its new owner's death counts again";
  EXPECT_FALSE(hold_unless_ended("vm-2", places_, destroying())) << "there is no such VM";
}

TEST_F(Machine, RecordsFromBeforeVmsWereHeldAreRead) {
  good();
  ASSERT_TRUE(prepare_vm(spec()));
  std::string path = places_.directory("vm-1") + "/vm.json";
  auto old = json::parse(*read_file(path));
  old.erase("held");
  ASSERT_TRUE(write_file_atomically(path, old.dump()));
  EXPECT_FALSE(load("vm-1", places_)->held);
  old["held"] = "yes";
  ASSERT_TRUE(write_file_atomically(path, old.dump()));
  EXPECT_FALSE(load("vm-1", places_));
}

TEST_F(Machine, AnOrphanIsLookedAtAgainBeforeItGoes) {
  good();
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
  vm->record.owner.start_time = "1";
  ASSERT_TRUE(save(vm->record, places_));
  auto inventory = take_inventory(places_, environment_, {}, limits_, {});
  ASSERT_EQ(inventory.all.size(), 1u);
  const Found& found = inventory.all[0];
  EXPECT_TRUE(found.orphan && still_orphan(found, places_));
  ASSERT_TRUE(take_over("vm-1", places_));
  EXPECT_FALSE(still_orphan(found, places_)) << "somebody looks after it again";
  forget("vm-1", places_);
  EXPECT_FALSE(still_orphan(found, places_)) << "its reaper was quicker";
}

TEST_F(Machine, AClockThatIsSetMakesNoOrphanOfAWatchedVm) {
  good();
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
  vm->record.until = now_seconds() - 10;
  ASSERT_TRUE(save(vm->record, places_));
  EXPECT_TRUE(orphaned(vm->record, places_));
  UniqueFd reaper(::open((places_.directory("vm-1") + "/reaper").c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::flock(reaper.get(), LOCK_EX), 0);
  EXPECT_FALSE(orphaned(vm->record, places_));
  // A disk of its session, which the provider lists beside it, is not nobody's either.
  ASSERT_TRUE(write_file_atomically(cloud() + "/disk-9", "id-disk-9|s1|" + owner_label(places_) + "|running\n"));
  for (const auto& found : take_inventory(places_, environment_, {}, limits_, {}).all) EXPECT_FALSE(found.orphan) << found.listed.id;
  vm->record.owner.start_time = "1";
  EXPECT_TRUE(orphaned(vm->record, places_)) << "its owner is dead";
}

// A reaper that begins while the machine's clock is off by some seconds, and goes on when it has been set right. Its exit status, or -1 where
// it still watches after so long.
int reap_while_the_clock_is_set(int64_t off, const Environment& environment, const Reaping& session, std::chrono::seconds patience) {
  pid_t child = ::fork();
  if (child == 0) {
    int asked = 0;
    ::_exit(reap("vm-1", environment, session, [&] { return now_seconds() + (asked++ ? 0 : off); }));
  }
  int status = -1;
  auto until = std::chrono::steady_clock::now() + patience;
  while (std::chrono::steady_clock::now() < until) {
    if (::waitpid(child, &status, WNOHANG) == child) return WEXITSTATUS(status);
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  return -1;
}

TEST_F(Machine, AReaperDecidesByAClockThatNobodySets) {
  good();
  Reaping session{[&](const Record&) { return write_file_atomically(cloud() + "/../fetched", "").has_value(); }, [](const Record&) {}};
  constexpr int64_t kDay = 86400;
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
  vm->record.until = now_seconds() - kDay + 3600;  // made while the clock was a day behind
  ASSERT_TRUE(save(vm->record, places_));
  EXPECT_EQ(reap_while_the_clock_is_set(-kDay, environment_, session, std::chrono::seconds(1)), -1) << "its owner lives, it has an hour";
  EXPECT_FALSE(std::filesystem::is_empty(cloud()));
  vm->record.owner.start_time = "1";
  ASSERT_TRUE(save(vm->record, places_));
  EXPECT_EQ(reap_while_the_clock_is_set(-kDay, environment_, session, std::chrono::seconds(20)), 0);
  EXPECT_TRUE(std::filesystem::exists(root_ / "fetched")) << "there was time to fetch what is on it";

  vm = prepare_vm(spec());
  ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
  vm->record.until = now_seconds() + kDay + 1;
  ASSERT_TRUE(save(vm->record, places_));
  EXPECT_EQ(reap_while_the_clock_is_set(kDay, environment_, session, std::chrono::seconds(20)), 0) << "its second is over";
  EXPECT_TRUE(std::filesystem::is_empty(cloud()));
}

TEST_F(Machine, TheConformanceTestsPassTheGoodAndFindTheBad) {
  good();
  ConformanceOptions options;
  options.places = places_;
  options.environment = environment_;
  options.limits = limits_;
  options.ssh = false;
  options.boot_ms = 2000;
  options.gone_ms = 1000;
  auto run = [&] {
    auto checks = test_provider("fake", options, {}, {});
    std::string failed;
    if (!checks) return "error: " + checks.error().what;
    for (const auto& check : *checks)
      if (!check.ok) failed += check.name + ": " + check.detail + "\n";
    EXPECT_GT(checks->size(), 15u);
    return failed;
  };
  EXPECT_EQ(run(), "");
  EXPECT_TRUE(std::filesystem::is_empty(cloud()));

  hook("create", R"sh(n=$(date +%N); echo "$n|$BOTTLE_SESSION|$BOTTLE_OWNER|running" >"$CLOUD/$BOTTLE_VM_NAME"; echo "{\"id\": \"id-$BOTTLE_VM_NAME-$n\"}")sh");
  EXPECT_NE(run().find("create again gives the same id"), std::string::npos);
  std::filesystem::remove_all(cloud());
  std::filesystem::create_directories(cloud());
  good();
  hook("list", "echo '{\"machines\": []}'");
  EXPECT_NE(run().find("list has it"), std::string::npos);
  good();
  hook("destroy", "[ -e $CLOUD/$BOTTLE_VM_NAME ] || exit 1; rm $CLOUD/$BOTTLE_VM_NAME; echo '{\"status\":\"gone\"}'");
  EXPECT_NE(run().find("destroy again"), std::string::npos);
  good();
  hook("destroy", "[ -e \"$BOTTLE_USER_DATA\" ] || exit 1; rm -f $CLOUD/$BOTTLE_VM_NAME; echo '{\"status\":\"gone\"}'");
  EXPECT_NE(run().find("destroy: "), std::string::npos) << "a session's user-data is gone by then";
  std::filesystem::remove_all(cloud());
  std::filesystem::create_directories(cloud());
  good();
  hook("put-secret", "printf '{\"fetch\": \"echo %s\"}' \"$(cat)\"");
  EXPECT_NE(run().find("put-secret answers"), std::string::npos);
  hook("put-secret", "echo set it up >&2; exit 78");
  EXPECT_EQ(run(), "") << "only for those who want it";
}

}  // namespace
}  // namespace bottle::machine
