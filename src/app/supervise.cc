// This is the main function of a supervisor. It begins as a child of the launcher and must outlive it: signals of the
// launcher's terminal are ignored, and the terminal's descriptors were replaced when it was started. Because the
// process lives for hours, it keeps only what a session needs: it takes over the socket, then reads the job, then
// removes other variables from its environment.
#include "app/supervise.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <map>

#include "app/world/world.h"
#include "base/os/hardening.h"
#include "base/unique_fd.h"
#include "docker/client/http_engine.h"
#include "guard/net/tls.h"
#include "guard/server.h"
#include "remote/near/near_side.h"
#include "session/console/clients.h"
#include "session/run.h"
#include "session/supervisor.h"
#include "wire/failure.h"

namespace bottle::app {

using namespace session;

int supervise(int socket) {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);
  // SIGTERM is not ignored: it asks the session to stop (session/console/stop_signal.h).
  ::signal(SIGINT, SIG_IGN);
  // The socket came as stdin. It is moved above the numbers of a passed channel, and /dev/null becomes the stdin of
  // the programs that the session starts.
  UniqueFd first(::fcntl(socket, F_DUPFD_CLOEXEC, 10));
  ::close(socket);
  (void)!::open("/dev/null", O_RDONLY);
  // The launcher sends the job immediately, so this does not wait long.
  auto frame = receive_frame(first.get());
  if (!frame || frame->type != FrameType::job) return 125;
  auto job = wire::decode<Job>(frame->bytes, wire::From::ours);
  if (!job) {
    (void)send_frame(first.get(), FrameType::failure, wire::encode(job.error()));
    return 125;
  }
  // The launcher leaves them out, because they would be most of the job. If the launcher is on another machine, the
  // roots of that machine count.
  if (!job->far) job->ca_bundle = public_roots();
  // This object is never destroyed. The kernel closes its connections as it ends this process, so that a client can
  // wait for the end of the process (await_end).
  static Clients& clients = *new Clients(std::move(first));
  // The variables of other programs, which may be secrets, must not stay in a process that runs for hours.
  if (!std::getenv("BOTTLE_TEST_KILL_AT_RECORD") && !std::getenv("BOTTLE_TEST_KILL_LAUNCHER_AT_RECORD") &&
      !std::getenv("BOTTLE_TEST_STOP_AT_RECORD")) {
    // ssh needs these to reconnect: its agent, and where a ProxyCommand is found.
    std::map<std::string, std::string> kept = {
        {"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}};
    for (const char* name : {"SSH_AUTH_SOCK", "PATH", "XDG_RUNTIME_DIR"})
      if (const char* value = std::getenv(name); value && job->remote) kept[name] = value;
    // These say where the operator's own git settings are, which decide whose repositories git may read and under which
    // name the agent commits.
    for (const char* name :
         {"SUDO_UID", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"})
      if (const char* value = std::getenv(name)) kept[name] = value;
    if (const char* limit = std::getenv("BOTTLE_ENGINE_TIMEOUT")) kept["BOTTLE_ENGINE_TIMEOUT"] = limit;
    kept["HOME"] = job->directories.home;
    clear_environment();
    for (const auto& [name, value] : kept) ::setenv(name.c_str(), value.c_str(), 1);
  }
  if (job->remote) {
    std::optional<remote::Channel> channel;
    // A supervisor that adopts a session, or makes a VM first, was started without a channel. Descriptors 3 and 4 may
    // then be anything.
    if (!job->remote->adopt && !job->remote->vm)
      channel = remote::Channel{UniqueFd(PassedChannel::kIn),
                                UniqueFd(PassedChannel::kOut),
                                {},
                                job->remote->unseen ? std::nullopt : std::optional(wire::Hello())};
    for (int fd : {PassedChannel::kIn, PassedChannel::kOut})
      if (channel) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    remote::run_near_side(*job, clients, std::move(channel));
  } else {
    run(*job, clients, docker::connect);
  }
  constexpr std::chrono::minutes kPatience{10};  // only the final messages of the session are left to send
  // A pager or a stopped terminal may take long to read the end.
  clients.drain(kPatience);
  return 0;
}

int run_broker() {
  guard::start_tls();
  return guard::Server({.connections_fd = 2}).run();
}

}  // namespace bottle::app
