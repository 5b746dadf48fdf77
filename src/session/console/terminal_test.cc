#include "session/console/terminal.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/files/file.h"
#include "base/unique_fd.h"

namespace bottle::session {
namespace {

bool echoes(int terminal) {
  termios now{};
  return ::tcgetattr(terminal, &now) != 0 || (now.c_lflag & ECHO);
}

TEST(Ask, TurnsEchoOffBeforeItShowsTheQuestion) {
  int master = -1;
  pid_t child = ::forkpty(&master, nullptr, nullptr, nullptr);
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::tcflow(1, TCOOFF);  // the question is not shown until the test continues the output
    auto answer = ask(Line("Passphrase"), Echo::off);
    ::_exit(answer && *answer == "words" ? 0 : 1);
  }
  UniqueFd shown(master), terminal(::open(::ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC));
  for (int i = 0; i < 6000 && echoes(terminal.get()); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_FALSE(echoes(terminal.get()));
  ::tcflow(terminal.get(), TCOON);
  terminal.reset();
  EXPECT_TRUE(write_all(shown.get(), "words\n"));
  std::string text;
  char buffer[256];
  for (ssize_t n; (n = ::read(shown.get(), buffer, sizeof buffer)) > 0;) text.append(buffer, static_cast<size_t>(n));
  EXPECT_EQ(text, "Passphrase: \r\n");
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(Ask, ASignalTurnsTheEchoOnAgain) {
  int master = -1;
  pid_t child = ::forkpty(&master, nullptr, nullptr, nullptr);
  ASSERT_GE(child, 0);
  if (child == 0) {
    (void)ask(Line("Passphrase"), Echo::off);
    ::_exit(0);
  }
  UniqueFd shown(master), terminal(::open(::ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC));
  std::string text;
  char buffer[256];
  while (text.find(": ") == std::string::npos) {
    ssize_t n = ::read(shown.get(), buffer, sizeof buffer);
    ASSERT_GT(n, 0);
    text.append(buffer, static_cast<size_t>(n));
  }
  EXPECT_FALSE(echoes(terminal.get()));
  EXPECT_TRUE(write_all(shown.get(), "\x03"));  // Ctrl-C
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT) << status;
  EXPECT_TRUE(echoes(terminal.get()));
}

std::string restored(std::string_view output) {
  AgentScreen screen;
  for (char c : output) screen.wrote({&c, 1});  // output comes in any pieces
  return screen.restoration();
}

TEST(AgentScreen, TextLeavesNothingBehind) {
  EXPECT_EQ(restored(""), "");
  EXPECT_EQ(restored("done\r\n"), "");
  EXPECT_EQ(restored("no end of line"), "\r\n");
}

TEST(AgentScreen, EscapesEndTheModesThatTheyMayHaveBegun) {
  for (const char* output :
       {"\x1b[?1003h\n", "\x1b(0\x1b[8m\n", "\x1b]0;a title without an end\n", "\x0e\n", "\xc2\x9b?1003h\n"}) {
    std::string end = restored(output);
    EXPECT_TRUE(end.starts_with("\x18\x1b\\")) << output + 1;
    for (const char* part : {"\x1b[!p", "\x1b[0m", "\x1b(B", "\x1b[?1003l", "\x1b[?2004l", "\x1b[?25h"})
      EXPECT_NE(end.find(part), std::string::npos) << output + 1;
    EXPECT_EQ(end.find("\x1b[?1049l"), std::string::npos) << "the cursor would move to an old place";
  }
}

TEST(AgentScreen, TheAlternateScreenEnds) {
  for (const char* output : {"\x1b[?1049h", "\x1b[?1;1049h", "\x1b[?47h", "\x1b[?1047hx", "\xc2\x9b?1049h",
                             "\x1b[?1049l\x1b[?1049h", "\x1b\x1b[?1049h"})
    EXPECT_NE(restored(output).find("\x1b[?1049l"), std::string::npos) << output + 1;
  for (const char* output : {"\x1b[?1049h\x1b[?1049l", "\x1b[1049h", "\x1b[?10490h",
                             "\x1b[?1049h\x1b"
                             "c"})
    EXPECT_EQ(restored(output).find("\x1b[?1049l"), std::string::npos) << output + 1;
}

TEST(AgentScreen, ColorsAreResetOnlyIfTheyMayHaveChanged) {
  EXPECT_NE(restored("\x1b]10;#000000\x07").find("\x1b]110"), std::string::npos);
  EXPECT_EQ(restored("\x1b[31mred\x1b[0m").find("\x1b]1"), std::string::npos) << "a shell's own colors would go";
}

// A headless agent writes plain lines, and Ctrl-C must reach bottle.
TEST(RawTerminal, CanLeaveOutputAndSignalsAsTheyAre) {
  int master = -1, slave = -1;
  ASSERT_EQ(::openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
  UniqueFd shown(master), terminal(slave);
  RawTerminal keys(terminal.get(), RawTerminal::Raw::keys);
  EXPECT_TRUE(write_all(terminal.get(), "one\ntwo"));
  char buffer[64];
  ssize_t n = ::read(shown.get(), buffer, sizeof buffer);
  ASSERT_GT(n, 0);
  EXPECT_EQ(std::string_view(buffer, static_cast<size_t>(n)), "one\r\ntwo");
  termios now{};
  ASSERT_EQ(::tcgetattr(terminal.get(), &now), 0);
  EXPECT_TRUE(now.c_lflag & ISIG);
  EXPECT_FALSE(now.c_lflag & (ICANON | ECHO));
  EXPECT_FALSE(now.c_iflag & IXON) << "Ctrl-Q is part of the detach key";
}

TEST(DropAnswers, LeavesNothingForTheShell) {
  int master = -1, slave = -1;
  ASSERT_EQ(::openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
  UniqueFd shown(master), terminal(slave);
  {
    RawTerminal raw(terminal.get());
    EXPECT_TRUE(write_all(shown.get(), "typed ahead\n\x1b[?1;2c\x1b[0n"));
    drop_answers(terminal.get());
    EXPECT_TRUE(write_all(shown.get(), "late"));
  }
  ::fcntl(terminal.get(), F_SETFL, O_NONBLOCK);
  char buffer[64];
  EXPECT_EQ(::read(terminal.get(), buffer, sizeof buffer), -1);
}

}  // namespace
}  // namespace bottle::session
