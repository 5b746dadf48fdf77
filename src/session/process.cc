#include "session/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>

#include "base/unique_fd.h"

extern char** environ;

namespace bottle::session {
namespace {

Result<pid_t> spawn(const std::vector<std::string>& argv, int out) {
  std::vector<char*> raw;
  for (const auto& word : argv) raw.push_back(const_cast<char*>(word.c_str()));
  raw.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (out >= 0) posix_spawn_file_actions_adddup2(&actions, out, 1);
  pid_t pid = 0;
  int error = ::posix_spawnp(&pid, raw[0], &actions, nullptr, raw.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return fail_errno("running " + argv[0], error);
  return pid;
}

int reap(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Result<Captured> capture(const std::vector<std::string>& argv, int timeout_ms) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("making a pipe");
  UniqueFd in(ends[0]), out(ends[1]);
  pid_t pid = TRY(spawn(argv, out.get()));
  out.reset();
  auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  Captured captured;
  for (;;) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    pollfd p{in.get(), POLLIN, 0};
    int ready = left > 0 ? ::poll(&p, 1, static_cast<int>(left)) : 0;
    if (ready < 0 && errno == EINTR) continue;
    if (ready <= 0 || captured.text.size() > (16u << 20)) {
      ::kill(pid, SIGKILL);
      reap(pid);
      return fail(ready <= 0 ? Code::timed_out : Code::limit, argv[0] + (ready <= 0 ? " did not end in time" : " wrote too much"));
    }
    char buffer[65536];
    ssize_t n = ::read(in.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    captured.text.append(buffer, static_cast<size_t>(n));
  }
  captured.status = reap(pid);
  return captured;
}

Result<int> run(const std::vector<std::string>& argv) { return reap(TRY(spawn(argv, -1))); }

}  // namespace bottle::session
