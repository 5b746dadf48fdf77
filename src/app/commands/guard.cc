// `bottle guard run` runs the guard without Docker, in the foreground. This process becomes the guard: it makes the
// configuration that a supervisor would send, writes it to a memory file, so that no value is on a disk or in an
// argument, and then calls the guard's main loop. On SIGHUP, it makes the configuration again from the same options,
// without asking for values, because the operator may no longer be at the terminal.
#include <fcntl.h>
#include <unistd.h>

#include <memory>

#include "app/commands/commands.h"
#include "app/output/output.h"
#include "app/world/own_rules.h"
#include "app/world/world.h"
#include "base/files/file.h"
#include "base/os/descriptors.h"
#include "base/unique_fd.h"
#include "guard/net/tls.h"
#include "guard/server.h"
#include "session/box/host_routes.h"
#include "session/console/terminal.h"
#include "session/credentials/values.h"
#include "session/guard_link/guard_link.h"

namespace bottle::app {
namespace {

struct GuardOptions {
  std::vector<std::string> listen;
  std::string config, ca_out, upstream_ca, resolver, audit;
  bool protect_host = false;
};

// Returns a descriptor that the programs of a reload do not inherit. "-" means stdout.
Result<UniqueFd> output_file(const std::string& path, int flags) {
  if (path == "-") return UniqueFd(1);
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | flags, 0600));
  if (!fd) return fail_errno("opening " + path);
  return fd;
}

// Reads the operator's file and all files and values that it names. Asks for values on the terminal if `may_ask` is
// set.
Result<wire::GuardConfig> read_config(const GuardOptions& o, bool may_ask) {
  std::string text = TRY(during("the guard's configuration (--config)", read_file(o.config, 4 << 20)));
  plan::Plan plan = TRY(plan::for_guard(TRY(manifest::parse_guard({o.config, std::move(text)}))));
  auto hidden = [&](const std::string& question) -> Result<std::string> {
    if (may_ask) return session::ask(question, session::Echo::off);
    return fail(Code::unavailable, "the guard asks for values only when it starts, so start it again");
  };
  auto values = TRY(session::resolve(plan, environment(), hidden));
  for (const auto& warning : session::warnings_of_short_values(plan.scan.secrets)) say("bottle: " + warning);
  std::string extra = TRY(concatenated(plan.egress.extra_ca));
  if (!o.upstream_ca.empty()) extra += TRY(read_file(o.upstream_ca, 4 << 20));
  auto rules = TRY(guard_rules(TRY(read_own_rules(plan.scan.rules))));
  session::GuardSettings added{.guard_ip = "127.0.0.1",
                               .ca_bundle = public_roots(),
                               .extra_ca = extra,
                               .secrets = values.secrets,
                               .known = session::known_secrets(plan, values.env, values.known),
                               .own_rules = std::move(rules)};
  // Without a bottle, the clients are on this machine's side of the guard and reach its addresses anyway.
  if (o.protect_host) added.host_networks = TRY(session::host_networks());
  auto config = session::guard_config(plan, added);
  config.listen = o.listen;
  // The machine's programs keep their own resolver.
  config.dns.clear();
  config.egress.resolver = o.resolver.empty() ? plan.egress.resolver : o.resolver;
  return config;
}

// Returns the exit status of the guard. Fails if an error occurred before the guard listened.
Result<int> become_guard(const GuardOptions& o) {
  auto config = TRY(read_config(o, true));

  // From now on this process is the guard. It gets its configuration, including secrets, in memory.
  guard::Alone alone;
  alone.config = TRY(make_memory_file("guard-config", wire::encode(config)));
  if (!o.audit.empty()) alone.audit = TRY(output_file(o.audit, O_APPEND));
  if (!o.ca_out.empty()) {
    // A file of an earlier run has another authority. The directory may belong to others, too, and the certificate is
    // never written through one of their links.
    if (o.ca_out != "-") ::unlink(o.ca_out.c_str());
    alone.ca_out = TRY(output_file(o.ca_out, O_EXCL | O_NOFOLLOW));
  }
  alone.reload = [o] { return read_config(o, false); };
  // This copy contains the secrets and is not needed any more.
  config = {};
  guard::start_tls();
  return guard::Server(std::move(alone)).run();
}

}  // namespace

void add_guard(Command app) {
  auto o = std::make_shared<GuardOptions>();
  Command group = app.group("guard");
  Command command = group.command("run");
  command.option("--listen", o->listen).required();
  command.option("--config", o->config).required();
  command.option("--ca-out", o->ca_out);
  command.option("--upstream-ca", o->upstream_ca);
  command.option("--resolver", o->resolver);
  command.option("--audit", o->audit);
  command.flag("--protect-host", o->protect_host);
  command.runs([o] { return exit_status(become_guard(*o)); });
}

}  // namespace bottle::app
