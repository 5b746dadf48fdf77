#include "guard/exchange/named_hosts.h"

#include <algorithm>
#include <charconv>

#include "base/text/lower.h"
#include "guard/core/dialer.h"
#include "guard/protocol/dns.h"

namespace bottle::guard {
namespace {

// Calls each(name, value) for the parameters of the query, still escaped.
template <typename F>
void each_parameter(std::string_view target, F each) {
  size_t at = target.find('?');
  while (at < target.size()) {
    std::string_view pair = target.substr(at + 1, target.find('&', at + 1) - at - 1);
    size_t equals = std::min(pair.find('='), pair.size());
    each(pair.substr(0, equals), pair.substr(std::min(equals + 1, pair.size())));
    at += pair.size() + 1;
  }
}

// Returns whether a parameter says where the agent's own browser goes next. Such a URL may lead to a program in the
// bottle, as during a sign-in.
bool leads_back(std::string_view name) {
  std::string small = lower(name);
  for (std::string_view each :
       {"redirect", "callback", "return", "continue", "next", "origin", "referer", "referrer", "logout", "audience"})
    if (small.find(each) != small.npos) return true;
  return false;
}

// Returns why a server must not be asked to fetch from the host, or an empty string.
std::string refused_host(const Connection& c, std::string_view name) {
  auto host = policy::normalise_host(name);
  if (!host) return {};
  const Config& config = *c.config;
  // "*" matches only public names, so a rule for another host gives its name or its domain.
  bool has_rule = !config.rules.denied(*host) && config.rules.connect(*host, 443).rule;
  if (config.fixed(*host) || config.lan.contains(host->name) || has_rule) return {};
  if (host->literal) {
    auto address = policy::parse_address(host->name);
    if (!address) return "an address in an unusual spelling";
    return std::string(config.refusal(*address));
  }
  static const auto kPublic = *policy::HostPattern::compile("*");
  return kPublic.matches(*host) ? "" : "a name that is not public";
}

bool is_loopback(std::string_view name) {
  return name == "localhost" || name.ends_with(".localhost") || name.starts_with("127.") || name == "[::1]" ||
         name == "::1";
}

// Returns whether a URL with this scheme opens a program, as in `redirect_uri=myapp://callback`, and names no host.
bool opens_program(std::string_view url) {
  std::string scheme = lower(url.substr(0, url.find(':')));
  for (std::string_view each : {"http", "https", "ws", "wss", "ftp", "ftps"})
    if (scheme == each) return false;
  return true;
}

Verdict judge_url(const Connection& c, std::string_view name, std::string_view value) {
  std::string text(value);
  constexpr int kMostEscaped = 3;
  for (int times = 0; times < kMostEscaped; ++times) {
    // Programs that fetch a URL ignore spaces before it, and tabs and line ends within it.
    std::erase_if(text, [](char each) { return each == '\t' || each == '\r' || each == '\n'; });
    text.erase(0, std::min(text.find_first_not_of(" +"), text.size()));
    // The host may have escapes itself, so it counts as it is, and decoded.
    std::string small = lower(host_of_url(text));
    bool leads = small.empty() || (leads_back(name) && (is_loopback(small) || opens_program(text)));
    if (std::string why = leads ? "" : refused_host(c, small); !why.empty())
      return {.code = "address",
              .reason = "the parameter \"" + std::string(name.substr(0, 40)) + "\" has a URL to " + small + ": " + why};
    std::string decoded = without_escapes(text);
    if (decoded == text) break;
    text = std::move(decoded);
  }
  return {.allowed = true};
}

bool has_type(const http::Head& head, std::string_view header, std::string_view type) {
  const http::Header* found = head.find(header);
  return found && lower(found->value).find(type) != std::string::npos;
}

std::string base64_text(std::string_view url) {
  std::string text(url);
  std::ranges::replace(text, '-', '+');
  std::ranges::replace(text, '_', '/');
  text.append((4 - text.size() % 4) % 4, '=');
  return text;
}

// Judges the question of a DNS message in Base64url. Nothing but the options that clients send may follow the question.
std::string judge_message(Connection& c, std::string_view value) {
  constexpr size_t kMostAfter = 32;
  auto bytes = base64_decode(base64_text(without_escapes(value)));
  DnsQuery query;
  if (!bytes || parse_dns_query(*bytes, query) != Parse::ok || bytes->size() > query.size + kMostAfter)
    return "a question in DNS over HTTPS that the guard cannot read";
  auto host = policy::normalise_host(query.name);
  if (!host) return "a question in DNS over HTTPS for what is no name";
  return carried(c.context, *c.config, *host);
}

Verdict judge_dns(Connection& c, const http::Head& head, const Request& request) {
  std::string_view target = request.target, path = target.substr(0, target.find('?'));
  auto refuse = [](std::string why) { return Verdict{.code = "name_carries_data", .reason = std::move(why)}; };
  if (has_type(head, "content-type", "application/dns-message"))
    return refuse("DNS over HTTPS in a body; let the client use GET, or the bottle's own name server");
  bool is_dns = path.ends_with("/dns-query") || has_type(head, "accept", "application/dns-");
  bool is_json = is_dns || path.ends_with("/resolve");
  std::string why;
  each_parameter(target, [&](std::string_view name, std::string_view value) {
    if (!why.empty()) return;
    if (name == "dns") {
      DnsQuery query;
      auto bytes = base64_decode(base64_text(without_escapes(value)));
      if (is_dns || (bytes && parse_dns_query(*bytes, query) == Parse::ok)) why = judge_message(c, value);
    } else if (name == "name" && is_json) {
      if (auto host = policy::normalise_host(without_escapes(value))) why = carried(c.context, *c.config, *host);
      else if (is_dns) why = "a question in DNS over HTTPS for what is no name";
    }
  });
  return why.empty() ? Verdict{.allowed = true} : refuse(why);
}

}  // namespace

std::string without_escapes(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned value = 0;
    const char* end = text.data() + std::min(i + 3, text.size());
    if (text[i] == '%' && i + 2 < text.size() && std::from_chars(text.data() + i + 1, end, value, 16).ptr == end) {
      out += static_cast<char>(value);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string_view host_of_url(std::string_view value) {
  size_t scheme = value.find("://");
  constexpr size_t kLongestScheme = 10;
  if (scheme == value.npos || scheme == 0 || scheme > kLongestScheme) return {};
  if (!std::ranges::all_of(value.substr(0, scheme), [](char c) { return (c | 32) >= 'a' && (c | 32) <= 'z'; }))
    return {};
  std::string_view authority = value.substr(scheme + 3);
  authority = authority.substr(0, authority.find_first_of("/?#\\"));
  if (size_t at = authority.rfind('@'); at != authority.npos) authority.remove_prefix(at + 1);
  if (authority.starts_with('[')) return authority.substr(0, std::min(authority.find(']'), authority.size() - 1) + 1);
  return authority.substr(0, authority.find(':'));
}

Verdict judge_named_hosts(Connection& c, const http::Head& head, const Request& request) {
  Verdict verdict{.allowed = true};
  each_parameter(request.target, [&](std::string_view name, std::string_view value) {
    if (verdict.allowed) verdict = judge_url(c, name, value);
  });
  return verdict.allowed ? judge_dns(c, head, request) : verdict;
}

}  // namespace bottle::guard
