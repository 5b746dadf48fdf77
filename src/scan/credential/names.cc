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
    if (end < word.size() || (text_[end - 1] | 32) != (word.back() | 32)) return false;
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

}  // namespace

Values values_of_name(std::string_view text, size_t end) { return Name(text, end).values(); }

}  // namespace bottle::scan
