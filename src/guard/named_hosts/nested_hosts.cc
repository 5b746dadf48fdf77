// A server that fetches URLs on request is another way out, because it may reach addresses that the guard refuses,
// such as a cloud's metadata service. No list can enumerate such services, so the parameters are judged by their form.
// The name of a parameter suggests what a server does with it; without such a hint, the server may fetch from it.
//
// False alarms are the other danger, because sign-ins and searches are full of URLs. Therefore only hosts that the
// guard itself would refuse count, and never a name in the rules.
#include "guard/named_hosts/nested_hosts.h"

#include <cstdint>
#include <string>

#include "base/text/words.h"
#include "guard/named_hosts/parameters.h"
#include "guard/protocol/nested_url.h"
#include "policy/path.h"

namespace bottle::guard {
namespace {

// Says what a server does with a parameter, as far as its name tells.
enum class Use : uint8_t {
  fetch,       // it may connect to a host in it
  leads_back,  // it sends the agent's own browser or program there next, or compares it, as during a sign-in
  words,       // it searches for it, or stores it
};

// Guesses from the name of a parameter what a server does with its value.
Use use_of(std::string_view name) {
  std::string small = lower(name);
  for (std::string_view each : {"redirect", "callback", "return", "continue", "next", "origin", "referer", "referrer",
                                "logout", "audience", "relaystate"})
    if (small.find(each) != small.npos) return Use::leads_back;
  // These are the names in OAuth (RFC 8707, RFC 9207), CAS and WS-Federation, and those of web analytics.
  for (std::string_view each : {"resource", "service", "client_id", "iss", "wreply", "wtrealm", "goto", "dl", "dr"})
    if (small == each) return Use::leads_back;
  for (std::string_view each : {"q", "query", "search", "keyword", "keywords", "term", "terms", "text", "title",
                                "message", "prompt", "question", "comment", "description", "subject"})
    if (small == each) return Use::words;
  return Use::fetch;
}

// Returns why a request must not make a server fetch from the host, or an empty string.
std::string refused_host(const Connection& c, std::string_view name) {
  if (is_disguised(name)) return "the host has characters that may stand for others";
  auto host = policy::normalise_host(name);
  if (!host) return {};
  const Config& config = *c.config;
  // "*" matches only public names, so a rule for another host gives its name or its domain.
  bool has_rule = !config.rules.denied(*host) && config.rules.connect(*host, 443).rule;
  // The operator has named this host.
  if (config.fixed(*host) || config.lan.contains(host->name) || has_rule) return {};
  // The server must not reach an address that the guard itself would refuse.
  if (host->literal) {
    auto address = policy::parse_address(host->name);
    // normalise_host() treats forms such as 0x7f.1 as literals, and some programs connect to them.
    if (!address) return "the address is written in an unusual way";
    return std::string(config.refusal(*address));
  }
  static const auto kPublic = *policy::HostPattern::compile("*");
  return kPublic.matches(*host) ? "" : "the name is not public";
}

// Returns whether the host is a program on the machine where the URL is opened. Servers that listen on all addresses
// print 0.0.0.0.
bool is_loopback(std::string_view name) {
  return name == "localhost" || name.ends_with(".localhost") || name.starts_with("127.") || name == "[::1]" ||
         name == "::1" || name == "0.0.0.0";
}

// Returns whether the host may be a cloud's metadata service, which has credentials. An unusual spelling of an
// address counts as well, because its only purpose is to hide the address.
bool may_be_metadata(std::string_view name) {
  if (is_disguised(name)) return true;
  auto host = policy::normalise_host(name);
  if (!host) return false;
  if (!host->literal) return host->name.starts_with("metadata.") || host->name.starts_with("instance-data.");
  auto address = policy::parse_address(host->name);
  constexpr std::string_view kAlibabaMetadata = "100.100.100.200";
  return !address || address->v6 || host->name.starts_with("169.254.") || host->name == kAlibabaMetadata;
}

// Returns whether a URL opens a program, as in `redirect_uri=myapp://callback`, and names no host.
bool opens_program(std::string_view url) {
  std::string scheme = innermost_scheme(url);
  return !scheme.empty() && !is_of_web(scheme);
}

bool is_harmless(Use use, std::string_view url, std::string_view host) {
  if (use == Use::leads_back) return is_loopback(host) || opens_program(url);
  return use == Use::words && (is_loopback(host) || !may_be_metadata(host));
}

// Judges the URL that the text begins with, and once more with its escapes decoded. `where` says where the text is.
std::optional<Refused> judge_url(const Connection& c, Use use, bool may_be_bare, const std::string& where,
                                 std::string_view value) {
  std::string text(value);
  // The server and each program before it may decode the text once.
  constexpr int kMostEscaped = 5;
  for (int times = 0; times < kMostEscaped; ++times) {
    // The host itself may have escapes, so it counts both as it is and decoded.
    auto hosts = hosts_of_url(text);
    if (hosts.empty() && may_be_bare) hosts = hosts_of_bare_url(text);
    for (const std::string& host : hosts) {
      if (is_harmless(use, text, host)) continue;
      if (std::string why = refused_host(c, host); !why.empty())
        return Refused{.code = "address", .reason = where + " has a URL to " + host + ": " + why};
    }
    std::string decoded = policy::percent_decoded(text);
    if (decoded == text) break;
    text = std::move(decoded);
  }
  return std::nullopt;
}

std::optional<Refused> judge_parameter(const Connection& c, const Parameter& parameter) {
  const auto& [name, value, owner] = parameter;
  constexpr size_t kShown = 40;
  std::string small = lower(name);
  bool of_url = small.find("url") != small.npos || small.find("uri") != small.npos;
  std::string where = "the parameter \"" + std::string(name.substr(0, kShown)) + "\"";
  if (auto refused = judge_url(c, use_of(name), of_url, where, value)) return refused;
  // The whole query may be a URL.
  return judge_url(c, owner.empty() ? Use::fetch : use_of(owner), false, "the name of a parameter", name);
}

// Returns whether a segment of the path, in lower case, may begin with a URL.
bool may_be_url(std::string_view segment) {
  for (std::string_view scheme : {"ws", "wss", "ftp", "ftps", "gopher"})
    if (segment.starts_with(scheme) && segment.size() > scheme.size() &&
        (segment[scheme.size()] == ':' || segment[scheme.size()] == '%'))
      return true;
  return segment.starts_with("http");
}

// Judges the URLs that are segments of the path, as in `/proxy/http://10.0.0.1/`. Refuses a path with more of them
// than are judged, because judging each takes time proportional to the rest of the path.
std::optional<Refused> judge_path(const Connection& c, std::string_view path) {
  constexpr int kMostUrls = 8;
  std::string small = lower(path);
  int urls = 0;
  for (size_t at = small.find('/'); at != small.npos; at = small.find('/', at + 1)) {
    if (!may_be_url(std::string_view(small).substr(at + 1))) continue;
    if (++urls > kMostUrls)
      return Refused{.code = "address",
                     .reason = "the path has more than " + std::to_string(kMostUrls) + " segments that may be URLs"};
    if (auto refused = judge_url(c, Use::fetch, false, "the path", path.substr(at + 1))) return refused;
  }
  return std::nullopt;
}

}  // namespace

std::optional<Refused> judge_nested_hosts(const Connection& c, std::string_view target) {
  auto refused = judge_path(c, target.substr(0, target.find('?')));
  each_parameter(target, [&](const Parameter& each) {
    if (!refused) refused = judge_parameter(c, each);
  });
  return refused;
}

}  // namespace bottle::guard
