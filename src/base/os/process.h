// Starts child processes, without a shell. The owner of a Child reaps it. Apart from the inside helper, no other code
// starts programs, so none inherits a descriptor or a variable by accident.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text/line.h"
#include "base/unique_fd.h"

namespace bottle {

// Says what to run and how. Nothing in it passes through a shell, except where a limit needs one.
struct Command {
  std::vector<std::string> argv;           // argv[0] is looked up in PATH
  std::map<std::string, std::string> env;  // added to the caller's environment
  bool clean_env = false;                  // the environment is only `env`
  std::string directory;                   // empty means the caller's
  // Start a new process group, which Ctrl-C on a terminal does not reach, and which Child::end() ends as a whole. If
  // the child exits by itself, the other members continue. A program that asks on the terminal must stay in our group.
  bool own_group = true;
  bool detached = false;  // starts a new session, and outlives the Child object
  // Further descriptors: the parent's, each with its number in the child, which is above 2.
  std::vector<std::pair<int, int>> passed;
  // Limits in bytes on data and on each written file (setrlimit(2): RLIMIT_DATA, RLIMIT_FSIZE) for the child and the
  // processes that it starts; 0 keeps the parent's limit. A shell sets them and becomes the program, so argv[0] must
  // not be path_to_self(), which may mean the shell there. If the shell fails, its message begins with kShellFailed.
  uint64_t most_memory = 0, most_written = 0;
  static constexpr std::string_view kShellFailed = "sh: ";
};

// Owns a running child with pipes to it. The destructor ends the child and its group (SIGTERM, and SIGKILL after 2 s)
// and reaps it.
class Child {
 public:
  // Says what a descriptor of the child is: a pipe to us, /dev/null, the same as ours, or one that the caller
  // supplies.
  struct Wiring {
    enum class To { pipe, null, inherit, fd } to = To::null;
    int fd = -1;
  };
  // Make the four kinds. from() does not take ownership of the descriptor, which must stay open until spawn() returns.
  static Wiring pipe() { return {Wiring::To::pipe}; }
  static Wiring null() { return {Wiring::To::null}; }
  static Wiring inherit() { return {Wiring::To::inherit}; }
  static Wiring from(int fd) { return {Wiring::To::fd, fd}; }

  // Starts the program. Blocks until it has been executed or could not be. Fails with Code::not_found if argv[0] is
  // not in PATH, unless a shell sets limits, and with Code::invalid if argv is empty. The child has the default
  // handling of the usual signals, and blocks none.
  static Result<Child> spawn(const Command& command, Wiring in, Wiring out, Wiring err);
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  ~Child();

  // Return our ends of the pipes to the child's stdin, stdout and stderr, or -1 for those that are wired otherwise.
  // close_in() gives the child the end of its input. pid() is -1 once the child has been reaped.
  int in() const { return in_.get(); }
  int out() const { return out_.get(); }
  int err() const { return err_.get(); }
  void close_in() { in_.reset(); }
  // Writes as much of `rest` to the child's stdin, a pipe, as it takes without blocking, and removes that from
  // `rest`. Closes the pipe when nothing is left, or when no process reads it any more.
  void feed(std::string_view& rest);
  pid_t pid() const { return pid_; }
  // Returns a descriptor that becomes readable when the child has exited, or -1 if the system has no such descriptor.
  int exit_fd() const { return exit_.get(); }

  // Blocks until the child has exited, and returns its exit status or 128+signal. A timeout of -1 means no limit. If it
  // fails with Code::timed_out, the child still runs. After another error it has ended, but its status is unknown.
  Result<int> wait(int timeout_ms = -1);
  // Returns whether the child has exited, and reaps it. Never blocks.
  bool ended();
  // Sends SIGTERM to the child and its group, and SIGKILL after `patience_ms`. Reaps it.
  void end(int patience_ms = 2000);

 private:
  Child() = default;
  pid_t pid_ = -1;
  bool group_ = false, detached_ = false;
  int status_ = -1;
  UniqueFd in_, out_, err_, exit_;
};

// Holds what a program left when it had exited.
struct Captured {
  int status = 0;  // exit status or 128+signal
  std::string out, err;
};

// Says what the program gets, and when to stop waiting for it. The caller keeps the descriptors.
struct CaptureOptions {
  std::string input;          // text for its stdin
  int input_fd = -1;          // its stdin, instead of `input`
  int output_fd = -1;         // its stdout, which is then not in the result
  int timeout_ms = 30000;     // then ends the child and fails with Code::timed_out; -1 means no limit
  size_t limit = 16 << 20;    // in bytes per stream; beyond it, ends the child and fails with Code::limit
  bool pass_stderr = false;   // passes its stderr to ours instead of capturing it
  std::stop_token stop = {};  // when requested, ends the child and fails with Code::canceled
};

// Runs a program until it exits. Does not wait for grandchildren that keep the streams open. Fails with Code::not_found
// if there is no such program.
Result<Captured> capture(const Command& command, const CaptureOptions& options = {});

// Runs the command without input and waits for it. Calls `tell` with each line of its stdout and stderr. Does not wait
// for grandchildren. Returns the exit status or 128+signal. Without `stop`, it runs in the terminal's foreground, so
// that Ctrl-C reaches it. When a stop is requested, ends it and its group, which have `patience_ms` to end by
// themselves, and fails with Code::canceled. If this process is killed while there is a `stop`, the group ends within 5
// seconds.
Result<int> run_in_lines(Command command, const std::function<void(const Line&)>& tell,
                         const std::stop_token& stop = {}, int patience_ms = 2000);

// Runs argv attached to this process's terminal and waits for it. Use this only for programs that the operator chose,
// such as a pager, because their output is not filtered. Returns the exit status or 128+signal.
Result<int> run(const std::vector<std::string>& argv);

// Returns whether Child::spawn() would find the program: in a directory of PATH, or at its path if it has a slash.
bool is_in_path(const std::string& program);

}  // namespace bottle
