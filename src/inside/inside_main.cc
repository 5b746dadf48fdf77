// PID 1 of the agent's container: probe, report, wait for go, be the agent's parent.
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "base/file.h"
#include "inside/agent.h"
#include "inside/gate.h"
#include "inside/probes.h"

namespace {

using namespace bottle;
using namespace bottle::inside;

constexpr int kRefused = 125;  // ours, not the agent's
constexpr int kGuardWait = 10000, kGoWait = 30000;

std::string env(const char* name) {
  const char* value = ::getenv(name);
  return value ? value : "";
}

int refuse(const Error& error) {
  std::fprintf(stderr, "bottle: %s\r\n", error.what.c_str());
  return kRefused;
}

std::vector<Probe> self_test() {
  auto world = surroundings(env("BOTTLE_GUARD"), env("BOTTLE_GATEWAY"), env("BOTTLE_PROBE_HOSTS"), env("BOTTLE_RUNTIME"));
  if (!world) return {{"configuration", false, world.error().what}};
  return run_probes(*world, kGuardWait);
}

}  // namespace

int main() {
  // Nothing of the go message may be echoed, and no byte of it read as a key.
  termios cooked{};
  bool terminal = ::isatty(0) && ::tcgetattr(0, &cooked) == 0;
  if (terminal) {
    termios raw = cooked;
    ::cfmakeraw(&raw);
    ::tcsetattr(0, TCSANOW, &raw);
  }
  auto probes = self_test();
  if (auto r = write_all(1, encode_report(probes)); !r) return refuse(r.error());
  if (!all_ok(probes)) return kRefused;  // whatever comes now, the gate stays shut

  auto go = read_go(0, kGoWait);
  if (!go) return refuse(go.error());
  if (auto r = write_files(*go); !r) return refuse(r.error());
  if (terminal) ::tcsetattr(0, TCSANOW, &cooked);
  auto status = run_agent(*go, terminal);
  return status ? *status : refuse(status.error());
}
