// Child processes, without a shell, reaped by whoever started them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/line.h"
#include "base/unique_fd.h"

namespace bottle {

struct Command {
  std::vector<std::string> argv;           // argv[0] is looked up in PATH
  std::map<std::string, std::string> env;  // over the caller's environment
  bool clean_env = false;                  // `env` is all there is
  std::string directory;                   // empty: the caller's
  // A process group of its own: no Ctrl-C of a terminal reaches it, and ending it ends what it started. A program that
  // asks on the terminal must stay in ours.
  bool own_group = true;
  bool detached = false;  // a session of its own, and not ended with its Child
  // Bytes of data, and of each file that is written (setrlimit(2): RLIMIT_DATA, RLIMIT_FSIZE), for it and each process
  // that it starts; 0: as for us. Linux only. They are set when it runs already: what it does in its first moments must
  // be its own loading.
  uint64_t most_memory = 0, most_written = 0;
};

// A running child with pipes to it. Ended (SIGTERM, 2 s, SIGKILL; its group too) and reaped when destroyed.
class Child {
 public:
  // What a child's descriptor becomes: a pipe to us, /dev/null, ours, or one of the caller's.
  struct Wiring {
    enum class To { pipe, null, inherit, fd } to = To::null;
    int fd = -1;
  };
  static Wiring pipe() { return {Wiring::To::pipe}; }
  static Wiring null() { return {Wiring::To::null}; }
  static Wiring inherit() { return {Wiring::To::inherit}; }
  static Wiring from(int fd) { return {Wiring::To::fd, fd}; }

  static Result<Child> spawn(const Command& command, Wiring in, Wiring out, Wiring err);
  Child(Child&& other) noexcept;
  Child& operator=(Child&& other) noexcept;
  ~Child();

  int in() const { return in_.get(); }
  int out() const { return out_.get(); }
  int err() const { return err_.get(); }
  void close_in() { in_.reset(); }
  pid_t pid() const { return pid_; }
  // Polls readable when the child has ended; -1 where the system has no such thing.
  int exit_fd() const { return exit_.get(); }

  // The exit status, or 128+signal. -1: without a limit; Code::timed_out leaves it running.
  Result<int> wait(int timeout_ms = -1);
  bool ended();
  // SIGTERM to it (and its group), SIGKILL after `patience_ms`; reaps.
  void end(int patience_ms = 2000);

 private:
  Child() = default;
  pid_t pid_ = -1;
  bool group_ = false, detached_ = false;
  int status_ = -1;
  UniqueFd in_, out_, err_, exit_;
};

struct Captured {
  int status = 0;  // exit status, or 128+signal
  std::string out, err;
};

struct CaptureOptions {
  std::string input;         // its stdin
  int input_fd = -1;         // instead of input
  int output_fd = -1;        // instead of the answer
  int timeout_ms = 30000;    // -1: none. Afterwards it is ended: Code::timed_out
  size_t limit = 16 << 20;   // of each stream; beyond it the child is ended: Code::limit
  bool pass_stderr = false;  // to our own, not captured
};

// Runs to its end. Does not wait for grandchildren that hold the streams open. Code::not_found: no such program.
Result<Captured> capture(const Command& command, const CaptureOptions& options = {});

// Runs argv without an input and in the terminal's foreground, so that Ctrl-C reaches it, and waits. What it says on
// stdout and stderr is told line by line. Does not wait for grandchildren. The exit status, or 128+signal.
Result<int> run_in_lines(const std::vector<std::string>& argv, const std::function<void(const Line&)>& tell);

// Runs argv attached to this process's terminal and waits: only for programs whose words are a person's own business
// (a pager). The exit status, or 128+signal.
Result<int> run(const std::vector<std::string>& argv);

}  // namespace bottle
