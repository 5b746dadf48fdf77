// Changes the policy of a running session, the operator's manifest, or both. Contradicting options are refused before
// anything changes, because a changed session is not changed back if the file cannot be saved. The session is changed
// first and the file last, because the operator can write by hand what could not be saved.
#include <algorithm>
#include <memory>

#include "app/commands/commands.h"
#include "app/output/output.h"
#include "app/world/policy_request.h"
#include "app/world/sessions.h"
#include "app/world/world.h"
#include "base/files/file.h"
#include "base/text/words.h"
#include "manifest/edit.h"
#include "session/guard_link/guard_link.h"
#include "session/ledger/files.h"
#include "wire/ledger.h"

namespace bottle::app {
namespace {

// Holds the words as they were typed. A single name may be the session or the host, which depends on the other
// options.
struct AllowOptions {
  std::string session, host, bottle, secret;
  std::vector<std::string> methods, paths, limits;
  bool save = false;
};

// Returns the name of the bottle of a running session.
Result<std::string> bottle_of(const std::string& session) {
  auto text = TRY(read_file(directories().session(session) + "/" + session::kInfo));
  std::string bottle = TRY(wire::decode<wire::SessionInfo>(text, wire::From::ours)).bottle;
  if (bottle.empty())
    return fail(Code::not_found, "the record of session " + session + " does not name its bottle",
                "leave out --save, or write --bottle NAME instead of the session to change only the manifest");
  return bottle;
}

// Refuses contradicting options before anything changes.
Result<> check_saving(const AllowOptions& o) {
  if (!o.bottle.empty() && !o.save)
    return fail(Code::invalid, "--bottle without --save does nothing", "name a session, or add --save");
  if (!o.bottle.empty() && !o.session.empty())
    return fail(Code::invalid, "--bottle changes only the manifest, not the session " + o.session,
                "leave out --bottle to change the session and to save for its bottle, or leave out the session");
  if (o.save && std::ranges::any_of(o.limits, [](const auto& limit) { return limit.ends_with("=none"); }))
    return fail(Code::invalid, "--save cannot remove a limit from the manifest, and nothing was changed",
                "remove the limit from the manifest with an editor; without --save, `none` changes the session");
  return {};
}

Result<> allow_secret(const AllowOptions& o) {
  if (o.save || !o.bottle.empty() || !o.host.empty() || !o.methods.empty() || !o.paths.empty())
    return fail(Code::invalid, "--secret goes with a session only",
                "to allow it in future sessions, add it to egress.allowed_secrets of the bottle");
  std::string session = TRY(running_session(o.session));
  print(session + ": " + TRY(change_policy(session, {"", wire::PolicyChange::AllowSecret{o.secret}})) +
        " (from the next request on)");
  return {};
}

// Refuses a cost without prices before anything changes, because no agent of the bottle could start with it.
Result<> check_prices(const std::string& bottle, const wire::LimitChange& change) {
  if (!change.of(wire::Quantity::cost)) return {};
  auto manifest = TRY(load_own_manifest());
  auto found = manifest.bottles.find(bottle);
  if (found == manifest.bottles.end() || !found->second.egress.prices.empty()) return {};
  return fail(Code::invalid,
              "nothing was changed: the bottle " + bottle + " has no prices to estimate costs with (egress.prices)",
              "add egress.prices, such as prices: {\"some-model-*\": {input: 3, output: 15}}, per million tokens");
}

// Says which of the saved limits of a host stay lower in future sessions. Rules of the same host share the lowest.
void show_lower_limits(const manifest::Bottle& bottle, const wire::LimitChange& change) {
  for (const auto& rule : bottle.egress.allow) {
    if (change.host.empty() || rule.host != lower(change.host)) continue;
    auto limit = session::guard_limit(rule.limit);
    for (size_t i = 0; i < limit.most.size(); ++i)
      if (change.most[i] && limit.most[i] && limit.most[i] < *change.most[i])
        say("bottle: another rule for " + rule.host + ", perhaps an inherited one, has a lower limit of " +
            wire::kQuantities[i] + ", and that one still applies");
  }
}

// A single name is the session if one of this name runs, and a host otherwise.
Result<> change_limits(AllowOptions o) {
  if (!o.secret.empty() || !o.methods.empty() || !o.paths.empty())
    return fail(Code::invalid, "--limit goes with a session and a host only", "leave the other options out");
  wire::LimitChange change = TRY(limit_change(o.limits));
  // A limit may apply to a whole session, so a single name may be either of the two.
  bool is_host = !o.bottle.empty() || !running_session(o.session);
  if (o.host.empty() && !o.session.empty() && is_host) o.host = std::exchange(o.session, "");
  TRY(check_saving(o));
  change.host = o.host;
  std::string bottle = o.bottle;
  if (bottle.empty()) {
    std::string session = TRY(running_session(o.session));
    if (o.save) {
      bottle = TRY(bottle_of(session));
      TRY(check_prices(bottle, change));
    }
    print(session + ": " + TRY(change_policy(session, {"", change})) + " (from the next request on)");
  } else {
    TRY(check_prices(bottle, change));
  }
  if (!o.save) return {};
  auto saved = TRY(save_limits(bottle, o.host, o.limits));
  print((saved.changed ? "saved the limits in " : "the limits are already in ") + saved.path + ", in the bottle " +
        bottle);
  // The limits are saved, so a mistake elsewhere in the operator's files is not an error here.
  if (auto manifest = load_own_manifest(); manifest && manifest->bottles.contains(bottle))
    show_lower_limits(manifest->bottles.at(bottle), change);
  return {};
}

// Refuses to save a rule that could not work: one for a service of egress.lan, which already has its rule there, so
// that the plan could not be made, or one for an address, which the guard refuses unless egress.hosts has it.
Result<> check_host(const std::string& bottle, const std::string& host) {
  auto manifest = TRY(load_own_manifest());
  auto found = manifest.bottles.find(bottle);
  if (found == manifest.bottles.end()) return {};
  for (const auto& route : found->second.egress.lan)
    if (lower(route.name) == lower(host))
      return fail(Code::invalid, "nothing was changed: " + host + " is a service in egress.lan of the bottle " + bottle,
                  "change its methods and paths in egress.lan; without --save, this changes only the session");
  if (manifest::is_address(host) && !found->second.egress.hosts.contains(host))
    return fail(Code::invalid, "nothing was changed: '" + host + "' is an address, not a name",
                "use egress.hosts to give a name an address, or egress.lan for a service of the local network");
  return {};
}

Result<> allow(AllowOptions o) {
  if (!o.limits.empty()) return change_limits(std::move(o));
  if (!o.secret.empty()) return allow_secret(o);
  if (o.host.empty() && o.session.empty())
    return fail(Code::invalid, "no host was given", "name a host, or a secret with --secret");
  // A single name is the host; the session is then the only one that runs.
  if (o.host.empty()) o.host = std::exchange(o.session, "");
  TRY(check_saving(o));
  auto rule = TRY(rule_from(o.host, o.methods, o.paths));
  std::string bottle = o.bottle, session;
  if (bottle.empty()) {
    session = TRY(running_session(o.session));
    if (o.save) bottle = TRY(bottle_of(session));
  }
  if (o.save) TRY(check_host(bottle, rule.host));
  if (!session.empty()) {
    print(session + ": " + TRY(change_policy(session, {"", wire::PolicyChange::Allow{rule}})) +
          " (from the next request on)");
  }
  if (!o.save) return {};
  auto saved = TRY(save_rule(bottle, rule));
  print((saved.changed ? "saved the rule in " : "the rule is already in ") + saved.path + ", under bottles." + bottle +
        ".egress.allow");
  return {};
}

}  // namespace

void add_allow(Command app) {
  auto o = std::make_shared<AllowOptions>();
  Command command = app.command("allow");
  command.option("session", o->session);
  command.option("host", o->host);
  command.option("--methods", o->methods).separated_by(',').one_value_each();
  command.option("--paths", o->paths).one_value_each();
  command.option("--secret", o->secret);
  command.option("--limit", o->limits).separated_by(',').one_value_each();
  command.flag("--save", o->save);
  command.option("--bottle", o->bottle);
  command.runs([o] { return exit_status(allow(*o)); });
}

}  // namespace bottle::app
