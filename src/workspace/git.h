// git, as a program: no shell, no configuration but ours, no prompt, a time limit.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bottle::workspace {

// What git may take of this machine.
struct GitLimits {
  uint64_t answer = 256 << 20;  // bytes of what it says
  uint64_t memory = 0;          // bytes of each of its processes; 0: as much as there is
  std::chrono::steady_clock::time_point until = std::chrono::steady_clock::time_point::max();
};

class Git {
 public:
  // `state`: a directory of ours for the configuration file. `trusted`: directories of another owner that git may use.
  static Result<Git> make(const std::string& state, const std::vector<std::string>& trusted,
                          const GitLimits& limits = {});

  struct Options {
    std::string git_dir, work_tree, index;  // empty: git finds it out from `directory`
    std::string directory;                  // git -C
    std::string input;
    int input_fd = -1;                     // instead of input
    int output_fd = -1;                    // instead of the result
    bool literal_paths = true;             // check-ignore refuses to run with that
    bool operators_configuration = false;  // read-only questions about the operator's own settings
    int timeout_s = 600;
    uint64_t most_written = 0;  // bytes of each file that it writes; 0: as large as it likes
  };

  struct Answer {
    int status = 0;
    std::string out, complaint;
  };

  void set_limits(const GitLimits& limits) { limits_ = limits; }

  // An error only if git cannot be run at all, does not end in time (Code::timed_out), or says, takes or writes too
  // much (Code::limit).
  Result<Answer> run(const std::vector<std::string>& arguments, const Options& options) const;
  // Its output, without the final newline; a status other than 0 is an error with what git said.
  Result<std::string> ask(const std::vector<std::string>& arguments, const Options& options) const;
  // Whether that status is 0.
  Result<bool> agrees(const std::vector<std::string>& arguments, const Options& options) const;

 private:
  std::string configuration_;
  GitLimits limits_;
};

bool is_object_id(std::string_view text);  // 40 or 64 lower-case hexadecimal digits
// What we take for the name below refs/heads/: narrower than git's rules, so that it is nobody's option or pattern.
bool is_branch_name(std::string_view name);

}  // namespace bottle::workspace
