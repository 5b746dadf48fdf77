// Follows the state of one agent connection: first not bound to a host, then bound to one, and never to another. A bind
// counts only once the agent has confirmed it, because only the agent verifies the server's signature.
//
// A signature is given only for data that parses completely as a login. The same key could otherwise sign a commit or
// a file (SSHSIG), or a login to another server. The session id in the data ties the login to the key exchange of the
// bound host. Everything else is refused, because the filter cannot limit what it does not parse.
#include "sshagent/filter.h"

#include <algorithm>

#include "sshagent/wire.h"

namespace bottle::sshagent {
namespace {

enum : uint8_t {
  kFailure = 5,
  kSuccess = 6,
  kRequestIdentities = 11,
  kIdentitiesAnswer = 12,
  kSignRequest = 13,
  kSignResponse = 14,
  kExtension = 27,
};
constexpr uint8_t kUserauthRequest = 50;  // RFC 4252
constexpr std::string_view kBind = "session-bind@openssh.com";
constexpr uint32_t kMostIdentities = 2048;

// Holds the data that a client signs to log in: RFC 4252 §7, and OpenSSH's variant that names the server's key
// (PROTOCOL §1.8).
struct Login {
  std::string_view session_id, user, key, host_key;
  bool ok = false;
};

// Parses the data that an ssh client asks to have signed for a login. `ok` is true only if the data is exactly that.
Login parse_login(std::string_view data) {
  Reader reader(data);
  Login login;
  // The order of the fields is that of RFC 4252 §7, with the session id in front.
  login.session_id = reader.string();
  bool request = reader.byte() == kUserauthRequest;
  login.user = reader.string();
  bool connection = reader.string() == "ssh-connection";
  std::string_view method = reader.string();
  bool bound = method == "publickey-hostbound-v00@openssh.com";
  // The flag is false in a request that only asks whether the server would take the key.
  bool signs = reader.boolean();
  reader.string();  // the algorithm; the agent and the server check that it fits the key
  login.key = reader.string();
  if (bound) login.host_key = reader.string();
  login.ok =
      reader.done() && request && connection && signs && (bound || method == "publickey") && !login.session_id.empty();
  return login;
}

}  // namespace

std::string failure() { return std::string(1, kFailure); }
std::string list_request() { return std::string(1, kRequestIdentities); }

bool is_confirmation(std::string_view answer) { return answer.size() == 1 && answer[0] == kSuccess; }

std::string forged_bind_request(std::string_view host_key, std::string_view session_id) {
  Reader key(host_key);
  std::string type(key.string()), bytes(64, 'x'), signature, request(1, kExtension);
  if (type == "ssh-rsa") {
    key.string();  // the exponent
    // A signature is as long as the modulus, whose first byte is often 0 because the number must be positive. The first
    // byte keeps the signature below the modulus.
    std::string_view modulus = key.string();
    bytes = std::string(modulus.starts_with('\0') ? modulus.size() - 1 : modulus.size(), '\1');
    type = "rsa-sha2-512";
  } else if (type.starts_with("ecdsa-")) {
    bytes.clear();
    for (int i = 0; i < 2; ++i) put_string(bytes, std::string(32, 'x'));  // the two numbers
  }
  put_string(signature, type);
  put_string(signature, bytes);
  put_string(request, kBind);
  put_string(request, host_key);
  put_string(request, session_id);
  put_string(request, signature);
  return request + '\0';  // not for forwarding
}

Result<std::vector<Key>> parse_list(std::string_view message) {
  Reader reader(message);
  std::vector<Key> keys;
  bool list = reader.byte() == kIdentitiesAnswer;
  uint32_t count = reader.number();
  // OpenSSH's client has the same limit.
  if (!list || count > kMostIdentities) return fail(Code::protocol, "the ssh-agent did not send a list of keys");
  for (uint32_t i = 0; i < count && reader.ok(); ++i) {
    std::string blob(reader.string());
    // The blob was read before, because the order in which arguments are evaluated is not defined.
    keys.push_back({std::move(blob), std::string(reader.string()), {}});
  }
  if (!reader.done()) return fail(Code::protocol, "the ssh-agent sent a malformed list of keys");
  return keys;
}

// The bottle learns only that the agent refused. The reason is for the operator.
Filter::Verdict Filter::refuse(std::string_view what, std::string reason) {
  return {false, failure(), what, "", bound_name_, std::move(reason)};
}

const Destination* Filter::destination(const Key& key, std::string_view user) const {
  for (const auto& to : key.to)
    if (to.host_key == bound_.host_key && (to.user.empty() || to.user == user) && !checks_.is_denied(to)) return &to;
  return nullptr;
}

Filter::Verdict Filter::sign(std::string_view message) {
  Reader reader(message.substr(1));
  // SSH_AGENTC_SIGN_REQUEST has the key, the data and flags (draft-ietf-sshm-ssh-agent).
  std::string_view blob = reader.string(), data = reader.string();
  uint32_t flags = reader.number();
  if (!reader.done()) return refuse("sign", "the request is malformed");
  auto key = std::ranges::find_if(keys_, [&](const Key& each) { return each.blob == blob; });
  if (key == keys_.end()) return refuse("sign", "the key is not one of this session's");
  if (flags != 0 && flags != 2 && flags != 4)
    return refuse("sign", "the signature flags are unknown");  // the known ones are none, SHA-256 and SHA-512
  if (bound_.host_key.empty()) return refuse("sign", "the connection is not bound to a host");
  Login login = parse_login(data);
  if (!login.ok) return refuse("sign", "the data to sign is not a login");
  // Otherwise, the bottle could use the signature to log in to another server that it can reach.
  if (login.session_id != bound_.session_id)
    return refuse("sign", "the login is for another ssh session than the one that was bound");
  // The server checks the key in the data, and the agent signs with the one of the request; they must be the same.
  if (login.key != blob || (!login.host_key.empty() && login.host_key != bound_.host_key))
    return refuse("sign", "the login names another key or another host than the request");
  const Destination* to = destination(*key, login.user);
  if (!to) return refuse("sign", "the key is not for this host and user, or the host is denied");
  if (!checks_.is_connected(bound_.host_key, bound_.signature))
    return refuse("sign", "the connection to the host has ended");
  pending_ = Pending::sign;
  // The user's name comes from the bottle, so it is cut for the record.
  return {true, "", "sign", key->blob, to->name, "login as " + std::string(login.user.substr(0, 64))};
}

Filter::Verdict Filter::bind(std::string_view message) {
  Reader reader(message.substr(1));
  bool bind = reader.string() == kBind;
  if (!bind) return refuse("other", "the extension is not session-bind");
  std::string_view host_key = reader.string(), session_id = reader.string();
  std::string_view signature = reader.string();  // the server's, which the agent verifies
  bool forwarding = reader.boolean();
  if (!reader.done() || session_id.empty()) return refuse("bind", "the request is malformed");
  if (forwarding) return refuse("bind", "the agent would be forwarded to another host");
  // OpenSSH's agent would add the second host to a chain of forwardings.
  if (!bound_.host_key.empty()) return refuse("bind", "the connection is already bound to a host");
  const Destination *to = nullptr, *denied = nullptr;
  for (const auto& key : keys_)
    for (const auto& each : key.to)
      if (each.host_key == host_key) (checks_.is_denied(each) ? denied : to) = &each;
  // The agent would accept these binds, but no signature could follow.
  auto refuse_host = [&](const Destination& host, const char* why) {
    auto verdict = refuse("bind", why);
    verdict.host = host.name;
    return verdict;
  };
  if (!to && denied) return refuse_host(*denied, "the host is denied");
  if (!to) return refuse("bind", "none of the session's keys is for this host");
  if (!checks_.is_connected(host_key, signature))
    return refuse_host(
        *to, "the bottle has no connection to this host with this key exchange (`ssh -J` hides it from the guard)");
  pending_ = Pending::bind;
  asked_ = {std::string(host_key), std::string(session_id), std::string(signature)};
  return {true, "", "bind", "", to->name, ""};
}

Filter::Verdict Filter::request(std::string_view message) {
  // Answers carry no number, so with two requests under way an answer could be checked against the wrong one.
  if (pending_ != Pending::nothing) return refuse("other", "the request came before the last one was answered");
  if (message.empty() || message.size() > kMostMessage) return refuse("other", "the request is malformed");
  switch (static_cast<uint8_t>(message[0])) {
    case kRequestIdentities:
      if (message.size() != 1) return refuse("list", "the request is malformed");
      pending_ = Pending::list;
      return {true, "", "list", "", "", ""};
    case kSignRequest:
      return sign(message);
    case kExtension:
      return bind(message);
    default:
      return refuse("other",
                    "requests of type " + std::to_string(static_cast<uint8_t>(message[0])) + " are not allowed");
  }
}

std::string Filter::answer(std::string_view message, std::string& reason) {
  // After any answer, the next request may come.
  auto pending = std::exchange(pending_, Pending::nothing);
  switch (pending) {
    case Pending::list: {
      auto list = parse_list(message);
      if (!list) {
        reason = list.error().what;
        return failure();
      }
      // The list is built again from the session's keys. The agent's answer only decides which of them are in it.
      std::string out(1, kIdentitiesAnswer), body;
      uint32_t count = 0;
      for (const auto& key : keys_) {
        bool there = std::ranges::any_of(*list, [&](const Key& each) { return each.blob == key.blob; });
        // On a bound connection, keys for other hosts are left out, because the client would try each of them, and
        // servers limit the number of attempts.
        bool fits = bound_.host_key.empty() ||
                    std::ranges::any_of(key.to, [&](const Destination& to) { return to.host_key == bound_.host_key; });
        if (!there || !fits) continue;
        ++count;
        put_string(body, key.blob);
        put_string(body, key.comment);  // our comment, because the agent's may contain the operator's paths
      }
      put_number(out, count);
      return out + body;
    }
    case Pending::bind:
      // An agent before OpenSSH 8.9 answers with a failure, because it does not have the extension.
      if (!is_confirmation(message)) {
        reason = "the ssh-agent did not confirm the host (it needs OpenSSH 8.9 or later)";
        return failure();
      }
      bound_ = std::move(asked_);
      for (const auto& key : keys_)
        for (const auto& to : key.to)
          if (to.host_key == bound_.host_key) bound_name_ = to.name;
      return std::string(message);
    case Pending::sign: {
      Reader reader(message);
      // The signature itself is not checked; a wrong one only fails to log in.
      if (reader.byte() == kSignResponse) {
        reader.string();
        if (reader.done()) return std::string(message);
      }
      reason = "the ssh-agent did not sign";
      return failure();
    }
    case Pending::nothing:
      break;
  }
  reason = "the ssh-agent sent an unexpected answer";
  return failure();
}

}  // namespace bottle::sshagent
