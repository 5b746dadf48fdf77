#include "base/os/posix/ps.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/os/descriptors.h"

namespace bottle {

std::string ask_ps(pid_t pid, const std::string& field) {
  auto ends = make_pipe();
  if (!ends) return "";
  std::string number = std::to_string(pid), of = field;
  char ps[] = "ps", o[] = "-o", p[] = "-p", locale[] = "LC_ALL=C", zone[] = "TZ=UTC", path[] = "PATH=/usr/bin:/bin";
  char* argv[] = {ps, o, of.data(), p, number.data(), nullptr};
  char* environment[] = {locale, zone, path, nullptr};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", 0, 0);
  ::posix_spawn_file_actions_adddup2(&actions, ends->write.get(), 1);
  ::posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", 1, 0);
  pid_t child = -1;
  int error;
  {
    SpawnLock lock;
    error = ::posix_spawnp(&child, "ps", &actions, nullptr, argv, environment);
  }
  ::posix_spawn_file_actions_destroy(&actions);
  ends->write.reset();
  if (error != 0) return "";
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = ::read(ends->read.get(), buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR);)
    if (n > 0 && text.size() < 65536) text.append(buffer, static_cast<size_t>(n));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  size_t first = text.find_first_not_of(' ');
  return first == std::string::npos || status != 0 ? "" : text.substr(first);
}

}  // namespace bottle
