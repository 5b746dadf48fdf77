#include "session/supervisor.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <map>

#include "session/clients.h"
#include "session/near/run.h"
#include "session/run.h"

extern char** environ;

namespace bottle::session {
namespace {

constexpr int kChannelIn = 3, kChannelOut = 4;  // below the numbers that a Channel's own descriptors have

}  // namespace

Result<int> start_supervisor(const Job& job, const Channel* channel) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("making a socket pair");
  UniqueFd ours(ends[0]), theirs(ends[1]);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, theirs.get(), 0);
  if (channel) {
    posix_spawn_file_actions_adddup2(&actions, channel->in.get(), kChannelIn);
    posix_spawn_file_actions_adddup2(&actions, channel->out.get(), kChannelOut);
  }
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);  // no terminal of ours can take it down
  char name[] = "bottle", verb[] = "supervise";
  char* argv[] = {name, verb, nullptr};
  pid_t pid = 0;
  int error = ::posix_spawn(&pid, job.path_to_self.c_str(), &actions, &attributes, argv, environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return fail_errno("starting the supervisor " + job.path_to_self, error);
  theirs.reset();
  // The job goes over the socket: a value in argv or the environment could be read by others.
  TRY(send_frame(ours.get(), FrameType::job, to_json(job).dump()));
  return ours.release();
}

int supervise(int socket) {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);
  ::signal(SIGINT, SIG_IGN);
  // Secrets and the session's root key are in this memory: no core dump of it, and no other process of the operator's
  // looks in.
  ::prctl(PR_SET_DUMPABLE, 0);
  UniqueFd first(::fcntl(socket, F_DUPFD_CLOEXEC, 10));
  ::close(socket);
  (void)!::open("/dev/null", O_RDONLY);
  auto frame = receive_frame(first.get());
  if (!frame || frame->type != FrameType::job) return 125;
  auto job = job_from_json(frame->bytes);
  if (!job) return 125;
  Clients clients(std::move(first));
  // Other programs' variables, and maybe their secrets, are no business of a process that lives for hours.
  if (!std::getenv("BOTTLE_TEST_KILL_AT_RECORD") && !std::getenv("BOTTLE_TEST_KILL_LAUNCHER_AT_RECORD") &&
      !std::getenv("BOTTLE_TEST_STOP_AT_RECORD")) {
    // What ssh needs to come back after a broken connection: its agent, and where a ProxyCommand is found.
    std::map<std::string, std::string> kept = {
        {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}};
    for (const char* name : {"SSH_AUTH_SOCK", "PATH", "XDG_RUNTIME_DIR"})
      if (const char* value = std::getenv(name); value && job->remote) kept[name] = value;
    if (const char* limit = std::getenv("BOTTLE_ENGINE_TIMEOUT")) kept["BOTTLE_ENGINE_TIMEOUT"] = limit;
    kept["HOME"] = job->directories.home;
    ::clearenv();
    for (const auto& [name, value] : kept) ::setenv(name.c_str(), value.c_str(), 1);
  }
  if (job->remote) {
    std::optional<Channel> channel;
    if (!job->remote->adopt && !job->remote->vm)
      channel = Channel{UniqueFd(kChannelIn),
                        UniqueFd(kChannelOut),
                        {},
                        job->remote->unseen ? nlohmann::json() : nlohmann::json::object()};
    for (int fd : {kChannelIn, kChannelOut})
      if (channel) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    run_remote(*job, clients, std::move(channel));
  } else {
    run(*job, clients);
  }
  return 0;
}

}  // namespace bottle::session
