// Runs ps(1), the only portable way to learn about another process. Its answer is empty if the process does not
// exist, and callers treat it as untrusted text.
#include "base/os/posix/ps.h"

#include <unistd.h>

#include <cerrno>

#include "base/os/process.h"

namespace bottle {

Result<std::string> ask_ps(pid_t pid, const std::string& field) {
  Command command;
  command.argv = {"ps", "-o", field, "-p", std::to_string(pid)};
  // The start time is compared as text, so language and time zone must not change between two calls.
  command.env = {{"LC_ALL", "C"}, {"TZ", "UTC"}, {"PATH", "/usr/bin:/bin"}};
  command.clean_env = true;
  Child child = TRY(Child::spawn(command, Child::null(), Child::pipe(), Child::null()));
  std::string text;
  char buffer[4096];
  for (ssize_t n; (n = ::read(child.out(), buffer, sizeof buffer)) > 0 || (n < 0 && errno == EINTR);)
    // Reads on after the limit, because ps would otherwise block on the full pipe and never exit.
    if (n > 0 && text.size() < 65536) text.append(buffer, static_cast<size_t>(n));
  int status = TRY(child.wait());
  // ps exits with 1 if no process was found. The status is greater if ps is missing or was killed (POSIX, ps and sh).
  if (status > 1) return fail(Code::internal, "ps ended with the status " + std::to_string(status));
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  size_t first = text.find_first_not_of(' ');
  return first == std::string::npos || status != 0 ? "" : text.substr(first);
}

}  // namespace bottle
