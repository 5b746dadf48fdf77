// The matcher reports only that "token" or "api_key" ends somewhere. This file decides whether a value follows, by
// looking at a few bytes after the name. Each function recognizes one way in which people and programs write a name
// with its value. Several may apply, so the result is a list of places, and the rule's check judges what is there.
//
// Every loop stops after a few characters. Otherwise, an agent could make each of many names cost a long search.
#include "scan/credential/names.h"

#include <algorithm>
#include <cstdint>

#include "scan/credential/stand_in.h"

namespace bottle::scan {
namespace {

enum class Word : uint8_t { none, secret, token, passwd, password, passphrase, credential, pass, pwd, auth, key };

bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool of_name(char c) { return is_lower(static_cast<char>(c | 32)) || (c >= '0' && c <= '9') || c == '_' || c == '-'; }
bool is_quote(char c) { return c == '"' || c == '\'' || c == '\\'; }
bool is_space(char c) { return c == ' '; }
bool beside_column(char c) { return c == '`' || c == '"' || c == '*' || c == ' '; }
bool is_blank(char c) { return c == ' ' || c == '\t'; }

class Name {
 public:
  Name(std::string_view text, size_t end) : text_(text), end_(end), ending_(ending()), word_(ending_.word) {}

  Values values() {
    if (word_ == Word::none) return values_;
    char next = at(end_);
    assigned(end_);
    if (word_ == Word::credential && (next | 32) == 's') assigned(end_ + 1);
    if (next == '>' && in_element()) values_.add(end_ + 1);
    if (is_blank(next)) after_blank(next);
    if (is_quote(next)) in_list();
    if (is_quote(next) || is_blank(next) || next == ',' || next == '\r' || next == '\n') pair();
    if (word_ == Word::secret || word_ == Word::token || word_ == Word::password || word_ == Word::key) column();
    return values_;
  }

 private:
  struct Ending {
    std::string_view text;
    Word word = Word::none;
  };

  char at(size_t place) const { return place < text_.size() ? text_[place] : '\0'; }

  // Returns the position after the characters of `member` from `place` on, of which it skips at most `most`.
  template <bool (*member)(char)>
  size_t skip(size_t place, size_t most) const {
    for (size_t limit = place + most; place < limit && member(at(place));) ++place;
    return place;
  }

  // Returns whether the text before `end` ends with `word`, in upper or lower case. `word` is in lower case.
  bool ends_with(size_t end, std::string_view word) const {
    if (end < word.size()) return false;
    return std::ranges::equal(text_.substr(end - word.size(), word.size()), word, {},
                              [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 32) : c; });
  }

  Ending ending() const {
    static constexpr Ending kEndings[] = {{"secret", Word::secret},
                                          {"token", Word::token},
                                          {"passwd", Word::passwd},
                                          {"password", Word::password},
                                          {"passphrase", Word::passphrase},
                                          {"credential", Word::credential},
                                          {"_pass", Word::pass},
                                          {"_pwd", Word::pwd},
                                          {"_auth", Word::auth},
                                          {"key", Word::key}};
    for (const auto& each : kEndings)
      if ((at(end_ - 1) | 32) == each.text.back() && ends_with(end_, each.text)) return each;
    return {};
  }
  size_t size() const { return ending_.text.size(); }

  // Returns whether one of the words, and optionally a separator, come before "key".
  bool is_key_of(std::initializer_list<std::string_view> words, std::string_view separators) const {
    size_t end = end_ - size();
    bool separated = end > 0 && separators.find(text_[end - 1]) != separators.npos;
    return std::ranges::any_of(
        words, [&](std::string_view word) { return ends_with(end, word) || (separated && ends_with(end - 1, word)); });
  }
  bool is_behind(std::string_view separators) const {
    size_t begin = end_ - size();
    return begin > 0 && separators.find(text_[begin - 1]) != separators.npos;
  }

  // NAME=, "NAME": and NAME_2"] =
  void assigned(size_t from) {
    // "key" by itself occurs in every program. It counts only after "_" or one of these words.
    if (word_ == Word::key && !is_behind("_") &&
        !is_key_of({"api", "private", "access", "auth", "encryption", "signing", "master", "subscription"}, "_-"))
      return;
    constexpr size_t kMostOfName = 3, kMostQuotes = 8, kMostBlanks = 40;
    size_t place = skip<is_quote>(skip<of_name>(from, kMostOfName), kMostQuotes);
    if (at(place) == ']') ++place;
    add_after_sign(skip<is_blank>(place, kMostBlanks));
  }

  // Adds what follows an assignment operator if there is one at `place`.
  void add_after_sign(size_t place) {
    if (at(place) == '=' || at(place) == ':') values_.add(place + 1);
  }

  // <NAME>
  bool in_element() const {
    if (word_ == Word::key) return is_key_of({"api", "access", "secret"}, "_");
    return word_ <= Word::passphrase;
  }

  void after_blank(char next) {
    std::string_view name = text_.substr(end_ - size(), size());
    bool small = std::ranges::all_of(name, is_lower), capital = std::ranges::none_of(name, is_lower);
    bool in_file = word_ <= Word::password || (word_ == Word::key && is_behind("_"));  // ENV NAME
    if (capital && in_file) values_.add(end_ + 1);
    if (next != ' ') return;
    if (small && is_option()) values_.add(end_ + 1);
    constexpr size_t kMostSpaces = 4;
    size_t place = skip<is_space>(end_, kMostSpaces);
    if (word_ == Word::password && at(place) == '\'') values_.add(place + 1);
    bool in_prose = word_ == Word::password || word_ == Word::passphrase || word_ == Word::secret ||
                    word_ == Word::token || (word_ == Word::key && ends_with(end_, "api key"));
    if (!in_prose || text_.substr(end_, 3) != " is") return;
    for (place = end_ + 3; place < end_ + 5 && (at(place) == ' ' || at(place) == ':'); ++place) values_.add(place + 1);
  }

  // --an-option-of-NAME
  bool is_option() const {
    constexpr size_t kLongest = 24;
    size_t begin = end_ - size();
    if (word_ == Word::key) {
      if (begin > 0 && text_[begin - 1] == '-') --begin;
      size_t word = 0;
      for (std::string_view each : {"api", "access", "secret"})
        if (text_.substr(0, begin).ends_with(each)) word = each.size();
      if (word == 0) return false;
      begin -= word;
    } else if (word_ > Word::password) {
      return false;
    }
    for (size_t i = 0; i <= kLongest; ++i, --begin) {
      if (begin >= 2 && text_[begin - 1] == '-' && text_[begin - 2] == '-') return true;
      if (begin == 0 || !(is_lower(text_[begin - 1]) || text_[begin - 1] == '-')) return false;
    }
    return false;
  }

  // ("A_NAME", "…
  void in_list() {
    bool fits = word_ <= Word::password || word_ == Word::key;
    if (!fits || !is_behind("_-")) return;
    constexpr size_t kMostQuotes = 4;
    size_t place = skip<is_quote>(end_, kMostQuotes);
    if (at(place) == ' ') ++place;
    if (at(place++) != ',') return;
    if (at(place) == ' ') ++place;
    for (size_t limit = place + kMostQuotes; place < limit && is_quote(at(place)); ++place) values_.add(place + 1);
  }

  // "NAME", "value": and name: NAME\n value:
  void pair() {
    bool fits = word_ <= Word::passphrase || (word_ == Word::key && (is_behind("_") || is_key_of({"api"}, "_")));
    if (!fits) return;
    constexpr size_t kMostQuotes = 4, kMostSeparators = 20;
    auto value_at = [&](size_t place) {
      for (size_t quotes = 0;; ++quotes, ++place) {
        if (text_.substr(place, 5) == "value") return place + 5;
        if (quotes == kMostQuotes || !is_quote(at(place))) return size_t{0};
      }
    };
    for (size_t quotes = 0; quotes <= kMostQuotes && (quotes == 0 || is_quote(at(end_ + quotes - 1))); ++quotes) {
      size_t place = end_ + quotes, value = 0;
      for (size_t i = 0; i < kMostSeparators && !value; ++i) {
        char c = at(place);
        if (is_blank(c) || c == ',' || c == '\r' || c == '\n') ++place;
        else if (c == '\\' && at(place + 1) == 'n') place += 2;
        else break;
        value = value_at(place);
      }
      if (value) return sign_of_pair(value);
    }
  }
  void sign_of_pair(size_t place) {
    constexpr size_t kMostQuotes = 4, kMostSpaces = 2;
    add_after_sign(skip<is_space>(skip<is_quote>(place, kMostQuotes), kMostSpaces));
  }

  // NAME | …
  void column() {
    constexpr size_t kMost = 4;
    size_t place = skip<beside_column>(end_, kMost);
    if (at(place) == '|' && at(place + 1) == ' ') values_.add(place + 2);
  }

  std::string_view text_;
  size_t end_;
  Ending ending_;
  Word word_;
  Values values_;
};

// Returns whether the word that ends at `end` ends with a word that rules have before a space, or before a space and
// other punctuation. Up to three other characters may follow in a name, as in "api_keys".
bool ends_with_word(std::string_view text, size_t end, size_t most_others) {
  static constexpr std::string_view kWords[] = {"secret", "token",   "passwd",   "password", "passphrase", "credential",
                                                "pass",   "pwd",     "auth",     "key",      "begin",      "basic",
                                                "bearer", "private", "ssws",     "salt",     "data",       "lines",
                                                "heroku", "sshpass", "key_base", "keybase"};
  // Has the last letters of the words.
  static constexpr auto kLast = [] {
    std::array<bool, 256> set{};
    for (std::string_view each : kWords) set[static_cast<unsigned char>(each.back())] = true;
    return set;
  }();
  for (size_t others = 0; others <= most_others && others + 2 < end; ++others) {
    size_t to = end - others;
    if (others > 0 && !of_name(text[to])) return false;
    if (!kLast[static_cast<unsigned char>(text[to - 1] | 32)]) continue;
    for (std::string_view each : kWords) {
      if (static_cast<char>(text[to - 1] | 32) != each.back() || to < each.size()) continue;
      if (std::ranges::equal(text.substr(to - each.size(), each.size()), each, {},
                             [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 32) : c; }))
        return true;
    }
  }
  return false;
}

// Returns whether the text after a space begins with what rules have there.
bool begins_after_space(std::string_view text) {
  char first = text.empty() ? '\0' : text[0], next = text.size() > 1 ? text[1] : '\0';
  if (first == '-') return next == 'u' || next == 'p' || next == 'h' || next == 'P' || next == '-';
  auto begins = [&](std::string_view word) {
    return std::ranges::equal(text.substr(0, word.size()), word, {}, [](char c) { return static_cast<char>(c | 32); });
  };
  if ((first | 32) == 'p') {
    char after = text.size() > 4 ? text[4] : '\0';
    return begins("psk") || (begins("pass") && !is_lower(static_cast<char>(after | 32)));
  }
  return (first | 32) == 'k' && begins("key");
}

constexpr std::array<bool, 256> kBetween = [] {  // a name and its value
  std::array<bool, 256> set{};
  for (char c : std::string_view("\"'\\:=>,|])`*")) set[static_cast<unsigned char>(c)] = true;
  return set;
}();
bool is_between(char c) { return kBetween[static_cast<unsigned char>(c)]; }

// Returns whether what follows a name and a sign, of which some may still come, is a word that stands in for a secret.
bool begins_stand_in(std::string_view text, bool may_be_simple) {
  constexpr size_t kMostBefore = 8, kLongest = 64;
  size_t begin = 0;
  while (begin < std::min(text.size(), kMostBefore) && std::string_view("=:>\"'\\ ").contains(text[begin])) ++begin;
  char quote = begin > 0 ? text[begin - 1] : '\0';
  bool is_quoted = quote == '"' || quote == '\'', is_escaped = is_quoted && begin > 1 && text[begin - 2] == '\\';
  size_t end = begin, limit = std::min(text.size(), begin + kLongest);
  auto ends = [&](char c) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\\') return true;
    return is_quoted ? c == quote : std::string_view(" ;,\"'`&#").contains(c);
  };
  while (end < limit && !ends(text[end])) ++end;
  if (end == limit || end == begin || (text[end] == '\\' && is_quoted && !is_escaped)) return false;
  bool is_word = is_lower(static_cast<char>(text[begin] | 32)) || text[begin] == '<' || text[begin] == '$';
  std::string_view value = text.substr(begin, end - begin), rest = text.substr(end, 2);
  if (rest == " =" || rest == " |") return false;  // the type of a variable
  return is_word && !looks_random(value) && (!may_be_simple || is_no_password(value));
}

// Returns whether a name with a space after it, which ends at `end`, may be before a value or part of a longer word
// that rules have, although a small letter follows, as in most sentences.
bool may_be_before_value(std::string_view text, size_t end, std::string_view after) {
  constexpr size_t kOption = 40, kLogin = 300;
  auto before = [&](size_t most) { return text.substr(end - std::min(end, most), std::min(end, most)); };
  std::string_view name = before(kOption);
  if (name.ends_with("authtoken")) return true;
  for (std::string_view each : {"secret", "token", "password", "passwd", "passphrase", "credential", "key"})
    if (name.ends_with(each) && !name.ends_with("api key"))
      return name.contains("--") || after.starts_with("is") || after.starts_with("value") ||
             (each == "password" && before(kLogin).contains("machine ")) || name.contains("uthorization");
  return true;
}

}  // namespace

bool may_need_space(std::string_view text, size_t at) {
  constexpr size_t kFarthest = 512, kName = 20, kMostOthers = 3, kValue = 10;
  std::string_view after = text.substr(at + 1);
  char next = after.empty() ? '\0' : after[0], before = at > 0 ? text[at - 1] : '\0';
  if (begins_after_space(after) || (before == ';' && (next | 32) == 'p')) return true;
  if (next == '\'' && (before | 32) == 'y') return true;  // identified by '…'
  size_t end = at, limit = at - std::min(at, kFarthest);
  if (is_blank(before)) return false;                                       // as the space before
  if (before == 'n' && end > limit + 1 && text[end - 2] == '\\') end -= 2;  // an escaped line end
  while (end > limit && (text[end - 1] == '\n' || text[end - 1] == '\r')) --end;
  if (end < at && after.substr(0, kName).contains("value")) return true;
  // The space may be after a name, after a name and a sign, or after the value that follows these.
  for (size_t part = 0; part < 2; ++part) {
    size_t sign = end;
    bool has_sign = part == 0 && (next == '=' || next == ':');
    for (; end > limit && (is_between(text[end - 1]) || (end < sign && is_blank(text[end - 1]))); --end)
      has_sign |= text[end - 1] == '=' || text[end - 1] == ':';
    if (part > 0 && !has_sign) return false;
    if (ends_with_word(text, end, has_sign || end < sign ? kMostOthers : 0)) {
      if (!has_sign && end == sign) return !is_lower(next) || may_be_before_value(text, end, after);
      if (!has_sign && part == 0 && after.substr(0, kValue).contains("value")) return true;  // of a pair
      // After these, a value need not look random.
      std::string_view name = text.substr(end - std::min(end, kName), std::min(end, kName));
      bool may_be_simple = name.contains(';') || name.contains(":_") || name.ends_with("auth");
      return !begins_stand_in(part == 0 ? after : text.substr(end), may_be_simple);
    }
    while (end > limit && static_cast<unsigned char>(text[end - 1]) > ' ' && !is_between(text[end - 1])) --end;
    std::string_view word = text.substr(end, part > 0 ? at - end : 0);
    if (word.size() > kName && (text.substr(0, at).substr(end - std::min(end, kName)).contains(":5432:"))) return true;
    if (word.size() > kName && (text.substr(0, at).substr(end - std::min(end, kName)).contains("jdbc:oracle:")))
      return true;
    if (end == limit || !is_between(text[end - 1])) return false;
  }
  return false;
}

Values values_of_name(std::string_view text, size_t end) { return Name(text, end).values(); }

}  // namespace bottle::scan
