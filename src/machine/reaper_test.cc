// Tests which process owns a VM, when it expires, and by which clock.
#include "machine/machine_test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "base/os/poller.h"
#include "base/os/process.h"

namespace bottle::machine {
namespace {

const Reaping kNothingToFetch{[](const Record&) { return true; }, [](const Record&) {}};

// Returns pauses that are as short as tests need them.
ReaperOptions quick(std::function<int64_t()> clock = now_seconds) {
  ReaperOptions options{.clock = std::move(clock)};
  options.look = options.pause = options.shortest_pause = std::chrono::milliseconds(20);
  return options;
}

TEST_F(Machine, AVmThatMayBecomeAvailableAgainIsHeld) {
  good();
  for (const char* status : {"running", "pending", "stopped"}) {
    ASSERT_TRUE(prepare_vm(spec()));
    hook("status", "echo '{\"status\": \"" + std::string(status) + "\"}'");
    EXPECT_TRUE(hold_unless_ended("vm-1", directories_, destroying())) << status;
    EXPECT_TRUE(load("vm-1", directories_)->held) << status;
    forget("vm-1", directories_);
  }
  ASSERT_TRUE(prepare_vm(spec()));
  for (const char* status : {"deleting", "gone"}) {
    hook("status", "echo '{\"status\": \"" + std::string(status) + "\"}'");
    EXPECT_FALSE(hold_unless_ended("vm-1", directories_, destroying())) << status;
    EXPECT_FALSE(load("vm-1", directories_)->held) << status;
  }
  std::string shown = "echo '{\"machines\": [{\"id\": \"i-1\", \"name\": \"vm-1\", \"session\": \"s\", \"owner\": \"";
  shown += "'$BOTTLE_OWNER'\"}]}'";
  for (const std::string& list : {shown, std::string("exit 78")}) {
    hook("list", list);
    EXPECT_TRUE(hold_unless_ended("vm-1", directories_, destroying())) << "a gone that is not confirmed: " << list;
    ASSERT_TRUE(take_over("vm-1", directories_));
  }
  hook("status", "exit 77");
  EXPECT_TRUE(hold_unless_ended("vm-1", directories_, destroying())) << "nobody knows";
  ASSERT_TRUE(take_over("vm-1", directories_));
  EXPECT_FALSE(load("vm-1", directories_)->held) << "its new owner's death counts again";
  EXPECT_FALSE(hold_unless_ended("vm-2", directories_, destroying())) << "there is no such VM";
}

// The provider needs seconds to answer.
TEST_F(Machine, AVmThatGetsAnOwnerWhileItsProviderIsAskedIsNotHeld) {
  good();
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm);
  vm->record.owner.start_time = "1";
  ASSERT_TRUE(save(vm->record, directories_));
  hook("status", R"sh(: >"$CLOUD/../asked"; while [ ! -e "$CLOUD/../taken" ]; do sleep 0.01; done
echo '{"status": "running"}')sh");
  pid_t owner = ::fork();
  if (owner == 0) {
    while (!std::filesystem::exists(root_ / "asked")) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    (void)take_over("vm-1", directories_);
    (void)write_file_atomically(root_ / "taken", "");
    for (;;) ::pause();
  }
  EXPECT_TRUE(hold_unless_ended("vm-1", directories_, destroying())) << "it must not be destroyed either";
  auto now = load("vm-1", directories_);
  ASSERT_TRUE(now);
  EXPECT_EQ(now->owner.pid, owner);
  EXPECT_FALSE(now->held) << "nobody would fetch the work if this owner died";
  ::kill(owner, SIGKILL);
  ::waitpid(owner, nullptr, 0);
}

TEST_F(Machine, AVmThatCannotBeHeldIsNotTakenForOneThatHasEnded) {
  good();
  ASSERT_TRUE(prepare_vm(spec()));
  std::string record = directories_.vm("vm-1") + "/vm.json";
  // As on a full disk or one that cannot be written, no new record can replace the old one.
  std::filesystem::create_directory(record + ".new." + std::to_string(::getpid()));
  hook("status", "echo '{\"status\": \"running\"}'");
  ASSERT_FALSE(hold("vm-1", directories_));
  EXPECT_TRUE(hold_unless_ended("vm-1", directories_, destroying()));
  hook("status", "echo '{\"status\": \"gone\"}'");
  EXPECT_FALSE(hold_unless_ended("vm-1", directories_, destroying()));
  ASSERT_TRUE(write_file_atomically(directories_.vm("vm-1") + "/away", "{"));
  std::filesystem::rename(directories_.vm("vm-1") + "/away", record);
  EXPECT_TRUE(hold_unless_ended("vm-1", directories_, destroying())) << "its record cannot be read";
}

TEST_F(Machine, AVmThatHasGotAnOwnerInTheMeantimeIsNotDestroyed) {
  good();
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
  vm->record.owner.start_time = "1";
  ASSERT_TRUE(save(vm->record, directories_));
  DestroyOptions options = destroying();
  options.only_if = [](const Record& record) { return ownerless(record); };
  ASSERT_TRUE(take_over("vm-1", directories_));
  auto kept = destroy_vm("vm-1", "fake", directories_, options, {});
  ASSERT_FALSE(kept);
  EXPECT_EQ(kept.error().code, Code::conflict);
  EXPECT_TRUE(is_recorded("vm-1", directories_));
  EXPECT_TRUE(std::filesystem::exists(cloud() + "/vm-1"));
  ASSERT_TRUE(save(vm->record, directories_));
  EXPECT_TRUE(destroy_vm("vm-1", "fake", directories_, options, {})->confirmed);
  EXPECT_FALSE(std::filesystem::exists(cloud() + "/vm-1"));
}

// Credentials in the environment of a start may be valid for an hour only.
TEST_F(Machine, AReaperWhoseCredentialsHaveExpiredGivesWay) {
  good();
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
  vm->record.owner.start_time = "1";
  ASSERT_TRUE(save(vm->record, directories_));
  hook("destroy", R"sh([ "$TOKEN" = new ] || { : >"$CLOUD/../refused"; exit 77; }
rm -f "$CLOUD/$BOTTLE_VM_NAME"; echo '{"status": "gone"}')sh");
  auto start = [&](const std::string& token) {
    Environment environment = environment_;
    environment["TOKEN"] = token;
    pid_t child = ::fork();
    if (child == 0) ::_exit(reap("vm-1", environment, kNothingToFetch));
    return child;
  };
  pid_t old = start("old");
  EXPECT_TRUE(wait_for([&] { return std::filesystem::exists(root_ / "refused"); }));
  EXPECT_TRUE(wait_for([&] { return !reaper_alive("vm-1", directories_); }));
  pid_t fresh = start("new");
  EXPECT_TRUE(wait_for([&] { return !is_recorded("vm-1", directories_); }));
  for (pid_t child : {old, fresh}) {
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
  }
}

// Otherwise no process would destroy the VM. On a full disk, a claim leaves the file empty.
TEST_F(Machine, AReaperThatHasGivenWayGoesOnUnlessANewerOneLives) {
  good();
  hook("destroy", R"sh([ -e "$CLOUD/../refused" ] || { : >"$CLOUD/../refused"; exit 77; }
rm -f "$CLOUD/$BOTTLE_VM_NAME"; echo '{"status": "gone"}')sh");
  auto self = ProcessIdentity::self();
  std::string newer = std::to_string(self.pid) + " " + self.start_time + " " + self.boot_id;
  // Writes the claim while the reaper has given way, and returns whether the VM remains. Returns nothing if the reaper
  // was back too early, on a busy machine.
  auto remains = [&](const std::string& claimed, std::chrono::milliseconds pause) -> std::optional<bool> {
    std::string refused = root_ / "refused", lock = directories_.vm("vm-1") + "/reaper";
    std::filesystem::remove(refused);
    forget("vm-1", directories_);
    auto vm = prepare_vm(spec());
    if (!vm || !create_vm(*vm, spec(), {})) return std::nullopt;
    vm->record.owner.start_time = "1";
    (void)save(vm->record, directories_);
    ReaperOptions options = quick();
    options.pause = pause;
    pid_t child = ::fork();
    if (child == 0) ::_exit(reap("vm-1", environment_, kNothingToFetch, options));
    EXPECT_TRUE(wait_for([&] { return std::filesystem::exists(refused); }));
    UniqueFd file(::open(lock.c_str(), O_RDWR | O_CLOEXEC));
    ::flock(file.get(), LOCK_EX);
    bool in_time = is_recorded("vm-1", directories_);
    std::ofstream(lock) << claimed;
    file.reset();
    ::waitpid(child, nullptr, 0);
    return in_time ? std::optional(is_recorded("vm-1", directories_)) : std::nullopt;
  };
  for (const std::string& claimed : {std::string(), std::string("1 1 another-boot"), newer}) {
    std::optional<bool> still;
    for (auto pause = std::chrono::milliseconds(30); !still && pause < std::chrono::minutes(1); pause *= 3)
      still = remains(claimed, pause);
    ASSERT_TRUE(still) << claimed;
    EXPECT_EQ(*still, claimed == newer) << claimed;
  }
}

// `bottle vm list` may look whether a VM has a reaper while that reaper starts.
TEST_F(Machine, ALookDoesNotKeepAReaperFromStarting) {
  good();
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
  std::string lock = directories_.vm("vm-1") + "/reaper";
  UniqueFd look(::open(lock.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_EQ(::flock(look.get(), LOCK_SH | LOCK_NB), 0);
  UniqueFd opens(::inotify_init1(IN_CLOEXEC));
  ASSERT_GE(::inotify_add_watch(opens.get(), lock.c_str(), IN_OPEN), 0);
  pid_t child = ::fork();
  if (child == 0) {
    look.reset();
    ::_exit(reap("vm-1", environment_, kNothingToFetch));
  }
  auto ended = [&] { return ::waitpid(child, nullptr, WNOHANG) != 0; };
  // When the reaper opens the file again, its first try has failed.
  for (const char* what : {"the reaper has not tried", "the reaper has not tried again"}) {
    char event[4096];
    ASSERT_TRUE(wait_readable(opens.get(), 60000)) << what;
    ASSERT_GT(::read(opens.get(), event, sizeof event), 0);
  }
  bool over = ended();
  look.reset();
  while (!over && !reaper_alive("vm-1", directories_) && !(over = ended()))
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  EXPECT_FALSE(over);
  if (over) return;
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

constexpr int kWatches = 42;

// Runs a reaper that starts while the machine's clock shows `first`, and goes on after the clock was corrected. Returns
// its exit status, or kWatches if `enough` returned true, which is called whenever the reaper reads the record.
int reap_while_the_clock_is_set(
    int64_t first, const Environment& environment, const Reaping& session,
    std::function<bool()> enough = [] { return false; }) {
  pid_t child = ::fork();
  if (child == 0) {
    ::alarm(120);
    ReaperOptions options = quick([&, asked = 0]() mutable { return asked++ ? now_seconds() : first; });
    options.load_record = [&](const std::string& name, const Directories& directories) {
      if (enough()) ::_exit(kWatches);
      return load(name, directories);
    };
    ::_exit(reap("vm-1", environment, session, options));
  }
  int status = -1;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Returns whether it has been called a few times.
std::function<bool()> a_few_times() {
  return [calls = 0]() mutable { return ++calls > 3; };
}

// Its owner may have died before the work was home.
TEST_F(Machine, TheWorkOnAKeptVmIsFetchedAndTheVmStaysUntilItsTimeIsUp) {
  good();
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
  vm->record.keep = true;
  vm->record.until = now_seconds() + 86400;
  auto owner_dies = [&](const char* start_time) {
    vm->record.owner.start_time = start_time;
    return save(vm->record, directories_);
  };
  ASSERT_TRUE(owner_dies("1"));
  pid_t child = ::fork();
  if (child == 0) {
    auto fetch = [&](const Record& record) {
      return write_file_atomically(root_ / ("fetched-" + record.owner.start_time), "").has_value();
    };
    ::_exit(reap("vm-1", environment_, {fetch, [](const Record&) {}}, quick()));
  }
  auto fetched = [&](const char* owner) { return std::filesystem::exists(root_ / (std::string("fetched-") + owner)); };
  EXPECT_TRUE(wait_for([&] { return fetched("1"); }));
  // A later owner's work is fetched, too, which shows that the reaper did not go on to destroy the VM.
  ASSERT_TRUE(owner_dies("2"));
  EXPECT_TRUE(wait_for([&] { return fetched("2"); }));
  EXPECT_EQ(calls(), 0);
  EXPECT_FALSE(std::filesystem::is_empty(cloud()));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
}

// Otherwise, the operator would learn only at the end of the VM's time that the work on it is lost.
TEST_F(Machine, TheReaperOfAKeptVmThatIsGoneSaysSoAtOnce) {
  good();
  Reaping session{[](const Record&) { return true; },
                  [&](const Record&) { (void)write_file_atomically(root_ / "told", ""); }};
  for (const char* status : {"gone", "deleting"}) {
    auto vm = prepare_vm(spec());
    ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
    vm->record.keep = true;
    vm->record.until = now_seconds() + 86400;
    vm->record.owner.start_time = "1";
    ASSERT_TRUE(save(vm->record, directories_));
    // The provider deletes it by itself, and has done so when it is asked the second time.
    hook("status", "s=" + std::string(status) + R"sh(; rm -f "$CLOUD/$BOTTLE_VM_NAME"
[ -e "$CLOUD/../asked" ] && s=gone; : >"$CLOUD/../asked"; echo "{\"status\": \"$s\"}")sh");
    EXPECT_EQ(reap_while_the_clock_is_set(now_seconds(), environment_, session), 0) << status;
    EXPECT_TRUE(std::filesystem::exists(root_ / "told")) << status;
    EXPECT_FALSE(is_recorded("vm-1", directories_)) << status;
    for (const char* name : {"told", "asked"}) std::filesystem::remove(root_ / name);
  }
}

// A read can fail for a passing reason, such as descriptors that are used up. The first one fails here, and so does any
// after the second one.
TEST_F(Machine, ARecordThatCannotBeReadForAMomentDoesNotMeanThatTheVmMayBeDestroyed) {
  good();
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
  vm->record.owner.start_time = "1";
  ASSERT_TRUE(save(vm->record, directories_));
  constexpr int kAsked = 42;
  pid_t child = ::fork();
  if (child == 0) {
    ::alarm(60);
    int reads = 0;
    ReaperOptions options = quick();
    options.load_record = [&](const std::string& name, const Directories& directories) -> Result<Record> {
      if (++reads == 1) return fail(Code::limit, "too many open files");
      auto record = load(name, directories);
      (void)write_file_atomically(directories.vm(name) + "/vm.json", "{");
      return record;
    };
    auto fetch = [](const Record&) { return ::_exit(kAsked), false; };
    ::_exit(reap("vm-1", environment_, {fetch, [](const Record&) {}}, options));
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), kAsked) << "nobody asked for the work on it";
  EXPECT_EQ(calls(), 0);
}

TEST_F(Machine, AReaperUsesAClockThatCannotBeSet) {
  good();
  Reaping session{[&](const Record&) { return write_file_atomically(cloud() + "/../fetched", "").has_value(); },
                  [](const Record&) {}};
  constexpr int64_t kDay = 86400;
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
  vm->record.until = now_seconds() - kDay + 3600;  // as if made while the clock was a day behind
  ASSERT_TRUE(save(vm->record, directories_));
  EXPECT_EQ(reap_while_the_clock_is_set(now_seconds() - kDay, environment_, session, a_few_times()), kWatches)
      << "its owner lives, it has an hour";
  EXPECT_FALSE(std::filesystem::is_empty(cloud()));
  vm->record.owner.start_time = "1";
  ASSERT_TRUE(save(vm->record, directories_));
  EXPECT_EQ(reap_while_the_clock_is_set(now_seconds() - kDay, environment_, session), 0);
  EXPECT_TRUE(std::filesystem::exists(root_ / "fetched")) << "there was time to fetch what is on it";

  vm = prepare_vm(spec());
  ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
  vm->record.until = now_seconds() + kDay + 1;
  ASSERT_TRUE(save(vm->record, directories_));
  EXPECT_EQ(reap_while_the_clock_is_set(vm->record.until - 1, environment_, session), 0) << "its second is over";
  EXPECT_TRUE(std::filesystem::is_empty(cloud()));
}

// A machine that has just started may have a clock that is hours ahead, until it is set by the network's.
TEST_F(Machine, AReaperThatBeginsWhenTheTimeIsUpTriesToFetchTheWork) {
  good();
  constexpr int64_t kDay = 86400;
  std::string fetched = root_ / "fetched";
  for (bool can_fetch : {true, false}) {
    auto vm = prepare_vm(spec());
    ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
    vm->record.until = now_seconds() + 3600;
    vm->record.owner.start_time = "1";
    ASSERT_TRUE(save(vm->record, directories_));
    Reaping session{[&](const Record&) {
                      if (!can_fetch) (void)hold("vm-1", directories_);
                      return write_file_atomically(fetched, "") && can_fetch;
                    },
                    [](const Record&) {}};
    pid_t child = ::fork();
    // The clock is not set in the meantime.
    if (child == 0) ::_exit(reap("vm-1", environment_, session, quick([] { return now_seconds() + 2 * kDay; })));
    bool ended = false;
    EXPECT_TRUE(wait_for([&] {
      ended = ::waitpid(child, nullptr, WNOHANG) == child;
      return ended || (!can_fetch && std::filesystem::exists(fetched));
    }));
    EXPECT_TRUE(std::filesystem::remove(fetched)) << can_fetch;
    EXPECT_EQ(ended, can_fetch);
    EXPECT_EQ(std::filesystem::is_empty(cloud()), can_fetch);
    if (ended) continue;
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    // It is held, and its time is not up by the corrected clock.
    EXPECT_EQ(reap_while_the_clock_is_set(now_seconds() + 2 * kDay, environment_, session, a_few_times()), kWatches);
  }
}

// What fetches the work on a VM takes the VM over. That must not hide that the clock has been corrected.
TEST_F(Machine, AVmHasTheTimeOfTheCorrectedClockOnceItsWorkIsBeingFetched) {
  good();
  constexpr int kCorrectedMeanwhile = 42, kAskedAgain = 43;
  for (bool lasts : {true, false}) {
    auto vm = prepare_vm(spec());
    ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
    vm->record.until = now_seconds() + 3600;
    vm->record.owner.start_time = "1";
    ASSERT_TRUE(save(vm->record, directories_));
    pid_t child = ::fork();
    if (child == 0) {
      std::atomic<bool> taken = false, corrected = false;
      auto clock = [&, reads = 0]() mutable {
        if (!taken || ++reads < 3) return now_seconds() + 2 * 86400;
        // If the fetch is over, its owner dies, so that the reaper has something to do.
        if (!lasts && !corrected) (void)save(vm->record, directories_);
        corrected = true;
        return now_seconds();
      };
      auto fetch = [&](const Record&) {
        if (taken) ::_exit(kAskedAgain);
        (void)take_over("vm-1", directories_);
        taken = true;
        for (int turn = 0; lasts && turn < 6000 && !corrected; ++turn)
          std::this_thread::sleep_for(std::chrono::milliseconds(10));
        if (lasts) ::_exit(corrected ? kCorrectedMeanwhile : 0);
        return false;
      };
      ::_exit(reap("vm-1", environment_, {fetch, [](const Record&) {}}, quick(clock)));
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(WEXITSTATUS(status), lasts ? kCorrectedMeanwhile : kAskedAgain);
    EXPECT_EQ(calls(), 0);
    EXPECT_FALSE(std::filesystem::is_empty(cloud()));
    forget("vm-1", directories_);
  }
}

// A VM on this machine sleeps when this machine does, and nobody could fetch its work meanwhile.
TEST_F(Machine, AVmWhoseTimeRanOutWhileThisMachineSleptIsNotDestroyedAtOnce) {
  good();
  constexpr int kFetches = 43;
  for (bool held : {true, false}) {
    auto vm = prepare_vm(spec());
    ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
    vm->record.until = now_seconds() + 8 * 3600;
    vm->record.held = held;
    if (held) vm->record.owner.start_time = "1";
    ASSERT_TRUE(save(vm->record, directories_));
    pid_t child = ::fork();
    if (child == 0) {
      ReaperOptions options = quick();
      int reads = 0;
      options.load_record = [&](const std::string& name, const Directories& directories) {
        // The session with its work still lives, and the reaper lets it fetch the work.
        if (++reads == 20) ::_exit(kWatches);
        return load(name, directories);
      };
      options.uptime = [&] {
        Uptime uptime = uptime_now();
        if (reads >= 10) uptime.boot += 14 * 3600;
        return uptime;
      };
      ::_exit(reap("vm-1", environment_, {[](const Record&) -> bool { ::_exit(kFetches); }, [](const Record&) {}},
                   options));
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(WEXITSTATUS(status), held ? kFetches : kWatches);
    EXPECT_FALSE(std::filesystem::is_empty(cloud()));
    forget("vm-1", directories_);
    std::filesystem::remove_all(cloud());
    std::filesystem::create_directory(cloud());
  }
}

// The clock may be right, and then nobody else tries before the VM is destroyed.
TEST_F(Machine, AReaperThatBeginsWhenTheTimeOfAHeldVmIsUpTriesOnceToFetchTheWork) {
  good();
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
  vm->record.until = now_seconds() - 3600;
  vm->record.owner.start_time = "1";
  vm->record.held = true;
  ASSERT_TRUE(save(vm->record, directories_));
  std::string asked = root_ / "asked";
  Reaping cannot{[&](const Record&) {
                   if (std::filesystem::exists(asked)) ::_exit(1);
                   return !write_file_atomically(asked, "");
                 },
                 [](const Record&) {}};
  auto has_asked = [&, few = a_few_times()] { return std::filesystem::exists(asked) && few(); };
  EXPECT_EQ(reap_while_the_clock_is_set(now_seconds(), environment_, cannot, has_asked), kWatches) << "asked twice";
  EXPECT_TRUE(std::filesystem::remove(asked));
  EXPECT_EQ(reap_while_the_clock_is_set(now_seconds(), environment_, kNothingToFetch), 0);
  EXPECT_TRUE(std::filesystem::is_empty(cloud()));
}

}  // namespace
}  // namespace bottle::machine
