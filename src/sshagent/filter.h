// Filters the requests of a bottle to an ssh-agent outside it. The bottle may list the session's keys, and request a
// signature for a login to a host for which the key is meant. It may not use another key, sign other data, log in to
// another host, or change the ssh-agent. Pure.
//
// A signature is known to be for that host because ssh binds its agent connection to the host key and the session id
// from the key exchange (session-bind@openssh.com, OpenSSH 8.9), and the ssh-agent confirms the bind once it has
// verified the server's signature. From then on, the connection signs only login requests (RFC 4252 §7) of that
// session. The same signature shows that the session is one of the bottle's, on a connection through the guard.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bottle::sshagent {

// Names a host for which a key may sign logins.
struct Destination {
  std::string name;      // shown to the operator
  std::string host_key;  // the server's public key, a blob
  std::string user;      // empty means any
};

// Describes a key of the session, or one that an ssh-agent lists. The blob is the public key as in RFC 4253 §6.6. A
// key from a list has no destinations.
struct Key {
  std::string blob, comment;
  std::vector<Destination> to;
};

// The limit is in bytes, without the length prefix. A longer request from the bottle is refused.
inline constexpr size_t kMostMessage = 32 * 1024;

// Answers what the filter cannot know by itself, because it changes while the agent works. Neither function may block.
struct Checks {
  // Returns whether logins to the host are forbidden now.
  std::function<bool(const Destination& to)> is_denied = [](const auto&) { return false; };
  // Returns whether a connection to the host is open now, through the guard, in whose first key exchange the server
  // made this signature. Without this, the bottle could log in on someone else's connection.
  std::function<bool(std::string_view host_key, std::string_view signature)> is_connected = [](auto, auto) {
    return true;
  };
};

// Filters one agent connection. Messages come without their length prefix.
class Filter {
 public:
  // `keys` and what the checks refer to must outlive the filter.
  explicit Filter(const std::vector<Key>& keys, Checks checks = {}) : keys_(keys), checks_(std::move(checks)) {}

  // Says what to do with a request, and what to record about it.
  struct Verdict {
    bool pass = false;  // if true, pass the message on to the agent; otherwise, send `answer` to the bottle
    std::string answer;
    std::string_view what;     // "list", "bind", "sign" or "other", for the audit
    std::string key;           // the blob of the key to sign with
    std::string host, reason;  // set for a signature and for a refusal
  };
  // Judges one request of the bottle, which is hostile. After a verdict to pass it on, answer() must be called with the
  // agent's answer before the next request; a request in between is refused.
  Verdict request(std::string_view message);

  // Turns the agent's answer to a message that was passed on into an answer for the bottle: other keys are removed, and
  // anything unexpected becomes a failure. `reason` is set if the operator should know about it.
  std::string answer(std::string_view message, std::string& reason);

  // Returns the name of the host to which the connection is bound; empty if it is not bound yet.
  const std::string& bound_to() const { return bound_name_; }

 private:
  enum class Pending { nothing, list, bind, sign };
  Verdict refuse(std::string_view what, std::string reason);
  Verdict sign(std::string_view message);
  Verdict bind(std::string_view message);
  const Destination* destination(const Key& key, std::string_view user) const;

  const std::vector<Key>& keys_;
  const Checks checks_;
  Pending pending_ = Pending::nothing;
  // What a bind names. It counts once the agent has confirmed it.
  struct Bind {
    std::string host_key, session_id, signature;
  };
  Bind bound_, asked_;
  std::string bound_name_;
};

// Returns the message SSH_AGENT_FAILURE, which is one byte.
std::string failure();
// Returns the message that asks an ssh-agent for its keys.
std::string list_request();
// Returns a request to bind a connection to a host, with a signature of the right form for `host_key` that is not the
// server's. An ssh-agent that confirms it verifies no signatures, so its confirmations prove nothing.
std::string forged_bind_request(std::string_view host_key, std::string_view session_id);
// Returns whether the answer to a request to bind is a confirmation.
bool is_confirmation(std::string_view answer);
// Fails with Code::protocol if the message is not a list of identities.
Result<std::vector<Key>> parse_list(std::string_view message);

}  // namespace bottle::sshagent
