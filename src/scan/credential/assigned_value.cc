// Finds the values that are assigned to the names of secrets. Configurations and programs write them in many ways: in
// quotes of several kinds, on the next line, in a list, after a type. A value counts only if it looks random, and if
// neither its name nor the value itself shows that it is something else.
#include <algorithm>
#include <span>
#include <string>

#include "base/text/words.h"
#include "scan/credential/check_text.h"
#include "scan/encoding/escapes.h"

namespace bottle::scan {
namespace {

constexpr size_t kLongestValue = 512, kShortestInList = 16;
constexpr size_t kNameWork = 600;  // of judging the name of a random value
constexpr Set kEndsValue = set_of(";,\"'`<>\\&#");

// Skips what may precede a value in YAML (a tag, an anchor, the sign of a block, a line end, the dash of a list) and
// in other lists. `next_line` says whether the value is on the next line.
size_t past_yaml(const Text& text, size_t at, bool& next_line) {
  auto blanks = [&](size_t from) { return run_end(text, from, is_blank); };
  at = blanks(at);
  if (at < text.size() && (text[at] == '!' || text[at] == '&')) {
    size_t end = run_end(text, at + 1, [](char c) { return is_alnum(c) || c == '!' || c == '_'; });
    if (end < text.size() && is_blank(text[end])) at = blanks(end);
  }
  size_t end = run_end(text, at, [](char c) { return c == '|' || c == '>' || c == '-' || c == '+'; });
  size_t line = past_line_end(text, blanks(end)), begin = blanks(line);
  if (line == blanks(end) || begin == line) return at;  // the next line is no deeper
  next_line = true;
  return begin + 1 < text.size() && text[begin] == '-' && text[begin + 1] == ' ' ? blanks(begin + 1) : begin;
}

// Returns where the quoted value that begins at `from` ends, or npos. `depth` is the number of backslashes before its
// opening quote. With more, or with a number that the closing quote cannot have, a quote is a part of the value.
size_t closing_quote(const Text& text, size_t from, char quote, size_t depth) {
  size_t limit = std::min(text.size(), from + kLongestValue), slashes = 0;
  text.look(limit - std::min(from, limit));
  for (size_t at = from; at < limit && text[at] != '\n'; ++at) {
    if (quote == '\'' && depth == 0 && text.substr(at, 4) == R"('\'')") at += 3;  // how shells write a quote
    else if (text[at] == quote && slashes % (2 * (depth + 1)) == depth) return at - depth;
    slashes = text[at] == '\\' ? slashes + 1 : 0;
  }
  return text.npos;
}

// Returns the value that begins at `from`: in quotes, or up to a space or a delimiter.
Credential value_at(const Text& text, size_t from) {
  from = run_end(text, from, is_blank);
  if (from + 1 < text.size() && text[from] == '$' && text[from + 1] == '\'') ++from;  // $'…' of shells
  size_t limit = std::min(text.size(), from + kLongestValue), opening = from;
  while (from < limit && text[from] == '\\') ++from;
  size_t depth = from - opening;
  char quote = from < limit && is_quote(text[from]) ? text[from++] : '\0';
  if (quote && text.substr(from - 1, 3) == std::string(3, quote)) from = past_line_end(text, from + 2);
  if (size_t end = quote ? closing_quote(text, from, quote, depth) : text.npos; end != text.npos) return {from, end};
  size_t end = from;
  while (end < limit) {
    char c = text[end];
    if (quote ? c == quote || c == '\n' || c == '\r' || c == '\\' : static_cast<unsigned char>(c) <= ' ') break;
    if (!quote && kEndsValue[static_cast<unsigned char>(c)]) break;
    ++end;
  }
  text.look(end - from);
  return {from, end};
}

// Returns whether the name ends with one of the others.
bool is_one_of(std::string_view name, std::span<const std::string_view> endings) {
  return !name.empty() && std::ranges::any_of(endings, [&](std::string_view each) {
    return each.back() == name.back() && name.ends_with(each);
  });
}

// Returns whether a name ends like that of a secret but means something else. `name` is the part before "token", "key"
// or similar, without separators.
bool is_harmless_name(std::string_view name) {
  static constexpr std::string_view kNames[] = {
      "public",       "page",      "next",   "continuation", "csrf",      "xsrf",        "cache", "primary",
      "foreign",      "partition", "sort",   "cursor",       "max",       "stop",        "pad",   "eos",
      "bos",          "unk",       "mask",   "prompt",       "sync",      "resume",      "input", "output",
      "cancellation", "special",   "design", "syntax",       "forbidden", "publishable", "entry"};
  return is_one_of(name, kNames);
}

// Does the same for names that mean a secret if they are written in capitals, as those of variables of an environment
// are. `word` is what follows `name`.
bool is_harmless_small_name(std::string_view name, std::string_view word) {
  // These name places in lists and in streams, and the tasks whose progress LSP and MCP report.
  static constexpr std::string_view kTokens[] = {"skip",     "delta",      "rewrite",  "sequence",    "forward",
                                                 "backward", "progress",   "workdone", "prev",        "previous",
                                                 "paging",   "pagination", "starting", "idempotency", "partialresult"};
  static constexpr std::string_view kKeys[] = {"dedup",  "dedupe", "deduplication", "object",
                                               "result", "dest",   "idempotency"};
  return word.starts_with("token") ? is_one_of(name, kTokens) : word.starts_with("key") && is_one_of(name, kKeys);
}

// Returns whether the value is written like a UUID.
bool is_uuid(std::string_view value) {
  constexpr std::string_view kForm = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  return std::ranges::equal(
      value, kForm, [](char c, char form) { return form == '-' ? c == '-' : hex_digit(static_cast<uint8_t>(c)) >= 0; });
}

// Returns whether the value is a UUID whose name says that it identifies a request or a lock. The clients of AWS make
// these values. Other services give their secrets the same names, but other forms.
bool is_harmless_uuid(std::string_view name, std::string_view word, std::string_view value) {
  static constexpr std::string_view kNames[] = {"client", "clientrequest", "creation", "lock", "change"};
  return word.starts_with("token") && std::ranges::find(kNames, name) != std::end(kNames) && is_uuid(value);
}

// Returns whether the value is the id of a key, as in "kms_master_key_id". The ids of access keys have other forms, and
// each is half of a login.
bool is_key_id(std::string_view name, std::string_view value) {
  bool of_key = name.ends_with("key_id") || name.ends_with("keyid") || name.ends_with("key-id");
  return of_key && (is_uuid(value) || name == "api_key_id" || name == "apikeyid");
}

// Returns whether the value ends like the name of a file.
bool is_file(std::string_view value) {
  constexpr size_t kLongest = 5;
  size_t dot = value.rfind('.');
  if (dot == value.npos || value.size() - dot - 1 > kLongest || dot + 1 == value.size()) return false;
  return std::ranges::all_of(value.substr(dot + 1), [](char c) { return is_alnum(c) && (c < 'A' || c > 'Z'); });
}

// Returns the name that ends at `end` in lower case, without the quotes, spaces and commas after it. Moves `end` to its
// beginning.
std::string whole_name(std::string_view text, size_t& end) {
  constexpr size_t kLongestName = 60;
  static constexpr Set kBetween = set_of(" \t\r\n,\"'\\]");
  while (end > 0 && kBetween[static_cast<unsigned char>(text[end - 1])]) --end;
  size_t begin = end, limit = end - std::min(end, kLongestName);
  while (begin > limit && goes_on(text[begin - 1])) --begin;
  std::string name = lower(text.substr(begin, end - begin));
  end = begin;
  return name;
}

// Returns whether the value names a variable or a type that holds a key or token, as in "key = testEd25519PrivateKey".
// `word` is in lower case, and the value has it with a capital or at its beginning.
bool names_variable(std::string_view value, std::string_view word) {
  if (!is_identifier(value)) return false;
  for (size_t at = 0; at + word.size() <= value.size(); ++at) {
    bool begins = at == 0 || (value[at] >= 'A' && value[at] <= 'Z');
    char next = at + word.size() < value.size() ? value[at + word.size()] : '\0';
    if (begins && (next < 'a' || next > 'z') && lower(value.substr(at, word.size())) == word) return true;
  }
  return false;
}

// Returns whether a program may assign the name of a variable to the name in [begin, sign). Files of settings and
// shells have no spaces beside the sign, and may have passwords that look like such names. The name of a member, which
// has a '.' before it, is always that of a program.
bool may_be_assigned_in_program(std::string_view text, size_t begin, size_t sign) {
  if (sign >= text.size() || (text[sign] != '=' && text[sign] != ':')) return false;
  bool has_spaces = text[sign] == ':' || is_blank(text[sign - 1]) || text.substr(sign + 1).starts_with(' ');
  return has_spaces || (begin > 0 && text[begin - 1] == '.');
}

// Returns whether the name that ends at `end` is not that of a secret: either a page puts such a value into its own
// forms, or the name only contains a word such as "key" or "token", as in "partition_key" and "page_token".
bool has_harmless_name(std::string_view text, size_t end, std::string_view value, bool quoted) {
  size_t sign = end;
  std::string name = whole_name(text, end);
  if (name == "value") name = whole_name(text, end);
  bool small = std::ranges::any_of(text.substr(end, name.size()), [](char c) { return c >= 'a' && c <= 'z'; });
  for (std::string_view each : {"csrf", "xsrf", "authenticity", "requestverification", "antiforgery"})
    if (name.find(each) != name.npos) return true;
  size_t at = 0;
  for (std::string_view each : {"secret", "token", "pass", "key", "auth", "credential", "pwd", "api"})
    if (size_t found = name.rfind(each); found != name.npos && (at == 0 || found < at)) at = found;
  if (is_key_id(name, value) || name == "streamtoken") return true;
  std::string word = name.substr(at);
  // The names of variables of an environment are in capitals, and those of programs seldom are.
  bool in_program = small && !quoted && may_be_assigned_in_program(text, end, sign);
  for (std::string_view each : {"key", "token"})
    if (in_program && word.ends_with(each) && names_variable(value, each)) return true;
  name.resize(at);
  std::erase_if(name, [](char c) { return c == '_' || c == '-'; });
  if (word == "key" && name == "s3" && is_file(value)) return true;
  if (is_harmless_name(name)) return true;
  return small && (is_harmless_small_name(name, word) || is_harmless_uuid(name, word, value));
}

// Returns whether the value is one that vendors mean to be public: it identifies a project in a browser.
bool is_public(std::string_view value) {
  for (std::string_view each : {"phc_", "pk_live_", "pk_test_", "pk.eyJ", "sb_publishable_"})
    if (value.starts_with(each)) return true;
  return false;
}

// Returns whether the value is a hexadecimal number of up to 8 digits, such as a constant in C.
bool is_number(std::string_view value) {
  constexpr size_t kMostDigits = 8;
  if (value.starts_with('-')) value.remove_prefix(1);
  if (!value.starts_with("0x") || value.size() > 2 + kMostDigits) return false;
  return std::ranges::all_of(value.substr(2), [](char c) { return hex_digit(static_cast<uint8_t>(c)) >= 0; });
}

// Returns whether the value without quotes, which looks random, is an expression of a program and not text.
bool is_code(std::string_view value) {
  static constexpr std::string_view kOwners[] = {"self.",   "this.",    "cls.",    "super.",   "request.", "response.",
                                                 "args.",   "options.", "opts.",   "props.",   "config.",  "settings.",
                                                 "os.",     "process.", "params.", "context.", "grpc.",    "ed25519.",
                                                 "result.", "session.", "user.",   "data."};
  std::string_view owner = value.substr(0, value.find('.') + 1);  // empty if there is no dot
  if (!owner.empty() && std::ranges::find(kOwners, owner) != std::end(kOwners)) return true;
  std::string_view without = value.substr(0, value.find_last_not_of(")]}:.") + 1);
  if (without.size() < value.size() && !looks_random(without)) return true;
  return is_number(value);
}

// Returns where the value after the type of a variable begins, as in `key: &str = "…"`, or `at` if there is none.
size_t past_type(std::string_view text, size_t at) {
  constexpr size_t kLongestType = 32;
  size_t limit = std::min(text.size(), at + kLongestType), end = at;
  static constexpr Set kSigns = set_of(" _&*<>?[].|");
  auto of_type = [](char c) { return is_alnum(c) || kSigns[static_cast<unsigned char>(c)]; };
  while (end < limit && of_type(text[end])) ++end;
  bool assigns = end > at && end + 1 < text.size() && text[end] == '=' && text[end + 1] != '=' && text[end - 1] == ' ';
  return assigns ? end + 1 : at;
}

// Returns the value without the scheme of an Authorization header before it, as in `token = "Bearer …"`.
Credential without_scheme(const Text& text, const Credential& value) {
  for (std::string_view scheme : {"Bearer ", "bearer ", "Basic ", "Token "}) {
    if (!text.substr(value.begin).starts_with(scheme)) continue;
    size_t begin = value.begin + scheme.size();
    return begin < value.end ? Credential{begin, value.end} : value_at(text, begin);
  }
  return value;
}

}  // namespace

Found assigned(const Text& text, size_t end, size_t shortest) {
  Credential value = value_at(text, end);
  if (value.end - value.begin < shortest) return {};
  text.look_closely(value.end - value.begin);
  if (is_no_password(text.substr(value.begin, value.end - value.begin))) return {};
  return value;
}

// Finds the value after "NAME=", "NAME: type =", "NAME:" and a line end, "NAME: [" and the like.
Found assignment(const Text& text, size_t end) {
  constexpr size_t kAssignmentWork = 12;
  text.look(kAssignmentWork);
  size_t sign = end;  // "=", ":", "=>" or ":="
  while (sign > 0 && (text[sign - 1] == '=' || text[sign - 1] == ':' || text[sign - 1] == '>')) --sign;
  while (end < text.size() && (text[end] == '=' || text[end] == '>')) ++end;
  bool next_line = false, in_list = false;
  if (end > 0 && text[end - 1] == ':') {
    end = past_type(text, end);
    end = past_yaml(text, end, next_line);
  }
  if (size_t list = run_end(text, end, is_blank); list < text.size() && (text[list] == '[' || text[list] == '{')) {
    size_t first = run_end(text, list + 1, [](char c) { return is_blank(c) || c == '\n'; });
    in_list = first < text.size() && (text[first] == '"' || text[first] == '\'');
    if (in_list) end = first;
  }
  Credential value = value_at(text, end);
  bool quoted = value.begin > 0 && is_quote(text[value.begin - 1]);
  value = without_scheme(text, value);
  std::string_view written = text.substr(value.begin, value.end - value.begin);
  if (value.end < text.size() && (text[value.end] == '(' || text[value.end] == '[')) return {};  // a call
  if (next_line && value.end < text.size() && past_line_end(text, value.end) == value.end && !is_quote(text[value.end]))
    return {};
  text.look_closely(written.size());
  if (in_list && written.size() < kShortestInList) return {};
  if (!looks_random(written)) return {};
  text.look(kNameWork);
  if ((!quoted && is_code(written)) || is_public(written) || written.ends_with("/aws4_request")) return {};
  if (text.substr(0, sign).ends_with(":secret") && before(text, sign, 80, "arn:")) return {};  // the name of a secret
  return has_harmless_name(text, sign, written, quoted) ? Found() : value;
}

}  // namespace bottle::scan
