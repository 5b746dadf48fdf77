// Replaces the system's ssh with a script.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string>

#include "base/files/file.h"

namespace bottle::ssh {

// While this object exists, the first `ssh` in PATH is its script, and connections have their sockets in its directory.
class StandIn {
 public:
  StandIn() {
    char path[] = "/tmp/ssh_stand_in_XXXXXX";
    root_ = ::mkdtemp(path);
    ::signal(SIGPIPE, SIG_IGN);  // as in main()
    ::setenv("PATH", (root_ + "/bin:" + path_).c_str(), 1);
    ::setenv("XDG_RUNTIME_DIR", root_.c_str(), 1);
    EXPECT_TRUE(make_directories(root_ + "/bin"));
  }
  StandIn(const StandIn&) = delete;
  ~StandIn() {
    ::setenv("PATH", path_.c_str(), 1);
    if (runtime_) ::setenv("XDG_RUNTIME_DIR", runtime_->c_str(), 1);
    else ::unsetenv("XDG_RUNTIME_DIR");
    std::filesystem::remove_all(root_);
  }

  // Sets what the script does: `connect` to make a connection, and `run` for a command over one.
  void does(const std::string& connect, const std::string& run) {
    std::string path = root_ + "/bin/ssh";
    EXPECT_TRUE(write_file_atomically(
        path, "#!/bin/sh\ncase \"$*\" in\n*' -N -f '*)\n" + connect + "\n;;\n*)\n" + run + "\n;;\nesac\n"));
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  }
  // Returns a directory for the test's own files.
  const std::string& root() const { return root_; }

 private:
  static std::optional<std::string> variable(const char* name) {
    const char* value = ::getenv(name);
    return value ? std::optional<std::string>(value) : std::nullopt;
  }
  std::string root_, path_ = ::getenv("PATH");
  std::optional<std::string> runtime_ = variable("XDG_RUNTIME_DIR");
};

}  // namespace bottle::ssh
