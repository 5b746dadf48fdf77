// Starts programs with posix_spawn(3), because fork(2) in a process with threads leaves a child in which only a few
// functions are safe to call, and because it copies the page tables of a process that may be large. What posix_spawn
// cannot do (limits), a shell does in the child. All loops in this file wait for the output and for the end of the
// child. Waiting for the end of the output alone could take forever, because a child may leave processes that keep its
// pipes open.

#include "base/os/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <thread>

#include "base/defer.h"
#include "base/os/descriptors.h"
#include "base/os/poller.h"
#include "base/os/process_handle.h"

extern char** environ;

namespace bottle {
namespace {

// Returns the child's environment. A name must not appear twice: programs differ in which of the two values they take.
std::vector<std::string> environment(const Command& command) {
  std::vector<std::string> all;
  for (char** entry = environ; !command.clean_env && *entry; ++entry) {
    std::string_view text(*entry);
    if (!command.env.contains(std::string(text.substr(0, text.find('='))))) all.emplace_back(text);
  }
  for (const auto& [name, value] : command.env) all.push_back(name + "=" + value);
  return all;
}

// Returns what execve(2) takes. The pointers are valid as long as the strings are not changed.
std::vector<char*> pointers(const std::vector<std::string>& strings) {
  std::vector<char*> all;
  for (const auto& text : strings) all.push_back(const_cast<char*>(text.c_str()));
  all.push_back(nullptr);
  return all;
}

// Prepares one of the child's descriptors. Puts our end of a pipe into `ours` and the child's into `theirs`.
Result<> wire(posix_spawn_file_actions_t* actions, int number, const Child::Wiring& wiring, UniqueFd& ours,
              UniqueFd& theirs) {
  using To = Child::Wiring::To;
  switch (wiring.to) {
    // Descriptors 0 to 2 have no close-on-exec flag, so the child gets them without an action.
    case To::inherit:
      break;
    case To::fd:
      ::posix_spawn_file_actions_adddup2(actions, wiring.fd, number);
      break;
    case To::null:
      ::posix_spawn_file_actions_addopen(actions, number, "/dev/null", number == 0 ? O_RDONLY : O_WRONLY, 0);
      break;
    case To::pipe: {
      auto ends = TRY(make_pipe());
      // The child reads its stdin and writes its other two.
      ours = std::move(number == 0 ? ends.write : ends.read);
      theirs = std::move(number == 0 ? ends.read : ends.write);
      // A descriptor that already has the number would keep its close-on-exec flag.
      if (theirs.get() <= 2) theirs.reset(::fcntl(theirs.get(), F_DUPFD_CLOEXEC, 3));
      ::posix_spawn_file_actions_adddup2(actions, theirs.get(), number);
      break;
    }
  }
  return {};
}

// A person does not notice a tenth of a second, and ten turns of a loop per second cost nothing.
constexpr int kLookForStopMs = 100;

// Returns a command that starts `argv` without input. If the stdin of the returned command ends before a line arrives,
// it ends all processes of its group. Shells give background commands /dev/null as stdin unless it is redirected.
std::vector<std::string> bound_to_stdin(std::vector<std::string> argv) {
  const char* script =
      "exec 3<&0; { read -r _ <&3 || { trap '' TERM; kill -TERM 0; sleep 5; kill -KILL 0; }; } >/dev/null 2>&1 & "
      "exec 3<&-; exec \"$@\" </dev/null";
  argv.insert(argv.begin(), {"/bin/sh", "-c", script, "sh"});
  return argv;
}

// Shells report a death by a signal in the same way.
int decode(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

// Returns a command line with which a shell sets the limits and then becomes `argv`. posix_spawn(3) can set no limits,
// and a limit that the parent sets after the start may come too late. The units of the shell's limits are 1024 and 512
// bytes. Not every shell and system can limit the data.
std::vector<std::string> limited(std::vector<std::string> argv, uint64_t most_memory, uint64_t most_written) {
  if (most_memory == 0 && most_written == 0) return argv;
  std::string script;
  // The limits are rounded up, because a limit of 0 would allow nothing at all.
  if (most_memory > 0) script += "ulimit -d " + std::to_string((most_memory + 1023) / 1024) + " 2>/dev/null; ";
  if (most_written > 0) script += "ulimit -f " + std::to_string((most_written + 511) / 512) + " && ";
  // The words follow as arguments of the script, so none of them is read as shell text. "sh" becomes $0.
  argv.insert(argv.begin(), {"/bin/sh", "-c", script + "exec \"$@\"", "sh"});
  return argv;
}

}  // namespace

// The steps are: descriptors, signals, groups, limits and the call itself. Everything that can fail comes before the
// call, so that no child is left without an owner.
Result<Child> Child::spawn(const Command& command, Wiring in, Wiring out, Wiring err) {
  if (command.argv.empty()) return fail(Code::invalid, "no command to run");
  bool is_limited = command.most_memory > 0 || command.most_written > 0;
  // A shell reports a missing program only by a status with which the program may also end.
  if (is_limited && !is_in_path(command.argv[0])) return fail_errno("running " + command.argv[0], ENOENT);
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  Defer clean([&] {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  });
  Child child;
  UniqueFd their_in, their_out, their_err;
  TRY(wire(&actions, 0, in, child.in_, their_in));
  TRY(wire(&actions, 1, out, child.out_, their_out));
  TRY(wire(&actions, 2, err, child.err_, their_err));
  for (auto [ours, number] : command.passed) ::posix_spawn_file_actions_adddup2(&actions, ours, number);
  if (!command.directory.empty()) ::posix_spawn_file_actions_addchdir_np(&actions, command.directory.c_str());
  // A child inherits the mask of the calling thread and the signals that this process ignores, such as SIGPIPE. A
  // program that does not expect that might never notice that its reader is gone, or might ignore a request to end.
  sigset_t none, usual;
  sigemptyset(&none);
  sigemptyset(&usual);
  for (int number : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD, SIGQUIT}) sigaddset(&usual, number);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &usual);
  // 0 makes the child the leader of a new group; it only counts with POSIX_SPAWN_SETPGROUP. A new session is a new
  // group already.
  ::posix_spawnattr_setpgroup(&attributes, 0);
  short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
  if (command.detached) flags |= POSIX_SPAWN_SETSID;
  else if (command.own_group) flags |= POSIX_SPAWN_SETPGROUP;
  ::posix_spawnattr_setflags(&attributes, flags);
  auto env = environment(command);
  auto words = limited(command.argv, command.most_memory, command.most_written);
  auto argv = pointers(words), envp = pointers(env);
  pid_t pid = -1;
  int error;
  {
    // The lock is held only for this call, because other threads can create no descriptors meanwhile.
    SpawnLock lock;
    error = ::posix_spawnp(&pid, argv[0], &actions, &attributes, argv.data(), envp.data());
  }
  if (error != 0) return fail_errno("running " + command.argv[0], error);
  child.pid_ = pid;
  child.group_ = command.own_group || command.detached;
  // The child cannot have been reaped yet, so the id still means this process.
  child.exit_ = exit_descriptor(pid);
  // A detached child is not ended by the destructor. Its parent must still reap it, or it stays a zombie until the
  // parent ends.
  child.detached_ = command.detached;
  return child;
}

Child::Child(Child&& other) noexcept { *this = std::move(other); }

Child& Child::operator=(Child&& other) noexcept {
  if (this == &other) return *this;
  // The child that this object had would otherwise be lost, and its process with it.
  if (!detached_) end();
  detached_ = other.detached_;
  pid_ = std::exchange(other.pid_, -1);
  group_ = other.group_;
  status_ = other.status_;
  in_ = std::move(other.in_);
  out_ = std::move(other.out_);
  err_ = std::move(other.err_);
  exit_ = std::move(other.exit_);
  return *this;
}

Child::~Child() {
  if (!detached_) end();
}

void Child::feed(std::string_view& rest) {
  // Without O_NONBLOCK, a write could block while the child blocks on its own full output, and neither would continue.
  ::fcntl(in_.get(), F_SETFL, O_NONBLOCK);
  ssize_t n = ::write(in_.get(), rest.data(), rest.size());
  if (n > 0) rest.remove_prefix(static_cast<size_t>(n));
  // A child that closes its stdin early, as `head` does, has not failed. Its exit status tells.
  if (rest.empty() || (n < 0 && errno != EAGAIN && errno != EINTR)) close_in();
}

bool Child::ended() { return wait(0).has_value() || pid_ < 0; }

Result<int> Child::wait(int timeout_ms) {
  if (pid_ < 0 && status_ < 0) return fail(Code::internal, "the system did not keep the exit status of a child");
  if (pid_ < 0) return status_;
  auto deadline = Deadline::in_ms(timeout_ms);
  for (;;) {
    int raw = 0;
    // Without a timeout, waitpid(2) itself blocks. With one, the loop polls, and waits for the process's exit
    // descriptor in between.
    pid_t got = ::waitpid(pid_, &raw, timeout_ms < 0 ? 0 : WNOHANG);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {  // ECHILD: SIGCHLD is ignored, so the system reaps our children
      pid_ = -1;
      return fail_errno("waiting for a child");
    }
    if (got > 0) {
      // Once reaped, the id may belong to another process, so nothing may be sent to it any more.
      pid_ = -1;
      return status_ = decode(raw);
    }
    // The time is checked after waitpid(2), so that a wait of 0 ms still polls once.
    if (deadline.is_over()) return fail(Code::timed_out, "the child still runs");
    Poller poller;
    poller.watch_exit(exit_.get());
    poller.wait(deadline.ms_left());
  }
}

void Child::end(int patience_ms) {
  if (pid_ < 0) return;
  // Nothing else gets the id of a child that is not reaped, or of a group that still has members.
  const pid_t all = group_ ? -pid_ : pid_;
  auto deadline = Deadline::in_ms(patience_ms);
  if (patience_ms > 0) {
    ::kill(all, SIGTERM);
    if (wait(patience_ms) && !group_) return;
    // The child has ended, but members of its group may ignore the signal.
    while (pid_ < 0 && !deadline.is_over()) {
      if (::kill(all, 0) != 0) return;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
  }
  ::kill(all, SIGKILL);
  (void)wait(-1);
}

// One loop serves both outputs, the input, the end of the child, and the reasons to end it early. Reading one stream
// to its end before the other would block as soon as the child fills the other.
Result<Captured> capture(const Command& command, const CaptureOptions& options) {
  Child child = TRY(Child::spawn(command,
                                 options.input_fd >= 0   ? Child::from(options.input_fd)
                                 : options.input.empty() ? Child::null()
                                                         : Child::pipe(),
                                 options.output_fd >= 0 ? Child::from(options.output_fd) : Child::pipe(),
                                 options.pass_stderr ? Child::inherit() : Child::pipe()));
  const std::string& name = command.argv[0];
  auto deadline = options.timeout_ms < 0 ? Deadline::never() : Deadline::in_ms(options.timeout_ms);
  Captured captured;
  std::string_view input = options.input;
  // The loop ends when the child has ended and its pipes are empty, whatever their other holders do.
  bool out_open = child.out() >= 0, err_open = child.err() >= 0, ended = false;
  // Returns whether the stream is still open. An error other than EINTR counts as its end.
  auto take = [](int fd, std::string& text) {
    char buffer[65536];
    ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n > 0) text.append(buffer, static_cast<size_t>(n));
    return n > 0 || (n < 0 && errno == EINTR);
  };
  while (out_open || err_open || !ended) {
    Poller poller;
    if (out_open) poller.watch(child.out());
    if (err_open) poller.watch(child.err());
    poller.watch_writable(child.in());
    if (!ended) poller.watch_exit(child.exit_fd());
    // After the child has ended, only what is already in the pipes is read, because a process that it left running may
    // hold them forever.
    int patience = ended ? 0 : deadline.ms_left();
    // A stop token has no descriptor, so the loop looks at it every 100 ms.
    if (!ended && options.stop.stop_possible()) patience = deadline.ms_left(kLookForStopMs);
    if (!poller.wait(patience) && ended) break;
    if (poller.readable(child.out())) out_open = take(child.out(), captured.out);
    if (poller.readable(child.err())) err_open = take(child.err(), captured.err);
    if (poller.writable(child.in())) child.feed(input);
    // At most one buffer more than the limit is in memory, because each turn reads only one.
    if (captured.out.size() > options.limit || captured.err.size() > options.limit) {
      child.end(0);
      return fail(Code::limit, name + " wrote more than " + std::to_string(options.limit >> 20) + " MB");
    }
    if (!ended && child.ended()) ended = true;
    // Half a second lets the program remove its temporary files.
    if (options.stop.stop_requested()) {
      child.end(500);
      return fail(Code::canceled, name + " was stopped");
    }
    if (!ended && deadline.is_over()) {
      child.end(500);
      return fail(Code::timed_out, name + " did not exit within " + std::to_string(options.timeout_ms / 1000) + " s");
    }
  }
  captured.status = TRY(child.wait());
  return captured;
}

// Works like capture(), but passes each line on immediately and has no limits, because the program was started for
// its output.
Result<int> run_in_lines(Command command, const std::function<void(const Line&)>& tell, const std::stop_token& stop,
                         int patience_ms) {
  const std::string name = command.argv.empty() ? "" : command.argv[0];
  // Only a separate group makes it possible to end the program's own children as well, even if this process is killed.
  command.own_group = stop.stop_possible();
  if (command.own_group) {
    if (!is_in_path(name)) return fail_errno("running " + name, ENOENT);
    command.argv = bound_to_stdin(std::move(command.argv));
  }
  Child child =
      TRY(Child::spawn(command, command.own_group ? Child::pipe() : Child::null(), Child::pipe(), Child::pipe()));
  LineReader out, err;
  bool out_open = true, err_open = true, ended = false;
  auto take = [&](int fd, LineReader& lines) {
    char buffer[65536];
    ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n > 0) lines.feed({buffer, static_cast<size_t>(n)}, tell);
    return n > 0 || (n < 0 && errno == EINTR);
  };
  while (out_open || err_open || !ended) {
    Poller poller;
    if (out_open) poller.watch(child.out());
    if (err_open) poller.watch(child.err());
    if (!ended) poller.watch_exit(child.exit_fd());
    if (!poller.wait(ended ? 0 : stop.stop_possible() ? kLookForStopMs : -1) && ended) break;
    if (poller.readable(child.out())) out_open = take(child.out(), out);
    if (poller.readable(child.err())) err_open = take(child.err(), err);
    if (!ended && child.ended()) ended = true;
    if (stop.stop_requested()) {
      child.end(patience_ms);
      return fail(Code::canceled, name + " was stopped");
    }
  }
  // Processes that the program left running continue.
  std::string_view line = "\n";
  if (child.in() >= 0) child.feed(line);
  // The last line may lack its line end.
  out.end(tell);
  err.end(tell);
  return child.wait();
}

// This looks where posix_spawnp(3) does.
bool is_in_path(const std::string& program) {
  if (program.contains('/')) return ::access(program.c_str(), X_OK) == 0;
  const char* path = std::getenv("PATH");  // NOLINT(concurrency-mt-unsafe): no thread changes it
  std::istringstream places(path ? path : "/bin:/usr/bin");
  for (std::string place; std::getline(places, place, ':');)
    if (::access(((place.empty() ? "." : place) + "/" + program).c_str(), X_OK) == 0) return true;
  return false;
}

Result<int> run(const std::vector<std::string>& argv) {
  Command command;
  command.argv = argv;
  command.own_group = false;
  Child child = TRY(Child::spawn(command, Child::inherit(), Child::inherit(), Child::inherit()));
  return child.wait();
}

}  // namespace bottle
