// The patterns of the schema only help an editor. The checks here decide which values reach rules of the guard,
// command lines and paths, so they are written by hand. They accept one spelling of each thing, because a second
// spelling of an address or a host could make a rule mean one thing to a reader and another to the guard. All
// characters are ASCII, in every locale.

#include "manifest/format/kinds.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cctype>
#include <climits>
#include <cstdlib>
#include <optional>

#include "base/text/base64.h"
#include "base/text/words.h"

namespace bottle::manifest {
namespace {

constexpr Kind kKinds[] = {
    {Type::text, "text", R"({"type":["string","number","boolean"]})", "text"},
    {Type::name, "name", R"({"type":"string","pattern":"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"})",
     "a name of up to 64 letters, digits, _ . -"},
    {Type::env_name, "variable name", R"({"type":"string","pattern":"^[A-Za-z_][A-Za-z0-9_]*$"})",
     "the name of a variable, with letters, digits and _"},
    {Type::env_value, "text, `${HOST_VAR}` or `?question`", R"({"type":["string","number","boolean"]})",
     "a literal, ${HOST_VAR} as the whole value, or ?question"},
    {Type::flag, "true or false", R"({"type":"boolean"})", "true or false"},
    {Type::inspect, "true, false or full", R"({"enum":[true,false,"full"]})", "true, false or full"},
    {Type::count, "whole number", R"({"type":"integer","minimum":1,"maximum":4194304})",
     "a whole number from 1 to 4194304"},
    {Type::number, "number", R"({"type":"number","exclusiveMinimum":0,"maximum":1024})",
     "a number above 0, up to 1024"},
    {Type::port, "port", R"({"type":"integer","minimum":1,"maximum":65535})", "a port from 1 to 65535"},
    {Type::size, "size such as 512m or 4g",
     R"({"type":["string","integer"],"pattern":"^[0-9]+([kKmMgGtT]([iI]?[bB])?)?$"})",
     "a size such as 512m or 4g, at least 64m"},
    {Type::bytes, "size such as 500k or 10m",
     R"({"type":["string","integer"],"pattern":"^[0-9]+([kKmMgGtT]([iI]?[bB])?)?$"})", "a size such as 500k or 10m"},
    {Type::amount, "number such as 5000 or 2m", R"({"type":["string","integer"],"pattern":"^[0-9]+[kKmMgGtT]?$"})",
     "a number such as 5000 or 2m, above 0"},
    {Type::cost, "amount of money", R"({"type":"number","minimum":0.000001,"maximum":1000000})",
     "a number from 0.000001 to 1000000, without a currency"},
    {Type::price, "price", R"({"type":"number","minimum":0,"maximum":1000000})",
     "a number from 0 to 1000000, without a currency"},
    {Type::model, "name of a model", R"({"type":"string","pattern":"^[A-Za-z0-9._:/@-]{0,95}\\*?$"})",
     "the name of a model, or a prefix of it followed by *, such as some-model-*"},
    {Type::duration, "time such as 30m or 2h", R"({"type":"string","pattern":"^[0-9]+[smhd]$"})",
     "a time such as 90s, 30m, 2h or 1d"},
    {Type::host, "host", R"({"type":"string"})", "a host name such as api.example.org"},
    {Type::pattern, "host pattern", R"({"type":"string"})",
     "a host: example.org, *.example.org or *, without scheme, port or path"},
    {Type::method, "HTTP method", R"({"type":"string","pattern":"^[A-Z]{1,20}$"})",
     "an HTTP method in capitals, such as GET"},
    {Type::path_glob, "path glob", R"({"type":"string","pattern":"^/"})",
     "a path that begins with /, where * stays within a segment and ** does not, and a percent sign is %25"},
    {Type::address, "ip or ip:port", R"({"type":"string"})",
     "an address: 203.0.113.7, 203.0.113.7:8443 or [2001:db8::1]:443"},
    {Type::endpoint, "ip:port", R"({"type":"string","pattern":"^[^:]+:[0-9]+$|\\]:[0-9]+$"})",
     "ip:port, such as 192.168.1.20:8080 or [fd00::20]:8080"},
    {Type::url, "http URL", R"({"type":"string","pattern":"^http://"})", "http://host:port"},
    {Type::source, "source", R"({"type":"string","pattern":"^(env:.+|file:.+|cmd:.+|\\?.*)$"})",
     "env:NAME, file:PATH, cmd:COMMAND or ?question"},
    {Type::package, "Debian package", R"({"type":"string","pattern":"^[a-z0-9][a-z0-9+.-]+$"})",
     "the name of a Debian package"},
    {Type::version, "version", R"({"type":"string","pattern":"^[0-9]+\\.[0-9]+\\.[0-9]+(-[0-9A-Za-z.-]+)?$"})",
     "an exact version such as 2.1.3"},
    {Type::integrity, "integrity",
     R"({"type":"string","pattern":"^sha512-[A-Za-z0-9+/]{86}==( sha512-[A-Za-z0-9+/]{86}==)*$"})",
     "sha512-… as printed by `npm view PACKAGE@VERSION dist.integrity`, or several of them with spaces between them"},
    {Type::host_path, "path on this machine", R"({"type":"string"})", "a path"},
    {Type::ssh_key, "ssh public key", R"({"type":"string"})", "a public key such as \"ssh-ed25519 AAAA…\""},
    {Type::fingerprint, "fingerprint", R"({"type":"string","pattern":"^[0-9a-f]{12}$"})",
     "the fingerprint of a credential, which is 12 hexadecimal digits in lower case, as in the audit"},
    {Type::placeholder, "text", R"({"type":"string","minLength":12,"maxLength":256})",
     "12 to 256 printable characters without spaces"},
    {Type::header, "header", R"({"type":"string","pattern":"^[A-Za-z0-9-]+: .*\\{\\}"})",
     "a header with {} for the value, such as \"Authorization: Bearer {}\""},
    {Type::choice, "choice", "{}", "one of the values"},
    {Type::preset, "preset", R"({"type":"string","pattern":"^[a-z-]+(:[A-Za-z0-9._/-]+)?(@[0-9]+)?$"})",
     "a preset such as npm, npm@1 or github-repo:OWNER/NAME"},
    {Type::section, "section", "{}", "keys and values"},
    {Type::rule, "host pattern or rule", "{}", "a host, or {host: …, methods: …, paths: …}"},
    {Type::variable, "text, `${HOST_VAR}`, `?question` or section", "{}",
     "a literal, ${HOST_VAR} as the whole value, ?question, or {value: …, secret: true}"},
};

// Returns whether the text has only digits. By default, it accepts at most nine, which fit into an int.
bool digits(const std::string& text, size_t most = 9) {
  return !text.empty() && text.size() <= most && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}
// Returns whether the text is a number between the two.
bool in(const std::string& text, unsigned long low, unsigned long high) {
  if (!digits(text)) return false;
  auto n = std::strtoul(text.c_str(), nullptr, 10);
  return low <= n && n <= high;
}
bool alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }
// Returns whether the text has only letters, digits and some other characters.
bool made_of(const std::string& text, std::string_view extra) {
  return std::ranges::all_of(text, [&](char c) { return alnum(c) || extra.find(c) != extra.npos; });
}
bool printable(const std::string& text) {
  return std::ranges::none_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

// Returns whether two hexadecimal digits follow each percent sign.
bool escapes_are_whole(const std::string& text) {
  auto digit = [&](size_t at) { return at < text.size() && std::isxdigit(static_cast<unsigned char>(text[at])) != 0; };
  for (size_t at = 0; (at = text.find('%', at)) != std::string::npos; at += 3)
    if (!digit(at + 1) || !digit(at + 2)) return false;
  return true;
}

// Accepts a version of Semantic Versioning without build metadata. Refuses a range or a tag such as `latest`, because
// it would not pin anything.
bool version(const std::string& text) {
  size_t dash = text.find('-');
  std::string numbers = text.substr(0, dash);
  if (text.size() > 64 || std::ranges::count(numbers, '.') != 2) return false;
  for (size_t from = 0, dot; from != std::string::npos; from = dot == std::string::npos ? dot : dot + 1) {
    dot = numbers.find('.', from);
    if (!digits(numbers.substr(from, dot == std::string::npos ? dot : dot - from))) return false;
  }
  return dash == std::string::npos || (dash + 1 < text.size() && made_of(text.substr(dash + 1), ".-"));
}

// Accepts Subresource Integrity values with SHA-512, which npm has for each package. Several values serve several
// architectures.
bool integrity(const std::string& text) {
  // A value is "sha512-" and 64 bytes in Base64, which are 88 characters, the last two of them padding.
  constexpr size_t kLength = 7 + 88;
  if (text.size() > 16 * (kLength + 1)) return false;
  for (size_t from = 0;; from += kLength + 1) {
    std::string one = text.substr(from, kLength);
    if (one.size() != kLength || !one.starts_with("sha512-") || !one.ends_with("==") ||
        !made_of(one.substr(7, kLength - 9), "+/"))
      return false;
    if (from + kLength == text.size()) return true;
    if (text[from + kLength] != ' ') return false;
  }
}

bool ip(const std::string& text) {
  unsigned char bytes[16];
  return ::inet_pton(AF_INET, text.c_str(), bytes) == 1 || ::inet_pton(AF_INET6, text.c_str(), bytes) == 1;
}

// Accepts a DNS name in ASCII or a dotted-quad IPv4 address. Refuses other spellings of an address (127.1, 0x7f.1,
// 2130706433), because a resolver would read them as an address, which a reader of the rule might not see.
bool host(const std::string& text) {
  if (text.empty() || text.size() > 253) return false;
  std::string label;
  std::string last;
  // The end of the text ends the last label like a dot. A dot at the very end would leave an empty label, so it is
  // refused.
  for (size_t at = 0; at <= text.size(); ++at) {
    if (at < text.size() && text[at] != '.') {
      label += text[at];
      continue;
    }
    if (label.empty() || label.size() > 63 || !made_of(label, "-_") || label.front() == '-' || label.back() == '-')
      return false;
    last = std::move(label);
    label.clear();
  }
  // A name of the internet's DNS never ends in a number, so such a text is an address or one of its other spellings.
  bool numeric = digits(last, 63) || last.starts_with("0x") || last.starts_with("0X");
  unsigned char bytes[4];
  return !numeric || ::inet_pton(AF_INET, text.c_str(), bytes) == 1;
}

// Accepts an IPv6 address, with or without brackets.
bool six(const std::string& text) {
  bool bracketed = text.starts_with('[') && text.ends_with(']') && text.size() > 2;
  unsigned char bytes[16];
  return ::inet_pton(AF_INET6, (bracketed ? text.substr(1, text.size() - 2) : text).c_str(), bytes) == 1;
}

// Accepts a host, an IPv6 address, or a star for a whole host or for the labels before a name.
bool pattern(const std::string& text) {
  if (text == "*" || six(text)) return true;
  if (!text.starts_with("*.")) return host(text);
  std::string rest = text.substr(2);
  unsigned char bytes[4];
  // An address has no subdomains.
  return host(rest) && ::inet_pton(AF_INET, rest.c_str(), bytes) != 1;
}

// Accepts an IP address, with or without a port.
bool address(const std::string& text) {
  if (ip(text) || six(text)) return true;
  size_t colon = text.rfind(':');
  if (colon == std::string::npos || !in(text.substr(colon + 1), 1, 65535)) return false;
  std::string before = text.substr(0, colon);
  // With a port, an IPv6 address needs brackets, because the address contains colons.
  if (before.starts_with("[") && before.ends_with("]")) return ip(before.substr(1, before.size() - 2));
  return before.find(':') == std::string::npos && ip(before);
}

// Accepts ip:port, [ip]:port and host:port.
bool endpoint(const std::string& text) {
  size_t colon = text.rfind(':');
  if (colon == std::string::npos || !in(text.substr(colon + 1), 1, 65535)) return false;
  std::string before = text.substr(0, colon);
  return host(before) || (before.starts_with('[') && address(text));
}

// Accepts host:port, optionally with user:password@ before it and a slash after it.
bool proxy_address(std::string text) {
  if (text.ends_with('/')) text.pop_back();
  if (size_t at = text.rfind('@'); at != text.npos) {
    std::string login = text.substr(0, at);
    // Depending on the parser, a second "@" or a slash in the login would change the host of the URL.
    if (login.empty() || !printable(login) || login.find_first_of("/@ ") != login.npos) return false;
    text.erase(0, at + 1);
  }
  return endpoint(text);
}

// Reads a number with a unit k, m, g or t, which are powers of `kilo`. With `bytes`, the unit may go on as in "kB" or
// "KiB".
std::optional<uint64_t> scaled(const std::string& text, uint64_t kilo, bool bytes) {
  size_t end = text.find_first_not_of("0123456789");
  std::string number = text.substr(0, end), unit = end == std::string::npos ? "" : lower(text.substr(end));
  if (!digits(number, 15)) return {};
  uint64_t n = std::strtoull(number.c_str(), nullptr, 10), times = 1;
  if (!unit.empty()) {
    size_t at = std::string_view("kmgt").find(unit[0]);
    std::string rest = unit.substr(1);
    if (at == std::string_view::npos || (!rest.empty() && !(bytes && (rest == "b" || rest == "ib")))) return {};
    for (size_t i = 0; i <= at; ++i) times *= kilo;
  }
  // One bit stays free, so that a sum of two such numbers does not overflow.
  if (n > (UINT64_MAX >> 1) / times) return {};
  return n * times;
}

std::optional<uint64_t> size(const std::string& text) { return scaled(text, 1024, true); }
std::optional<uint64_t> amount(const std::string& text) { return scaled(text, 1000, false); }

// Returns the number if it has only digits and a point.
std::optional<double> decimal(const std::string& text) {
  // strtod(3) would also take "inf", "nan", exponents and hexadecimal numbers.
  if (text.empty() || text.size() > 12 || text.find_first_not_of("0123456789.") != std::string::npos) return {};
  char* end = nullptr;
  double n = std::strtod(text.c_str(), &end);
  return *end == 0 ? std::optional(n) : std::nullopt;
}

bool number(const std::string& text) {
  auto n = decimal(text);
  return n && *n > 0 && *n <= 1024;
}

bool money(const std::string& text, bool may_be_nothing) {
  auto n = decimal(text);
  // The guard counts in millionths, and less than one would mean no limit.
  return n && (*n >= 1e-6 || may_be_nothing) && *n <= 1e6;
}

bool model(const std::string& text) {
  std::string name = text.ends_with('*') ? text.substr(0, text.size() - 1) : text;
  return !text.empty() && name.size() <= 95 && made_of(name, "._:/@-");
}

// Accepts the name of a variable of a shell.
bool variable(const std::string& text) { return !text.empty() && !digits(text.substr(0, 1)) && made_of(text, "_"); }

// Accepts the source of a value. Whether the value exists is checked when a session starts.
bool source(const std::string& text) {
  if (text.starts_with("?")) return printable(text);
  if (text.starts_with("env:")) return variable(text.substr(4));
  if (text.starts_with("file:")) return text.size() > 5 && printable(text);
  return text.starts_with("cmd:") && text.size() > 4 && text.find('\0') == std::string::npos;
}

bool header(const std::string& text) {
  size_t colon = text.find(": ");
  return colon != std::string::npos && colon > 0 && made_of(text.substr(0, colon), "-") && printable(text) &&
         text.find("{}", colon) != std::string::npos && text.find("{}") == text.rfind("{}");
}

bool capital(char c) { return c >= 'A' && c <= 'Z'; }

// Methods are case-sensitive (RFC 9110 §9.1), and a rule with "get" would never apply.
bool method(const std::string& text) {
  return !text.empty() && text.size() <= 20 && std::ranges::all_of(text, capital);
}

// Accepts the names of Debian's policy, which cannot be mistaken for an option of apt-get.
bool package(const std::string& text) {
  return text.size() > 1 && alnum(text[0]) && made_of(text, "+.-") && std::ranges::none_of(text, capital);
}

bool duration(const std::string& text) {
  return text.size() > 1 && in(text.substr(0, text.size() - 1), 1, 10000000) &&
         std::string_view("smhd").find(text.back()) != std::string_view::npos;
}

bool path_glob(const std::string& text) {
  // A path in a request has none of these characters unescaped, so such a rule would never apply.
  return text.starts_with("/") && printable(text) && text.find_first_of(" ?#\\") == std::string::npos &&
         escapes_are_whole(text);
}

// Accepts a type of key and its text. Only ssh itself checks whether the key is valid.
bool ssh_key(const std::string& text) {
  size_t key = text.find_first_not_of(' ', std::min(text.find(' '), text.size()));
  if (key == text.npos || !printable(text)) return false;
  // Every key begins with a length below 256, which is "AAAA" in Base64.
  std::string blob = text.substr(key, text.find(' ', key) - key);
  return (text.starts_with("ssh-") || text.starts_with("ecdsa-") || text.starts_with("sk-")) &&
         blob.starts_with("AAAA") && from_base64(blob);
}

bool fingerprint(const std::string& text) {
  return text.size() == 12 && text.find_first_not_of("0123456789abcdef") == text.npos;
}

// With 12 characters, the agent is unlikely to write the same text by accident.
bool placeholder(const std::string& text) {
  return text.size() >= 12 && text.size() <= 256 &&
         std::ranges::all_of(text, [](unsigned char c) { return c > 0x20 && c < 0x7f; });
}

bool env_value(const std::string& text) {
  // A literal may have any characters. But a text that looks like a reference must be one, so that a misspelled
  // reference does not become the value.
  if (text.starts_with("${") && text.ends_with("}")) return variable(text.substr(2, text.size() - 3));
  return text.find('\0') == std::string::npos;
}

// Returns whether the text is a valid amount of the kind `type`.
bool valid_amount(Type type, const std::string& text) {
  switch (type) {
    case Type::count:
      return in(text, 1, 4194304);
    case Type::port:
      return in(text, 1, 65535);
    case Type::size:
      return size(text) && *size(text) >= (64u << 20);
    case Type::bytes:
      return size(text).value_or(0) > 0;
    case Type::amount:
      return amount(text).value_or(0) > 0;
    case Type::cost:
    case Type::price:
      return money(text, type == Type::price);
    case Type::duration:
      return duration(text);
    default:
      return number(text);
  }
}

// Returns whether the text is a valid address of the kind `type`.
bool valid_address(Type type, const std::string& text) {
  if (type == Type::url) return text.starts_with("http://") && proxy_address(text.substr(7));
  return type == Type::endpoint ? endpoint(text) : address(text);
}

}  // namespace

const Kind& kind(Type type) { return *std::ranges::find(kKinds, type, &Kind::type); }

bool valid(Type type, const std::string& text) {
  switch (type) {
    case Type::text:
      return text.find('\0') == std::string::npos;
    case Type::name:
      return !text.empty() && text.size() <= 64 && alnum(text[0]) && made_of(text, "_.-");
    case Type::env_name:
      return variable(text);
    case Type::env_value:
      return env_value(text);
    case Type::flag:
    case Type::inspect:
      return text == "true" || text == "false" || (type == Type::inspect && text == "full");
    case Type::count:
    case Type::number:
    case Type::port:
    case Type::size:
    case Type::bytes:
    case Type::amount:
    case Type::cost:
    case Type::price:
    case Type::duration:
      return valid_amount(type, text);
    case Type::model:
      return model(text);
    case Type::host:
      return host(text) || six(text);
    case Type::pattern:
      return pattern(text);
    case Type::method:
      return method(text);
    case Type::path_glob:
      return path_glob(text);
    case Type::address:
    case Type::endpoint:
    case Type::url:
      return valid_address(type, text);
    case Type::source:
      return source(text);
    case Type::package:
      return package(text);
    case Type::version:
    case Type::integrity:
      return type == Type::version ? version(text) : integrity(text);
    case Type::host_path:
    case Type::preset:
      return !text.empty() && text.size() <= PATH_MAX && printable(text);
    case Type::ssh_key:
    case Type::fingerprint:
      return type == Type::ssh_key ? ssh_key(text) : fingerprint(text);
    case Type::placeholder:
      return placeholder(text);
    case Type::header:
      return header(text);
    case Type::choice:
    case Type::section:
    case Type::rule:
    case Type::variable:
      return true;
  }
  return false;
}

uint64_t to_size(const std::string& text) { return size(text).value_or(0); }

uint64_t to_amount(const std::string& text) { return amount(text).value_or(0); }

uint64_t to_duration(const std::string& text) {
  uint64_t n = std::strtoull(text.c_str(), nullptr, 10);
  switch (text.back()) {
    case 'm':
      return n * 60;
    case 'h':
      return n * 3600;
    case 'd':
      return n * 86400;
    default:
      return n;
  }
}

}  // namespace bottle::manifest
