// Implements the supervisor's end of the bottle's SSH_AUTH_SOCK. Requests come over the guard's control channel.
// Those that pass the filter go to the ssh-agent that holds the key. Each exchange has a thread, because an ssh-agent
// may ask a person.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/os/wakeup.h"
#include "session/credentials/agent_client.h"
#include "session/credentials/session_agent.h"
#include "session/credentials/ssh_keys.h"
#include "sshagent/filter.h"
#include "wire/guard/control.h"
#include "wire/guard/open_tunnels.h"

namespace bottle::session {

// Answers the bottle's ssh-agent requests. Call all functions on one thread. Requests from the bottle are hostile, so
// they are filtered, limited in their rate, and audited.
class SshAgentLink {
 public:
  using Send = std::function<void(const wire::AgentAnswer& to_the_guard)>;
  using Audit = std::function<void(const wire::Decision& decision)>;

  // Returns whether the rules deny the host with this name in the manifest. It is asked about each login.
  using IsDenied = std::function<bool(const std::string& host)>;

  // `own` is the session's ssh-agent, for keys that the operator's ssh-agent does not hold. It is null if there are no
  // such keys.
  SshAgentLink(const plan::Plan& plan, const std::vector<wire::SshKey>& keys, const std::string& own_socket,
               std::unique_ptr<SessionAgent> own, Audit audit, IsDenied is_denied);
  ~SshAgentLink();

  int fd() const { return wakeup_.fd(); }  // readable when take_answers() has something to do
  // Takes a request, or a message that the bottle closed the connection. Answers immediately if the filter refuses
  // the request. Answers of an ssh-agent come later, through take_answers(). Does not block.
  void take_request(const wire::AgentRequest& message, const Send& send);
  // Sends the answers that have come from the ssh-agents. Call it when fd() is readable. Does not block.
  void take_answers(const Send& send);
  // Takes what the guard reports about its tunnels. From require_tunnels() on, a login must belong to one of them. Call
  // it before the first request, unless the guard is of an earlier version, which does not report its tunnels.
  void take_tunnel(const wire::SshTunnel& tunnel) { tunnels_.take(tunnel); }
  void require_tunnels() { requires_tunnels_ = true; }
  // Closes all its connections, and forgets its tunnels.
  void guard_is_gone();

 private:
  // Represents one connection of the bottle, with its filter and its connections to the ssh-agents.
  struct Conversation;
  // note() adds a line to the audit. within_rate() counts a request and returns whether it may pass.
  void note(wire::DecisionAction action, const sshagent::Filter::Verdict& verdict, const std::string& reason);
  bool within_rate();
  bool has_tunnel(std::string_view host_key, std::string_view signature) const;
  // Starts the exchange of a request that has passed the filter. Returns false if no thread can be started.
  bool ask(Conversation& conversation, std::vector<std::string> sockets, std::string request);

  const std::vector<sshagent::Key> keys_;
  std::map<std::string, std::string> agent_of_;  // from key blob to socket
  std::unique_ptr<SessionAgent> own_;
  Audit audit_;
  IsDenied is_denied_;
  wire::OpenTunnels tunnels_;
  bool requires_tunnels_ = false;
  Wakeup wakeup_;
  std::map<uint32_t, std::unique_ptr<Conversation>> conversations_;
  std::vector<std::unique_ptr<Conversation>> leaving_;  // closed, but their threads still wait for an answer
  bool flooded_ = false;
  double tokens_ = 60;
  std::chrono::steady_clock::time_point refilled_ = std::chrono::steady_clock::now();
};

}  // namespace bottle::session
