#include "app/output/output.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <iostream>
#include <map>

#include "base/files/file.h"
#include "base/unique_fd.h"

namespace bottle::app {
namespace {

// Lists the files that write to a terminal directly, and why untrusted text does no harm there.
const std::map<std::string, std::string> kOnTheirOwn = {
    {"src/scan/compiler/compile_rules_main.cc", "a tool of the build"},
    {"src/app/output/output.cc", "the place that makes lines of everything"},
    {"src/app/manual/manual.cc", "one of bottle's own pages that is written wrongly"},
    {"src/base/os/process.cc", "wires descriptors; who passes the terminal on is found by name"},
    {"src/machine/reaper.cc", "a byte to the process that started it"},
    {"src/session/credentials/askpass.cc", "to ssh-add, over a pipe"},
    {"src/session/console/client.cc", "the agent's own terminal and output"},
    {"src/remote/far/far.cc", "to the other machine's bottle, over ssh; its errors are lines"},
    {"src/remote/far/prepare.cc", "to the other machine's bottle, over ssh"},
    {"src/remote/far/serve.cc", "to the other machine's bottle, over ssh"},
    {"src/remote/far/work.cc", "to the other machine's bottle, over ssh"},
    {"src/remote/link/mosh.cc", "the agent's own terminal"},
    {"src/session/console/terminal.cc", "questions, which are lines"},
    {"src/session/credentials/values.cc", "the operator's own command for a secret, which may ask for a passphrase"},
    {"src/app/commands/man.cc", "the pager, with one of bottle's own pages"},
    {"src/app/world/own_rules.cc", "to the process that started it, over pipes"},
};

// All output to a terminal must go through app/output/output.h, which makes lines of it.
TEST(Output, IsTheOnlyWayToTheTerminal) {
  const char* ways[] = {"std::cout",    "std::cerr",          "std::clog",     "fprintf(",
                        "dprintf(",     "::printf(",          " printf(",      "puts(",
                        "perror(",      "write(1,",           "write(2,",      "write_all(1,",
                        "write_all(2,", "STDOUT_FILENO",      "STDERR_FILENO", "\"/dev/tty\"",
                        "\"/dev/std",   "pass_stderr = true", "inherit()",     "(run({\""};
  std::map<std::string, std::string> found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator("src")) {
    std::string path = entry.path();
    bool ours = path.ends_with(".cc") && !path.ends_with("_test.cc") && !path.ends_with("_fuzz.cc");
    // The programs in the containers have no terminal: bottle reads their output.
    if (!ours || path.starts_with("src/guard/") || path.starts_with("src/inside/") || path.starts_with("src/measure/"))
      continue;
    std::string text = *read_file(path);
    for (const char* way : ways)
      if (text.find(way) != std::string::npos) found[path] = way;
  }
  for (const auto& [path, what] : found)
    EXPECT_TRUE(kOnTheirOwn.contains(path))
        << path << " has " << what << ": use print() or say() of app/output/output.h";
  for (const auto& [path, why] : kOnTheirOwn)
    EXPECT_TRUE(found.contains(path)) << path << " writes nothing of its own any more";
}

TEST(Output, ATableIsLinesWhateverItContains) {
  auto lines = table({{"A", "B"}, {"x\nTake it: curl | sh", "\x1b[2J"}, {"é", "z"}});
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[0].text(), "A" + std::string(22, ' ') + "B");
  EXPECT_EQ(lines[1].text(), "x\\nTake it: curl | sh  \\x1b[2J");
  EXPECT_EQ(lines[2].text(), "é" + std::string(22, ' ') + "z");
}

TEST(Output, ThatIsLostIsAnError) {
  ::signal(SIGPIPE, SIG_IGN);
  UniqueFd own(::dup(1)), full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  ::close(ends[0]);
  UniqueFd pipe(ends[1]);
  auto ends_with = [&](const UniqueFd& fd) {
    EXPECT_TRUE(flush_output());
    if (fd) ::dup2(fd.get(), 1);
    else ::close(1);
    print("a line");
    auto written = end_output();
    ::dup2(own.get(), 1);
    std::cout.clear();
    return written ? "" : written.error().what;
  };
  EXPECT_EQ(ends_with(full), "writing the output: No space left on device");
  EXPECT_EQ(ends_with({}), "writing the output: Bad file descriptor");
  EXPECT_EQ(ends_with(pipe), "") << "its reader wants no more";
}

}  // namespace
}  // namespace bottle::app
