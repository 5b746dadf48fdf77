// The patterns find what has the form of a credential, and the checks here decide whether it is one. A pattern may
// match only the beginning of a token, so a check returns the whole range. A stand-in that people write for a value,
// such as "your-key-here", is not a credential (stand_in.h).
//
// Each check counts the bytes that it looks at in `work`, because an attacker can send a message full of matches with
// much text after each.
#include "scan/credential/checks.h"

#include <zlib.h>

#include <algorithm>

#include "scan/credential/characters.h"
#include "scan/credential/check_text.h"
#include "scan/credential/stand_in.h"
#include "scan/encoding/decode.h"

namespace bottle::scan {
namespace {

constexpr size_t kMatchWork = 20;  // of every check

constexpr Set kEndsUser = set_of("/?#\"'<>`\\ \t\r\n");

// Accepts a token unless its random part is a stand-in such as "xxxx".
Found token(const Text& text, size_t begin, size_t end) {
  // The stand-in test applies to the random part. The part up to its separator comes from the rule.
  std::string_view match = text.substr(begin, end - begin);
  static constexpr Set kSeparators = set_of("_-.:/$ =");
  size_t separator = match.npos;
  for (size_t i = match.size() / 2 + 1; i-- > 0 && separator == match.npos;)
    if (kSeparators[static_cast<unsigned char>(match[i])]) separator = i;
  size_t whole = row_end(text, end, Judging::kToken);
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
  return Credential{end - count, row_end(text, end, Judging::kBase64)};
}

// Takes the signature of a shared access signature, which may be escaped for a URL. To be certain, a pattern may also
// match the beginning of the next parameter, such as "&se="; the signature ends before that.
Found azure_sas(const Text& text, size_t begin, size_t end) {
  std::string_view match = text.substr(begin, end - begin);
  if (size_t next = match.rfind('&'); next != match.npos && next > 0) match = match.substr(0, next);
  end = begin + match.size();
  size_t value = begin + match.find('=') + 1;  // npos + 1 is 0
  if (value == end || stands_in(text, value, end)) return {};
  return Credential{value, row_end(text, end, Judging::kBase64)};
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
  text.look(end - user);
  text.look_closely(password.size());
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
  size_t signature = begin + match.rfind('.') + 1, whole = row_end(text, end, Judging::kToken);
  if (stands_in(text, signature, whole)) return {};
  return Credential{begin, whole, true};
}

Found discord(const Text& text, size_t begin, size_t end) {
  std::string_view match = text.substr(begin, end - begin);
  std::string number = base64(match.substr(0, match.find('.')));
  if (number.size() < 15 || !std::ranges::all_of(number, [](char c) { return c >= '0' && c <= '9'; })) return {};
  return Credential{begin, row_end(text, end, Judging::kToken), true};
}

constexpr Set kBase64Digits = set_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_=");
// JSON may have a backslash before a slash and for a line end. An "=" ends Base64 or precedes a value.
constexpr Set kInRun = set_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_\\");
constexpr std::string_view kAroundLine = " \t\r\n\"'`,;()\\";  // as in source code

bool is_in(const Set& set, char c) { return set[static_cast<unsigned char>(c)]; }

// Returns the text without what may be around a line of Base64, or nothing if it is not such a line.
std::string_view digits_of_line(std::string_view line) {
  size_t begin = line.find_first_not_of(kAroundLine);
  if (begin == line.npos) return {};
  line = line.substr(begin, line.find_last_not_of(kAroundLine) + 1 - begin);
  return std::ranges::all_of(line, [](char c) { return is_in(kBase64Digits, c); }) ? line : std::string_view();
}

// Returns whether many of the characters are capitals, unlike those of a path.
bool has_capitals(std::string_view run) {
  constexpr std::ptrdiff_t kOneOf = 5;
  auto capitals = std::ranges::count_if(run, [](char c) { return c >= 'A' && c <= 'Z'; });
  return capitals * kOneOf >= std::ssize(run);
}

constexpr size_t kMark = 3;  // letters with which a token begins

// Returns whether the text beside a token is Base64: it has many capitals and a "+" or "/" of its own, apart from what
// separates it from the token. Another token beside this one, which begins with `mark`, is not.
bool is_base64_beside(std::string_view run, std::string_view mark, bool is_before) {
  constexpr size_t kFewest = 100, kShortestToken = 60;
  if (run.size() < kFewest || !has_capitals(run)) return false;
  auto is_separator = [](char c) { return !is_alnum(c); };
  while (!run.empty() && is_separator(run.front())) run.remove_prefix(1);
  while (!run.empty() && is_separator(run.back())) run.remove_suffix(1);
  size_t at = is_before ? run.find_last_of("+/") : run.find_first_of("+/");
  if (at == run.npos) return false;
  std::string_view next = is_before ? run.substr(at + 1) : run.substr(0, at);
  return next.size() < kShortestToken || !next.starts_with(mark);
}

// Returns whether at least two of the four lines around this one, two before and two after it, belong to the same text.
bool has_lines_around(const Text& text, size_t begin, size_t end) {
  constexpr size_t kLongest = 200;  // of a line
  constexpr int kEach = 2, kFewest = 2;
  std::string_view before = text.substr(begin - std::min(begin, kLongest), std::min(begin, kLongest));
  size_t line = begin - (before.size() - (before.rfind('\n') + 1));  // npos + 1 is 0
  size_t line_end = std::min(text.substr(0, line + kLongest + 1).find('\n', end), text.size());
  if (line_end - line > kLongest) return false;
  std::string_view own = digits_of_line(text.substr(line, line_end - line));
  if (own.empty()) return false;
  auto is_like_own = [&](size_t from, size_t to) {
    text.look(to - from);
    std::string_view other = digits_of_line(text.substr(from, to - from));
    // A list of tokens is not a text.
    return other.size() == own.size() && other.substr(0, kMark) != text.substr(begin, kMark) && has_capitals(other);
  };
  int found = 0;
  for (size_t i = 0, to = line; i < kEach && to > 0; ++i) {
    size_t last = --to;  // where the line before ends
    while (to > 0 && last - to < kLongest && text[to - 1] != '\n') --to;
    if (!is_like_own(to, last)) break;
    ++found;
  }
  for (size_t i = 0, from = line_end; i < kEach && from < text.size(); ++i) {
    size_t to = std::min(text.substr(0, from + 1 + kLongest).find('\n', from + 1), text.size());
    if (to - from > kLongest || !is_like_own(from + 1, to)) break;
    from = to;
    ++found;
  }
  return found >= kFewest;
}

// Returns whether the match is part of a longer text in Base64, such as that of a program. Some tokens begin only with
// letters that such a text also has.
bool in_base64(const Text& text, size_t begin, size_t end) {
  constexpr size_t kLooked = 256;
  size_t whole = row_end(text, end, Judging::kToken), from = begin, to = whole;
  while (from > 0 && begin - from < kLooked && is_in(kInRun, text[from - 1])) --from;
  while (to < text.size() && to - whole < kLooked && is_in(kInRun, text[to])) ++to;
  text.look(2 * (begin - from + to - whole));
  std::string_view mark = text.substr(begin, kMark);
  return is_base64_beside(text.substr(from, begin - from), mark, true) ||
         is_base64_beside(text.substr(whole, to - whole), mark, false) || has_lines_around(text, begin, end);
}

// Returns whether the match may be Base64 of numbers with many zeros, which are letters "A". The number 16 with zeros
// after it is "EAAA".
bool has_many_zeros(const Text& text, size_t begin, size_t end) {
  constexpr std::ptrdiff_t kOneOf = 6;  // random characters have fewer "A"
  text.look(end - begin);
  return std::ranges::count(text.substr(begin, end - begin), 'A') * kOneOf >= static_cast<std::ptrdiff_t>(end - begin);
}

// A pattern finds candidates quickly. The check of its rule then decides, with the text around the match, whether a
// candidate is a credential and where the credential begins and ends.
Found by_check(const Rule& rule, const Text& text, size_t begin, size_t end) {
  switch (rule.check) {
    case Check::token:
    case Check::bitwarden:
    case Check::asana:
    case Check::not_base64:  // judge() has looked at the text around it
      return token(text, begin, end);
    case Check::crc32_base62:
      return crc32_base62(text, begin, end);
    case Check::aws_key_id:
      return is_aws_scope(text.substr(end)) ? Found() : token(text, begin, end);
    case Check::last:
      return last(text, begin, end, rule.last);
    case Check::azure_sas:
      return azure_sas(text, begin, end);
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
bool in_checksum(const Text& text, size_t begin, size_t end) {
  constexpr size_t kLongest = 88;
  auto in_digest = [](char c) { return is_base64(c) || c == '='; };
  size_t from = begin, to = end;
  while (from > 0 && begin - from < kLongest && in_digest(text[from - 1])) --from;
  while (to < text.size() && to - end < kLongest && in_digest(text[to])) ++to;
  std::string_view before = text.substr(0, from);
  size_t size = to - from;
  text.look(size);
  return (size == 88 && before.ends_with("sha512-")) || (size == 64 && before.ends_with("sha384-")) ||
         (size == 44 && (before.ends_with("sha256-") || before.ends_with("h1:")));
}

}  // namespace

std::optional<Credential> judge(const Rule& rule, std::string_view whole, size_t begin, size_t end, bool joined,
                                Judging& judging) {
  Text text(whole, judging);
  text.look(kMatchWork + end - begin);
  // These conditions cost the least, so they come first.
  if (!joined && rule.edge != Edge::any && begin > 0 && is_alnum(text[begin - 1])) return {};
  if (!joined && rule.edge == Edge::alone && end < text.size() && is_alnum(text[end])) return {};
  if (!joined && rule.edge == Edge::alone && in_checksum(text, begin, end)) return {};
  if (rule.check == Check::not_base64 && (has_many_zeros(text, begin, end) || (!joined && in_base64(text, begin, end))))
    return {};
  return by_check(rule, text, begin, end);
}

}  // namespace bottle::scan
