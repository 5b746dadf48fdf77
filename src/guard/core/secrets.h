// Secrets, compiled: what to look for, and what becomes of one that is found on its way to a host.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "policy/host.h"
#include "scan/dictionary.h"
#include "wire/guard/config.h"

namespace bottle::guard {

struct Secret {
  std::string name, value, placeholder;  // value empty: it is at the other end of the relay, and swapped in there
  std::vector<policy::HostPattern> hosts;
  std::string header, template_before, template_after;  // "Authorization: Bearer {}" in its parts; header empty: none
  bool in_header = true, in_query = false, in_body = false;  // where its placeholder becomes the value
  std::vector<std::string> beside;  // headers with credentials of the agent's own that may go with it

  // Whether the placeholder becomes the value in the header of this name.
  bool goes_in_header(std::string_view name) const;
};

// Code::invalid names what is wrong, never the value.
Result<Secret> compile_secret(const wire::GuardSecret& wanted);

// What happens to a request that carries a secret to where it does not belong, and to an answer with a value in it.
enum class OnSecret : uint8_t { block, redact, warn };

// Where in a request something is found.
enum class Place : uint8_t { method, path, query, header_name, header, body, message };

// What becomes of it, the most lenient first.
enum class Fate : uint8_t {
  pass,    // a value at a host that it is bound to
  swap,    // a placeholder: the value takes its place
  note,    // a placeholder on its way to the model, where it is worthless: it passes, and that is reported
  mark,    // a value on its way to the model: a marker takes its place, and that is reported
  refuse,  // it does not belong there: OnSecret decides
};

struct Finding {
  Fate fate = Fate::pass;
  const Secret* secret = nullptr;
  bool is_value = false;  // else the placeholder
  bool bound = false;     // whether the secret is bound to the host
};

class Secrets;

// What the secrets mean for one host.
struct HostSecrets {
  const Secrets* all = nullptr;
  std::vector<const Secret*> bound;
  bool model =
      false;  // the host is the agent's model: what the agent has read goes there, and must not end the session

  // Whether what goes to the host and comes from it must be looked through.
  bool scanned() const;
  bool is_bound(const Secret* secret) const;
  // `header`: the name, where the place is a header.
  Finding judge(const scan::Pattern& pattern, Place place, std::string_view header) const;
};

class Secrets {
 public:
  Secrets() = default;
  Secrets(const Secrets&) = delete;

  // `models`: the hosts of the agent's model.
  void compile(std::vector<Secret> secrets, std::vector<policy::HostPattern> models);

  bool empty() const { return list_.empty(); }
  const scan::Dictionary& dictionary() const { return dictionary_; }
  const HostSecrets& of(const policy::Host& host) const;
  const HostSecrets& of_nobody() const;  // of a host that nothing proves to be the one it says it is

  // Whether any form of any value or placeholder is in the text.
  bool any_in(std::string_view text) const;
  // The secret whose value the pattern is a form of; null: it is a placeholder's.
  const Secret* owner_of_value(const scan::Pattern& pattern) const;
  // `text` with every value and placeholder starred out: for audit lines.
  std::string starred(std::string_view text) const;

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
  std::vector<std::vector<Owner>> owners_;                // by needle: secrets may have the same value
  std::map<std::string, uint32_t, std::less<>> needles_;  // while compiling
  mutable std::map<std::vector<bool>, std::unique_ptr<HostSecrets>> hosts_;
};

// What takes the place of `size` bytes of a secret's value on the way to the model: always the same for the same find,
// and as long as what it replaces. `token`: without spaces and brackets.
std::string marker(const Secret& secret, const scan::Pattern& pattern, size_t size, bool token);

}  // namespace bottle::guard
