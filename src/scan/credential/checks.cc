// The patterns find what has the form of a credential, and the checks here decide whether it is one. A pattern may
// match only the beginning of a token, so a check returns the whole range. A stand-in that people write for a value,
// such as "your-key-here", is not a credential (stand_in.h).
//
// Each check counts the bytes that it looks at in `work`, because an attacker can send a message full of matches with
// much text after each.
#include "scan/credential/checks.h"

#include <zlib.h>

#include <algorithm>

#include "base/text/lower.h"
#include "scan/credential/characters.h"
#include "scan/credential/stand_in.h"
#include "scan/encoding/decode.h"

namespace bottle::scan {
namespace {

using Found = std::optional<Credential>;
constexpr size_t kFar = 4096;  // bytes around a match
constexpr size_t kLongestValue = 512, kShortestInList = 16;
constexpr size_t kMatchWork = 32, kNameWork = 600;  // of every check, and of judging the name of a random value

// Holds the text around a match, and counts the work of looking at it.
class Text : public std::string_view {
 public:
  Text(std::string_view text, size_t& work) : std::string_view(text), work_(&work) {}
  Text first(size_t bytes) const { return {substr(0, bytes), *work_}; }
  void look(size_t bytes) const { *work_ += bytes; }
  // Counts the work of examining all properties of a value.
  void look_closely(size_t bytes) const { *work_ += 4 * bytes; }

 private:
  size_t* work_;
};

template <typename F>
size_t run_end(const Text& text, size_t from, F member) {
  size_t end = from, limit = std::min(text.size(), from + kFar);
  while (end < limit && member(text[end])) ++end;
  text.look(end - from);
  return end;
}

// Does the same for a text that may be long. `others` are the members beside letters and digits.
size_t row_end(const Text& text, size_t from, std::string_view others) {
  size_t end = end_of_row(text.substr(0, from + kFar), from, others);
  text.look(end - from);
  return end;
}

constexpr Set kEndsValue = set_of(";,\"'`<>\\&#"), kEndsUser = set_of("/?#\"'<>`\\ \t\r\n");

// Returns where the line end at `at` ends, which may be escaped as in JSON, or `at` if there is none.
size_t past_line_end(const Text& text, size_t at) {
  size_t end = at;
  if (end < text.size() && text[end] == '\r') ++end;
  if (end < text.size() && text[end] == '\n') return end + 1;
  end = run_end(text, at, [](char c) { return c == '\\'; });
  return end > at && end < text.size() && text[end] == 'n' ? end + 1 : at;
}

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

bool before(std::string_view text, size_t at, size_t far, std::string_view word) {
  size_t from = at - std::min(at, far);
  return text.substr(from, at - from).find(word) != std::string_view::npos;
}

bool stands_in(const Text& text, size_t begin, size_t end) {
  text.look_closely(std::min(end - begin, kCloselyRead));
  return is_stand_in(text.substr(begin, end - begin));
}

// Accepts a token unless its random part is a stand-in such as "xxxx".
Found token(const Text& text, size_t begin, size_t end) {
  // The stand-in test applies to the random part. The part up to its separator comes from the rule.
  std::string_view match = text.substr(begin, end - begin);
  static constexpr Set kSeparators = set_of("_-.:/$ =");
  size_t separator = match.npos;
  for (size_t i = match.size() / 2 + 1; i-- > 0 && separator == match.npos;)
    if (kSeparators[static_cast<unsigned char>(match[i])]) separator = i;
  size_t whole = row_end(text, end, "-_");
  size_t random = separator == match.npos ? std::min<size_t>(4, match.size() / 2) : separator + 1;
  return stands_in(text, begin + random, whole) ? Found() : Credential{begin, whole};
}

// Returns whether the text begins like "/20260101/eu-central-1/s3/aws4_request", which follows the id of a key in a
// signed request. In it, the id is not a secret. In the query of a URL, the slashes are "%2F".
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

// Checks a token that ends in a checksum, which makes it certain. Without a correct checksum, it counts like any
// other token.
Found crc32_base62(const Text& text, size_t begin, size_t end) {
  constexpr std::string_view kDigits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  std::string_view match = text.substr(begin, end - begin);
  std::string_view body = match.substr(match.find('_') + 1);
  std::string_view random = body.substr(0, body.size() - 6);
  constexpr size_t kFewest = 8;  // different characters; random text has more
  if (distinct(random) < kFewest) return token(text, begin, end);
  uLong sum = crc32(0, reinterpret_cast<const Bytef*>(random.data()), static_cast<uInt>(random.size()));
  char expected[6];
  for (size_t i = 6; i-- > 0; sum /= 62) expected[i] = kDigits[sum % 62];
  if (body.substr(body.size() - 6) == std::string_view(expected, 6)) return Credential{begin, end, true};
  return token(text, begin, end);
}

Found last(const Text& text, size_t begin, size_t end, size_t count) {
  if (count > end - begin) return {};
  if (stands_in(text, end - count, end)) return {};
  return Credential{end - count, row_end(text, end, "+/-_=")};
}

Found assigned(const Text& text, size_t end, size_t shortest) {
  Credential value = value_at(text, end);
  if (value.end - value.begin < shortest) return {};
  text.look_closely(value.end - value.begin);
  if (is_no_password(text.substr(value.begin, value.end - value.begin))) return {};
  return value;
}

// Returns whether a name ends like that of a secret but means something else. `name` is the part before "token", "key"
// or similar.
bool is_harmless_name(std::string_view name) {
  static constexpr std::string_view kNames[] = {
      "public",       "page",      "next",   "continuation", "csrf",      "xsrf",        "cache", "primary",
      "foreign",      "partition", "sort",   "cursor",       "max",       "stop",        "pad",   "eos",
      "bos",          "unk",       "mask",   "prompt",       "sync",      "resume",      "input", "output",
      "cancellation", "special",   "design", "syntax",       "forbidden", "publishable", "entry"};
  return !name.empty() && std::ranges::any_of(kNames, [&](std::string_view each) {
    return each.back() == name.back() && name.ends_with(each);
  });
}

// Returns the name that ends at `end` in lower case, without the quotes, spaces and commas after it. Moves `end` to its
// beginning.
std::string whole_name(std::string_view text, size_t& end) {
  constexpr size_t kLongestName = 60;
  while (end > 0 && std::string_view(" \t\r\n,\"'\\]").find(text[end - 1]) != std::string_view::npos) --end;
  size_t begin = end, limit = end - std::min(end, kLongestName);
  while (begin > limit && goes_on(text[begin - 1])) --begin;
  std::string name = lower(text.substr(begin, end - begin));
  end = begin;
  return name;
}

// Returns whether the name that ends at `end` is not that of a secret: either a page puts such a value into its own
// forms, or the name only contains a word such as "key" or "token", as in "partition_key" and "page_token".
bool has_harmless_name(std::string_view text, size_t end) {
  std::string name = whole_name(text, end);
  if (name == "value") name = whole_name(text, end);
  for (std::string_view each : {"csrf", "xsrf", "authenticity", "requestverification", "antiforgery"})
    if (name.find(each) != name.npos) return true;
  size_t word = 0;
  for (std::string_view each : {"secret", "token", "pass", "key", "auth", "credential", "pwd", "api"})
    if (size_t at = name.rfind(each); at != name.npos && (word == 0 || at < word)) word = at;
  name.resize(word);
  while (!name.empty() && (name.back() == '_' || name.back() == '-')) name.pop_back();
  return is_harmless_name(name);
}

// Returns whether the value is one that vendors mean to be public: it identifies a project in a browser.
bool is_public(std::string_view value) {
  for (std::string_view each : {"phc_", "pk_live_", "pk_test_", "pk.eyJ", "sb_publishable_"})
    if (value.starts_with(each)) return true;
  return false;
}

// Returns whether the value without quotes, which looks random, is an expression of a program and not text.
bool is_code(std::string_view value) {
  static constexpr std::string_view kOwners[] = {"self.",   "this.",    "cls.",    "super.",   "request.", "response.",
                                                 "args.",   "options.", "opts.",   "props.",   "config.",  "settings.",
                                                 "os.",     "process.", "params.", "context.", "grpc.",    "ed25519.",
                                                 "result.", "session.", "user.",   "data."};
  if (std::ranges::any_of(kOwners, [&](std::string_view each) { return value.starts_with(each); })) return true;
  std::string_view without = value.substr(0, value.find_last_not_of(")]}:.") + 1);
  return without.size() < value.size() && !looks_random(without);
}

// Returns where the value after the type of a variable begins, as in `key: &str = "…"`, or `at` if there is none.
size_t past_type(std::string_view text, size_t at) {
  constexpr size_t kLongestType = 32;
  size_t limit = std::min(text.size(), at + kLongestType), end = at;
  auto of_type = [](char c) {
    return is_alnum(c) || std::string_view(" _&*<>?[].|").find(c) != std::string_view::npos;
  };
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

// Finds the value after "NAME=", "NAME: type =", "NAME:" and a line end, "NAME: [" and the like.
Found assignment(const Text& text, size_t end) {
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
  return has_harmless_name(text, sign) ? Found() : value;
}

// Finds the password in "scheme://user:password@host". `end` is behind the colon, from which the function looks back
// to the scheme and ahead to the "@".
Found userinfo(const Text& text, size_t end) {
  constexpr size_t kFarthest = 80;  // bytes from the colon to the scheme
  constexpr size_t kMark = 3;       // bytes of "://"
  size_t from = end - std::min(end, kFarthest), user = end;
  while (user >= from + kMark && !(text[user - 1] == '/' && text[user - 2] == '/' && text[user - 3] == ':')) --user;
  if (user < from + kMark) return {};
  constexpr size_t kLongestUser = 400;
  std::string_view near = text.substr(user, kLongestUser);
  size_t length = 0;
  while (length < near.size() && !kEndsUser[static_cast<unsigned char>(near[length])]) ++length;
  text.look(2 * length);
  size_t at = near.substr(0, length).rfind('@');
  if (at == text.npos || user + at + 1 >= text.size()) return {};
  at += user;
  size_t colon = text.find(':', user);
  if (colon >= at || !(is_alnum(text[at + 1]) || text[at + 1] == '[' || text[at + 1] == '_')) return {};
  std::string_view name = text.substr(user, colon - user), password = text.substr(colon + 1, at - colon - 1);
  // "guest:guest" and the like are what documents and tests use.
  if (password == name || is_no_password(password)) return {};
  return Credential{colon + 1, at};
}

// Checks Base64 of "user:password".
Found user_and_password(const Text& text, size_t from) {
  size_t end = run_end(text, from, is_base64);
  std::string plain = base64(text.substr(from, std::min<size_t>(end - from, 1000)));
  text.look_closely(plain.size());
  size_t colon = plain.find(':');
  bool printable = std::ranges::all_of(plain, [](unsigned char c) { return c > ' ' && c != 0x7f; });
  if (colon == plain.npos || colon == 0 || !printable || is_no_password(plain.substr(colon + 1))) return {};
  if (plain.substr(0, colon) == plain.substr(colon + 1)) return {};
  return Credential{from, end, true};
}

Found jwt(const Text& text, size_t begin, size_t end) {
  std::string_view match = text.substr(begin, end - begin), head = match.substr(0, match.find('.'));
  std::string plain = base64(head);
  if (!plain.starts_with("{\"") || plain.find("\"alg\"") == plain.npos) return {};
  size_t signature = begin + match.rfind('.') + 1, whole = row_end(text, end, "-_");
  if (stands_in(text, signature, whole)) return {};
  return Credential{begin, whole, true};
}

Found discord(const Text& text, size_t begin, size_t end) {
  std::string_view match = text.substr(begin, end - begin);
  std::string number = base64(match.substr(0, match.find('.')));
  if (number.size() < 15 || !std::ranges::all_of(number, [](char c) { return c >= '0' && c <= '9'; })) return {};
  return Credential{begin, row_end(text, end, "-_"), true};
}

// Skips the margin that programs show before a line of a file: spaces, and the line's number with a tab, an arrow or
// a colon.
size_t past_margin(const Text& text, size_t at) {
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

// Returns where the next line of a key begins, if it is not simply on the next line: programs write the lines of a key
// in one line, as strings of a list, or quote them. Returns npos if none does.
size_t next_key_line(const Text& text, size_t at) {
  constexpr size_t kLongestGap = 40, kShortestLine = 16;
  size_t limit = std::min(text.size(), at + kLongestGap);
  while (at < limit) {
    bool escaped = text[at] == '\\' && at + 1 < limit && (text[at + 1] == 'n' || text[at + 1] == 'r');
    if (!escaped && std::string_view(" \t\r\n\"',+>|\\").find(text[at]) == std::string_view::npos) break;
    at += escaped ? 2 : 1;
  }
  size_t run = run_end(text, at, is_base64);
  return at < limit && run - at >= kShortestLine ? at : text.npos;
}

// Returns where the lines of a key end that begin at `at`. Its line ends may be escaped.
size_t key_end(const Text& whole, size_t at) {
  constexpr size_t kLongestKey = 16 * 1024;
  Text text = whole.first(at + kLongestKey);
  while (at < text.size()) {
    if (is_base64(text[at]) || text[at] == '=' || text[at] == '\r') {
      ++at;
      continue;
    }
    size_t end = at;
    while (end < text.size() && text[end] == '\\') ++end;
    if (end == text.size()) return end;  // the rest of the escape is still to come
    bool escaped = end > at && (text[end] == 'n' || text[end] == 'r');
    size_t next = text[at] != '\n' && !escaped ? text.npos : past_margin(text, end + 1);
    // A line begins with what quotes it, or the lines are strings.
    if (next == text.npos || (next < text.size() && !is_base64(text[next]))) {
      size_t quoted = next_key_line(text, next == text.npos ? at : next);
      if (quoted == text.npos) return text[at - 1] == '\r' ? at - 1 : at;  // the last line end belongs to what follows
      next = quoted;
    }
    at = next;
  }
  return at;
}

// Finds a body of Base64 after the header of a key, and skips what programs put between them: headers, escapes, quotes.
Found key_body(const Text& text, size_t begin, size_t end) {
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
    if (run - at >= 24 && !stands_in(text, at, run)) return Credential{begin, key_end(text, run)};
    std::string_view near = text.substr(run, kLongestLine);
    size_t line = std::min(run + std::min({near.find('\n'), near.find("\\n"), near.size()}), limit);
    if (line - at > kLongestLine || text.substr(at, line - at).find(':') == std::string_view::npos)
      return {};  // not a header
    at = line;
  }
  return {};
}

// A pattern finds candidates quickly. The check of its rule then decides, with the text around the match, whether a
// candidate is a credential and where the credential begins and ends.
Found by_check(const Rule& rule, const Text& text, size_t begin, size_t end) {
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
      text.look_closely(60);
      return entropy(text.substr(end - 60, 60)) > 3.5 ? token(text, end - 60, end) : Found();
    case Check::pem:
    case Check::putty:
      return key_body(text, begin, end);
    case Check::jwk: {
      size_t from = begin - std::min<size_t>(begin, 1000);
      text.look(500);  // the search for a word is fast
      return text.substr(from, 2000 + end - begin).find("\"kty\"") == text.npos ? Found() : token(text, end - 42, end);
    }
    case Check::wif:
    case Check::bip39:
    case Check::luhn:
    case Check::iban:
    case Check::random:
      return Credential{begin, end, true};  // the survey has already checked it
  }
  return {};
}

// Returns whether the match is part of a Base64 checksum as lock files write it: "sha512-" or "h1:" and the whole
// digest. The text between a '+' and a '/' in it can have the form of a credential by chance.
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

std::optional<Credential> judge(const Rule& rule, std::string_view whole, size_t begin, size_t end, bool joined,
                                size_t& work) {
  Text text(whole, work);
  text.look(kMatchWork + end - begin);
  // These conditions cost the least, so they come first.
  if (!joined && rule.edge != Edge::any && begin > 0 && is_alnum(text[begin - 1])) return {};
  if (!joined && rule.edge == Edge::alone && end < text.size() && is_alnum(text[end])) return {};
  if (!joined && rule.edge == Edge::alone && in_checksum(text, begin, end)) return {};
  return by_check(rule, text, begin, end);
}

}  // namespace bottle::scan
