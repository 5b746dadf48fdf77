// git, as a program: no shell, no configuration but ours, no prompt, a time limit, and no repository but ours.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "git/directory.h"
#include "git/formats.h"

namespace bottle::git {

// What git may take of this machine.
struct Limits {
  uint64_t answer = 256 << 20;  // bytes of what it says
  uint64_t memory = 0;          // bytes of each of its processes; 0: as much as there is
  std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max();
};

class Runner {
 public:
  // `state`: a directory of ours for the configuration file.
  static Result<Runner> make(const std::string& state, const Limits& limits = {});

  struct Options {
    Directory in;                  // the git directory, which is always one of ours
    std::string work_tree, index;  // empty: none, the directory's own. With a work tree git runs in it
    std::string objects;           // where objects are written and looked for; empty: the directory's own
    std::string input;
    int input_fd = -1;          // instead of input
    int output_fd = -1;         // instead of the result
    bool literal_paths = true;  // check-ignore refuses to run with that
    int timeout_s = 600;
    uint64_t most_written = 0;  // bytes of each file that it writes; 0: as large as it likes
  };

  struct Answer {
    int status = 0;
    std::string out, complaint;
  };

  void set_limits(const Limits& limits) { limits_ = limits; }

  // An error only if git cannot be run at all, does not end in time (Code::timed_out), or says, takes or writes too
  // much (Code::limit).
  Result<Answer> run(const std::vector<std::string>& arguments, const Options& options) const;
  // Its output, without the final newline; a status other than 0 is an error with what git said.
  Result<std::string> ask(const std::vector<std::string>& arguments, const Options& options) const;
  // Whether that status is 0.
  Result<bool> agrees(const std::vector<std::string>& arguments, const Options& options) const;

 private:
  std::string configuration_;
  Limits limits_;
};

// `git config` with the operator's own (system and global) files, in no repository, half a minute at most.
Result<Runner::Answer> ask_operators_configuration(const std::vector<std::string>& arguments);

// "git version 2.39.5", as `git --version` says it.
Result<std::string> version();

}  // namespace bottle::git
