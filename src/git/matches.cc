// Matches without backtracking. The usual recursive matcher takes exponential time for patterns such as `*a*a*a*b`,
// and patterns and paths both may come from a repository. This one keeps a set of positions up to which the text
// matches, and moves the whole set on for each token, as an automaton does.

#include <algorithm>
#include <cctype>
#include <optional>

#include "base/text/path_parts.h"
#include "git/settings.h"

namespace bottle::git {
namespace {

// Stands for one element of a pattern. `any` and `name_or_nothing` come from `**`, and `any_in_name` from `*`.
struct Token {
  // A malformed part of a pattern matches nothing, so it is `none`.
  enum class Kind { one, any_in_name, any, name_or_nothing, set, none } kind = Kind::one;
  char text = 0;            // for `one`; 0 means every character except a slash
  bool is_escaped = false;  // for `one`: git never ignores the case of a character after a backslash
  std::string_view set{};   // for `set`: a bracket expression
};

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// Returns whether a class such as [:alpha:] contains the character, or nothing if there is no such class.
std::optional<bool> is_in_class(std::string_view name, unsigned char c, bool ignore_case) {
  bool ascii = c < 0x80;
  if (name == "alnum") return ascii && std::isalnum(c);
  if (name == "alpha") return ascii && std::isalpha(c);
  if (name == "blank") return c == ' ' || c == '\t';
  if (name == "cntrl") return ascii && std::iscntrl(c);
  if (name == "digit") return ascii && std::isdigit(c);
  if (name == "graph") return ascii && std::isgraph(c);
  if (name == "lower") return ascii && std::islower(c);
  if (name == "print") return ascii && std::isprint(c);
  if (name == "punct") return ascii && std::ispunct(c);
  if (name == "space") return c == ' ' || c == '\t' || c == '\n' || c == '\r';
  if (name == "upper") return ascii && (std::isupper(c) || (ignore_case && std::islower(c)));
  if (name == "xdigit") return ascii && std::isxdigit(c);
  return std::nullopt;
}

// Reads the bracket expression that begins at `at`, and moves `at` past it. Returns whether it contains the
// character, or nothing if it is malformed. Does what git's wildmatch.c does: if the case is ignored, `c` is in lower
// case, so [A] does not contain it, but [A-Z] does.
std::optional<bool> read_set(std::string_view pattern, size_t& at, unsigned char c, bool ignore_case) {
  auto get = [&](size_t i) { return i < pattern.size() ? static_cast<unsigned char>(pattern[i]) : '\0'; };
  bool negated = get(at + 1) == '!' || get(at + 1) == '^', found = false;
  size_t p = at + (negated ? 2 : 1);
  unsigned char now, before = 0;  // a range may begin with `before`
  do {
    now = get(p);
    bool is_range = now == '-' && before != 0 && get(p + 1) != 0 && get(p + 1) != ']';
    if (is_range) now = get(++p);
    if (now == '\\') now = get(++p);
    else if (!is_range && now == '[' && get(p + 1) == ':') {
      size_t end = pattern.find(']', p + 2);
      if (end == std::string_view::npos) return std::nullopt;
      std::string_view name = pattern.substr(p + 2, end - p - 2);
      if (name.ends_with(':')) {
        auto in_class = is_in_class(name.substr(0, name.size() - 1), c, ignore_case);
        if (!in_class) return std::nullopt;
        found |= *in_class;
        p = end;
        before = 0;
        continue;
      }
    }
    if (now == 0) return std::nullopt;
    auto in_range = [&](int each) { return before <= each && each <= now; };
    if (!is_range) found |= c == now;
    else found |= in_range(c) || (ignore_case && c >= 'a' && c <= 'z' && in_range(c - 'a' + 'A'));
    before = is_range ? 0 : now;
  } while (get(++p) != ']');
  at = p + 1;
  return found != negated && c != '/';
}

// Parses a pattern once, so that matching it against many paths is cheap. A malformed pattern becomes one that
// matches nothing, as in git.
std::vector<Token> tokens(std::string_view pattern) {
  std::vector<Token> out;
  using Kind = Token::Kind;
  for (size_t at = 0; at < pattern.size();) {
    size_t from = at;
    // `**` has its meaning only where it is a whole component. Elsewhere it is the same as `*`.
    bool component = at == 0 || pattern[at - 1] == '/';
    if (pattern[at] == '*') {
      at = std::min(pattern.find_first_not_of('*', at), pattern.size());
      bool crosses = component && at - from > 1;
      if (crosses && at == pattern.size()) out.push_back({Kind::any});
      else if (crosses && pattern[at] == '/') out.push_back({Kind::name_or_nothing}), ++at;
      else out.push_back({Kind::any_in_name});
    } else if (pattern[at] == '?') {
      out.push_back({Kind::one}), ++at;
    } else if (pattern[at] == '[') {
      if (!read_set(pattern, at, 0, false)) return {{Kind::none}};
      out.push_back({.kind = Kind::set, .set = pattern.substr(from, at - from)});
    } else if (pattern[at] == '\\') {
      if (at + 1 == pattern.size()) return {{Kind::none}};
      out.push_back({.text = pattern[at + 1], .is_escaped = true}), at += 2;
    } else {
      out.push_back({.text = pattern[at]}), ++at;
    }
  }
  return out;
}

}  // namespace

bool matches(std::string_view pattern, std::string_view text, bool ignore_case) {
  using Kind = Token::Kind;
  // ok[i] says whether the tokens so far match the first i characters.
  std::vector<bool> ok(text.size() + 1), next(text.size() + 1);
  ok[0] = true;
  for (const Token& token : tokens(pattern)) {
    std::fill(next.begin(), next.end(), false);
    bool reach = false;
    for (size_t i = 0; i <= text.size(); ++i) {
      // The beginning of the text counts as the beginning of a component.
      char before = i ? text[i - 1] : '/';
      if (ignore_case) before = lower(before);
      switch (token.kind) {
        case Kind::any:
          // `reach` says whether some earlier position matches from which this token can get to the current one.
          next[i] = reach = reach || ok[i];
          break;
        case Kind::any_in_name:
          reach = ok[i] || (reach && before != '/');
          next[i] = reach;
          break;
        case Kind::name_or_nothing:  // "**/" matches nothing, or everything up to some slash
          next[i] = ok[i] || (reach && before == '/');
          reach = reach || ok[i];
          break;
        case Kind::set:
          if (size_t at = 0; i && ok[i - 1])
            next[i] = read_set(token.set, at, static_cast<unsigned char>(before), ignore_case).value_or(false);
          break;
        case Kind::none:
          break;
        case Kind::one:
          next[i] = i && ok[i - 1] &&
                    (token.text == 0                    ? before != '/'
                     : ignore_case && !token.is_escaped ? lower(token.text) == before
                                                        : token.text == before);
          break;
      }
    }
    // Each step needs only the row before it, so two vectors are enough.
    ok.swap(next);
  }
  return ok[text.size()];
}

bool is_named(std::string_view pattern, std::string_view path) {
  bool directory = pattern.ends_with('/');
  if (directory) pattern.remove_suffix(1);
  // A pattern without a slash inside matches a name at any depth (gitignore(5)).
  bool anchored = pattern.find('/') != std::string_view::npos;
  if (pattern.starts_with('/')) pattern.remove_prefix(1);
  if (pattern.empty()) return false;
  for (size_t end = path.find('/');; end = path.find('/', end + 1)) {
    bool last = end == std::string_view::npos;
    std::string_view above = path.substr(0, end);
    // A pattern that ends with a slash matches directories only, and the last component is a file.
    if (!(last && directory)) {
      if (matches(pattern, anchored ? above : name_in(above))) return true;
    }
    if (last) return false;
  }
}

}  // namespace bottle::git
