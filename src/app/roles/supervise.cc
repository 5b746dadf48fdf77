// This is the main function of a supervisor. It begins as a child of the launcher and must outlive it: signals of the
// launcher's terminal are ignored, and the terminal's descriptors were replaced when it was started. Because the
// process lives for hours, it keeps only what a session needs: it takes over the socket, then reads the job, then
// removes other variables from its environment. Only ssh still gets them, except for the secrets of agents.
#include "app/roles/supervise.h"

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
#include "ssh/connection.h"
#include "wire/codec/failure.h"

namespace bottle::app {

using namespace session;
using wire::FrameType, wire::Job, wire::receive_frame, wire::send_frame;

namespace {

// Takes over the launcher's socket, which came as stdin. It is moved above the numbers of a passed channel, and
// /dev/null becomes the stdin of the programs that the session starts.
UniqueFd take_socket(int from) {
  UniqueFd socket(::fcntl(from, F_DUPFD_CLOEXEC, 10));
  ::close(from);
  (void)!::open("/dev/null", O_RDONLY);
  return socket;
}

// Receives the job, which the launcher sends immediately, so this does not wait long. Returns an empty optional if
// none comes or if it cannot be read, and then says so on the socket.
std::optional<Job> receive_job(int socket) {
  auto frame = receive_frame(socket);
  if (!frame || frame->type != FrameType::job) return {};
  auto job = wire::decode<Job>(frame->bytes, wire::From::ours);
  if (!job) {
    (void)send_frame(socket, FrameType::failure, wire::encode(job.error()));
    return {};
  }
  // The launcher leaves them out, because they would be most of the job. If the launcher is on another machine, the
  // roots of that machine count.
  if (job->side() != wire::Side::far) job->ca_bundle = public_roots();
  return std::move(*job);
}

// Removes the variables of other programs, which may be secrets and must not stay in a process that runs for hours.
void keep_needed_variables(const Job& job) {
  const auto before = environment();
  for (const char* test :
       {"BOTTLE_TEST_KILL_AT_RECORD", "BOTTLE_TEST_KILL_LAUNCHER_AT_RECORD", "BOTTLE_TEST_STOP_AT_RECORD"})
    if (before.contains(test)) return;
  // ssh may need any variable of the operator.
  if (job.side() == wire::Side::near) ssh::set_environment(hook_environment());
  clear_environment();
  for (const auto& [name, value] : kept_variables(job, before)) ::setenv(name.c_str(), value.c_str(), 1);
}

// Returns the connection to the far side that the launcher has opened. A supervisor that adopts a session, or makes a
// VM first, was started without one, and the descriptors may then be anything.
std::optional<remote::Channel> passed_channel(const wire::RemoteJob& job) {
  if (job.adopts() || job.vm) return {};
  for (int fd : {PassedChannel::kIn, PassedChannel::kOut}) ::fcntl(fd, F_SETFD, FD_CLOEXEC);
  return remote::Channel{UniqueFd(PassedChannel::kIn),
                         UniqueFd(PassedChannel::kOut),
                         {},
                         job.task == wire::RemoteJob::Task::begin_unseen ? std::nullopt : std::optional(wire::Hello())};
}

}  // namespace

std::map<std::string, std::string> kept_variables(const Job& job, const std::map<std::string, std::string>& all) {
  std::map<std::string, std::string> kept = {{"PATH", kUsualPath}};
  auto keep = [&](std::initializer_list<const char*> names) {
    for (const char* name : names)
      if (auto found = all.find(name); found != all.end()) kept[name] = found->second;
  };
  // ssh needs its agent to reconnect. An image that is sent to the machine is first written to TMPDIR.
  if (job.side() == wire::Side::near) keep({"SSH_AUTH_SOCK", "PATH", "XDG_RUNTIME_DIR", "TMPDIR"});
  // These say where the operator's own git settings are, which decide whose repositories git may read and under which
  // name the agent commits.
  keep({"SUDO_UID", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"});
  keep({"BOTTLE_ENGINE_TIMEOUT"});
  kept["HOME"] = job.directories.home;
  return kept;
}

int supervise(int socket) {
  // SIGTERM is not ignored: it asks the session to stop (session/console/stop_signal.h).
  for (int signal : {SIGPIPE, SIGHUP, SIGINT}) ::signal(signal, SIG_IGN);
  UniqueFd launcher = take_socket(socket);
  auto job = receive_job(launcher.get());
  if (!job) return 125;
  keep_needed_variables(*job);
  // This object is never destroyed. The kernel closes its connections as it ends this process, so that a client can
  // wait for the end of the process (await_end).
  static Clients& clients = *new Clients(std::move(launcher));
  if (job->side() == wire::Side::near) remote::run_near_side(*job, clients, passed_channel(*job->remote));
  else run(*job, clients, docker::connect);
  constexpr std::chrono::minutes kPatience{10};  // only the final messages of the session are left to send
  // A pager or a stopped terminal may take long to read the end.
  clients.drain(kPatience);
  return 0;
}

int run_broker() {
  guard::start_tls();
  return guard::Server(guard::AsBroker{UniqueFd(2)}).run();
}

}  // namespace bottle::app
