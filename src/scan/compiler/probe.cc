// Reads a pattern without understanding all of it: what it does not know has no fixed characters.
#include "scan/compiler/probe.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace bottle::scan {
namespace {

constexpr size_t kShortest = 3;  // shorter parts occur too often
constexpr std::string_view kMany = "{+*";

// Returns where the atom that begins at `at` ends: a character, an escape, a set or a group.
size_t end_of_atom(std::string_view text, size_t at) {
  if (text[at] == '\\') return std::min(at + 2, text.size());
  if (text[at] != '[' && text[at] != '(') return at + 1;
  bool in_set = false;
  size_t depth = 0;
  for (size_t i = at; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (in_set) {
      in_set = text[i] != ']';
      if (!in_set && depth == 0) return i + 1;
    } else if (text[i] == '[') {
      in_set = true;
      // A bracket at the beginning of a set is one of its characters.
      if (text.substr(i + 1).starts_with('^')) ++i;
      if (text.substr(i + 1).starts_with(']')) ++i;
    } else if (text[i] == '(') {
      ++depth;
    } else if (text[i] == ')' && --depth == 0) {
      return i + 1;
    }
  }
  return text.size();
}

// Returns the alternatives of what is in a group.
std::vector<std::string_view> alternatives_of(std::string_view text) {
  std::vector<std::string_view> out;
  size_t begin = 0;
  for (size_t at = 0; at < text.size(); at = end_of_atom(text, at)) {
    if (text[at] != '|') continue;
    out.push_back(text.substr(begin, at - begin));
    begin = at + 1;
  }
  out.push_back(text.substr(begin));
  return out;
}

bool is_repetition(char c) { return kMany.contains(c) || c == '?'; }
bool is_plain(std::string_view text) { return text.find_first_of("[({\\.?*+^$") == text.npos; }

struct Fixed {
  std::string text;
  size_t count = 0;
};
Fixed most_fixed(std::string_view core);

// Returns the fixed characters of a group: of each of its alternatives some.
Fixed fixed_of_group(std::string_view atom) {
  size_t mark = atom.find(':');
  if (!(atom.starts_with("(?:") || atom.starts_with("(?i:")) || !atom.ends_with(')')) return {};
  Fixed all{.text = std::string(atom.substr(0, mark + 1)), .count = kLongestProbe};
  for (bool is_first = true; std::string_view each : alternatives_of(atom.substr(mark + 1, atom.size() - mark - 2))) {
    Fixed own = most_fixed(each);
    all.count = std::min(all.count, own.count);
    all.text.append(std::exchange(is_first, false) ? "" : "|").append(own.text);
  }
  all.text += ')';
  return all;
}

Fixed most_fixed(std::string_view core) {
  constexpr size_t kFewOfSet = 8;
  Fixed best;
  size_t begin = 0, count = 0;
  for (size_t at = 0; at < core.size();) {
    size_t end = end_of_atom(core, at);
    std::string_view atom = core.substr(at, end - at);
    bool repeats = end < core.size() && is_repetition(core[end]);
    bool is_wide = atom[0] == '[' && (atom.size() > kFewOfSet || atom.contains('-'));
    bool is_class = atom.size() == 2 && atom[0] == '\\' && std::string_view("dswDSW").contains(atom[1]);
    // An alternative of plain texts, such as (?:AzCa|ACDb), counts like fixed characters.
    std::string_view inner = atom.starts_with("(?:") ? atom.substr(3, atom.size() - 4) : "";
    bool is_choice = atom.starts_with("(?:") && is_plain(inner);
    bool is_group = atom[0] == '(' && !is_choice;
    if (is_group && !repeats)
      if (Fixed own = fixed_of_group(atom); own.count > best.count) best = std::move(own);
    if (repeats || is_wide || is_class || is_group || std::string_view("^$.|").contains(atom[0])) {
      count = 0;
      at = end;
      if (at < core.size() && core[at] == '{') at = std::min(core.find('}', at), core.size() - 1) + 1;
      else if (repeats) ++at;
      begin = at;
      continue;
    }
    at = end;
    if (count >= kLongestProbe) continue;
    size_t shortest = kShortest;
    for (std::string_view each : alternatives_of(inner)) shortest = std::min(shortest, each.size());
    count += is_choice ? shortest : 1;
    if (count > best.count) best = {std::string(core.substr(begin, at - begin)), count};
  }
  return best;
}

// Returns whether the core repeats characters of one kind.
bool has_many(std::string_view core) {
  for (size_t at = 0; at < core.size();) {
    size_t end = end_of_atom(core, at);
    std::string_view atom = core.substr(at, end - at);
    if ((end < core.size() && kMany.contains(core[end])) || (atom[0] == '(' && has_many(atom.substr(1)))) return true;
    at = end;
  }
  return false;
}

}  // namespace

std::string probe_of(std::string_view core) {
  if (!has_many(core)) return {};
  Fixed best = most_fixed(core);
  return best.count < kShortest ? "" : best.text;
}

size_t fixed_characters(std::string_view core) { return most_fixed(core).count; }

}  // namespace bottle::scan
