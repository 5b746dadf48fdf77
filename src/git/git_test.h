// Supports tests with repositories. Each test gets its own directory, and the real git to compare with.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wordexp.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "base/defer.h"
#include "base/os/process.h"

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

  // Returns the variables for each program: the settings of the user who runs the tests must not affect git.
  static std::map<std::string, std::string> isolated() {
    return {{"GIT_CONFIG_GLOBAL", "/dev/null"}, {"GIT_CONFIG_NOSYSTEM", "1"},
            {"GIT_TEMPLATE_DIR", ""},  // leaves out git's sample hooks
            {"GIT_CONFIG_COUNT", "2"},          {"GIT_CONFIG_KEY_0", "protocol.file.allow"},
            {"GIT_CONFIG_VALUE_0", "always"},   {"GIT_CONFIG_KEY_1", "maintenance.auto"},  // not after each commit
            {"GIT_CONFIG_VALUE_1", "false"}};
  }
  // Runs a program, without a shell.
  static std::string run(const std::vector<std::string>& argv) {
    Command command{.argv = argv, .env = isolated()};
    auto ended = capture(command, {.timeout_ms = -1});
    EXPECT_TRUE(ended) << ended.error().what;
    if (!ended) return "";
    std::string out = ended->out + ended->err;
    EXPECT_EQ(ended->status, 0) << ::testing::PrintToString(argv) << "\n" << out;
    while (!out.empty() && out.back() == '\n') out.pop_back();
    return out;
  }
  static std::string sh(const std::string& command) { return run({"/bin/sh", "-c", command}); }
  // Runs git with a command line as a shell reads it. Starts a shell only if the command needs one, for example for a
  // pipe.
  std::string git(const std::string& command, const std::string& where = "") {
    const std::string& at = where.empty() ? repo : where;
    std::vector<std::string> argv = {"git", "-C", at, "-c", "user.name=t", "-c", "user.email=t@t"};
    wordexp_t words{};
    Defer clean([&] { ::wordfree(&words); });
    if (::wordexp(command.c_str(), &words, WRDE_NOCMD) != 0) {
      argv.insert(argv.begin(), {"/bin/sh", "-c", "\"$@\" " + command, "sh"});
      return run(argv);
    }
    argv.insert(argv.end(), words.we_wordv, words.we_wordv + words.we_wordc);
    return run(argv);
  }
  // Adds a setting to a repository as `git config` does, without a process. The name is "section.key" or
  // "section.subsection.key".
  void configure(const std::string& name, const std::string& value, const std::string& where = "") {
    size_t first = name.find('.'), last = name.rfind('.');
    std::string text = "[" + name.substr(0, first);
    if (first != last) text += " \"" + name.substr(first + 1, last - first - 1) + "\"";
    text += "]\n\t" + name.substr(last + 1) + " = \"";
    for (char c : value) text += (c == '"' || c == '\\' ? "\\" : "") + std::string(1, c);
    std::ofstream((where.empty() ? repo : where) + "/.git/config", std::ios::app) << text + "\"\n";
  }
  // Writes the operator's own settings. run() hides them from git unless the command names the file.
  void set_operators_settings(const std::string& config) { put(root + "/gitconfig", config); }
  void put(const std::string& path, const std::string& text) {
    fs::create_directories(fs::path(path).parent_path());
    std::ofstream(path) << text;
  }
  // Makes a repository with one commit. Most tests begin with it.
  void make_repository() { commit(repo, {{"a.txt", "one\n"}, {"dir/b.txt", "two\n"}}); }
  // Makes a repository whose only commit has these files. This takes several processes, so a second repository with
  // the same files is a copy of the first.
  void commit(const std::string& where, const std::map<std::string, std::string>& files) {
    struct Made {
      std::map<std::map<std::string, std::string>, std::string> directories;
      ~Made() {
        for (const auto& [files, directory] : directories) fs::remove_all(directory);
      }
    };
    static Made made;
    for (const auto& [name, text] : files) put(where + "/" + name, text);
    if (auto before = made.directories.find(files); before != made.directories.end()) {
      fs::copy(before->second, where + "/.git", fs::copy_options::recursive);
      note_times(where);
      return;
    }
    sh("cd " + where +
       " && git init -q -b main && git add -A && git -c user.name=t -c user.email=t@t commit -qm first");
    char directory[] = "/tmp/git_made_XXXXXX";
    ASSERT_TRUE(::mkdtemp(directory));
    fs::copy(where + "/.git", directory, fs::copy_options::recursive);
    made.directories[files] = directory;
  }

  std::string root, repo;

 private:
  // Does what `git update-index --refresh` does, without a process: puts the times and the inodes of the files into the
  // index of a copied repository (gitformat-index(5), version 2). git does not check the hash at the end.
  static void note_times(const std::string& where) {
    std::fstream file(where + "/.git/index", std::ios::in | std::ios::out | std::ios::binary);
    std::string index((std::istreambuf_iterator<char>(file)), {});
    auto number = [&](size_t at) {
      uint32_t value = 0;
      for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<unsigned char>(index.at(at + i));
      return value;
    };
    ASSERT_EQ(number(4), 2u) << "the version of the index";
    constexpr size_t kFirst = 12, kModeAt = 24, kBeforePath = 62;
    size_t at = kFirst;
    for (uint32_t left = number(8); left > 0; --left) {
      std::string name = index.substr(at + kBeforePath, index.find('\0', at + kBeforePath) - at - kBeforePath);
      struct stat st{};
      ASSERT_EQ(::lstat((where + "/" + name).c_str(), &st), 0) << name;
      size_t field = at;
      for (auto value :
           {static_cast<uint64_t>(st.st_ctim.tv_sec), static_cast<uint64_t>(st.st_ctim.tv_nsec),
            static_cast<uint64_t>(st.st_mtim.tv_sec), static_cast<uint64_t>(st.st_mtim.tv_nsec),
            static_cast<uint64_t>(st.st_dev), static_cast<uint64_t>(st.st_ino), uint64_t{number(at + kModeAt)},
            static_cast<uint64_t>(st.st_uid), static_cast<uint64_t>(st.st_gid), static_cast<uint64_t>(st.st_size)})
        for (int shift = 24; shift >= 0; shift -= 8) index.at(field++) = static_cast<char>(value >> shift);
      at += (kBeforePath + name.size() + 8) / 8 * 8;
    }
    file.seekp(0);
    file << index;
  }
};

}  // namespace bottle::git
