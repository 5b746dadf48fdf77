// Holds the compiled secrets: what to look for, and what happens to a secret that is found on its way to a host.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "policy/host.h"
#include "scan/known/dictionary.h"
#include "wire/guard/config.h"

namespace bottle::guard {

// Says whether the agent has the value of a secret.
enum class Visibility : uint8_t { hidden, exposed };

// Says which guard inserts the value of a secret.
enum class Inserter : uint8_t { this_guard, broker };

// Describes a secret of the configuration. compile_secret() makes it, and Secrets owns it.
struct Secret {
  std::string name, value, placeholder;  // the value is empty if the broker inserts it and the agent does not have it
  std::vector<policy::HostPattern> hosts;
  std::string header, template_before,
      template_after;  // the parts of "Authorization: Bearer {}"; an empty header means none
  bool in_header = true, in_query = false, in_body = false;  // where the value replaces the placeholder
  std::vector<std::string> beside;  // headers with the agent's own credentials that may accompany it
  Visibility visibility = Visibility::hidden;
  Inserter inserter = Inserter::this_guard;

  // Returns whether this guard inserts the value.
  bool is_inserted_here() const { return inserter == Inserter::this_guard; }

  // Returns whether the value replaces the placeholder in the header with this name.
  bool goes_in_header(std::string_view name) const;
};

// Fails with Code::invalid and says what is wrong, but never quotes the value.
Result<Secret> compile_secret(const wire::GuardSecret& wanted);

// Names the part of a request in which something is found.
enum class RequestPart : uint8_t { method, path, query, header_name, header, body, message };
std::string_view name_of(RequestPart place);  // for the operator, as in "the path"

// Says what happens to a finding, from the most lenient to the strictest.
enum class Fate : uint8_t {
  pass,    // a value at a host that it is bound to passes
  swap,    // the value replaces a placeholder
  note,    // a placeholder on its way to the model, where it is harmless, passes and is reported
  mark,    // a marker replaces a value on its way to the model, and this is reported
  refuse,  // the secret does not belong at this place: OnSecret decides
};

// Holds judge()'s verdict about a text that was found in a request.
struct SecretSighting {
  Fate fate = Fate::pass;
  const Secret* secret = nullptr;
  bool is_value = false;  // false means the placeholder
  bool bound = false;     // whether the secret is bound to the host
};

class Secrets;

// Says what the secrets mean for one host.
struct HostSecrets {
  const Secrets* all = nullptr;
  std::vector<const Secret*> bound;
  // True if the host is the agent's model. It gets everything that the agent has read, and that must not end the
  // session.
  bool model = false;

  // Returns whether traffic to and from the host must be scanned.
  bool scanned() const;
  // Returns whether the secret, which must be one of `all`, is bound to the host.
  bool is_bound(const Secret* secret) const;
  // Returns whether the value of a secret may go to the host at this place. `header` is the header's name, if the
  // place is a header.
  bool may_hold(const Secret& secret, RequestPart place, std::string_view header) const;
  // Returns the most lenient fate of all secrets that have this text, because two secrets may have the same value,
  // and one of them may be bound to the host. The pattern must come from the dictionary of `all`.
  SecretSighting judge(const scan::Pattern& pattern, RequestPart place, std::string_view header) const;
};

// Holds the secrets of a configuration. compile() fills it once.
class Secrets {
 public:
  Secrets() = default;
  Secrets(const Secrets&) = delete;

  // `models` are the hosts of the agent's model.
  void compile(std::vector<Secret> secrets, std::vector<policy::HostPattern> models);

  // Return the secrets in the order of the configuration. Pointers to them stay valid as long as this object.
  bool empty() const { return list_.empty(); }
  const std::vector<Secret>& list() const { return list_; }
  const Secret* named(std::string_view name) const;  // null if there is none
  // Returns the dictionary for a scan::Finder or scan::Filter. It has every form of all values and placeholders of at
  // least 4 bytes.
  const scan::Dictionary& dictionary() const { return dictionary_; }
  // Returns what the secrets mean for a host. The result stays valid as long as this object, and all hosts to which the
  // same secrets are bound share it.
  const HostSecrets& of(const policy::Host& host) const;
  const HostSecrets& of_unproven() const;  // for a host whose identity is not proven

  // Returns whether the text contains any form of any value or placeholder.
  bool any_in(std::string_view text) const;
  // Returns the secret whose value the agent must not get, if the pattern is a form of the value. Returns null for a
  // placeholder, and for a value that the agent has, even if another secret has the same value.
  const Secret* hidden_owner(const scan::Pattern& pattern) const;
  // Returns `text` with every value and placeholder replaced by asterisks, for audit lines.
  std::string masked(std::string_view text) const;

 private:
  friend struct HostSecrets;
  struct Owner {
    const Secret* secret;
    bool is_value;
  };
  void add(const Secret& secret, bool is_value);

  std::vector<Secret> list_;
  std::vector<policy::HostPattern> models_;
  scan::Dictionary dictionary_;
  std::vector<std::vector<Owner>> owners_;                // indexed by needle, because secrets may have the same value
  std::map<std::string, uint32_t, std::less<>> needles_;  // used only while compiling
  mutable std::map<std::vector<bool>, std::unique_ptr<HostSecrets>> hosts_;
};

// Returns the marker that replaces `size` bytes of a secret's value on the way to the model. It is always the same for
// the same finding, and as long as what it replaces. With `token`, it has no spaces or brackets.
std::string marker(const Secret& secret, const scan::Pattern& pattern, size_t size, bool token);

}  // namespace bottle::guard
