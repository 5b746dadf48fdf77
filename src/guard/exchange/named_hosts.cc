// A server that fetches URLs on request is another way out, because it may reach addresses that the guard refuses,
// such as a cloud's metadata service. A resolver over HTTPS is one as well, because it forwards names. No list can
// enumerate such services, so the parameters are judged by their form. The name of a parameter suggests what a server
// does with it; without such a hint, the server may fetch from it.
//
// False alarms are the other danger, because sign-ins and searches are full of URLs. Therefore only hosts that the
// guard itself would refuse count, and never a name in the rules.
#include "guard/exchange/named_hosts.h"

#include <algorithm>
#include <cctype>
#include <cstdint>

#include "base/text/base64.h"
#include "base/text/lower.h"
#include "guard/core/dialer.h"
#include "guard/protocol/dns.h"
#include "guard/protocol/nested_url.h"

namespace bottle::guard {
namespace {

// A parameter of a query, still escaped.
struct Parameter {
  std::string_view name, value;
  std::string_view owner;  // the name of the parameter that a part without a name of its own belongs to, or empty
};

// Calls each(Parameter) for the parameters of the query. Some servers also separate parameters at a semicolon, so the
// parts of such a parameter follow it.
template <typename F>
void each_parameter(std::string_view target, F each) {
  std::string_view owner;
  auto split = [&](std::string_view pair) {
    size_t equals = std::min(pair.find('='), pair.size());
    bool has_name = equals < pair.size();
    each(Parameter{pair.substr(0, equals), pair.substr(std::min(equals + 1, pair.size())), has_name ? "" : owner});
    if (has_name) owner = pair.substr(0, equals);
  };
  auto each_part = [](std::string_view text, char separator, auto use) {
    for (size_t at = 0; at <= text.size();) {
      std::string_view part = text.substr(at, text.find(separator, at) - at);
      use(part);
      at += part.size() + 1;
    }
  };
  size_t query = target.find('?');
  if (query == target.npos) return;
  each_part(target.substr(query + 1), '&', [&](std::string_view pair) {
    owner = {};
    split(pair);
    owner = {};  // the first part names it again
    if (pair.find(';') != pair.npos) each_part(pair, ';', split);
  });
}

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
    // normalise_host() takes forms such as 0x7f.1 for literals, and some programs connect to them.
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
  constexpr std::string_view kOfAlibaba = "100.100.100.200";
  return !address || address->v6 || host->name.starts_with("169.254.") || host->name == kOfAlibaba;
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
    std::string decoded = without_escapes(text);
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

bool has_type(const http::Head& head, std::string_view header, std::string_view type) {
  return lower(head.list(header)).find(type) != std::string::npos;
}

// Returns the path as a tolerant server reads it: decoded, in lower case, without slashes at its end.
std::string plain_path(std::string_view path) {
  std::string plain = lower(without_escapes(path));
  while (plain.ends_with('/')) plain.pop_back();
  return plain;
}

// Returns whether the path has this segment, perhaps with parameters (";x").
bool has_segment(std::string_view path, std::string_view name) {
  for (size_t at = path.find(name); at != path.npos; at = path.find(name, at + 1)) {
    size_t end = at + name.size();
    bool ends = end == path.size() || std::string_view("/;. %\\\0", 7).find(path[end]) != std::string_view::npos;
    if (at > 0 && path[at - 1] == '/' && ends) return true;
  }
  return false;
}

// Returns whether this is the last segment of the path, as a tolerant server reads it: it may ignore parameters (";x"),
// empty segments, and dots and spaces at the end of a segment. A segment in the middle may be the name of a repository.
bool ends_with_segment(std::string_view path, std::string_view name) {
  size_t skipped = 0;  // the segments that ".." removes
  while (true) {
    size_t slash = path.find_last_of("/\\");
    std::string_view segment = path.substr(slash + 1);
    segment = segment.substr(0, segment.find_first_of(std::string_view(";%\0", 3)));
    bool is_up = segment == "..";
    segment = segment.substr(0, segment.find_last_not_of(". ") + 1);
    if (is_up) ++skipped;
    else if (!segment.empty() && skipped > 0) --skipped;
    else if (!segment.empty()) return segment == name;
    if (slash == path.npos) return false;
    path = path.substr(0, slash);
  }
}

// Returns the characters of Base64url as Base64. Some servers ignore others.
std::string base64_text(std::string_view url) {
  std::string text(url);
  std::ranges::replace(text, '-', '+');
  std::ranges::replace(text, '_', '/');
  std::erase_if(text, [](unsigned char c) { return !isalnum(c) && c != '+' && c != '/'; });
  text.append((4 - text.size() % 4) % 4, '=');
  return text;
}

// Returns whether the bytes may be a DNS message that some server accepts. Only a few questions and records fit into
// the target of a request, so the high bytes of all four counts are zero.
bool may_be_message(std::string_view bytes) {
  constexpr size_t kHeader = 12, kCounts = 4, kMostRecords = 16;
  if (bytes.size() < kHeader) return false;
  for (size_t at = kCounts; at < kHeader; at += 2)
    if (bytes[at] != '\0' || static_cast<unsigned char>(bytes[at + 1]) > kMostRecords) return false;
  return bytes[kCounts + 1] != '\0';
}

// Judges the question of a DNS message in Base64url. Only the options that clients send may follow the question.
std::string judge_message(Connection& c, std::string_view value) {
  constexpr size_t kMostAfter = 32;
  auto bytes = from_base64(base64_text(without_escapes(value)));
  DnsQuery query;
  if (!bytes || parse_dns_query(*bytes, query) != Parse::ok || bytes->size() > query.size + kMostAfter)
    return "the guard cannot read the DNS query in this request";
  auto host = policy::normalise_host(query.name);
  if (!host) return "the DNS query in this request is not for a valid name";
  return carried(c.context, *c.config, *host);
}

// Judges a request that may be DNS over HTTPS. No single mark identifies all such requests, so the path, the headers
// and the parameters are each taken as a sign.
std::optional<Refused> judge_dns(Connection& c, const http::Head& head, const Request& request) {
  std::string_view target = request.target;
  auto refuse = [](std::string why) { return Refused{.code = "name_carries_data", .reason = std::move(why)}; };
  std::string path = plain_path(target.substr(0, target.find('?')));
  bool accepts_dns = has_type(head, "accept", "application/dns-");
  bool is_dns = accepts_dns || has_segment(path, "dns-query");
  // See RFC 8484, and RFC 9230 for a query through a proxy.
  bool in_body =
      has_type(head, "content-type", "dns-message") || ((accepts_dns || ends_with_segment(path, "dns-query")) &&
                                                        http::Body::of_request(head).kind() != http::Body::Kind::none);
  if (in_body)
    return refuse(
        "the guard does not pass DNS queries in a body; configure the client to send them with GET, or to use the "
        "bottle's own name server");
  std::string why;
  bool is_json = is_dns || has_segment(path, "resolve");
  each_parameter(target, [&](const Parameter& each) {
    if (!why.empty()) return;
    std::string name = lower(without_escapes(each.name));
    if (name == "ct" && lower(without_escapes(each.value)).find("application/dns-") != std::string::npos)
      is_json = true;
    if (name != "dns") return;
    auto bytes = from_base64(base64_text(without_escapes(each.value)));
    if (is_dns || (bytes && may_be_message(*bytes))) why = judge_message(c, each.value);
  });
  each_parameter(target, [&](const Parameter& each) {
    if (!why.empty() || !is_json || lower(without_escapes(each.name)) != "name") return;
    // Some servers ignore spaces and the like around the name.
    std::string asked = without_escapes(each.value);
    std::erase_if(asked, [](unsigned char byte) { return byte <= ' ' || byte == '+' || byte == 0x7f; });
    if (auto host = policy::normalise_host(asked)) why = carried(c.context, *c.config, *host);
    else if (is_dns) why = "the DNS query in this request is not for a valid name";
  });
  if (why.empty()) return std::nullopt;
  return refuse(std::move(why));
}

}  // namespace

std::optional<Refused> judge_named_hosts(Connection& c, const http::Head& head, const Request& request) {
  std::string_view target = request.target;
  auto refused = judge_path(c, target.substr(0, target.find('?')));
  each_parameter(target, [&](const Parameter& each) {
    if (!refused) refused = judge_parameter(c, each);
  });
  return refused ? refused : judge_dns(c, head, request);
}

}  // namespace bottle::guard
