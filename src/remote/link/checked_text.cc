#include "remote/link/checked_text.h"

#include <map>

#include "base/json.h"
#include "base/line.h"
#include "manifest/edit.h"
#include "policy/host.h"

namespace bottle::remote {
namespace {

using nlohmann::json;

enum class Is { text, count, whole, number, flag, object, texts, objects };

const std::map<std::string_view, Is> kTypes = {
    // hello
    {"bottle", Is::text},
    {"uid", Is::count},
    {"gid", Is::count},
    {"kernel", Is::text},
    {"machine", Is::text},
    {"system", Is::text},
    {"clock_ms", Is::whole},
    {"memory", Is::count},
    {"cpus", Is::count},
    {"disk_free", Is::count},
    {"interfaces", Is::objects},
    {"routes", Is::objects},
    {"images", Is::texts},
    {"rsync", Is::flag},
    {"mosh", Is::flag},
    {"token", Is::flag},
    {"roots", Is::text},
    {"engine", Is::object},
    {"error", Is::text},
    {"todo", Is::text},
    {"socket", Is::text},
    {"api", Is::text},
    {"version", Is::text},
    {"rootless", Is::flag},
    {"runtimes", Is::texts},
    {"cgroup", Is::text},
    {"cgroup_driver", Is::text},
    {"memory_limit", Is::flag},
    {"cpu_limit", Is::flag},
    {"pids_limit", Is::flag},
    {"seccomp", Is::flag},
    {"storage", Is::text},
    {"device", Is::text},
    {"to", Is::text},
    {"name", Is::text},
    {"kind", Is::text},
    // events, failures, results
    {"event", Is::text},
    {"session", Is::text},
    {"step", Is::text},
    {"what", Is::text},
    {"code", Is::text},
    {"host", Is::text},
    {"reason", Is::text},
    {"secret", Is::text},
    {"allow", Is::text},
    {"from", Is::count},
    {"missed", Is::count},
    {"bytes", Is::count},
    {"probes", Is::objects},
    {"ok", Is::flag},
    {"detail", Is::text},
    {"exit", Is::whole},
    {"egress", Is::object},
    {"denied", Is::objects},
    {"secrets", Is::objects},
    {"count", Is::count},
    {"recorded", Is::texts},
    {"allowed", Is::whole},
    {"id", Is::text},
    {"vm", Is::object},
    {"engine_at", Is::number},
    {"receipt", Is::object},
    {"confirmed", Is::flag},
    {"left", Is::texts},
    {"removed", Is::texts},
    {"back", Is::object}};

bool all(const json& list, bool (*is)(const json&)) {
  if (!list.is_array()) return false;
  for (const auto& each : list)
    if (!is(each)) return false;
  return true;
}

bool fits(const json& value, Is is) {
  switch (is) {
    case Is::text:
      return value.is_string();
    case Is::count:
      return value.is_number_unsigned();
    case Is::whole:
      return value.is_number_integer();
    case Is::number:
      return value.is_number();
    case Is::flag:
      return value.is_boolean();
    case Is::object:
      return value.is_object();
    case Is::texts:
      return all(value, [](const json& each) { return each.is_string(); });
    case Is::objects:
      return all(value, [](const json& each) { return each.is_object(); });
  }
  return false;
}

constexpr size_t kLongestRule = 1000;

// A rule is proposed to be pasted into the manifest: it names one plain host and is in our own writing, or is none. Of
// a decision, the host is the one that was refused.
std::string proposal(const std::string& text, const json* decision) {
  auto rule = text.size() > kLongestRule ? Result<manifest::AllowRule>(fail(Code::limit, "too long"))
                                         : manifest::rule_from_yaml(text);
  if (!rule) return "";
  auto host = policy::normalise_host(rule->host);  // fails for a pattern
  if (!host || host->literal) return "";
  if (!decision)
    return rule->ports.empty() && rule->methods.empty() && rule->paths.empty() ? manifest::rule_yaml(*rule) : "";
  auto refused = decision->is_string() ? policy::parse_authority(decision->get_ref<const std::string&>(), 443)
                                       : fail(Code::invalid, "no host");
  if (!refused || refused->host.name != host->name) return "";
  if (!rule->ports.empty() && rule->ports != std::vector<uint16_t>{refused->port}) return "";
  return manifest::rule_yaml(*rule);
}

json proposals(const json& list) {
  json out = json::array();
  for (const auto& each : list)
    if (auto rule = proposal(each.get_ref<const std::string&>(), nullptr); !rule.empty()) out.push_back(rule);
  return out;
}

json fitting(const json& value) {
  if (value.is_array()) {
    json out = json::array();
    for (const auto& each : value) out.push_back(fitting(each));
    return out;
  }
  if (!value.is_object()) return value;
  json out = json::object();
  for (const auto& [key, each] : value.items()) {
    auto known = kTypes.find(key);
    if (known == kTypes.end() || fits(each, known->second)) out[key] = fitting(each);
  }
  if (auto rule = out.find("allow"); rule != out.end()) {
    json host = out.value("host", json());
    *rule = proposal(rule->get<std::string>(), &host);
  }
  if (auto rules = out.find("recorded"); rules != out.end()) *rules = proposals(*rules);
  return out;
}

}  // namespace

json cleaned(const json& value) {
  if (value.is_string()) return one_line(value.get_ref<const std::string&>());
  if (value.is_array()) {
    json out = json::array();
    for (const auto& each : value) out.push_back(cleaned(each));
    return out;
  }
  if (value.is_object()) {
    json out = json::object();
    for (const auto& [key, each] : value.items()) out[one_line(key)] = cleaned(each);
    return out;
  }
  return value;
}

json far_words(std::string_view text) {
  auto value = parse_json(text);
  return value && value->is_object() ? fitting(cleaned(*value)) : json();
}

}  // namespace bottle::remote
