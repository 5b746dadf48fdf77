// Runs git as a program: without a shell, with only bottle's configuration, without prompts, with a time limit, and
// only in repositories that belong to bottle.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/os/deadline.h"
#include "git/formats/formats.h"
#include "git/run/directory.h"

namespace bottle::git {

// The resources of this machine that git may use.
struct Limits {
  uint64_t answer = 256 << 20;  // bytes of output
  uint64_t memory = 0;          // bytes for each of its processes; 0 means no limit
  Deadline until = Deadline::never();
  std::stop_token stop = {};  // ends git, with Code::canceled
  // If true, git flushes what it writes to the disk as it does by default: packs, but not single objects. Files that
  // need not survive this process can do without. (git before 2.36 always flushes packs.)
  bool flush = true;
};

// Runs git with the same configuration and limits each time. Its const functions may be called from several threads.
// Each call blocks until git has exited.
class Runner {
 public:
  // Makes a runner. `state` is a directory that belongs to bottle and that no other runner has; the configuration
  // file is written there. git gets the environment that this process has now.
  static Result<Runner> make(const std::string& state, const Limits& limits = {});

  // Describes where and how one call runs. The caller keeps the descriptors.
  struct Options {
    Directory in;                  // the git directory, which always belongs to bottle
    std::string work_tree, index;  // empty means no work tree, or the directory's own index; git runs in the work tree
                                   // if there is one
    std::string objects;           // where objects are written and looked up; empty means the directory's own objects
    std::string input;
    int input_fd = -1;          // used instead of `input`
    int output_fd = -1;         // used instead of the output in the result
    bool literal_paths = true;  // must be false for check-ignore, which refuses to run with it
    int timeout_s = 600;
    uint64_t most_written = 0;  // bytes of each file that it writes; 0 means no limit
    bool durable = false;       // git flushes all objects that it writes, whatever the runner's limits say
  };

  // `complaint` is git's stderr. Both texts are untrusted.
  struct Answer {
    int status = 0;
    std::string out, complaint;
  };

  // Replaces the limits for later calls, such as the time by which a step must be over. It must not be called while
  // another thread runs git.
  void set_limits(const Limits& limits) { limits_ = limits; }

  // Runs git. Fails only if the answer says nothing about the repository: if git cannot be run at all, does not end in
  // time (Code::timed_out), exceeds its limits on output, memory or written bytes (Code::limit), needs more room than a
  // disk has (Code::no_space), or fails because of this machine in another way (Code::internal).
  Result<Answer> run(const std::vector<std::string>& arguments, const Options& options) const;
  // Returns the output without the final newline. A status other than 0 is an error with git's message
  // (Code::unavailable).
  Result<std::string> ask(const std::vector<std::string>& arguments, const Options& options) const;
  // Returns whether the exit status is 0.
  Result<bool> agrees(const std::vector<std::string>& arguments, const Options& options) const;

 private:
  std::map<std::string, std::string> environment_;
  Limits limits_;
};

// Runs `git config` with the operator's own (system and global) files, outside any repository, for at most half a
// minute.
Result<Runner::Answer> ask_operators_configuration(const std::vector<std::string>& arguments);

// Returns the output of `git --version`, such as "git version 2.39.5".
Result<std::string> version();

// Holds the first two numbers of a version of git.
struct Version {
  int major = 0, minor = 0;
  auto operator<=>(const Version&) const = default;
};

// Returns the version in the output of `git --version`, or nothing if it has another form.
std::optional<Version> version_in(std::string_view text);

}  // namespace bottle::git
