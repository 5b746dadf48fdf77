// What a bottle may ask of an ssh-agent that is not its own: which of the session's keys there are, and a signature
// that logs in to a host the key is for. Nothing else: no other key, no other data, no further host, no change to the
// agent. Pure.
//
// That a signature is for that host is known so: ssh binds its agent connection to the host key and session id it got
// from the key exchange (session-bind@openssh.com, OpenSSH 8.9); the agent verifies the server's signature on that and
// says so; from then on the connection signs only login requests (RFC 4252 §7) of that session.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bottle::sshagent {

struct Destination {
  std::string name;      // for the operator
  std::string host_key;  // the server's public key, a blob
  std::string user;      // empty: any
};

struct Key {
  std::string blob, comment;
  std::vector<Destination> to;
};

inline constexpr size_t kMostMessage = 32 * 1024;

// One agent connection. Messages are without their length prefix.
class Filter {
 public:
  explicit Filter(const std::vector<Key>& keys) : keys_(keys) {}

  struct Verdict {
    bool pass = false;  // on to the agent; otherwise `answer` is for the bottle
    std::string answer;
    std::string_view what;     // "list", "bind", "sign" or "other": for the audit
    std::string key;           // blob of the key that is to sign
    std::string host, reason;  // of a refusal, and of a signature
  };
  Verdict request(std::string_view message);

  // What the agent said to the message that was passed on, made fit for the bottle: other keys are gone, anything
  // unexpected is a failure. `reason` is set where that is news to the operator.
  std::string answer(std::string_view message, std::string& reason);

  const std::string& bound_to() const { return bound_name_; }

 private:
  enum class Pending { nothing, list, bind, sign };
  Verdict refuse(std::string_view what, std::string reason);
  Verdict sign(std::string_view message);
  Verdict bind(std::string_view message);
  const Destination* destination(const Key& key, std::string_view user) const;

  const std::vector<Key>& keys_;
  Pending pending_ = Pending::nothing;
  std::string host_key_, session_id_, bound_name_;  // of a bind that the agent confirmed
  std::string asked_host_key_, asked_session_id_;
};

// One byte: SSH_AGENT_FAILURE.
std::string failure();
std::string list_request();
// Code::protocol for what is no list of identities.
Result<std::vector<Key>> parse_list(std::string_view message);

}  // namespace bottle::sshagent
