// Each connection of the bottle to its SSH_AUTH_SOCK is a separate conversation, with its own filter and its own
// connections to the ssh-agents. This is necessary because a binding to a host (session-bind@openssh.com) belongs to
// a connection: an ssh-agent that has confirmed a host for one connection has not confirmed it for another.
//
// The session's thread filters, audits and answers. Only the exchange with the ssh-agents runs on a thread, one for
// each conversation, because an operator may take a minute to confirm a request. The only requests that pass are for
// a list, a binding, or the signature of a login. A signature is requested only if the ssh-agent that holds the key
// has itself confirmed the host.
#include "session/credentials/ssh_agent_link.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <mutex>
#include <set>
#include <system_error>

#include "base/ids.h"
#include "base/timestamp.h"
#include "pki/seal.h"
#include "sshagent/wire.h"

namespace bottle::session {
namespace {

using wire::SshKey;
using Action = wire::DecisionAction;
using Clock = std::chrono::steady_clock;

// Each one may hold a thread and a connection to every ssh-agent. ssh uses one connection per login.
constexpr size_t kMostConversations = 16;
// The limit is in milliseconds. The operator's ssh-agent may ask for a confirmation (ssh-add -c).
constexpr int kPatience = 120000;
// Allows a burst of sixty requests, and ten a second after that. A login takes three, so a client that sends more is
// not logging in.
constexpr double kBurst = 60, kPerSecond = 10;

}  // namespace

struct SshAgentLink::Conversation {
  Conversation(const std::vector<sshagent::Key>& keys, sshagent::Checks checks) : filter(keys, std::move(checks)) {}
  sshagent::Filter filter;
  sshagent::Filter::Verdict verdict;          // for the request that is being asked
  std::mutex mutex;                           // guards `over`, and insertion into and removal from `agents`
  std::map<std::string, AgentClient> agents;  // by socket
  std::set<std::string> bound;                // agents that confirmed the host
  bool over = false;                          // the bottle closed the connection, so no more agents are asked
  std::atomic<bool> ready = false;            // `asked` has its answer, or will have it very soon
  std::future<std::string> asked;             // the last member, because its destructor waits for the thread

  // Asks one ssh-agent, or all of them: each connection of the bottle has a connection to every ssh-agent. Runs in a
  // separate thread, and no other thread uses `agents` and `bound` in the meantime.
  std::string ask(const std::vector<std::string>& sockets, std::string_view what, const std::string& message) {
    std::vector<sshagent::Key> listed;
    bool confirmed = false;
    std::string last = sshagent::failure();
    for (const auto& socket : sockets) {
      auto agent = agents.find(socket);
      if (agent == agents.end()) {
        auto made = AgentClient::connect(socket, kPatience);
        if (!made) continue;
        std::lock_guard lock(mutex);
        if (over) break;
        agent = agents.emplace(socket, std::move(*made)).first;
      }
      auto answer = agent->second.exchange(message);
      if (!answer) {
        std::lock_guard lock(mutex);
        agents.erase(agent);  // a late answer must not be mistaken for the answer to another one
        bound.erase(socket);
        continue;
      }
      last = *answer;
      if (what == "list")
        if (auto keys = sshagent::parse_list(*answer)) listed.insert(listed.end(), keys->begin(), keys->end());
      if (what == "bind" && sshagent::is_confirmation(*answer)) confirmed = bound.insert(socket).second || confirmed;
    }
    if (what == "list") {
      // The answer is SSH_AGENT_IDENTITIES_ANSWER, with the keys of all ssh-agents.
      last.assign(1, '\x0c');
      sshagent::put_number(last, static_cast<uint32_t>(listed.size()));
      for (const auto& key : listed) {
        sshagent::put_string(last, key.blob);
        sshagent::put_string(last, key.comment);
      }
    }
    if (what == "bind") last = confirmed ? "\x06" : sshagent::failure();
    return last;
  }
};

SshAgentLink::SshAgentLink(const plan::Plan& plan, const std::vector<SshKey>& keys, const std::string& own_socket,
                           std::unique_ptr<SessionAgent> own, Audit audit, IsDenied is_denied)
    : keys_(filter_keys(plan, keys)), own_(std::move(own)), audit_(std::move(audit)), is_denied_(std::move(is_denied)) {
  for (const auto& key : keys) agent_of_[key.blob] = key.holder == SshKey::Holder::other ? key.socket : own_socket;
}

SshAgentLink::~SshAgentLink() {
  guard_is_gone();
  leaving_.clear();  // waits for their threads, which end now, because their connections were shut down
}

void SshAgentLink::note(Action action, const sshagent::Filter::Verdict& verdict, const std::string& reason) {
  audit_({.time = timestamp(),
          .action = action,
          .kind = wire::DecisionKind::ssh_agent,
          .host = verdict.host.empty() ? "ssh-agent" : verdict.host,
          .method = std::string(verdict.what),
          .code = action == Action::allow ? "allowed" : "ssh_agent",
          .reason = reason});
}

// Implements a token bucket of kBurst tokens, which is refilled with kPerSecond, and takes one for each request.
bool SshAgentLink::within_rate() {
  auto now = Clock::now();
  tokens_ = std::min(kBurst,
                     tokens_ + kPerSecond * std::chrono::duration<double>(now - std::exchange(refilled_, now)).count());
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

bool SshAgentLink::has_tunnel(std::string_view host_key, std::string_view signature) const {
  if (!requires_tunnels_) return true;
  std::string proof;
  sshagent::put_string(proof, host_key);
  sshagent::put_string(proof, signature);
  return tunnels_.has(to_hex(pki::digest(proof)));
}

void SshAgentLink::take_request(const wire::AgentRequest& message, const Send& send) {
  uint32_t id = message.connection;
  auto found = conversations_.find(id);
  if (!message.request) {
    if (found == conversations_.end()) return;
    {
      std::lock_guard lock(found->second->mutex);
      found->second->over = true;
      // This ends the exchange that the conversation's thread may be waiting for.
      for (auto& [socket, agent] : found->second->agents) ::shutdown(agent.fd(), SHUT_RDWR);
    }
    // The destructor of the future would wait for that thread, and block the whole session.
    if (found->second->asked.valid()) leaving_.push_back(std::move(found->second));
    conversations_.erase(found);
    return;
  }
  auto reply = [&](const std::string& answer) { send({id, answer}); };
  if (found == conversations_.end()) {
    // Conversations that are leaving count too, because their threads still run.
    if (conversations_.size() + leaving_.size() >= kMostConversations) return reply(sshagent::failure());
    // The filter asks on this thread.
    sshagent::Checks checks{[this](const auto& to) { return is_denied_(to.name); },
                            [this](auto key, auto signature) { return has_tunnel(key, signature); }};
    found = conversations_.emplace(id, std::make_unique<Conversation>(keys_, std::move(checks))).first;
  }
  auto& conversation = *found->second;
  if (conversation.asked.valid()) return reply(sshagent::failure());  // the guard sends one request at a time
  std::string request = *message.request;                             // the filter refuses an empty one
  if (!within_rate()) {
    // Writes one line to the audit for a flood, so that refused requests cannot fill the operator's disk.
    if (!std::exchange(flooded_, true)) note(Action::deny, {.what = "other"}, "too many requests to the ssh-agent");
    return reply(sshagent::failure());
  }
  flooded_ = false;
  auto verdict = conversation.filter.request(request);
  if (!verdict.pass) {
    note(Action::deny, verdict, verdict.reason);
    return reply(verdict.answer);
  }
  std::vector<std::string> sockets;
  if (verdict.what == "sign") {
    // Only the ssh-agent that holds the key can sign with it; lists and bindings go to all.
    sockets = {agent_of_[verdict.key]};
    if (!conversation.bound.contains(sockets[0])) {
      // The filter expects an answer to each request that it let pass.
      std::string reason, answer = conversation.filter.answer(sshagent::failure(), reason);
      note(Action::deny, verdict, "the ssh-agent that holds the key did not confirm the host");
      return reply(answer);
    }
  } else {
    for (const auto& [blob, socket] : agent_of_)
      if (std::ranges::find(sockets, socket) == sockets.end()) sockets.push_back(socket);
  }
  conversation.verdict = verdict;
  conversation.ready = false;
  if (ask(conversation, std::move(sockets), std::move(request))) return;
  std::string reason, answer = conversation.filter.answer(sshagent::failure(), reason);
  reply(answer);
}

// The thread does not own the conversation, because a thread that owns its own future is never joined. The conversation
// is in `conversations_` or `leaving_` until the thread has ended.
bool SshAgentLink::ask(Conversation& conversation, std::vector<std::string> sockets, std::string request) {
  auto exchange = [this, to = &conversation, sockets = std::move(sockets),
                   what = std::string(conversation.verdict.what), request = std::move(request)] {
    std::string answer = to->ask(sockets, what, request);
    to->ready = true;  // set before the wake-up, because the thread that wakes up checks it
    wakeup_.wake();
    return answer;
  };
  try {
    conversation.asked = std::async(std::launch::async, std::move(exchange));
  } catch (const std::system_error&) {
    return false;  // the machine has no room for another thread
  }
  return true;
}

void SshAgentLink::take_answers(const Send& send) {
  wakeup_.clear();
  // The filter also checks the answer, and removes keys that are not the session's.
  for (auto& [id, conversation] : conversations_) {
    if (!conversation->asked.valid() || !conversation->ready) continue;
    std::string reason, answer = conversation->filter.answer(conversation->asked.get(), reason);
    const auto& verdict = conversation->verdict;
    if (!reason.empty()) note(Action::deny, verdict, reason);
    else if (verdict.what == "sign") note(Action::allow, verdict, verdict.reason);
    send({id, answer});
  }
  // Their answers are dropped, because the bottle closed the connection. A thread that is ready has only to return.
  std::erase_if(leaving_, [](auto& each) { return each->ready.load(); });
}

void SshAgentLink::guard_is_gone() {
  while (!conversations_.empty()) take_request({conversations_.begin()->first, std::nullopt}, {});
  tunnels_.clear();
}

}  // namespace bottle::session
