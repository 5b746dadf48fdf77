// Matches without backtracking. The usual recursive matcher takes exponential time for patterns such as `*a*a*a*b`,
// and patterns and paths both may come from a repository. This one keeps a set of positions up to which the text
// matches, and moves the whole set on for each token, as an automaton does.

#include <cctype>

#include "git/settings.h"

namespace bottle::git {
namespace {

// Stands for one element of a pattern. `any` and `name_or_nothing` come from `**`, and `any_in_name` from `*`.
struct Token {
  enum class Kind { one, any_in_name, any, name_or_nothing, set } kind = Kind::one;
  char text = 0;         // for `one`; 0 means every character except a slash
  std::string_view set;  // for `set`: the text between the brackets
};

// Returns the end of a bracket expression, or npos.
size_t end_of_set(std::string_view pattern, size_t at) {
  // A bracket right at the beginning, as in []a], is a member of the set.
  size_t from = at + 1;
  if (from < pattern.size() && (pattern[from] == '!' || pattern[from] == '^')) ++from;
  return pattern.find(']', from + 1);
}

bool is_in(std::string_view set, char c) {
  bool negated = set.starts_with('!') || set.starts_with('^'), found = false;
  if (negated) set.remove_prefix(1);
  for (size_t i = 0; i < set.size(); ++i) {
    // A dash at either end of the set is a character.
    bool range = i + 2 < set.size() && set[i + 1] == '-';
    found |= range ? set[i] <= c && c <= set[i + 2] : set[i] == c;
    if (range) i += 2;
  }
  // No set contains a slash, not even a negated one (WM_PATHNAME in git's wildmatch.c).
  return found != negated && c != '/';
}

std::vector<Token> tokens(std::string_view pattern) {
  std::vector<Token> out;
  using Kind = Token::Kind;
  for (size_t at = 0; at < pattern.size();) {
    std::string_view rest = pattern.substr(at);
    // `**` has its meaning only where it is a whole component. Elsewhere it is the same as `*`.
    bool component = at == 0 || pattern[at - 1] == '/';
    if (component && rest.starts_with("**/")) out.push_back({Kind::name_or_nothing}), at += 3;
    else if (component && rest == "**") out.push_back({Kind::any}), at += 2;
    else if (rest[0] == '*')
      out.push_back({Kind::any_in_name}), at = std::min(pattern.find_first_not_of('*', at), pattern.size());
    else if (rest[0] == '?') out.push_back({Kind::one}), at += 1;
    // A bracket that is never closed stands for itself.
    else if (size_t end; rest[0] == '[' && (end = end_of_set(pattern, at)) != std::string_view::npos)
      out.push_back({Kind::set, 0, pattern.substr(at + 1, end - at - 1)}), at = end + 1;
    else if (rest[0] == '\\' && rest.size() > 1) out.push_back({Kind::one, rest[1]}), at += 2;
    else out.push_back({Kind::one, rest[0]}), at += 1;
  }
  return out;
}

char lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

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
          next[i] = i && ok[i - 1] && is_in(token.set, before);
          break;
        case Kind::one:
          next[i] = i && ok[i - 1] &&
                    (token.text == 0 ? before != '/'
                     : ignore_case   ? lower(token.text) == lower(before)
                                     : token.text == before);
          break;
      }
    }
    // Only the two newest rows are needed.
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
      if (matches(pattern, anchored ? above : above.substr(above.rfind('/') + 1))) return true;
    }
    if (last) return false;
  }
}

}  // namespace bottle::git
