#include "app/world/world.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "app/commands/command_test.h"
#include "app/world/interruption.h"
#include "base/defer.h"
#include "base/files/file.h"
#include "base/os/descriptors.h"
#include "base/os/poller.h"

namespace bottle::app {
namespace {

class World : public Commands {};

// Old bundles have names of authorities in Latin-1 as comments.
TEST_F(World, ABundleOfCertificatesMayHaveCommentsInAnyEncoding) {
  std::string file = write("roots.pem",
                           "# F\xe1"
                           "brica\n-----BEGIN CERTIFICATE-----\n");
  EXPECT_EQ(concatenated({file}).value(), "# F?brica\n-----BEGIN CERTIFICATE-----\n\n");
  set("SSL_CERT_FILE", file);
  EXPECT_EQ(public_roots(), "# F?brica\n-----BEGIN CERTIFICATE-----\n");
}

// The dynamic linker, shells and interpreters take an empty or relative entry as a place in the current directory,
// which may be a repository's.
TEST_F(World, NothingOfTheCurrentDirectoryIsRunOrLoaded) {
  auto after = [&](const char* name, const char* value) -> std::string {
    const char* before = std::getenv(name);
    std::string kept = before ? before : "";
    Defer back([&] { before ? ::setenv(name, kept.c_str(), 1) : ::unsetenv(name); });
    value ? ::setenv(name, value, 1) : ::unsetenv(name);
    forget_relative_programs();
    const char* now = std::getenv(name);
    return now ? now : "(unset)";
  };
  EXPECT_EQ(after("PATH", "/a:.:/b"), "/a:/b");
  for (const char* none : {"", ".", ":", "bin:./x", static_cast<const char*>(nullptr)})
    EXPECT_EQ(after("PATH", none), kUsualPath) << (none ? none : "unset");
  EXPECT_EQ(after("LD_LIBRARY_PATH", ":/opt/x"), "/opt/x");
  EXPECT_EQ(after("LD_LIBRARY_PATH", "/opt/x;.;/opt/y:"), "/opt/x:/opt/y");
  EXPECT_EQ(after("LD_PRELOAD", "./a.so libb.so:/c.so sub/d.so"), "libb.so:/c.so");
  EXPECT_EQ(after("LD_PRELOAD", "libb.so /c.so"), "libb.so:/c.so");
  for (const char* each : {"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LD_PRELOAD", "LD_AUDIT", "DYLD_INSERT_LIBRARIES",
                           "PERL5LIB", "PYTHONPATH", "NODE_PATH"}) {
    EXPECT_EQ(after(each, "./lib:"), "(unset)") << each;
    EXPECT_EQ(after(each, "/lib/x"), "/lib/x") << each;
    EXPECT_EQ(after(each, nullptr), "(unset)") << each;
  }
}

// A project's own directories are in PATH while its environment is active.
TEST_F(World, NothingOfABoundWorkspaceIsRunOrLoaded) {
  namespace fs = std::filesystem;
  std::string top = fs::canonical(home()).string(), project = top + "/project", beside = top + "/project2/bin";
  for (const std::string& each : {project + "/.venv/bin", project + "/node_modules/.bin", beside, top + "/opt"})
    fs::create_directories(each);
  // The agent could replace one link, and it decides what is at the end of the other one.
  fs::create_directory_symlink(top + "/opt", project + "/out");
  fs::create_directory_symlink(project + "/node_modules", top + "/in");
  std::map<std::string, std::string> before = environment();
  Defer back([&] {
    for (const char* each : {"PATH", "PYTHONPATH", "LD_PRELOAD"})
      before.contains(each) ? ::setenv(each, before[each].c_str(), 1) : ::unsetenv(each);
  });
  const std::vector<std::string> within = {project + "/.venv/bin", project, project + "/out", top + "/in/.bin",
                                           project + "/absent"};
  std::string path = "/usr/bin:" + beside + ":" + top + ":" + top + "/opt";
  std::string all = path;
  for (const auto& each : within) all = each + ":" + all + ":" + each;
  set("PATH", all);
  set("PYTHONPATH", project);
  set("LD_PRELOAD", "libb.so " + project + "/a.so");
  std::vector<std::string> forgotten = forget_programs_in(project);
  EXPECT_EQ(std::getenv("PATH"), path);
  EXPECT_EQ(std::getenv("PYTHONPATH"), nullptr);
  EXPECT_STREQ(std::getenv("LD_PRELOAD"), "libb.so");
  for (const auto& each : within) EXPECT_EQ(std::ranges::count(forgotten, each), 1) << each;
  EXPECT_EQ(forgotten.size(), within.size() + 1);
  EXPECT_TRUE(forget_programs_in(project).empty());
}

// The removal of a VM takes a while, and an operator who presses Ctrl-C once more must not skip it.
TEST_F(World, OnlyTheThirdSignalSkipsARunningRemoval) {
  auto said = make_pipe().value();
  pid_t child = ::fork();
  if (child == 0) {
    ::dup2(said.write.get(), 2);
    Interruption interruption("left to the background", -1, "still removing");
    (void)write_all(2, "ready;");
    while (!interruption.stop().stop_requested()) ::usleep(1000);
    (void)write_all(2, "stopping;");
    for (;;) ::pause();
  }
  said.write.reset();
  std::string all;
  auto read_until = [&](const std::string& text) {
    char buffer[256];
    while (all.find(text) == std::string::npos) {
      if (!wait_readable(said.read.get(), 60000)) return false;
      ssize_t n = ::read(said.read.get(), buffer, sizeof buffer);
      if (n <= 0) return false;
      all.append(buffer, static_cast<size_t>(n));
    }
    return true;
  };
  EXPECT_TRUE(read_until("ready;")) << all;
  for (const char* text : {"stopping;", "still removing", "left to the background"}) {
    ::kill(child, SIGINT);
    EXPECT_TRUE(read_until(text)) << all;
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGINT) << status;
}

}  // namespace
}  // namespace bottle::app
