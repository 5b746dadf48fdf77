#include "scan/credential/checks.h"

#include <zlib.h>

#include <algorithm>

#include "base/text/lower.h"
#include "scan/credential/stand_in.h"
#include "scan/encoding/decode.h"

namespace bottle::scan {
namespace {

using Found = std::optional<Credential>;
constexpr size_t kFar = 4096;  // bytes around a match

bool is_alnum(char c) { return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z'); }
bool is_base64(char c) { return is_alnum(c) || c == '+' || c == '/'; }
bool goes_on(char c) { return is_alnum(c) || c == '-' || c == '_'; }

template <typename F>
size_t run_end(std::string_view text, size_t from, F member) {
  size_t end = from, limit = std::min(text.size(), from + kFar);
  while (end < limit && member(text[end])) ++end;
  return end;
}

// Returns the value that begins at `from`: in quotes, or up to a space or a delimiter.
Credential value_at(std::string_view text, size_t from) {
  size_t limit = std::min(text.size(), from + 512);
  while (from < limit && (text[from] == ' ' || text[from] == '\t')) ++from;
  while (from < limit && text[from] == '\\') ++from;
  char quote = from < limit && (text[from] == '"' || text[from] == '\'' || text[from] == '`') ? text[from++] : '\0';
  size_t end = from;
  while (end < limit) {
    char c = text[end];
    if (quote ? c == quote || c == '\n' || c == '\\' : static_cast<unsigned char>(c) <= ' ') break;
    if (!quote && std::string_view(";,\"'`<>\\&#").find(c) != std::string_view::npos) break;
    ++end;
  }
  return {from, end};
}

Found token(std::string_view text, size_t begin, size_t end) {
  // The stand-in test applies to the random part. The part up to its separator comes from the rule.
  std::string_view match = text.substr(begin, end - begin);
  size_t separator = match.find_last_of("_-.:/$ =", match.size() / 2);
  std::string_view random =
      separator == match.npos ? match.substr(std::min<size_t>(4, match.size() / 2)) : match.substr(separator + 1);
  if (is_stand_in(random)) return {};
  return Credential{begin, run_end(text, end, goes_on)};
}

// Returns whether the text begins like "/20260101/eu-central-1/s3/aws4_request", which follows the id of a key in a
// signed request. The id is no secret there. In the query of a URL, the slashes are "%2F".
bool is_aws_scope(std::string_view text) {
  constexpr size_t kLongest = 120;
  text = text.substr(0, kLongest);
  for (std::string_view slash : {"/", "%2F", "%2f"}) {
    if (!text.starts_with(slash)) continue;
    std::string_view day = text.substr(slash.size(), 8), rest = text.substr(std::min(text.size(), slash.size() + 8));
    return day.size() == 8 && std::ranges::all_of(day, [](char c) { return c >= '0' && c <= '9'; }) &&
           rest.starts_with(slash) && rest.find("aws4_request") != rest.npos;
  }
  return false;
}

Found crc32_base62(std::string_view text, size_t begin, size_t end) {
  constexpr std::string_view kDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::string_view match = text.substr(begin, end - begin);
  std::string_view body = match.substr(match.find('_') + 1);
  std::string_view random = body.substr(0, body.size() - 6);
  uLong sum = crc32(0, reinterpret_cast<const Bytef*>(random.data()), static_cast<uInt>(random.size()));
  char expected[6];
  for (size_t i = 6; i-- > 0; sum /= 62) expected[i] = kDigits[sum % 62];
  if (body.substr(body.size() - 6) == std::string_view(expected, 6)) return Credential{begin, end, true};
  return token(text, begin, end);
}

Found last(std::string_view text, size_t begin, size_t end, size_t count) {
  if (count > end - begin) return {};
  if (is_stand_in(text.substr(end - count, count))) return {};
  return Credential{end - count, run_end(text, end, [](char c) { return is_base64(c) || goes_on(c) || c == '='; })};
}

Found assigned(std::string_view text, size_t end, size_t shortest) {
  Credential value = value_at(text, end);
  if (value.end - value.begin < shortest) return {};
  if (is_no_password(text.substr(value.begin, value.end - value.begin))) return {};
  return value;
}

// Returns whether a name ends like that of a secret but means something else. `name` is the part before "token", "key"
// or similar.
bool is_harmless_name(std::string_view name) {
  static constexpr std::string_view kNames[] = {
      "public",       "page",      "next",   "continuation", "csrf",      "xsrf",       "cache", "primary",
      "foreign",      "partition", "sort",   "cursor",       "max",       "stop",       "pad",   "eos",
      "bos",          "unk",       "mask",   "prompt",       "sync",      "resume",     "input", "output",
      "cancellation", "special",   "design", "syntax",       "forbidden", "publishable"};
  return std::ranges::any_of(kNames, [&](std::string_view each) { return name.ends_with(each); });
}

// Returns the name that ends at `end` in lower case, without the quotes and spaces after it and without the word that
// makes it the name of a secret.
std::string name_before(std::string_view text, size_t end) {
  constexpr size_t kLongestName = 60;
  while (end > 0 && std::string_view(" \t\"'\\").find(text[end - 1]) != std::string_view::npos) --end;
  size_t begin = end, limit = end - std::min(end, kLongestName);
  while (begin > limit && goes_on(text[begin - 1])) --begin;
  std::string name = lower(text.substr(begin, end - begin));
  size_t word = 0;
  for (std::string_view each : {"secret", "token", "pass", "key", "auth", "credential", "pwd", "api"})
    if (size_t at = name.rfind(each); at != name.npos && (word == 0 || at < word)) word = at;
  name.resize(word);
  while (!name.empty() && (name.back() == '_' || name.back() == '-')) name.pop_back();
  return name;
}

Found assignment(std::string_view text, size_t end) {
  size_t sign = end;  // "=", ":", "=>" or ":="
  while (sign > 0 && (text[sign - 1] == '=' || text[sign - 1] == ':' || text[sign - 1] == '>')) --sign;
  while (end < text.size() && (text[end] == '=' || text[end] == '>')) ++end;
  Credential value = value_at(text, end);
  if (value.end < text.size() && (text[value.end] == '(' || text[value.end] == '[')) return {};  // a call
  std::string_view written = text.substr(value.begin, value.end - value.begin);
  if (written.ends_with("/aws4_request")) return {};  // of a signed request to AWS: it names a key, a day and a region
  if (!looks_random(written) || is_harmless_name(name_before(text, sign))) return {};
  return value;
}

Found userinfo(std::string_view text, size_t end) {
  constexpr size_t kFarthest = 80;  // bytes from the colon to the scheme
  size_t from = end - std::min(end, kFarthest), scheme = text.substr(from, end - from).rfind("://");
  if (scheme == text.npos) return {};
  size_t user = from + scheme + 3;
  constexpr size_t kLongestUser = 400;
  std::string_view near = text.substr(user, kLongestUser);
  size_t stop = user + std::min(near.find_first_of("/?#\"'<>`\\ \t\r\n"), near.size());
  size_t at = text.substr(user, std::min(stop - user, kLongestUser)).rfind('@');
  if (at == text.npos || user + at + 1 >= text.size()) return {};
  at += user;
  size_t colon = text.find(':', user);
  if (colon >= at || !(is_alnum(text[at + 1]) || text[at + 1] == '[' || text[at + 1] == '_')) return {};
  std::string_view name = text.substr(user, colon - user), password = text.substr(colon + 1, at - colon - 1);
  if (password == name || is_no_password(password)) return {};
  return Credential{colon + 1, at};
}

bool before(std::string_view text, size_t at, size_t far, std::string_view word) {
  size_t from = at - std::min(at, far);
  return text.substr(from, at - from).find(word) != std::string_view::npos;
}

// Checks Base64 of "user:password".
Found user_and_password(std::string_view text, size_t from) {
  size_t end = run_end(text, from, is_base64);
  std::string plain = base64(text.substr(from, std::min<size_t>(end - from, 1000)));
  size_t colon = plain.find(':');
  bool printable = std::ranges::all_of(plain, [](unsigned char c) { return c > ' ' && c != 0x7f; });
  if (colon == plain.npos || colon == 0 || !printable || is_no_password(plain.substr(colon + 1))) return {};
  if (plain.substr(0, colon) == plain.substr(colon + 1)) return {};
  return Credential{from, end, true};
}

Found jwt(std::string_view text, size_t begin, size_t end) {
  std::string_view match = text.substr(begin, end - begin), head = match.substr(0, match.find('.'));
  std::string plain = base64(head);
  if (!plain.starts_with("{\"") || plain.find("\"alg\"") == plain.npos) return {};
  size_t signature = begin + match.rfind('.') + 1, whole = run_end(text, end, goes_on);
  if (is_stand_in(text.substr(signature, whole - signature))) return {};
  return Credential{begin, whole, true};
}

Found discord(std::string_view text, size_t begin, size_t end) {
  std::string_view match = text.substr(begin, end - begin);
  std::string number = base64(match.substr(0, match.find('.')));
  if (number.size() < 15 || !std::ranges::all_of(number, [](char c) { return c >= '0' && c <= '9'; })) return {};
  return Credential{begin, run_end(text, end, goes_on), true};
}

// Skips what programs that show files put before a line: spaces, and the line's number with a tab, an arrow or a colon.
size_t past_margin(std::string_view text, size_t at) {
  auto spaces = [&](size_t from) { return run_end(text, from, [](char c) { return c == ' ' || c == '\t'; }); };
  size_t number = spaces(at), end = run_end(text, number, [](char c) { return c >= '0' && c <= '9'; });
  if (end == number || end - number > 6) return number;
  std::string_view rest = text.substr(end);
  for (std::string_view sign : {"\t", "\\t", "\xe2\x86\x92", "\\u2192", ":", "|"}) {
    if (rest.starts_with(sign)) return spaces(end + sign.size());
    if (sign.starts_with(rest)) return text.size();  // the rest of the sign is still to come
  }
  return number;
}

// Returns where the lines of a key end that begin at `at`. Its line ends may be escaped.
size_t key_end(std::string_view text, size_t at) {
  constexpr size_t kLongestKey = 16 * 1024;
  text = text.substr(0, at + kLongestKey);
  while (at < text.size()) {
    if (is_base64(text[at]) || text[at] == '=' || text[at] == '\r') {
      ++at;
      continue;
    }
    size_t end = at;
    while (end < text.size() && text[end] == '\\') ++end;
    if (end == text.size()) return end;  // the rest of the escape is still to come
    bool escaped = end > at && (text[end] == 'n' || text[end] == 'r');
    if (text[at] != '\n' && !escaped) break;
    at = past_margin(text, end + 1);
  }
  return at;
}

// Finds a body of Base64 after the header of a key, and skips what programs put between them: headers, escapes, quotes.
Found key_body(std::string_view text, size_t begin, size_t end) {
  constexpr size_t kLongestLine = 100;
  size_t limit = std::min(text.size(), end + kFar), at = end;
  for (size_t lines = 0; lines < 12 && at < limit; ++lines) {
    while (at < limit && (static_cast<unsigned char>(text[at]) <= ' ' || text[at] == '"' || text[at] == '\'' ||
                          text[at] == '+' || text[at] == ',' || text[at] == '|' || text[at] == '>' || text[at] == '%'))
      ++at;
    if (at + 1 < limit && text[at] == '\\') {  // \n, \r, \\n
      at += 2;
      continue;
    }
    at = std::min(past_margin(text, at), limit);
    size_t run = run_end(text, at, is_base64);
    if (run - at >= 24 && !is_stand_in(text.substr(at, run - at))) return Credential{begin, key_end(text, run)};
    std::string_view near = text.substr(run, kLongestLine);
    size_t line = std::min(run + std::min({near.find('\n'), near.find("\\n"), near.size()}), limit);
    if (line - at > kLongestLine || text.substr(at, line - at).find(':') == std::string_view::npos)
      return {};  // not a header
    at = line;
  }
  return {};
}

Found by_check(const Rule& rule, std::string_view text, size_t begin, size_t end) {
  switch (rule.check) {
    case Check::token:
      return token(text, begin, end);
    case Check::crc32_base62:
      return crc32_base62(text, begin, end);
    case Check::aws_key_id:
      return is_aws_scope(text.substr(end)) ? Found() : token(text, begin, end);
    case Check::last:
      return last(text, begin, end, rule.last);
    case Check::assigned:
      return assigned(text, end, 6);
    case Check::assignment:
      return assignment(text, end);
    case Check::userinfo:
      return userinfo(text, end);
    case Check::connection:
      return before(text, end - 5, 300, "=") ? assigned(text, end, 4) : Found();
    case Check::netrc:
      return before(text, end, 300, "machine ") && before(text, end, 300, "login ") ? assigned(text, end, 4) : Found();
    case Check::basic:
      return user_and_password(text, begin + text.substr(begin, end - begin).rfind(' ') + 1);
    case Check::docker_auth:
      return user_and_password(text, begin + text.substr(begin, end - begin).rfind('"') + 1);
    case Check::jwt:
      return jwt(text, begin, end);
    case Check::discord:
      return discord(text, begin, end);
    case Check::x_bearer:
      return entropy(text.substr(end - 60, 60)) > 3.5 ? token(text, end - 60, end) : Found();
    case Check::pem:
    case Check::putty:
      return key_body(text, begin, end);
    case Check::jwk: {
      size_t from = begin - std::min<size_t>(begin, 1000);
      return text.substr(from, 2000 + end - begin).find("\"kty\"") == text.npos ? Found() : token(text, end - 42, end);
    }
    case Check::wif:
    case Check::bip39:
    case Check::luhn:
    case Check::iban:
      return Credential{begin, end, true};  // the survey has already checked it
  }
  return {};
}

// Returns whether the match is part of a Base64 checksum as lock files write it: "sha512-" or "h1:" and the whole
// digest. By chance, the text between a '+' and a '/' in it can have the form of a credential.
bool in_checksum(std::string_view text, size_t begin, size_t end) {
  constexpr size_t kLongest = 88;
  auto in_digest = [](char c) { return is_base64(c) || c == '='; };
  size_t from = begin, to = end;
  while (from > 0 && begin - from < kLongest && in_digest(text[from - 1])) --from;
  while (to < text.size() && to - end < kLongest && in_digest(text[to])) ++to;
  std::string_view before = text.substr(0, from);
  size_t size = to - from;
  return (size == 88 && before.ends_with("sha512-")) || (size == 64 && before.ends_with("sha384-")) ||
         (size == 44 && (before.ends_with("sha256-") || before.ends_with("h1:")));
}

}  // namespace

std::optional<Credential> judge(const Rule& rule, std::string_view text, size_t begin, size_t end, bool joined) {
  if (!joined && rule.edge != Edge::any && begin > 0 && is_alnum(text[begin - 1])) return {};
  if (!joined && rule.edge == Edge::alone && end < text.size() && is_alnum(text[end])) return {};
  if (!joined && rule.edge == Edge::alone && in_checksum(text, begin, end)) return {};
  return by_check(rule, text, begin, end);
}

}  // namespace bottle::scan
