// The format is lines of "key: value" in sections. A value is taken as it is, so that a pattern needs no escapes.
// Every mistake is an error with its line, because a rule that is read differently than its author meant would
// silently find nothing. A rule must come with an example that it finds and one that it does not.
#include "scan/credential/rule.h"

#include <algorithm>
#include <array>
#include <optional>
#include <set>

#include "base/text/json.h"
#include "base/text/parse.h"
#include "base/text/words.h"

namespace bottle::scan {
namespace {

struct NamedCheck {
  std::string_view name;
  Check check;
};
constexpr std::array kChecks = std::to_array<NamedCheck>({
    {"token", Check::token},
    {"crc32-base62", Check::crc32_base62},
    {"aws-key-id", Check::aws_key_id},
    {"not-base64", Check::not_base64},
    {"last", Check::last},
    {"azure-sas", Check::azure_sas},
    {"assigned", Check::assigned},
    {"assignment", Check::assignment},
    {"userinfo", Check::userinfo},
    {"connection", Check::connection},
    {"netrc", Check::netrc},
    {"basic", Check::basic},
    {"docker-auth", Check::docker_auth},
    {"jwt", Check::jwt},
    {"discord", Check::discord},
    {"bitwarden", Check::bitwarden},
    {"asana", Check::asana},
    {"x-bearer", Check::x_bearer},
    {"pem", Check::pem},
    {"putty", Check::putty},
    {"jwk", Check::jwk},
    {"wif", Check::wif},
    {"bip39", Check::bip39},
    {"luhn", Check::luhn},
    {"iban", Check::iban},
    {"random", Check::random},
});

// The keys that a rule may have several times.
constexpr std::array<std::string_view, 5> kRepeated = {"pattern", "name", "yes", "no", "ignore"};

// Returns whether the survey finds what this check confirms, so that the rule needs no pattern.
bool is_surveyed(Check check) {
  switch (check) {
    case Check::discord:
    case Check::bitwarden:
    case Check::asana:
    case Check::x_bearer:
    case Check::wif:
    case Check::bip39:
    case Check::luhn:
    case Check::iban:
    case Check::random:
      return true;
    default:
      return false;
  }
}

bool is_id(std::string_view text) {
  return !text.empty() && text.size() <= 60 &&
         std::ranges::all_of(text, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.back() == ' ' || text.back() == '\r' || text.back() == '\t')) text.remove_suffix(1);
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  return text;
}

class Reader {
 public:
  Result<std::vector<Rule>> read(std::string_view text) {
    for (std::string_view each : each_line(text)) {
      ++number_;
      TRY(line(trimmed(each)));
    }
    TRY(ended());
    return std::move(rules_);
  }

 private:
  std::unexpected<Error> wrong(std::string what, std::string todo = {}) {
    return fail(Code::invalid, "line " + std::to_string(number_) + ": " + std::move(what), std::move(todo));
  }

  Result<> line(std::string_view line) {
    if (line.size() > kLongestRuleLine) return wrong("the line has more than 2000 characters");
    // The rules of a session are a part of JSON.
    if (!is_utf8(line)) return wrong("the line is not UTF-8", "write other bytes in a pattern as \\xff");
    if (line.empty() || line.front() == '#') return {};
    if (line.front() == '[') return section(line);
    size_t colon = line.find(':');
    if (colon == line.npos) return wrong("a line must be \"[id]\", \"key: value\" or a comment");
    if (rules_.empty()) return wrong("the line comes before the first rule", "begin a rule with a line \"[id]\"");
    return set(line.substr(0, colon), trimmed(line.substr(colon + 1)));
  }

  Result<> section(std::string_view line) {
    TRY(ended());
    if (!line.ends_with(']') || !is_id(line.substr(1, line.size() - 2)))
      return wrong("the id of a rule must be lower-case letters, digits and '-' in brackets");
    std::string id(line.substr(1, line.size() - 2));
    if (std::ranges::any_of(rules_, [&](const Rule& rule) { return rule.id == id; }))
      return wrong("rule \"" + id + "\" is defined twice");
    if (rules_.size() == kMostRules) return wrong("the file has more than 1000 rules");
    rules_.push_back({.id = std::move(id), .line = number_});
    once_.clear();
    return {};
  }

  Result<> set(std::string_view key, std::string_view value) {
    Rule& rule = rules_.back();
    if (value.empty()) return wrong("\"" + std::string(key) + "\" has no value");
    bool repeats = std::ranges::find(kRepeated, key) != kRepeated.end();
    if (!repeats && !once_.emplace(key).second)
      return wrong("rule \"" + rule.id + "\" has a second line \"" + std::string(key) + "\"", "remove one of the two");
    if (key == "is") rule.is = value;
    else if (key == "pattern" || key == "name") return pattern(rule, value, key == "name");
    else if (key == "yes" || key == "no") rule.examples.push_back({number_, key == "yes", std::string(value)});
    else if (key == "ignore") return ignore(rule, value);
    else if (key == "check") return check(rule, value);
    else if (key == "edge" && value == "word") rule.edge = Edge::word;
    else if (key == "edge" && value == "alone") rule.edge = Edge::alone;
    else if (key == "act" && (value == "warn" || value == "block")) rule.warns = value == "warn";
    else
      return wrong("\"" + std::string(key) + ": " + std::string(value) + "\" is not a known line",
                   "the keys are is, pattern, name, check, edge, act, ignore, yes and no");
    return {};
  }

  Result<> pattern(Rule& rule, std::string_view value, bool is_name) {
    rule.patterns.emplace_back(value);
    rule.are_names.push_back(is_name);
    rule.pattern_lines.push_back(number_);
    return {};
  }

  Result<> ignore(Rule& rule, std::string_view list) {
    while (!list.empty()) {
      size_t end = std::min(list.find(' '), list.size());
      std::string_view print = list.substr(0, end);
      list = trimmed(list.substr(end));
      if (print.size() != 12 || print.find_first_not_of("0123456789abcdef") != print.npos)
        return wrong("a fingerprint must be 12 hexadecimal digits in lower case");
      rule.ignored.emplace_back(print);
    }
    return {};
  }

  Result<> check(Rule& rule, std::string_view value) {
    std::string_view name = value.substr(0, value.find(' '));
    auto found = std::ranges::find(kChecks, name, &NamedCheck::name);
    if (found == kChecks.end()) return wrong("unknown check \"" + std::string(name) + "\"");
    rule.check = found->check;
    if (rule.check != Check::last) return {};
    rule.last = number_in<uint32_t>(trimmed(value.substr(name.size()))).value_or(0);
    if (rule.last < 8 || rule.last > 1000) return wrong("\"last\" needs a number of bytes from 8 to 1000");
    return {};
  }

  Result<> ended() {
    if (rules_.empty()) return {};
    const Rule& rule = rules_.back();
    if (rule.is.empty()) return wrong("rule \"" + rule.id + "\" has no line \"is\"");
    bool has_pattern = !rule.patterns.empty();
    if (!has_pattern && !is_surveyed(rule.check)) return wrong("rule \"" + rule.id + "\" has no line \"pattern\"");
    // Its matches would count as confirmed, although nothing has computed the checksum.
    if (has_pattern && is_surveyed(rule.check))
      return wrong("rule \"" + rule.id + "\" has a pattern, but its check works without one",
                   "remove its lines \"pattern\", or use another check");
    if (std::ranges::find(rule.are_names, true) != rule.are_names.end() && rule.check != Check::assignment)
      return wrong("rule \"" + rule.id + "\" has a line \"name\", but its check is not \"assignment\"");
    auto has = [&](bool positive) {
      return std::ranges::any_of(rule.examples, [&](const Example& each) { return each.positive == positive; });
    };
    if (!has(true) || !has(false)) return wrong("rule \"" + rule.id + "\" needs an example \"yes\" and one \"no\"");
    return {};
  }

  std::vector<Rule> rules_;
  std::set<std::string, std::less<>> once_;  // the keys of the last rule that a rule has only once
  uint32_t number_ = 0;
};

}  // namespace

bool needs_beginning(const Rule& rule) {
  switch (rule.check) {
    case Check::assigned:
    case Check::assignment:
    case Check::connection:
    case Check::netrc:
    case Check::userinfo:
    case Check::x_bearer:
    case Check::last:
    case Check::basic:
    case Check::docker_auth:
      return rule.edge != Edge::any;
    default:
      return true;
  }
}

// There is no default, so that a new check has to say it.
bool reads_spaces(Check check) {
  switch (check) {
    case Check::assigned:
    case Check::assignment:
    case Check::connection:
    case Check::netrc:
    case Check::pem:
    case Check::putty:
    case Check::jwk:
    case Check::not_base64:
      return true;
    case Check::token:
    case Check::crc32_base62:
    case Check::aws_key_id:
    case Check::last:
    case Check::azure_sas:
    case Check::userinfo:
    case Check::basic:
    case Check::docker_auth:
    case Check::jwt:
    case Check::discord:
    case Check::bitwarden:
    case Check::asana:
    case Check::x_bearer:
    case Check::wif:
    case Check::bip39:
    case Check::luhn:
    case Check::iban:
    case Check::random:
      return false;
  }
  return true;
}

Result<std::vector<Rule>> parse_rules(std::string_view text) { return Reader().read(text); }

}  // namespace bottle::scan
