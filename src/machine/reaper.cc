// The reaper is a separate process, because everything else may die: the terminal, the supervisor, the whole session.
// It holds a lock on a file for as long as it lives, so that others can see whether it lives; the kernel frees the
// lock however it dies. It reads the record again in every turn and keeps nothing in memory, so every change by
// another process takes effect. It must act at the right time even if a clock is set while it waits, or if the code
// that fetches the work hangs.

#include "machine/reaper.h"

#include <fcntl.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <future>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "base/files/file.h"
#include "base/ids.h"
#include "base/lock/file_lock.h"
#include "base/os/deadline.h"
#include "base/os/poller.h"
#include "base/os/process.h"
#include "base/os/process_handle.h"
#include "base/os/system_facts.h"
#include "machine/destroy.h"

namespace bottle::machine {
namespace {

using std::chrono::milliseconds;

std::string lock_path(const std::string& name, const Directories& directories) {
  return directories.vm(name) + "/reaper";
}

// Names a process in comparisons.
std::string text_of(const ProcessIdentity& process) {
  return std::to_string(process.pid) + " " + process.start_time + " " + process.boot_id;
}

// Writes into the file of a lock that this process has it. This may fail, for example on a full disk; has_newer() then
// does not know about this process.
void claim(const FileLock& lock) {
  std::string self = text_of(ProcessIdentity::self());
  if (::ftruncate(lock.fd(), 0) == 0) (void)!::pwrite(lock.fd(), self.data(), self.size(), 0);
}

// Returns whether a newer reaper of this VM is running. Only then may this one end: a claim may not have been written,
// and its writer may have been killed.
bool has_newer(const std::string& name, const Directories& directories) {
  auto text = read_file(lock_path(name, directories), 4096);
  if (!text || *text == text_of(ProcessIdentity::self())) return false;
  int pid = 0;
  std::from_chars(text->data(), text->data() + text->size(), pid);
  return pid > 0 && *text == text_of(ProcessIdentity::of(pid));
}

// Takes the lock of the reaper. Fails with Code::timed_out if another reaper has it. A look at the lock
// (reaper_alive()) also takes it, usually for a moment, but writes no claim into it. Without a claim of a reaper that
// lives, this waits longer, but not as long as start_reaper() does.
Result<FileLock> take_lock(const std::string& name, const Directories& directories) {
  auto take = [&](int seconds) {
    return FileLock::take(lock_path(name, directories), {O_RDWR | O_CREAT},
                          Deadline::in(std::chrono::seconds(seconds)));
  };
  auto lock = take(2);
  bool is_a_look = !lock && lock.error().code == Code::timed_out && !has_newer(name, directories);
  return is_a_look ? take(15) : std::move(lock);
}

// Lets another process be the VM's reaper during the pause. Returns the lock, or nothing if another one has come or the
// VM is gone. An error that may pass, such as descriptors that are used up, must not leave the VM without a reaper, so
// this tries again.
std::optional<FileLock> give_way(FileLock lock, const std::string& name, const Directories& directories,
                                 milliseconds pause) {
  (void)std::move(lock).release();
  for (;;) {
    std::this_thread::sleep_for(pause);
    auto again = take_lock(name, directories);
    // The other one may have given way, too. It is newer, and so is its environment.
    if (again && has_newer(name, directories)) return std::nullopt;
    if (again) return std::move(*again);
    if (again.error().code == Code::timed_out || !is_recorded(name, directories)) return std::nullopt;
  }
}

// Returns whether another try in the same environment would end like this one.
bool is_hopeless(const Result<Destroyed>& gone) {
  if (gone) return gone->hopeless;
  Code code = gone.error().code;
  return code == Code::denied || code == Code::invalid || code == Code::not_found;
}

constexpr int64_t kLateSeconds = 600;

// Tells how much time a VM has left, by the time of day at which this process began, advanced by the boot clock.
// Setting the clock in the meantime, as NTP does if it was a day behind, therefore neither ends a VM early nor extends
// its life.
class SteadyTime {
 public:
  explicit SteadyTime(const ReaperOptions& options)
      : clock_(options.clock), uptime_(options.uptime), begun_(boot()), ahead_(clock_() - begun_) {
    look();
  }

  // Returns whether a VM expired before this process began, or while this machine slept.
  bool is_late(const Record& record) {
    if (was_up_before(record)) return true;
    look();
    return ran_out_asleep(record);
  }

  // Returns the seconds until a VM expires. The work on a VM that is late may not have been fetched yet, so it gets ten
  // more minutes.
  int64_t left(const Record& record) {
    if (was_up_before(record)) return begun_ + kLateSeconds - boot();
    int64_t now = look();
    return (ran_out_asleep(record) ? woken_ + kLateSeconds : record.until) - now;
  }

  // Returns how long to wait for a VM to expire, which is at least `least` and at most `most`.
  milliseconds wait(const Record& record, milliseconds least, milliseconds most) {
    constexpr int64_t kMostSeconds = 86400;  // so that the product is not too large
    milliseconds left_ms(std::clamp<int64_t>(left(record), 0, kMostSeconds) * 1000);
    return std::clamp(left_ms, std::min(least, most), most);
  }

 private:
  int64_t boot() const { return static_cast<int64_t>(uptime_().boot); }

  // If the VM expired before this process began, the clock may be wrong, because a machine that has just started sets
  // it only once it has a network. So each call reads it again, whoever the owner is: what fetches the work has taken
  // the VM over.
  bool was_up_before(const Record& record) {
    auto was_up = [&] { return record.until <= begun_ + ahead_; };
    if (was_up()) ahead_ = clock_() - boot();
    return was_up();
  }

  // Returns the present time, and notes whether this machine has slept since the last look. A sleep soon after another
  // one belongs to it, so that a VM which ran out of time in the first one stays late.
  int64_t look() {
    Uptime uptime = uptime_();
    int64_t now = static_cast<int64_t>(uptime.boot) + ahead_;
    double slept = uptime.boot - uptime.awake;
    if (slept_ >= 0 && slept > slept_ + 1) {
      if (looked_ - woken_ > kLateSeconds) asleep_ = looked_;
      woken_ = now;
    }
    slept_ = slept;
    looked_ = now;
    return now;
  }
  bool ran_out_asleep(const Record& record) const { return record.until > asleep_ && record.until <= woken_; }

  std::function<int64_t()> clock_;
  std::function<Uptime()> uptime_;
  int64_t begun_;  // by the boot clock
  int64_t ahead_;
  // The times of the last look and of the last sleep, and how many seconds this machine has slept since it started.
  int64_t looked_ = 0, asleep_ = 0, woken_ = 0;
  double slept_ = -1;  // before the first look
};

// Holds what this reaper has done about the work on its VM.
struct Handled {
  std::string settled;      // the last owner whose work was handled
  bool tried_late = false;  // it has tried to fetch the work after the VM expired
};

// Returns whether a VM needs its reaper now: it is abandoned, or it is kept and may have the work of an owner that
// died, or it is held and late, so that this is the last chance to fetch its work.
bool needs_reaper(const Record& record, SteadyTime& time, const Handled& handled) {
  bool unsettled = record.keep && !record.held && record.owner.dead() && text_of(record.owner) != handled.settled;
  bool last_chance = record.held && record.owner.dead() && !handled.tried_late && time.is_late(record);
  return unsettled || last_chance || (!record.held && ownerless(record)) || time.left(record) <= 0;
}

// Waits until the VM needs its reaper, and returns the record that says so. Returns nothing if the record is gone, so
// that nothing is left to do. Nothing may read the record a second time to decide on the destruction: if that failed, a
// VM whose work is not home would look like one of which nothing is known.
std::optional<Record> wait_for_the_end(const std::string& name, const Directories& directories, SteadyTime& time,
                                       const Handled& handled, const ReaperOptions& options) {
  UniqueFd owner;
  int watched = 0;
  for (;;) {
    auto record = options.load_record(name, directories);  // the record may change while we wait
    // If the record is gone, nothing is left to do. A record that cannot be read now is read again, because this error
    // does not mean that the VM may be destroyed.
    if (!record && !is_recorded(name, directories)) return std::nullopt;
    if (!record) {
      std::this_thread::sleep_for(options.look);
      continue;
    }
    if (needs_reaper(*record, time, handled)) return std::move(*record);
    // The descriptor of a dead owner whose VM is kept or held would wake us again and again.
    if (int pid = record->owner.dead() ? 0 : record->owner.pid; pid != std::exchange(watched, pid))
      // The identity was checked first, so the descriptor is of the owner and not of a later process with its id.
      owner = pid ? exit_descriptor(pid) : UniqueFd();
    Poller poller;
    poller.watch(owner.get());
    // The wait is short, because a record can change without an event.
    poller.wait(static_cast<int>(time.wait(*record, options.shortest_pause, options.look).count()));
    // If the owner has ended and the next turn cannot tell, this descriptor would wake us again and again, too.
    if (owner && poller.readable(owner.get())) owner = UniqueFd();
  }
}

// Calls `before`, and waits for it as long as the VM has time left. A machine that answers forever, a byte at a time,
// must not delay its destruction.
bool before_its_time_is_up(const std::function<bool(const Record&)>& before, Record record, SteadyTime& time,
                           const ReaperOptions& options, const Directories& directories) {
  auto done = std::make_shared<std::promise<bool>>();
  auto ended = done->get_future();
  // The thread is detached and has copies: after the time is up, nothing waits for it, and it may outlive this
  // function.
  std::thread([before, record, done] { done->set_value(before(record)); }).detach();
  // The wait is short, because the clock may be corrected in the meantime.
  while (ended.wait_for(time.wait(record, milliseconds(0), options.look)) != std::future_status::ready) {
    if (auto now = options.load_record(record.vm.name, directories)) record = std::move(*now);
    if (time.left(record) <= 0) return true;
  }
  return ended.get();
}

}  // namespace

Uptime uptime_now() {
  double awake = std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  return {awake, boot_seconds()};
}

// Waits until the reaper reports that it runs, because a session must not create a VM without a reaper.
Result<> start_reaper(const std::string& name, const Directories& directories, const Environment& environment,
                      const std::string& path_to_self) {
  // The reaper itself cannot say why it gets no lock. Another reaper that has it serves as well.
  if (auto lock = FileLock::try_take(lock_path(name, directories), {O_RDWR | O_CREAT});
      !lock && lock.error().code != Code::conflict)
    return std::unexpected(std::move(lock.error()).during("starting the reaper of VM " + name));
  Command command;
  command.argv = {path_to_self, "reap", name};
  command.env = environment;
  command.clean_env = true;
  // The reaper may outlive the directory in which it was started.
  command.directory = "/";
  command.detached = true;
  Child child = TRY(Child::spawn(command, Child::null(), Child::pipe(), Child::null()));
  char word = 0;
  // The reaper writes a byte once it has tried to get the lock. If it did not get it, another reaper has it, which
  // serves as well.
  if (wait_readable(child.out(), 20000) && ::read(child.out(), &word, 1) == 1 && reaper_alive(name, directories))
    return {};
  return fail(Code::internal, "the reaper of VM " + name + " did not start",
              "bottle needs the reaper to destroy the VM if the session crashes");
}

bool reaper_alive(const std::string& name, const Directories& directories) {
  return FileLock::is_taken(lock_path(name, directories));
}

// The lock is taken first, so that a second reaper of the same VM does nothing. Then the loop waits, fetches and
// destroys until the provider confirms that the VM is gone.
int reap(const std::string& name, const Environment& environment, const Reaping& session,
         const ReaperOptions& options) {
  // The end of the terminal, Ctrl-C and a starter that has died must not end it.
  for (int number : {SIGHUP, SIGINT, SIGPIPE}) ::signal(number, SIG_IGN);
  Directories directories = Directories::from(environment);
  if (!is_session_name(name)) return 125;
  // If the VM's directory is gone, this fails, and nothing is left to watch.
  auto taken = take_lock(name, directories);
  if (!taken && taken.error().code != Code::timed_out) return 125;
  (void)!::write(1, "r", 1);
  // Nothing may wait for the end of this process's output.
  if (int null = ::open("/dev/null", O_WRONLY | O_CLOEXEC); null >= 0) ::dup2(null, 1);
  if (!taken) return 0;
  std::optional<FileLock> lock = std::move(*taken);
  claim(*lock);

  SteadyTime time(options);
  Handled handled;
  // The owner may change while the work is fetched, for example because the operator attaches to the session.
  DestroyOptions destroying{.environment = environment,
                            .only_if = [&](const Record& now) { return needs_reaper(now, time, handled); }};
  for (milliseconds pause = options.pause; auto record = wait_for_the_end(name, directories, time, handled, options);
       pause = std::min(pause * 2, options.longest_pause)) {
    // The work is fetched only while time is left.
    if (time.left(*record) > 0 && !before_its_time_is_up(session.before, *record, time, options, directories)) {
      handled.tried_late = handled.tried_late || time.is_late(*record);
      // A VM that still needs its reaper could not be held, perhaps because this machine's disk is full, so this turn
      // would begin again at once.
      auto now = load(name, directories);
      bool held = now && !needs_reaper(*now, time, handled);
      if (held) pause = options.shortest_pause;
      std::this_thread::sleep_for(time.wait(*record, options.shortest_pause, pause));
      continue;
    }
    // No work is left on a kept VM, which stays until it expires. If the VM itself is gone, its work may be, too, and
    // the session must learn that now.
    if (record->keep && time.left(*record) > 0 && !has_ended(*record, directories, destroying)) {
      handled = {.settled = text_of(record->owner), .tried_late = true};
      pause = options.shortest_pause;
      continue;
    }
    // The record names the provider.
    auto gone = destroy_vm(name, "", directories, destroying, {});
    if (gone && gone->confirmed) {
      session.after(*record);
      return 0;
    }
    if (!gone && gone.error().code == Code::conflict) continue;  // it has an owner again
    // After a failure, the pauses grow, because a provider may be out of reach for hours. If the
    // credentials of this environment have expired, the next command may have valid ones.
    if (is_hopeless(gone)) lock = give_way(std::move(*lock), name, directories, pause);
    else std::this_thread::sleep_for(pause);
    if (!lock) return 0;
  }
  return 0;
}

}  // namespace bottle::machine
