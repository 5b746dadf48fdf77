// Holds the promise of the reaper against every state in which a VM can be: a VM is destroyed only if its time ran out
// while this machine was awake, or if nothing on it is needed any longer. A kept VM stays until it expires, and no VM
// outlives its time.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <vector>

#include "machine/machine_test.h"

namespace bottle::machine {
namespace {

enum class Time { left, up_at_the_start, up_now };
constexpr Time kTimes[] = {Time::left, Time::up_at_the_start, Time::up_now};

// Describes one state of a VM, and what its reaper finds out about the work on it.
struct State {
  bool kept, held, owner_lives;
  Time time;
  bool work_is_home;  // `before` finds nothing that is needed
};

std::vector<State> all_states() {
  std::vector<State> states;
  for (bool kept : {false, true})
    for (bool held : {false, true})
      for (bool owner_lives : {false, true})
        for (Time time : kTimes)
          for (bool work_is_home : {false, true}) states.push_back({kept, held, owner_lives, time, work_is_home});
  return states;
}

// Returns whether the reaper asks what is needed of the work on the VM.
bool may_ask(const State& state) { return !state.owner_lives && (!state.held || state.time == Time::up_at_the_start); }

class ReaperPromises : public Machine {
 protected:
  // Runs the reaper of a VM in this state until it has destroyed the VM or has left it alone in ten looks. Returns
  // whether it has called `destroy`.
  bool destroys(const State& state) {
    const std::string mark = (root_ / "destroys").string();
    std::filesystem::remove(mark);
    pid_t child = ::fork();
    if (child == 0) {
      ::alarm(60);
      int looks = 0, after = 0;
      // Whether the reaper still has to ask about the work. Until it has an answer, it is not left alone.
      std::atomic<bool> asks = may_ask(state) && state.time != Time::up_now;
      ReaperOptions options;
      options.look = options.pause = options.shortest_pause = std::chrono::milliseconds(1);
      options.load_record = [&](const std::string& name, const Directories& directories) {
        ++looks;
        if (!asks && ++after > 10) ::_exit(0);
        return load(name, directories);
      };
      options.clock = [&] { return now_seconds() + (state.time == Time::up_at_the_start ? 2 * kTtl : 0); };
      options.uptime = [&] {
        Uptime uptime = uptime_now();
        double later = state.time == Time::up_now && looks > 0 ? 2 * kTtl : 0;
        return Uptime{uptime.awake + later, uptime.boot + later};
      };
      auto before = [&](const Record&) {
        if (!state.work_is_home) (void)hold("vm-1", directories_);
        asks = false;
        return state.work_is_home;
      };
      ::_exit(reap("vm-1", environment_, {before, [](const Record&) {}}, options));
    }
    int status = 0;
    bool ended = false;
    EXPECT_TRUE(wait_for([&] {
      ended = ended || ::waitpid(child, &status, WNOHANG) == child;
      return ended || std::filesystem::exists(mark);
    }));
    if (ended) {
      EXPECT_EQ(status, 0);
    } else {  // it waits for the confirmation
      ::kill(child, SIGKILL);
      ::waitpid(child, nullptr, 0);
    }
    return std::filesystem::exists(mark);
  }

  static constexpr int64_t kTtl = 36000;
};

TEST_F(ReaperPromises, HoldInEveryState) {
  good();
  hook("destroy", ": >\"$CLOUD/../destroys\"; sleep 1");
  auto vm = prepare_vm(spec());
  ASSERT_TRUE(vm && create_vm(*vm, spec(), {}));
  for (const State& state : all_states()) {
    Record record = vm->record;
    record.keep = state.kept;
    record.held = state.held;
    record.until = now_seconds() + kTtl;
    if (!state.owner_lives) record.owner.start_time = "1";
    ASSERT_TRUE(save(record, directories_));
    bool destroyed = destroys(state);
    auto shown = ::testing::Message() << "kept " << state.kept << ", held " << state.held << ", owner lives "
                                      << state.owner_lives << ", time " << static_cast<int>(state.time)
                                      << ", work is home " << state.work_is_home;
    bool is_needless = may_ask(state) && state.work_is_home && !state.kept;
    EXPECT_EQ(destroyed, state.time == Time::up_now || is_needless) << shown;
  }
}

}  // namespace
}  // namespace bottle::machine
