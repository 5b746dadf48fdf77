// Looks at each character, escape and set of a pattern by itself. Their positions make no difference: a pattern can
// match a space if one of them can.
#include "scan/compiler/spaces.h"

#include <cstddef>

namespace bottle::scan {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

// Returns whether the escape of this character may stand for a space.
bool escape_may_be_space(char c) { return c == ' ' || (is_letter(c) && !std::string_view("dwbnrtfS").contains(c)); }

// Reads the set after the '[' before `at`, and moves `at` past its end. Returns whether it may have a space.
bool set_may_have_space(std::string_view pattern, size_t& at) {
  auto is = [&](char c) { return at < pattern.size() && pattern[at] == c; };
  bool is_inverse = is('^');
  if (is_inverse) ++at;
  bool has_space = false, has_all_spaces = false;
  for (bool is_first = true; at < pattern.size() && (is_first || !is(']')); is_first = false) {
    char first = pattern[at++];
    if (first == '[' && is(':')) return true;  // a class with a name
    if (first == '\\' && at < pattern.size()) {
      char escaped = pattern[at++];
      has_space |= escape_may_be_space(escaped);
      has_all_spaces |= escaped == 's' || escaped == ' ';
      first = escaped;
      if (!is('-')) continue;
      if (is_letter(escaped)) return true;  // a range that may begin with an escape
    }
    char last = first;
    if (is('-') && at + 1 < pattern.size() && pattern[at + 1] != ']') {
      last = pattern[at + 1];
      at += 2;
      if (last == '\\') return true;  // a range that ends with an escape
    }
    has_space |= first <= ' ' && last >= ' ';
    has_all_spaces |= first == ' ';
  }
  ++at;
  return is_inverse ? !has_all_spaces : has_space;
}

}  // namespace

bool may_have_space(std::string_view pattern) {
  for (size_t at = 0; at < pattern.size();) {
    char c = pattern[at++];
    if (c == ' ' || c == '.') return true;
    if (c == '[' && set_may_have_space(pattern, at)) return true;
    if (c == '\\' && at < pattern.size()) {
      if (escape_may_be_space(pattern[at])) return true;
      ++at;
    }
  }
  return false;
}

}  // namespace bottle::scan
