// Brings a host's name into one form before anything compares it, because an agent must not get around a rule with
// capitals, a trailing dot, brackets or an unusual form of an address.
//
// Other numeric forms of addresses, such as 127.1 or 0x7f.1, are not converted. They are marked as literals instead,
// which no suffix and no "*" matches, so only a rule for exactly that text allows them.
#include "policy/host.h"

#include <algorithm>

#include "base/text/parse.h"
#include "policy/address.h"

namespace bottle::policy {
namespace {

// Returns whether all characters are of a kind. An empty text has none, and the result is false.
bool all(std::string_view text, bool (*is)(char)) {
  for (char c : text)
    if (!is(c)) return false;
  return !text.empty();
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); }

// Implements the "ends in a number" check of the WHATWG URL standard, which covers everything that inet_aton reads as
// an address.
bool ends_in_number(std::string_view name) {
  std::string_view last = name.substr(name.rfind('.') + 1);
  if (all(last, is_digit)) return true;
  return last.starts_with("0x") && (last.size() == 2 || all(last.substr(2), is_hex));
}

}  // namespace

Result<Host> normalise_host(std::string_view text) {
  Host host;
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']') {
    auto address = parse_address(text.substr(1, text.size() - 2));
    if (!address || !address->v6) return fail(Code::invalid, "it is not an IPv6 address in brackets");
    return Host{to_string(*address), true};
  }
  if (text.find(':') != text.npos) {
    auto address = parse_address(text);
    if (!address) return fail(Code::invalid, "a host name cannot contain a colon");
    return Host{to_string(*address), true};
  }
  // A trailing dot makes the name absolute. It still names the same host.
  if (text.ends_with('.')) text.remove_suffix(1);
  // The longest name that fits into the 255 bytes of a DNS message has 253 characters (RFC 1035 §2.3.4).
  if (text.empty() || text.size() > 253) return fail(Code::invalid, "the host name is empty or too long");
  size_t label = 0;
  for (char c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    host.name += c;
    if (c == '.') {
      if (label == 0) return fail(Code::invalid, "the host name has an empty label");
      label = 0;
      continue;
    }
    // An underscore is not valid in a host name (RFC 1123), but names with one exist and resolve.
    bool ok = (c >= 'a' && c <= 'z') || is_digit(c) || c == '-' || c == '_';
    if (!ok || ++label > 63) return fail(Code::invalid, "it is not a host name");
  }
  if (label == 0) return fail(Code::invalid, "the host name has an empty label");
  host.literal = ends_in_number(host.name);
  return host;
}

Result<Authority> parse_authority(std::string_view text, uint16_t default_port) {
  Authority authority;
  std::string_view host = text, port;
  bool has_port = false;
  // Within brackets, colons belong to the address.
  size_t colon = text.starts_with('[') ? text.find(':', std::min(text.find(']'), text.size())) : text.find(':');
  if (colon != text.npos) {
    host = text.substr(0, colon);
    port = text.substr(colon + 1);
    has_port = !port.empty() || default_port == 0;  // an empty port counts as none (RFC 3986 §3.2.3)
  }
  authority.host = TRY(normalise_host(host));
  if (!has_port) {
    if (default_port == 0) return fail(Code::invalid, "it has no port");
    authority.port = default_port;
    return authority;
  }
  auto number = number_in<uint16_t>(port);
  if (!number || *number == 0 || port.size() > 5) return fail(Code::invalid, "the port is not valid");
  authority.port = *number;
  return authority;
}

Result<HostPattern> HostPattern::compile(std::string_view text) {
  HostPattern pattern;
  if (text == "*") {
    pattern.kind_ = Kind::any;
    return pattern;
  }
  // A star is valid only in front. A pattern such as "api.*.example.org" fails below, because host names contain no
  // star.
  bool suffix = text.starts_with("*.");
  if (suffix) text.remove_prefix(2);
  auto host = normalise_host(text);
  if (!host) return fail(Code::invalid, "\"" + std::string(text) + "\" is not a host, *.suffix or *");
  if (suffix && host->literal) return fail(Code::invalid, "\"*.\" cannot be followed by an address");
  pattern.kind_ = suffix ? Kind::suffix : Kind::exact;
  pattern.text_ = (suffix ? "." : "") + host->name;
  return pattern;
}

bool HostPattern::matches(const Host& host) const {
  switch (kind_) {
    case Kind::exact:
      return host.name == text_;
    case Kind::suffix:
      // The domain itself does not match: text_ begins with a dot, and something must come before it.
      return !host.literal && host.name.size() > text_.size() && host.name.ends_with(text_);
    case Kind::any: {
      // The meaning of a name without a dot, or below one of these domains, depends on the network.
      if (host.literal || host.name.find('.') == std::string::npos) return false;
      for (std::string_view local :
           {".invalid", ".local", ".localhost", ".internal", ".arpa", ".lan", ".home", ".corp", ".intranet"})
        if (host.name.ends_with(local)) return false;
      return true;
    }
  }
  return false;
}

size_t HostPattern::rank() const {
  switch (kind_) {
    case Kind::exact:
      // This is above the length of every suffix.
      return 1000;
    case Kind::suffix:
      return text_.size();
    case Kind::any:
      return 0;
  }
  return 0;
}

}  // namespace bottle::policy
