#include "session/supervisor.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/unique_fd.h"
#include "wire/frames/frames.h"

extern char** environ;

namespace bottle::session {

Result<int> start_supervisor(const Job& job, const PassedChannel* channel) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("making a socket pair");
  UniqueFd ours(ends[0]), theirs(ends[1]);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, theirs.get(), 0);
  if (channel) {
    posix_spawn_file_actions_adddup2(&actions, channel->in, PassedChannel::kIn);
    posix_spawn_file_actions_adddup2(&actions, channel->out, PassedChannel::kOut);
  }
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);  // the supervisor does not end with our terminal
  char name[] = "bottle", verb[] = "supervise";
  char* argv[] = {name, verb, nullptr};
  pid_t pid = 0;
  int error = ::posix_spawn(&pid, job.path_to_self.c_str(), &actions, &attributes, argv, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return fail_errno("starting the supervisor " + job.path_to_self, error);
  theirs.reset();
  // The job goes over the socket, because other users could read a value in argv or the environment.
  TRY(send_frame(ours.get(), FrameType::job, TRY(wire::encode_exactly(job))));
  return ours.release();
}

}  // namespace bottle::session
