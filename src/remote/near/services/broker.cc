// Derives the broker's rules from the plan's. The far guard applies the same rules first, but it may have been taken
// over, so only the broker's rules protect the operator. They are narrower than the plan's: they allow only hosts to
// which a secret is bound and services of the LAN, unless the other machine has no network at all. Every request is
// inspected, because a value can be inserted into a request, but not into a tunnel.
//
// Connections reach the broker as descriptors over a socket pair. With a listening socket, any program on this machine
// could use the operator's secrets.
#include "remote/near/services/broker.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/files/file.h"
#include "base/os/descriptors.h"
#include "base/os/poller.h"
#include "session/guard_link/guard_link.h"

namespace bottle::remote {

using session::guard_config;

namespace {

constexpr size_t kLongestLine = 1 << 20;
// A broker that runs reads at once. If it does not, it is replaced, and a new one may take longer.
constexpr int kChangeMs = 2000;

// Returns the narrower of two host patterns if one covers the other, or an empty string if neither does.
std::string narrower(const std::string& a, const std::string& b) {
  if (manifest::covers(a, b)) return b;
  return manifest::covers(b, a) ? a : "";
}

}  // namespace

std::vector<wire::GuardRule> BrokerRules::narrowed() const {
  if (!served) return session;
  // A rule for "*.example.org" and a secret for "api.example.org" give a rule for the latter, and the reverse.
  std::map<std::string, std::vector<const wire::GuardRule*>> by_name;
  for (const auto& rule : session)
    for (const auto& host : *served)
      if (std::string name = narrower(rule.host, host); !name.empty()) by_name[name].push_back(&rule);
  std::vector<wire::GuardRule> rules;
  for (const auto& [name, from] : by_name)
    for (const auto* rule : from) {
      // For a host, only the rules with the most specific pattern apply. If the others had the same name, they would
      // apply, too.
      bool outranked = std::ranges::any_of(from, [&](const wire::GuardRule* other) {
        return other->host != rule->host && manifest::covers(rule->host, other->host);
      });
      if (outranked) continue;
      auto& added = rules.emplace_back(*rule);
      added.host = name;
      added.inspect = true;
      // The limit of a wider pattern counts all of its hosts together, whichever rule allows them.
      if (rule->host != name) added.limit = {};
    }
  // A rule for such a pattern must not allow more, so a denial has the limit. It hides nothing: all rules above are for
  // narrower patterns, or for the hosts of another one.
  for (const auto& rule : session)
    if (rule.limit.any() && !by_name.contains(rule.host) &&
        std::ranges::any_of(*served, [&](const auto& host) { return manifest::covers(rule.host, host); }))
      rules.push_back({.host = rule.host, .deny = true, .limit = rule.limit});
  return rules;
}

BrokerRules broker_rules(const plan::Plan& plan, const BrokerSettings& settings) {
  BrokerRules rules;
  for (const auto& rule : plan.egress.allow) rules.session.push_back(session::guard_rule(rule));
  rules.services = {.rules = session::lan_rules(plan), .have_routes = false, .ssh = session::ssh_services(plan.ssh)};
  rules.session.insert(rules.session.end(), rules.services.rules.begin(), rules.services.rules.end());
  if (settings.offline) return rules;
  auto& served = rules.served.emplace();
  for (const auto& secret : plan.secrets)
    if (settings.secrets.contains(secret.name)) served.insert(secret.hosts.begin(), secret.hosts.end());
  for (const auto& route : plan.egress.lan) served.insert(route.name);
  return rules;
}

wire::GuardConfig broker_config(const plan::Plan& plan, const BrokerSettings& settings) {
  wire::GuardConfig config = guard_config(plan, {.guard_ip = "127.0.0.1",
                                                 .ca_bundle = settings.ca_bundle,
                                                 .extra_ca = settings.extra_ca,
                                                 .secrets = settings.secrets,
                                                 .host_networks = settings.host_networks,
                                                 .known = settings.known,
                                                 .own_rules = settings.own_rules});
  BrokerRules rules = broker_rules(plan, settings);
  if (rules.served) {
    config.egress.hosts.clear();
    config.ssh.clear();
  }
  // The binding names every member, so that a new member does not compile until this function handles it.
  auto& [allow, lan, on_secret, on_secret_for, allowed_secrets, on_injection, limit, prices, hosts, parent, login,
         extra_ca, resolver, http2, idle] = config.egress;
  allow = rules.narrowed();
  if (rules.served)
    for (const auto& [name, to] : plan.egress.hosts)
      if (std::ranges::any_of(*rules.served, [&](const auto& host) { return manifest::covers(host, name); }))
        hosts[name] = to;
  // A fixed address also allows one in the operator's network, to which no other name may lead.
  for (const auto& route : plan.egress.lan) hosts[route.name] = {route.to};
  lan.clear();
  // The default of guard_config() is the resolver of a container's engine.
  resolver = plan.egress.resolver;
  config.listen.clear();
  config.dns.clear();
  config.names.clear();
  return config;
}

Result<std::unique_ptr<Broker>> Broker::start(const std::string& program, const wire::GuardConfig& config,
                                              const pki::Root& root, int patience_ms) {
  auto hand = TRY(make_socket_pair());
  Command command;
  command.argv = {program, "broker"};  // its stderr is the socket over which it receives connections
  // The broker needs none of the operator's variables, which may hold credentials.
  command.clean_env = true;
  Child child = TRY(Child::spawn(command, Child::pipe(), Child::pipe(), Child::from(hand.theirs.get())));
  auto broker = std::unique_ptr<Broker>(new Broker(std::move(child), std::move(hand.ours)));
  // With this, send() does not wait for a broker that does not read.
  if (::fcntl(broker->child_.in(), F_SETFL, O_NONBLOCK) != 0) return fail_errno("making a pipe non-blocking");
  TRY(broker->send(wire::Configure{config}, patience_ms));
  // A broker is ready in milliseconds; the patience is for a machine under load.
  for (auto deadline = Deadline::in_ms(patience_ms); wait_readable(broker->fd(), deadline);) {
    for (const auto& message : TRY(broker->read())) {
      if (const auto* complaint = std::get_if<wire::GuardComplaint>(&message))
        return fail(Code::invalid, "the broker refused its configuration: " + complaint->what);
      const auto* ready = std::get_if<wire::Ready>(&message);
      if (!ready) continue;
      TRY(broker->send(wire::Certificate{TRY(root.certify(ready->csr))}, patience_ms));
      return broker;
    }
  }
  return fail(Code::timed_out, "the broker was not ready within " + std::to_string(patience_ms) + " ms");
}

// One loop serves all streams and the keystrokes, so it must not wait long for a broker that hangs.
Result<> Broker::send(const wire::ToGuard& message, int patience_ms) {
  std::string line = wire::encode(message) + "\n";
  auto deadline = Deadline::in_ms(patience_ms);
  for (size_t sent = 0; sent < line.size();) {
    ssize_t n = ::write(child_.in(), line.data() + sent, line.size() - sent);
    if (n > 0) sent += static_cast<size_t>(n);
    if (n >= 0 || errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK) return fail_errno("sending to the broker");
    if (!wait_writable(child_.in(), deadline)) return fail(Code::timed_out, "the broker does not read");
  }
  return {};
}

Result<> Broker::configure(const wire::GuardConfig& config) { return send(wire::Configure{config}, kChangeMs); }

Result<> Broker::end() { return send(wire::Shutdown{}, kChangeMs); }

Result<UniqueFd> Broker::connect() {
  // The descriptors are non-blocking, because one loop serves all streams and the keystrokes.
  auto pair = TRY(make_socket_pair(Waits::no));
  TRY(during("passing a connection to the broker", pass_descriptor(hand_.get(), pair.theirs.get())));
  return std::move(pair.ours);
}

Result<std::vector<wire::FromGuard>> Broker::read() {
  char buffer[65536];
  ssize_t n = ::read(fd(), buffer, sizeof buffer);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return std::vector<wire::FromGuard>{};
  if (n <= 0) return fail(Code::closed, "the broker exited");
  // The rest of earlier reads is one incomplete line.
  if (partial_.size() > kLongestLine) return fail(Code::limit, "the broker wrote a line that is too long");
  partial_.append(buffer, static_cast<size_t>(n));
  return session::take_messages(partial_);
}

}  // namespace bottle::remote
