// Supports tests with repositories: each gets a directory of its own, and the real git to compare with.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace bottle::git {

namespace fs = std::filesystem;

class Repositories : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/git_test_XXXXXX";
    ASSERT_TRUE(::mkdtemp(path));
    root = path;
    repo = root + "/repo";
    fs::create_directory(repo);
    // The settings of the user who runs the tests must not affect them.
    ::setenv("GIT_CONFIG_GLOBAL", (root + "/gitconfig").c_str(), 1);
    ::setenv("GIT_CONFIG_NOSYSTEM", "1", 1);
    ::unsetenv("SUDO_UID");
  }
  void TearDown() override { fs::remove_all(root); }

  static std::string sh(const std::string& command) {
    std::string out;
    FILE* f =
        ::popen(("export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1; { " + command + "; } 2>&1").c_str(), "r");
    char buffer[4096];
    while (size_t n = std::fread(buffer, 1, sizeof buffer, f)) out.append(buffer, n);
    int status = ::pclose(f);
    EXPECT_EQ(status, 0) << command << "\n" << out;
    while (!out.empty() && out.back() == '\n') out.pop_back();
    return out;
  }
  std::string git(const std::string& command, const std::string& where = "") {
    return sh("git -C " + (where.empty() ? repo : where) +
              " -c user.name=t -c user.email=t@t -c protocol.file.allow=always -c maintenance.auto=false " + command);
  }
  void put(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << text;
  }
  // Makes a repository with one commit. Starts one shell, because most tests begin with it.
  void make_repository() {
    put(repo + "/a.txt", "one\n");
    put(repo + "/dir/b.txt", "two\n");
    sh("cd " + repo + " && git init -q -b main && git add -A && git -c user.name=t -c user.email=t@t " +
       "-c maintenance.auto=false commit -qm first");
  }

  std::string root, repo;
};

}  // namespace bottle::git
