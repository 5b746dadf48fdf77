// The first part of this file carries lines over the engine's stream; the second makes the guard's configuration from
// a plan. The guard is our own program, but it reads what hostile servers and a hostile agent send, so its lines are
// bounded. A line that cannot be read becomes a special decision and is not dropped, because it may have been the
// record of something that was let through.
//
// The configuration depends on the side on which the guard runs. On the far side, it leaves out values and addresses
// that stay with the operator, and lists the hosts that need them in `relay`.
#include "session/guard_link/guard_link.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/files/file.h"
#include "base/os/poller.h"
#include "manifest/presets.h"
#include "plan/provider.h"
#include "session/audit/audit_file.h"

namespace bottle::session {

Result<> GuardLink::send(const wire::ToGuard& message) {
  auto sent = write_all(fd(), wire::encode(message) + "\n");
  // The guard may have received a part of the line, so it could not parse any later one. Closing its stdin ends it.
  if (!sent) ::shutdown(fd(), SHUT_WR);
  return sent;
}

std::vector<wire::FromGuard> take_messages(std::string& partial) {
  std::vector<wire::FromGuard> messages;
  size_t start = 0;
  for (size_t end; (end = partial.find('\n', start)) != std::string::npos; start = end + 1) {
    auto line = std::string_view(partial).substr(start, end - start);
    auto message = wire::decode<wire::FromGuard>(line, wire::From::ours);
    // A line that cannot be read may have been the record of something that was let through.
    messages.push_back(message ? std::move(*message) : unreadable(message.error()));
  }
  partial.erase(0, start);
  return messages;
}

Result<std::vector<wire::FromGuard>> GuardLink::read() {
  char buffer[65536];
  std::string bytes = attached_.take_early();
  if (bytes.empty()) {
    ssize_t n = ::read(fd(), buffer, sizeof buffer);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return std::vector<wire::FromGuard>{};
    if (n <= 0) return fail(Code::closed, "the guard closed its control channel");
    bytes.assign(buffer, static_cast<size_t>(n));
  }
  // The rest of earlier reads is one incomplete line.
  constexpr size_t kLongestLine = 1 << 20;
  if (partial_.size() > kLongestLine) return fail(Code::limit, "the guard wrote a line that is too long");
  std::string complaint;
  TRY(demux_.feed(bytes,
                  [&](int stream, std::string_view chunk) { (stream == 1 ? partial_ : complaint).append(chunk); }));
  auto messages = take_messages(partial_);
  // The guard's stderr is for the operator. For example, it says why the guard aborts.
  if (!complaint.empty()) messages.push_back(wire::GuardComplaint{complaint});
  return messages;
}

// Waits for the first answer to a configuration. Other messages are skipped.
Result<wire::Ready> GuardLink::await_ready(int timeout_ms) {
  auto deadline = Deadline::in_ms(timeout_ms);
  while (wait_readable(fd(), deadline)) {
    std::optional<wire::Ready> ready;
    for (auto& message : TRY(read())) {
      auto* complaint = std::get_if<wire::GuardComplaint>(&message);
      if (complaint && !ready) return fail(Code::invalid, "the guard refused its configuration: " + complaint->what);
      auto* first = ready ? nullptr : std::get_if<wire::Ready>(&message);
      if (first) ready = std::move(*first);
      else early_.push_back(std::move(message));
    }
    if (ready) return std::move(*ready);
  }
  return fail(Code::timed_out, "the guard was not ready within " + std::to_string(timeout_ms) + " ms");
}

wire::GuardLimit guard_limit(const manifest::Limit& limit) {
  // 0 would mean no limit.
  auto millionths = limit.cost > 0 ? std::max<uint64_t>(1, static_cast<uint64_t>(std::llround(limit.cost * 1e6))) : 0;
  return {{limit.requests, limit.bytes_up, limit.names, limit.tokens, millionths}};
}

wire::GuardRule guard_rule(const manifest::AllowRule& rule) {
  // The guard counts tokens in the answers of a host only for these reasons, because it must inspect the host to do
  // so.
  bool counts_tokens = rule.limit.tokens || rule.limit.cost > 0 || manifest::is_of_model(rule.preset);
  return {.host = rule.host,
          .ports = rule.ports,
          .methods = rule.methods,
          .paths = rule.paths,
          .inspect = rule.inspect,
          .on_secret = rule.on_secret,
          .on_injection = rule.on_injection,
          .limit = guard_limit(rule.limit),
          .reads_usage = counts_tokens};
}

// The guard always inspects a service of the operator's network, so that it can check methods and paths.
std::vector<wire::GuardRule> lan_rules(const plan::Plan& plan) {
  std::vector<wire::GuardRule> rules;
  for (const auto& route : plan.egress.lan)
    rules.push_back({.host = route.name,
                     .ports = {static_cast<uint16_t>(route.tls ? 443 : 80)},
                     .methods = route.methods,
                     .paths = route.paths,
                     .inspect = true});
  return rules;
}

std::vector<wire::GuardSshHost> ssh_hosts(const plan::Plan& plan) {
  std::vector<wire::GuardSshHost> hosts;
  hosts.reserve(plan.ssh.size());
  for (const auto& host : plan.ssh)
    hosts.push_back({host.hostname.empty() ? host.host : host.hostname, host.port, host.known_host_key});
  return hosts;
}

std::vector<std::string> texts_of(const std::vector<policy::Prefix>& networks) {
  std::vector<std::string> texts;
  texts.reserve(networks.size());
  for (const auto& network : networks) texts.push_back(to_string(network));
  return texts;
}

namespace {

// Adds the secrets to a configuration. If they stay on the near side, the guard relays the hosts of all secrets. It has
// only the values that the agent has, too, so that it can refuse them on the way to other hosts.
void add_secrets(const plan::Plan& plan, const GuardSettings& settings, wire::GuardConfig& config) {
  bool stay = settings.near_share.secrets_stay;
  for (const auto& secret : plan.secrets) {
    auto value = settings.secrets.find(secret.name);
    // This login is for the proxy that the guard itself uses. The agent has no placeholder for it.
    if (secret.name == plan::kParentLogin) {
      if (value != settings.secrets.end()) config.egress.parent_login = value->second;
      continue;
    }
    // The secret was optional and has no value.
    if (!stay && value == settings.secrets.end()) continue;
    config.secrets.push_back({.name = secret.name,
                              .value = value == settings.secrets.end() ? "" : value->second,
                              .relayed = stay,
                              .exposed = plan::is_exposed(plan, secret),
                              .placeholder = secret.placeholder,
                              .hosts = secret.hosts,
                              .header = secret.header,
                              .in = secret.in,
                              .beside = secret.beside});
    if (stay) config.relay.insert(config.relay.end(), secret.hosts.begin(), secret.hosts.end());
  }
}

}  // namespace

std::vector<wire::GuardKnownSecret> known_secrets(const plan::Plan& plan, const std::map<std::string, std::string>& env,
                                                  const std::map<std::string, std::string>& files) {
  std::vector<wire::GuardKnownSecret> known;
  for (const auto& variable : plan.env)
    // The agent has the value of such a variable, so all that the guard can do is look for it in outgoing traffic.
    if (auto value = env.find(variable.name); variable.secret && value != env.end())
      known.push_back({variable.name, value->second});
  for (const auto& [name, value] : files) known.push_back({name, value});
  return known;
}

wire::GuardConfig guard_config(const plan::Plan& plan, const GuardSettings& settings) {
  wire::GuardConfig config{.listen = {settings.guard_ip + ":3128"},
                           .dns = settings.guard_ip + ":53",
                           .names = {{"guard", settings.guard_ip}},
                           .ca_bundle = settings.ca_bundle,
                           .known = settings.known,
                           .own_rules = settings.own_rules,
                           .models = plan::model_hosts(plan),
                           .host_networks = texts_of(settings.host_networks)};
  auto& egress = config.egress;
  egress.on_secret = plan.egress.on_secret;
  egress.on_secret_for = plan.egress.on_secret_for;
  egress.allowed_secrets = plan.egress.allowed_secrets;
  egress.on_injection = plan.egress.on_injection;
  egress.hosts = plan.egress.hosts;
  egress.parent_proxy = plan.egress.parent_proxy;
  egress.extra_ca = settings.extra_ca;
  egress.http2 = plan.egress.http2;
  // The engine's own resolver listens at this address in every container on a user-defined network.
  egress.resolver = plan.egress.resolver.empty() ? "127.0.0.11:53" : plan.egress.resolver;
  egress.limit = guard_limit(plan.egress.limit);
  for (const auto& [model, price] : plan.egress.prices)
    egress.prices.push_back({model, price.input, price.output, price.cache_read, price.cache_write});
  for (const auto& rule : plan.egress.allow) egress.allow.push_back(guard_rule(rule));
  if (settings.side == wire::Side::far) {
    // A service of the operator's network is an ordinary rule whose host is relayed, because its address would mean
    // something else on this machine.
    for (auto& rule : lan_rules(plan)) {
      config.relay.push_back(rule.host);
      egress.allow.push_back(std::move(rule));
    }
  } else {
    for (const auto& route : plan.egress.lan)
      egress.lan.push_back({route.name, route.to, route.methods, route.paths, route.tls});
  }
  add_secrets(plan, settings, config);
  // "*" includes the hosts in the list, so it replaces them.
  if (settings.near_share.offline) config.relay = {"*"};
  config.ssh = ssh_hosts(plan);
  return config;
}

}  // namespace bottle::session
