// A session on another machine continues without its near side. The ledger has everything that a new near side needs,
// except values and keys, which must not be on a disk; the operator is asked for them again, as at a start. If the
// operator can no longer give one of them, only that one is left out, because a session without a secret is better than
// one that cannot be joined. Without the values that must not leave, however, no request may go through this machine.
#include "app/place/join.h"

#include "app/world/own_rules.h"
#include "app/world/sessions.h"
#include "app/world/world.h"
#include "base/os/this_program.h"
#include "remote/link/far_side.h"
#include "remote/near/near_record.h"
#include "session/console/client.h"
#include "session/console/terminal.h"
#include "session/credentials/ssh_keys.h"
#include "session/credentials/values.h"
#include "session/ledger/ledger.h"
#include "session/supervisor.h"

namespace bottle::app {
namespace {

// Reads what the new broker needs: the values that must not leave, and the secrets that it inserts.
void give_values(wire::Job& job, const session::Ask& ask, const JoinOptions& options) {
  auto report = [&](const std::string& what, const Error& why) {
    options.progress(what + why.what + (why.todo.empty() ? "" : " (" + why.todo + ")"));
  };
  plan::Plan watched = job.plan;
  watched.secrets.clear();
  std::erase_if(watched.env, [](const plan::EnvVar& variable) { return !variable.secret; });
  auto values = session::resolve(watched, environment(), ask, [&](const Error& why) -> Result<> {
    report("this machine's guard cannot look for ", why);
    return {};
  });
  if (!values) {
    job.remote->may_broker = false;
    return report("cannot serve requests from this machine: ", values.error());
  }
  job.values = std::move(*values);
  if (!job.near_share.secrets_stay) return;
  plan::Plan inserted = job.plan;
  inserted.env.clear();  // the agent already has these
  inserted.scan.secrets.clear();
  auto secrets = session::resolve(inserted, environment(), ask, [&](const Error& why) -> Result<> {
    report("the session continues without ", why);
    return {};
  });
  if (secrets) job.values.secrets = std::move(secrets->secrets);
}

// Gives the new supervisor what the old one had only in its memory: the broker's rules and values, and the ssh keys.
void restore_near_share(wire::Job& job, const session::LedgerView& view, const JoinOptions& options) {
  bool brokered = view.near_share.secrets_stay || view.near_share.offline || !job.plan.egress.lan.empty();
  auto ask = [&](const std::string& question) -> Result<std::string> {
    if (!options.interactive) return fail(Code::unavailable, "there is no terminal to ask on: " + question);
    return session::ask(question, session::Echo::off);
  };
  auto without = [&](const std::string& what, const Error& why) {
    options.progress(std::string("the session continues without ") + what + ": " + why.what +
                     (why.todo.empty() ? "" : " (" + why.todo + ")"));
  };
  job.near_share = view.near_share;
  if (brokered) {
    auto read = read_own_rules(job.plan.scan.rules);
    auto rules = then(read, guard_rules);
    if (rules) job.own_rules = std::move(*rules);
    else without("the rules of scan.rules on this machine", rules.error());
  }
  if (brokered) {
    if (auto extra = concatenated(job.plan.egress.extra_ca)) job.extra_ca = std::move(*extra);
    else without("egress.extra_ca", extra.error());
  }
  if (brokered) give_values(job, ask, options);
  // The dead near side's own ssh-agent has ended with it.
  auto keys = session::find_ssh_keys(job.plan, environment(), ask, options.progress, [&](const Error& why) -> Result<> {
    without("an ssh key", why);
    return {};
  });
  if (keys) job.ssh_keys = std::move(*keys);
}

// Connects to the machine of a session whose near side lives, which may have lost its connection. The near side
// reconnects without asking, so the operator must give a passphrase or a second factor to this command. The near side
// then finds this connection.
void connect_for_near_side(const session::LedgerView& view, const JoinOptions& options) {
  // The key of a VM has no passphrase.
  if (!options.interactive || !view.machine || view.vm || view.machine->target.host.empty()) return;
  if (auto side = remote::FarSide::reach(*view.machine, {.interactive = true, .progress = options.progress}); !side)
    options.progress("the session's machine cannot be reached now: " + side.error().what);
}

}  // namespace

Result<UniqueFd> join(const std::string& name, const JoinOptions& options) {
  auto d = directories();
  auto view = TRY(ledger_of(name));
  if (!view.owner.is_gone()) connect_for_near_side(view, options);
  if (!view.owner.is_gone() || !view.machine || !view.plan) return connect_to_supervisor(name, view);
  // What this version does not know may be a limit or a rule.
  if (!view.unknown_in_plan.empty() && !options.stop)
    return fail(Code::invalid,
                "session " + name +
                    " was started by a later version of bottle, with a setting that is unknown to this one (" +
                    view.unknown_in_plan + ")",
                "attach with that version, or run `bottle stop " + name + "` to end it and bring its work home");

  wire::Job job;
  job.plan = *view.plan;
  job.id = view.id;
  job.directories = d;
  job.path_to_self = path_to_self();
  wire::MachineAddress address = *view.machine;
  address.program = TRY(remote::own_hash());  // this program may be newer than the one that started the session
  // Connects in this process, where ssh may ask. The supervisor then uses the existing connection.
  auto side = remote::FarSide::reach(address, {options.interactive, options.progress});
  auto moved = !side && view.vm ? remote::where_vm_moved(address, view.vm->name, d, hook_environment()) : std::nullopt;
  if (moved) {
    address = std::move(*moved);
    side = remote::FarSide::reach(address, {options.interactive, options.progress});
  }
  // Without a terminal, the supervisor itself keeps trying to reach the machine.
  if (!side && options.interactive) return std::unexpected(side.error());
  job.remote = wire::RemoteJob{.address = address};
  job.remote->task = options.stop ? wire::RemoteJob::Task::adopt_and_stop : wire::RemoteJob::Task::adopt;
  if (view.vm) {
    job.remote->vm = view.vm->wanted;
    job.remote->vm->environment = hook_environment();
  }
  if (!options.stop) restore_near_share(job, view, options);
  return session::start_supervisor(job);
}

Result<std::vector<std::string>> unattended(const Directories& d) {
  std::vector<std::string> names;
  for (const auto& name : TRY(shown_in(d.sessions))) {
    auto view = session::read_ledger(d, name);
    bool on_vm = view && view->vm;
    // A VM on which no agent ran has no work, and its reaper destroys it.
    if (view && view->machine && view->owner.is_gone() && (view->may_have_run() || !on_vm) &&
        !view->machine->target.host.empty())
      names.push_back(name);
  }
  return names;
}

}  // namespace bottle::app
