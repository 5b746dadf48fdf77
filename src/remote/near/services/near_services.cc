// Carries numbered streams between the far guard and the broker. Each stream has a window of bytes in flight for each
// direction, so one slow connection neither fills the memory nor blocks the others; a total limit keeps ssh's buffers
// short, because the operator's keystrokes share the connection. If a far side ignores its window, the stream is
// closed.
//
// make() also removes from the job everything that must not leave this machine: values of secrets, addresses of the
// LAN, and passphrases of keys.
#include "remote/near/services/near_services.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "base/files/file.h"
#include "base/os/deadline.h"
#include "session/box/host_routes.h"
#include "session/credentials/ssh_keys.h"
#include "session/guard_link/guard_link.h"
#include "session/ledger/files.h"
#include "session/policy/policy_change.h"

namespace bottle::remote {

using session::SessionAgent, wire::SshKey;

namespace {

// The size of one piece, in bytes. Even in Base64, a piece is so short that keystrokes do not wait noticeably for it.
constexpr size_t kPiece = 16 * 1024;
constexpr size_t kMostStreams = 256;
// How long a change of the usage counts may wait before it is written.
constexpr std::chrono::milliseconds kKeepsUsage{500};
// The limit for all streams together, in bytes. More would fill ssh's own buffers and delay the keystrokes.
constexpr size_t kMostInFlight = 1024 * 1024;

}  // namespace

Result<std::unique_ptr<NearServices>> NearServices::make(const Job& job, Job& there, const std::string& directory,
                                                         Send send, Record record, Program program) {
  bool may_broker = !job.remote || job.remote->may_broker;
  bool has_secrets = may_broker && job.near_share.secrets_stay && !job.values.secrets.empty();
  if (job.near_share.secrets_stay) there.values.known.clear();  // in this case, only the broker looks for them
  bool brokers = has_secrets || (may_broker && (there.near_share.offline || !job.plan.egress.lan.empty()));
  if (!brokers && job.ssh_keys.empty()) return nullptr;
  std::unique_ptr<NearServices> services(new NearServices(std::move(send), std::move(record)));
  services->rules_ = broker_rules(job.plan, {});
  if (brokers) {
    services->program_ = std::move(program);
    auto networks = TRY(session::host_networks());
    BrokerSettings settings{job.ca_bundle,
                            job.extra_ca,
                            {},
                            std::move(networks),
                            there.near_share.offline,
                            session::known_secrets(job.plan, job.values.env, job.values.known),
                            job.own_rules};
    if (has_secrets) {
      // The far guard must not expect a secret that has no value.
      std::erase_if(there.plan.secrets, [&](const plan::Secret& secret) {
        return !job.values.secrets.contains(secret.name);
      });  // optional secrets without a value
      settings.secrets = there.values.secrets;
      // The far guard must stop a value that the agent has on the way to hosts that this side does not serve. No other
      // value may leave this machine.
      std::erase_if(there.values.secrets, [&](const auto& value) {
        auto secret = std::ranges::find(job.plan.secrets, value.first, &plan::Secret::name);
        return secret == job.plan.secrets.end() || secret->name == plan::kParentLogin ||
               !plan::is_exposed(job.plan, *secret);
      });
    }
    services->usage_path_ = directory + "/" + session::kUsage;
    // Without the earlier counts, the limits could be used up again.
    auto kept = read_file(services->usage_path_, wire::KeptUsage::kMost);
    if (kept) services->usage_.take({TRY(wire::decode<wire::KeptUsage>(*kept, wire::From::ours)).hosts});
    else if (kept.error().code != Code::not_found) return std::unexpected(std::move(kept.error()));
    services->rules_ = broker_rules(job.plan, settings);
    services->config_ = broker_config(job.plan, settings);
    services->root_ = TRY(pki::Root::make(job.plan.session));
    TRY(services->start_broker());
    // The far guard must trust the broker's certificates as it trusts a parent proxy's.
    there.extra_ca += "\n" + services->root_->pem();
    for (auto& route : there.plan.egress.lan) route.to = "0.0.0.0:0";  // the address must not reach that machine
  }
  if (!job.ssh_keys.empty()) {
    // Keys that the operator's own ssh-agent holds need no second ssh-agent.
    std::unique_ptr<SessionAgent> agent;
    if (session::needs_own_agent(job.ssh_keys)) agent = TRY(SessionAgent::start(directory, job.plan, job.ssh_keys));
    services->ssh_.emplace(job.plan, job.ssh_keys, SessionAgent::socket_in(directory), std::move(agent),
                           services->record_,
                           [self = services.get()](const std::string& host) { return self->denies_ssh(host); });
    for (auto& key : there.ssh_keys) {
      // The far side starts no ssh-agent for a key that another one holds.
      key.holder = wire::SshKey::Holder::near_side;
      key.socket.clear();
      key.passphrase.clear();
    }
  }
  return services;
}

NearServices::~NearServices() {
  using namespace std::chrono_literals;
  if (!broker_ || !broker_->end()) return;
  // The broker may be broken, so this has a limit.
  for (auto deadline = Deadline::in(2s); wait_readable(broker_->fd(), deadline);) {
    auto messages = broker_->read();
    if (!messages) return;
    take_all(*messages);
    keep_usage();
  }
}

Result<> NearServices::start_broker() {
  auto config = *config_;
  // A restarted broker would otherwise count from zero, and limits could be used up again.
  config.used = usage_.all();
  broker_ = TRY(Broker::start(program_(), config, *root_));
  return {};
}

// A broker that did not get the whole change may keep rules that the operator has withdrawn, so it is replaced. If that
// fails, the next stream tries it again.
void NearServices::configure_broker() {
  if (!broker_ || broker_->configure(*config_)) return;
  broker_.reset();
  (void)start_broker();
}

void NearServices::change_policy(const wire::PolicyChange& change) {
  // The change is made in the rules of the session, because it may name a wider pattern than the broker's rules have.
  // If it is malformed, the far side refuses it, and its answer is the one that the operator sees.
  wire::GuardEgress egress = config_ ? config_->egress : wire::GuardEgress();
  egress.allow = rules_.session;
  auto changed = session::changed_egress(std::move(egress), change, rules_.services);
  if (!changed) return;
  rules_.session = std::move(changed->allow);
  // Without a broker there are only ssh keys, which need only the rules of the session.
  if (!config_) return;
  // The broker must not begin to serve a host that the far guard reaches by itself.
  changed->allow = rules_.narrowed();
  config_->egress = std::move(*changed);
  configure_broker();
}

void NearServices::set_unrecorded(const std::string& why) {
  if (!config_ || config_->unrecorded == why) return;
  config_->unrecorded = why;
  configure_broker();
}

void NearServices::update_networks() {
  using namespace std::chrono_literals;
  auto now = std::chrono::steady_clock::now();
  if (!config_ || now < networks_at_) return;
  networks_at_ = now + 5s;
  auto read = session::host_networks();
  if (!read) return;  // the broker keeps refusing the networks that were there before
  auto networks = session::texts_of(*read);
  if (config_->host_networks == networks) return;
  config_->host_networks = networks;
  configure_broker();
}

void NearServices::add_to(Poller& poller, bool behind) {
  if (broker_) poller.watch(broker_->fd());
  if (ssh_) poller.watch(ssh_->fd());
  for (const auto& [number, flow] : flows_) {
    // Without credit, a readable descriptor would wake the loop again and again.
    if (flow.window.room() > 0 && in_flight_ < kMostInFlight && !behind) poller.watch(flow.fd.get());
    if (!flow.window.waiting().empty()) poller.watch_writable(flow.fd.get());
  }
}

void NearServices::read_broker() {
  auto messages = broker_->read();
  if (!messages) {
    // The broker is restarted with the same policy and the same root. If that fails, the next stream tries it again.
    broker_.reset();
    (void)start_broker();
    return;
  }
  take_all(*messages);
}

void NearServices::take_all(const std::vector<wire::FromGuard>& messages) {
  for (const auto& message : messages) {
    if (const auto* decision = std::get_if<wire::Decision>(&message)) record_(*decision);
    const auto* usage = std::get_if<wire::Usage>(&message);
    if (!usage) continue;
    usage_.take(*usage);
    if (!keep_at_) keep_at_ = std::chrono::steady_clock::now() + kKeepsUsage;
  }
}

// Writes the usage counts for a near side that takes over the session. If they cannot be written, the session
// continues, and the next turn after a while tries it again.
void NearServices::keep_usage() {
  keep_at_.reset();
  if (!write_file_atomically(usage_path_, wire::encode(wire::KeptUsage{usage_.all()})))
    keep_at_ = std::chrono::steady_clock::now() + kKeepsUsage;
}

void NearServices::handle(const Poller& poller, bool behind) {
  update_networks();
  if (keep_at_ && std::chrono::steady_clock::now() >= *keep_at_) keep_usage();
  if (broker_ && poller.readable(broker_->fd())) read_broker();
  if (ssh_ && poller.readable(ssh_->fd())) ssh_->take_answers(send_);
  // All flows get their turn, including those whose credit has come without anything to read.
  for (auto& [number, flow] : flows_) {
    pass_on(number, flow);
    if (!behind) pump(number, flow);
  }
  std::erase_if(flows_, [&](const auto& each) {
    const Flow& flow = each.second;
    // The far guard takes nothing more of a stream that is over.
    if (flow.over) in_flight_ -= flow.window.in_flight();
    return flow.over;
  });
}

void NearServices::take(std::string_view line) {
  auto message = wire::decode<wire::ToNearSide>(line, wire::From::foreign);
  if (!message) return;
  // The old streams ended with the guard that opened them.
  if (std::holds_alternative<wire::FarGuardHere>(*message)) link_is_gone();
  if (const auto* part = std::get_if<wire::StreamPart>(&*message)) take_stream(*part);
  if (!ssh_) return;
  if (std::holds_alternative<wire::SshTunnelsFollow>(*message)) ssh_->require_tunnels();
  if (const auto* tunnel = std::get_if<wire::SshTunnel>(&*message)) ssh_->take_tunnel(*tunnel);
  if (const auto* request = std::get_if<wire::AgentRequest>(&*message)) ssh_->take_request(*request, send_);
}

void NearServices::open_stream(uint32_t number) {
  // The far side chooses the numbers. One that is in use would otherwise take over another stream's connection.
  bool can = !flows_.contains(number) && config_ && flows_.size() < kMostStreams && (broker_ || start_broker());
  auto fd = can ? broker_->connect() : Result<UniqueFd>(fail(Code::limit, "no more streams"));
  if (fd) flows_[number].fd = std::move(*fd);
  else say(number, Part::Closed{});
}

void NearServices::take(uint32_t stream, Flow& flow, const Part::Data& data) {
  if (!flow.over && flow.window.accept(data.bytes)) return;
  flow.over = true;
  say(stream, Part::Closed{});
}

void NearServices::take(uint32_t, Flow& flow, const Part::Taken& taken) {
  in_flight_ -= flow.window.acknowledged(taken.bytes);
}

void NearServices::take_stream(const Part& part) {
  if (std::holds_alternative<Part::Open>(part.what)) return open_stream(part.stream);
  auto found = flows_.find(part.stream);
  if (found == flows_.end()) return;
  Flow& flow = found->second;
  std::visit([&](const auto& what) { take(part.stream, flow, what); }, part.what);
  // Does not read from the broker. Otherwise, a far guard that claims to have taken what was not even sent yet could
  // fill the memory within one turn.
  pass_on(part.stream, flow);
}

// Passes on to the broker what the far guard has sent.
void NearServices::pass_on(uint32_t number, Flow& flow) {
  if (flow.over) return;
  while (!flow.window.waiting().empty()) {
    auto waiting = flow.window.waiting();
    ssize_t n = ::send(flow.fd.get(), waiting.data(), waiting.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (n < 0) {
      flow.window.drop();  // the broker reads no more, but may have answered
      break;
    }
    flow.window.passed(static_cast<size_t>(n));
  }
  if (auto taken = flow.window.to_acknowledge()) say(number, Part::Taken{*taken});
  if (flow.window.is_complete() && !flow.shut) {
    // This tells the broker that the request is complete. The broker may still answer.
    ::shutdown(flow.fd.get(), SHUT_WR);
    flow.shut = true;
  }
}

// Passes on to the far guard what the broker has sent.
void NearServices::pump(uint32_t number, Flow& flow) {
  if (flow.over) return;
  auto end_both = [&] {
    flow.over = true;
    say(number, Part::Closed{});
  };
  char buffer[kPiece];
  // Only one piece is sent per turn, so that streams, keystrokes and the agent's output take turns.
  if (flow.window.room() > 0 && in_flight_ < kMostInFlight) {
    // Reads no more than the far guard has room for.
    ssize_t n = ::recv(flow.fd.get(), buffer, std::min(sizeof buffer, flow.window.room()), MSG_DONTWAIT);
    if (n > 0) {
      flow.window.sent(static_cast<size_t>(n));
      in_flight_ += static_cast<size_t>(n);
      say(number, Part::Data{{buffer, static_cast<size_t>(n)}});
    } else if (n == 0) {
      say(number, Part::End{});
      end_both();  // the broker closes connections in both directions together
    } else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
      end_both();
    }
  }
}

void NearServices::link_is_gone() {
  flows_.clear();
  in_flight_ = 0;
  if (ssh_) ssh_->guard_is_gone();
}

}  // namespace bottle::remote
