// This program is PID 1 of the agent's container. On request, it runs the self-test and reports the result. After the
// go message, it starts the agent and reaps its children. As `inside connect GUARD HOST PORT`, it is an ssh
// ProxyCommand instead.
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>

#include "base/files/file.h"
#include "base/os/hardening.h"
#include "inside/agent.h"
#include "inside/companion.h"
#include "inside/gate/gate.h"
#include "inside/probes/exchange.h"
#include "inside/probes/probes.h"
#include "inside/through_guard.h"

namespace {

using namespace bottle;
using namespace bottle::inside;

constexpr int kRefused = 125;  // the helper's exit status, never the agent's
// These are in milliseconds. The request for the self-test comes when the guard serves, which may take long on a slow
// engine. The go message comes after the supervisor has read the report.
constexpr int kAskWait = 180000, kGuardWait = 30000, kGoWait = 30000;

std::string env(const char* name) {
  const char* value = ::getenv(name);
  return value ? value : "";
}

int refuse(const Error& error) {
  // The terminal may be in raw mode.
  std::fprintf(stderr, "bottle: %s\r\n", error.what.c_str());
  return kRefused;
}

std::vector<Probe> self_test() {
  auto world = surroundings({.guard = env("BOTTLE_GUARD"),
                             .gateway = env("BOTTLE_GATEWAY"),
                             .hosts = env("BOTTLE_PROBE_HOSTS"),
                             .runtime = env("BOTTLE_RUNTIME")});
  // A configuration that cannot be read fails the self-test and is in the report, so that the operator sees why.
  if (!world) return {{"configuration", false, world.error().what}};
  return run_probes(*world, kGuardWait);
}

}  // namespace

int main(int argc, char** argv) {
  restore_randomization(argv);  // the agent inherits this setting
  if (argc == 5 && std::strcmp(argv[1], "connect") == 0) {
    ::signal(SIGPIPE, SIG_IGN);
    return connect_command(argv[2], argv[3], argv[4]);
  }
  // Keeps the terminal from echoing the go message and from treating any byte of it as a key.
  termios cooked{};
  bool terminal = ::isatty(0) && ::tcgetattr(0, &cooked) == 0;
  if (terminal) {
    termios raw = cooked;
    ::cfmakeraw(&raw);
    ::tcsetattr(0, TCSANOW, &raw);
  }
  if (auto asked = read_ask(0, kAskWait); !asked) return refuse(asked.error());
  auto report = wire::report_of(self_test());
  if (auto r = write_all(1, frame_report(report)); !r) return refuse(r.error());
  if (!wire::is_clean(report)) return kRefused;  // the gate stays shut, whatever else arrives

  auto go = read_go(0, kGoWait);
  if (!go) return refuse(go.error());
  // Outside a container, this program must not change the system's store.
  if (auto r = write_files(*go, kPrivateDirectory, ::getpid() == 1 ? kSystemStore : ""); !r) return refuse(r.error());
  // Restores the terminal only now, because the go message also came over it.
  if (terminal) ::tcsetattr(0, TCSANOW, &cooked);
  auto guard = parse_endpoint(env("BOTTLE_GUARD"));
  UniqueFd agent_socket;
  if (go->ssh_agent) {
    // This comes before the agent starts, so that the agent finds the socket. Connections wait until the thread
    // accepts them.
    auto opened = open_agent_socket(std::string(kPrivateDirectory) + "/ssh-agent.sock");
    if (!opened) return refuse(opened.error());
    agent_socket = std::move(*opened);
  }
  auto status = run_agent(*go, terminal, [&]() -> Result<> {
    // The self-test has parsed the same variable, so this cannot happen after a clean report.
    if (!guard) return {};
    bool started = start_thread([at = *guard] { watch_guard(at, std::string(kPrivateDirectory) + "/guard"); });
    if (started && agent_socket)
      started = start_thread(
          [socket = std::move(agent_socket), at = *guard]() mutable { serve_agent_socket(std::move(socket), at); });
    if (!started)
      return fail(Code::limit, "the container may not have enough threads for bottle's helper; raise resources.pids");
    return {};
  });
  ::_exit(status ? *status : refuse(status.error()));  // not exit(), because our threads still run
}
