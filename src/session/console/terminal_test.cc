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
    auto answer = ask(Line("Passphrase"), true);
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

}  // namespace
}  // namespace bottle::session
