// Provides an environment to run commands in: separate directories for an operator, no engine, no terminal, and no
// variables of the person who runs the tests. A command runs in this process, as app::run() runs it.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/unique_fd.h"

namespace bottle::app {

// The output and exit status of a command.
struct Answer {
  int status = 0;
  std::string out, err;

  // Returns stdout as JSON. Fails the test if it is not JSON.
  nlohmann::json json() const;
  // Returns the error that `--json` prints to stderr.
  nlohmann::json error() const;
};

// Makes the home directory of one test, and removes it at the end.
class Commands : public ::testing::Test {
 protected:
  Commands();
  ~Commands() override;

  // Runs `bottle WORDS…` in home()/work, and returns what it printed.
  Answer bottle(const std::vector<std::string>& words);

  // Writes a file below the home directory, with its directories. Returns its path.
  std::string write(const std::string& path, std::string_view text);
  std::string read(const std::string& path) const;  // empty if there is none
  // Sets a variable of the commands that run from now on.
  void set(const char* name, const std::string& value) { ::setenv(name, value.c_str(), 1); }

  // Writes what an ended session leaves: its results, and a patch if it is not empty.
  void finish(const std::string& session, const std::string& patch = "");
  // Writes what a session has that starts; this process is its owner.
  void begin(const std::string& session);
  // Writes what a session leaves whose owner died.
  void abandon(const std::string& session);

  const std::string& home() const { return home_; }

 private:
  std::vector<std::pair<std::string, std::string>> variables_;  // of the person who runs the tests
  UniqueFd directory_, input_;                                  // from before the test
  std::string home_;
};

// Expects that the command failed before it did anything, and that the message names `what` and says `todo`.
void expect_refused(const Answer& answer, const std::string& what, const std::string& todo);

}  // namespace bottle::app
