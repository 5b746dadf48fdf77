// A place to run commands in: an operator's directories of its own, no engine, no terminal, and no variable of the
// person who runs the tests. A command runs in this process, as app::run() runs it.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace bottle::app {

// What a command answered.
struct Answer {
  int status = 0;
  std::string out, err;

  // Returns stdout as JSON. Fails the test if it is not JSON.
  nlohmann::json json() const;
  // Returns the error that `--json` prints to stderr.
  nlohmann::json error() const;
};

class Commands : public ::testing::Test {
 protected:
  Commands();
  ~Commands() override;

  Answer bottle(const std::vector<std::string>& words);

  // Writes a file below the home directory, with its directories. Returns its path.
  std::string write(const std::string& path, std::string_view text);
  std::string read(const std::string& path) const;  // empty if there is none
  // Sets a variable of the commands that run from now on.
  void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }

  // Leaves what a session leaves that has ended: results, and a patch if there is one.
  void finish(const std::string& session, const std::string& patch = "");
  // Leaves what a session leaves whose owner is dead.
  void abandon(const std::string& session);

  const std::string& home() const { return home_; }

 private:
  std::vector<std::pair<std::string, std::string>> variables_;  // of the person who runs the tests
  UniqueFd directory_, input_;                                  // from before the test
  std::string home_;
};

}  // namespace bottle::app
