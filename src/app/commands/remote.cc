// Both commands connect as a start does, so their findings are valid for a start. `setup` changes the other machine
// and therefore asks first. It installs the engine with the machine's own package manager, or with a script that the
// operator names; bottle itself downloads no script.
#include <unistd.h>

#include <memory>

#include "app/commands/commands.h"
#include "app/output/finding.h"
#include "app/output/output.h"
#include "app/place/place.h"
#include "app/world/world.h"
#include "base/files/file.h"
#include "base/text/line.h"
#include "remote/link/findings.h"
#include "session/console/terminal.h"

namespace bottle::app {
namespace {

using nlohmann::json;

struct RemoteCommand {
  std::string target;
  std::string docker_script;
  bool yes = false;
  Output output;
};

Result<int> check(const RemoteCommand& o) {
  leave_directory();  // ssh may run programs, such as a ProxyCommand, which must not begin in a repository
  auto address = TRY(address_of(o.target));
  auto progress = [&](const std::string& line) {
    if (!o.output.json) say(dim("· " + line));
  };
  auto side = TRY(remote::FarSide::reach(address, {::isatty(0) != 0, progress}));
  auto channel = TRY(side.serve());
  auto findings = remote::remote_findings(*channel.hello, address.target.to_string());
  json all = json::array();
  bool usable = true;
  for (const auto& finding : findings) {
    all.push_back(to_json(finding));
    usable = usable && finding.severity != Severity::fail;
    if (o.output.json) continue;
    const char* mark = finding.severity == Severity::ok     ? "ok    "
                       : finding.severity == Severity::warn ? "warn  "
                                                            : "FAIL  ";
    print(mark + finding.what);
    if (!finding.todo.empty()) print("      " + dim(finding.todo, 1));
  }
  if (o.output.json) print_json({{"target", address.target.to_string()}, {"usable", usable}, {"findings", all}});
  return usable ? 0 : 1;
}

// $1 is package or script. The operator's script follows this one on stdin. The output of all steps goes to stderr,
// the end of which becomes part of an error. sudo must not ask for a password (-n), because there is no terminal.
constexpr const char* kSetup = R"sh(
set -e
root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
if ! command -v dockerd >/dev/null 2>&1 && ! [ -x /usr/sbin/dockerd ]; then
  if [ "$1" = script ]; then
    root sh -s
  elif command -v apt-get >/dev/null 2>&1; then
    root env DEBIAN_FRONTEND=noninteractive apt-get -qq update
    root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install \
      docker.io iptables ca-certificates
  elif command -v dnf >/dev/null 2>&1; then root dnf -q -y install moby-engine || root dnf -q -y install docker
  elif command -v apk >/dev/null 2>&1; then root apk add --quiet docker
  elif command -v pacman >/dev/null 2>&1; then root pacman -Sy --noconfirm --quiet docker
  else echo "this machine has no package manager that bottle supports; install Docker by hand" >&2; exit 78; fi >&2
fi
if command -v systemctl >/dev/null 2>&1 && [ -d /run/systemd/system ]; then root systemctl enable --now docker
elif command -v rc-service >/dev/null 2>&1; then root rc-service docker start
fi >&2
[ "$(id -u)" = 0 ] || id -nG | tr ' ' '\n' | grep -qx docker || root usermod -aG docker "$(id -un)"
)sh";

Result<int> setup(const RemoteCommand& o) {
  auto read = o.docker_script.empty() ? Result<std::string>("") : read_file(o.docker_script, 1 << 20);
  if (!read)
    return fail(read.error().code, "--docker-script: " + read.error().what,
                "name a shell script, or leave out --docker-script to install the packages of the distribution");
  std::string script = std::move(*read);
  leave_directory();
  auto address = TRY(address_of(o.target));
  std::string machine = address.target.to_string();
  auto side =
      TRY(remote::FarSide::reach(address, {::isatty(0) != 0, [](const std::string& line) { say(dim("· " + line)); }}));
  auto channel = TRY(side.serve());
  if (channel.hello->engine) {
    say(dim("· " + machine + " already has a container engine; nothing to install"));
    return check(o);
  }
  std::string how =
      script.empty() ? "from its distribution's packages" : "by running " + o.docker_script + " on it as root";
  if (!o.yes)
    TRY(session::confirm("install a container engine on " + machine + ", " + how + "?", "nothing was installed"));
  say(dim("· installing a container engine on " + machine + ", " + how));
  std::string line = "sh -c " + ssh::quoted(kSetup) + " setup " + (script.empty() ? "package" : "script");
  // Installing packages may take long; the limit is 15 minutes.
  auto done = TRY(side.connection().capture(line, {.input = script, .timeout_ms = 900000}));
  if (done.status != 0)
    return fail(Code::unavailable, "setting up " + machine + " failed: " + folded(done.err, 2000),
                "sign in as root, or set up sudo without a password on that machine");
  channel = {};
  side.drop();  // a new group applies only from the next sign-in
  return check(o);
}

}  // namespace

void add_remote(Command app) {
  auto o = std::make_shared<RemoteCommand>();
  Command command = app.group("remote");
  auto does = [o](Result<int> (*what)(const RemoteCommand&)) {
    return [o, what] { return exit_status(what(*o), o->output.json); };
  };
  Command check_command = command.command("check");
  check_command.option("user@host", o->target).required();
  check_command.flag("--json", o->output.json);
  check_command.runs(does(check));
  Command setup_command = command.command("setup");
  setup_command.option("user@host", o->target).required();
  setup_command.option("--docker-script", o->docker_script);
  setup_command.flag("-y,--yes", o->yes);
  setup_command.flag("--json", o->output.json);
  setup_command.runs(does(setup));
}

}  // namespace bottle::app
