#include "session/guard_link/egress_summary.h"

#include <algorithm>

#include "manifest/edit.h"
#include "policy/host.h"

namespace bottle::session {
namespace {

using nlohmann::json;

// All of it travels in one frame of 1 MB, from a remote machine too, and the agent chooses the names.
constexpr size_t kMostDenied = 300, kMostReached = 1000, kMostTold = 50;

std::string text_of(const json& line, const char* key) {
  auto found = line.find(key);
  return found != line.end() && found->is_string() ? found->get<std::string>() : "";
}

// The rule that would have let this through, or nothing where rules were not what was missing. The agent chose every
// word of it: it is shown to a person to copy, so only a plain name and method make it into the suggestion.
std::string missing_rule(const json& line) {
  if (text_of(line, "code") != "not_allowed") return "";
  auto host = policy::normalise_host(text_of(line, "host"));
  if (!host || host->literal) return "";
  manifest::AllowRule rule{.host = host->name};
  int port = line.contains("port") && line["port"].is_number_integer() ? line["port"].get<int>() : 0;
  if (port > 0 && port < 65536 && port != 443 && port != 80) rule.ports = {static_cast<uint16_t>(port)};
  std::string method = text_of(line, "method"), reason = text_of(line, "reason");
  bool of_request = reason == "no rule allows this method" || reason == "no rule allows this path";
  // Any other reason is none that a rule for the host would mend, and might well be one not to.
  if (!of_request && reason != "no rule names this host" && reason != "no rule allows this port") return "";
  bool plain = !method.empty() && method.size() <= 20 &&
               std::ranges::all_of(method, [](char c) { return c >= 'A' && c <= 'Z'; });
  if (of_request && !plain) return "";
  if (of_request) rule.methods = {method};
  std::string path = text_of(line, "path");
  bool clean = path.starts_with('/') && path.size() <= 200 && std::ranges::all_of(path, [](unsigned char c) {
                 return c > 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '*' && c != '?' && c != '#';
               });
  if (!rule.methods.empty() && clean) rule.paths = {path};
  return manifest::rule_yaml(rule);
}

}  // namespace

void EgressSummary::add(const json& line, Clients& clients) {
  std::string action = text_of(line, "action"), kind = text_of(line, "kind"), host = text_of(line, "host");
  std::string secret = text_of(line, "secret");
  if (action == "allow" && !secret.empty() && secrets_.size() < kMostTold &&
      secrets_.try_emplace({secret, text_of(line, "code")}, host).second)
    clients.event({{"event", "secret"},
                   {"secret", secret},
                   {"host", host},
                   {"code", text_of(line, "code")},
                   {"what", text_of(line, "reason")}});
  if (action == "allow" && (kind == "connect" || kind == "http") && reached_.size() < kMostReached)
    reached_.insert(host);
  if (action != "deny") return;
  std::string where = (host.empty() ? "?" : host) +
                      (line.contains("port") && line["port"].is_number() ? ":" + line["port"].dump() : "");
  auto& entry = denied_[{where, text_of(line, "code")}];
  auto count = line.find("count");
  uint64_t before = entry.count;
  entry.count += count != line.end() && count->is_number_unsigned() ? count->get<uint64_t>() : 1;
  if (before == 0) {
    entry.allow = missing_rule(line);
    if (denied_.size() <= kMostTold)
      clients.event({{"event", "denied"},
                     {"host", where},
                     {"code", text_of(line, "code")},
                     {"reason", text_of(line, "reason")},
                     {"allow", entry.allow}});
  }
  if (denied_.size() > kMostDenied) denied_.erase(denied_.begin());
}

json EgressSummary::denied() const {
  json list = json::array();
  for (const auto& [key, entry] : denied_)
    list.push_back({{"host", key.first}, {"code", key.second}, {"count", entry.count}, {"allow", entry.allow}});
  return list;
}

json EgressSummary::secrets() const {
  json list = json::array();
  for (const auto& [what, host] : secrets_)
    list.push_back({{"secret", what.first}, {"code", what.second}, {"host", host}});
  return list;
}

json EgressSummary::recorded(const std::vector<manifest::AllowRule>& rules) const {
  json list = json::array();
  for (const auto& host : reached_) {
    bool covered = std::ranges::any_of(
        rules, [&](const auto& rule) { return rule.host != "*" && manifest::covers(rule.host, host); });
    if (!covered && policy::normalise_host(host)) list.push_back(manifest::rule_yaml({.host = host}));
  }
  return list;
}

}  // namespace bottle::session
