#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "base/files/file.h"
#include "base/os/descriptors.h"
#include "inside/agent.h"
#include "inside/gate/gate.h"

namespace bottle::inside {
namespace {

std::string framed(const std::string& body) {
  char length[9];
  std::snprintf(length, sizeof length, "%08zx", body.size());
  return length + body;
}

// The agent runs in a child process, because run_agent reaps every child.
int agent_status(const Go& go) {
  pid_t pid = ::fork();
  if (pid == 0) {
    auto r = run_agent(go, false);
    ::_exit(r ? *r : 99);
  }
  int raw = 0;
  ::waitpid(pid, &raw, 0);
  return WIFEXITED(raw) ? WEXITSTATUS(raw) : -1;
}

Go shell(const std::string& script) {
  Go go;
  go.argv = {"sh", "-c", script};
  go.cwd = "/";
  return go;
}

TEST(Agent, ExitStatusIsReturned) {
  EXPECT_EQ(agent_status(shell("exit 7")), 7);
  EXPECT_EQ(agent_status(shell("kill -9 $$")), 137);
  Go missing;
  missing.argv = {"no-such-program-here"};
  EXPECT_EQ(agent_status(missing), 127);
  missing.argv = {"/etc/passwd"};
  EXPECT_EQ(agent_status(missing), 126);
}

TEST(Agent, GetsStdinEnvironmentAndSession) {
  Go go = shell(
      "read a; test \"$a\" = hello && test \"$K\" = v && test -z \"$BOTTLE_GUARD\" && test $(env | grep -c "
      "'^HOME=/home/agent') = 1");
  ::setenv("BOTTLE_GUARD", "x", 1);
  go.stdin_text = "hello\n" + std::string(1 << 20, 'x');
  go.env["K"] = "v";
  EXPECT_EQ(agent_status(go), 0);
  ::unsetenv("BOTTLE_GUARD");
  EXPECT_EQ(agent_status(shell("! read a")), 0);  // there is nothing to read
  EXPECT_EQ(agent_status(shell("test $(cut -d' ' -f6 /proc/$$/stat) = $$")), 0);
}

TEST(Agent, DoesNotWaitForABackgroundChild) {
  char path[] = "/tmp/inside-XXXXXX";
  UniqueFd said(::mkstemp(path));
  EXPECT_EQ(agent_status(shell(std::string("sleep 1000 >/dev/null 2>&1 & echo $! >") + path + "; exit 3")), 3);
  pid_t child = std::atoi(read_file(path).value_or("").c_str());
  ASSERT_GT(child, 1);
  EXPECT_EQ(::kill(child, SIGKILL), 0) << "it has ended";
  ::unlink(path);
}

TEST(Agent, DoesNotBeginIfThePreparationFails) {
  char path[] = "/tmp/inside-XXXXXX";
  ::close(::mkstemp(path));
  pid_t pid = ::fork();
  if (pid == 0) {
    auto ran = run_agent(shell(std::string("rm ") + path), false, [] { return fail(Code::limit, "no threads"); });
    ::_exit(!ran && ran.error().code == Code::limit ? 0 : 1);
  }
  int raw = 0;
  ::waitpid(pid, &raw, 0);
  EXPECT_EQ(WEXITSTATUS(raw), 0);
  EXPECT_EQ(::unlink(path), 0) << "the agent ran";
}

TEST(Agent, WritesFilesAndTheBundle) {
  char directory[] = "/tmp/inside_test_XXXXXX";
  ASSERT_TRUE(::mkdtemp(directory));
  std::string d = directory;
  Go go = shell("true");
  go.ca = "CERT\n";
  go.files = {{d + "/a/b/c", 0600, "text"}};
  ASSERT_EQ(::mkdir((d + "/store").c_str(), 0755), 0);
  ASSERT_EQ(::symlink((d + "/other").c_str(), (d + "/store/ca-certificates.crt").c_str()), 0);
  ASSERT_TRUE(write_files(go, d + "/run", d + "/store"));
  EXPECT_EQ(*read_file(d + "/a/b/c"), "text");
  EXPECT_EQ(*read_file(d + "/run/ca.pem"), "CERT\n");
  EXPECT_TRUE(read_file(d + "/run/ca-bundle.pem")->ends_with("CERT\n"));
  EXPECT_EQ(*read_file(d + "/store/ca-certificates.crt"), *read_file(d + "/run/ca-bundle.pem"));
  EXPECT_FALSE(read_file(d + "/other")) << "a link of the image was followed";
  EXPECT_TRUE(read_file(d + "/run/java-trust.jks")->starts_with("\xfe\xed\xfe\xed"));
  ASSERT_TRUE(write_files(go, d + "/run", d + "/none"));
  EXPECT_FALSE(read_file(d + "/none/ca-certificates.crt"));
  std::system(("rm -rf " + d).c_str());
}

// Runs the program itself and asks it for its report (with the empty line). It must never accept the surroundings that
// the tests have.
std::pair<std::string, int> program(const std::string& env, const std::string& input) {
  std::string command =
      "printf '\\n%s' '" + input + "' | env -i " + env + " " BOTTLE_INSIDE_PROGRAM " 2>/dev/null; echo $?";
  FILE* f = ::popen(command.c_str(), "r");
  std::string out;
  char buffer[4096];
  while (size_t n = std::fread(buffer, 1, sizeof buffer, f)) out.append(buffer, n);
  ::pclose(f);
  size_t end = out.find('\x07');
  return {out.substr(0, end == std::string::npos ? 0 : end + 1),
          std::stoi(out.substr(end == std::string::npos ? 0 : end + 1))};
}

TEST(Program, RefusesWithoutConfiguration) {
  auto [report, status] = program("", framed(R"({"argv":["touch","/tmp/never"]})"));
  EXPECT_EQ(status, 125);
  EXPECT_NE(report.find("\"ok\":false"), std::string::npos);
  EXPECT_NE(report.find("BOTTLE_GUARD"), std::string::npos);
}

}  // namespace
}  // namespace bottle::inside
