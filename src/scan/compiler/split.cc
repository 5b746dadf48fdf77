// Reads a pattern as a sequence of atoms, and removes counted sets at its beginning and at its end. The reader
// accepts only the small part of the regular expressions' syntax that the rules use, and the pattern stays whole
// after anything else: a pattern that is not split only costs time, whereas a wrong split would make a rule miss
// credentials.
#include "scan/compiler/split.h"

#include <algorithm>
#include <charconv>
#include <span>
#include <utility>
#include <vector>

namespace bottle::scan {
namespace {

constexpr uint32_t kFewest = 8;  // fewer characters are not worth splitting off

// Stands for a part of a pattern that is not in a group: a character, a set, or a whole group, with its quantifier.
struct Atom {
  enum class Kind : uint8_t { character, set, other } kind = Kind::other;
  size_t begin = 0, end = 0;  // in the pattern
  char character = 0;
  CharacterSet set;
  uint32_t least = 1, most = 1;
};

// Reads the subset of regular expressions that can be split. After anything else, ok() returns false.
class Reader {
 public:
  explicit Reader(std::string_view pattern) : text_(pattern) {}

  std::vector<Atom> atoms() {
    std::vector<Atom> atoms;
    while (ok_ && at_ < text_.size()) {
      Atom atom{.begin = at_};
      read(atom);
      quantifier(atom);
      atom.end = at_;
      atoms.push_back(atom);
    }
    return atoms;
  }
  bool ok() const { return ok_; }

 private:
  bool is(char c) const { return at_ < text_.size() && text_[at_] == c; }

  void read(Atom& atom) {
    char c = text_[at_];
    if (c == '(') return group();
    if (c == '[') {
      atom.kind = Atom::Kind::set;
      return set(atom.set);
    }
    ok_ &= !std::string_view("|^$.)*+?{").contains(c);
    if (c == '\\') return escape(atom);
    atom.kind = Atom::Kind::character;
    atom.character = c;
    ++at_;
  }

  void group() {
    // Options such as (?i) without a group apply to everything after them, so they are not supported.
    std::string_view rest = text_.substr(at_);
    ok_ &= !rest.starts_with("(?") || rest.starts_with("(?:") || rest.starts_with("(?i:");
    size_t depth = 0;
    do {
      if (is('[')) {
        CharacterSet ignored;
        set(ignored);
        continue;
      }
      depth += is('(') ? 1 : 0;
      depth -= is(')') ? 1 : 0;
      at_ += is('\\') ? 2 : 1;
    } while (ok_ && depth > 0 && at_ < text_.size());
    ok_ &= depth == 0;
  }

  void escape(Atom& atom) {
    if (at_ + 1 >= text_.size()) return fail();
    char c = text_[at_ + 1];
    at_ += 2;
    if (c == 'd') {
      atom.kind = Atom::Kind::set;
      return atom.set.add('0', '9');
    }
    bool letter = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    if (letter && c != 's') return fail();  // other escapes are rare
    if (letter) return;
    atom.kind = Atom::Kind::character;
    atom.character = c;
  }

  // Reads "[…]" with ranges, and with the escapes of single characters.
  void set(CharacterSet& set) {
    ++at_;
    if (is('^') || is(']')) return skip_set();
    while (at_ < text_.size() && !is(']')) {
      if (is('[') || is('\\')) return skip_set();
      char first = text_[at_++], last = first;
      if (is('-') && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        last = text_[at_ + 1];
        if (last == '\\' || last < first) return fail();
        at_ += 2;
      }
      set.add(first, last);
    }
    ok_ &= is(']');
    ++at_;
  }
  // Leaves the set as it is, so that it is not split.
  void skip_set() {
    if (is('^')) ++at_;
    if (is(']')) ++at_;
    while (at_ < text_.size() && !is(']')) at_ += is('\\') ? 2 : 1;
    ok_ &= is(']');
    ++at_;
    unusual_ = true;
  }

  void quantifier(Atom& atom) {
    if (std::exchange(unusual_, false)) atom.kind = Atom::Kind::other;
    if (is('?') || is('*') || is('+')) {
      atom.least = is('+') ? 1 : 0;
      atom.most = is('?') ? 1 : kNoLimit;
      ++at_;
    } else if (is('{')) {
      ++at_;
      atom.least = atom.most = number();
      if (is(',')) {
        ++at_;
        atom.most = is('}') ? kNoLimit : number();
      }
      if (!is('}')) return fail();
      ++at_;
    }
    if (is('?') || is('+') || is('*') || is('{')) fail();
  }
  uint32_t number() {
    uint32_t value = 0;
    auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    ok_ &= error == std::errc();
    at_ = static_cast<size_t>(end - text_.data());
    return value;
  }
  void fail() { ok_ = false; }

  std::string_view text_;
  size_t at_ = 0;
  bool ok_ = true, unusual_ = false;
};

// Returns whether two matches of the core that end at the same position always begin at the same one. If the first
// character does not occur again before the part with the variable length, a match that begins later would be too
// short. vectorscan reports only where a match ends. The matcher must know where the core begins to compare the
// characters before it.
bool has_one_begin(std::span<const Atom> core) {
  auto varies = [](const Atom& atom) { return atom.kind == Atom::Kind::other || atom.least != atom.most; };
  const Atom& first = core.front();
  if (first.kind != Atom::Kind::character || varies(first) || first.least != 1) return false;
  auto fixed = std::ranges::find_if(core.rbegin(), core.rend(), varies).base();  // what follows has a fixed length
  return std::all_of(core.begin() + (fixed > core.begin()), fixed, [&](const Atom& atom) {
    if (atom.kind == Atom::Kind::character) return atom.character != first.character;
    return atom.kind == Atom::Kind::set && !atom.set.has(first.character);
  });
}

}  // namespace

SplitPattern split(std::string_view pattern) {
  SplitPattern out{.core = std::string(pattern)};
  Reader reader(pattern);
  std::vector<Atom> atoms = reader.atoms();
  if (!reader.ok()) return out;
  size_t first = 0, last = atoms.size();
  auto leads = [&](const Atom& atom) { return atom.kind == Atom::Kind::set && atom.least >= kFewest; };
  // The lead is a set with a count. A literal may precede the set, but only if the set does not have the character
  // after it.
  size_t letters = 0;
  while (letters < atoms.size() && atoms[letters].kind == Atom::Kind::character && atoms[letters].least == 1 &&
         atoms[letters].most == 1)
    ++letters;
  bool after_literal = letters > 0 && letters + 1 < atoms.size() && atoms[letters].most == kNoLimit &&
                       atoms[letters + 1].kind == Atom::Kind::character && atoms[letters + 1].least > 0 &&
                       !atoms[letters].set.has(atoms[letters + 1].character);
  size_t lead = after_literal ? letters : 0;
  if (lead < atoms.size() && leads(atoms[lead])) {
    for (size_t i = 0; i < lead; ++i) out.literal += atoms[i].character;
    out.lead = atoms[lead].set;
    out.least = atoms[lead].least;
    out.most = atoms[lead].most;
    first = lead + 1;
  }
  if (last > first + 1) {
    const Atom& atom = atoms[last - 1];
    if (atom.kind == Atom::Kind::set && atom.least == atom.most && atom.least >= kFewest) {
      out.tail = atom.set;
      out.count = atom.least;
      --last;
    }
  }
  if (first == last) return {.core = std::string(pattern)};
  size_t begin = atoms[first].begin;
  out.core = pattern.substr(begin, atoms[last - 1].end - begin);
  out.one_begin = has_one_begin(std::span(atoms).subspan(first, last - first));
  return out;
}

namespace {

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

// Returns how long the shortest of the alternatives is. A '|' separates them.
size_t shortest_of(std::string_view alternatives) {
  size_t shortest = alternatives.size();
  for (size_t begin = 0; begin <= alternatives.size();) {
    size_t end = std::min(alternatives.find('|', begin), alternatives.size());
    shortest = std::min(shortest, end - begin);
    begin = end + 1;
  }
  return shortest;
}

bool is_repetition(char c) { return std::string_view("{+*?").contains(c); }

}  // namespace

std::string probe_of(std::string_view core) {
  constexpr std::string_view kSigns = "^$.|", kMany = "{+*";
  constexpr size_t kShortest = 3, kFewOfSet = 8;
  std::string_view best;
  size_t most = 0, begin = 0, count = 0;
  bool has_many = false;  // the core repeats characters of one kind
  for (size_t at = 0; at < core.size();) {
    size_t end = end_of_atom(core, at);
    std::string_view atom = core.substr(at, end - at);
    bool repeats = end < core.size() && is_repetition(core[end]);
    bool is_wide = atom.size() > 1 && atom[0] != '\\' && (atom.size() > kFewOfSet || atom.contains('-'));
    bool is_class = atom.size() == 2 && atom[0] == '\\' && std::string_view("dswDSW").contains(atom[1]);
    // An alternative of plain texts, such as (?:AzCa|ACDb), counts like fixed characters.
    std::string_view alternatives = atom.starts_with("(?:") ? atom.substr(3, atom.size() - 4) : "";
    bool is_choice = atom.starts_with("(?:") && alternatives.find_first_of("[({\\.?*+^$") == core.npos;
    bool is_group = atom[0] == '(' && !is_choice;
    has_many |=
        (end < core.size() && kMany.contains(core[end])) || (is_group && atom.find_first_of(kMany) != core.npos);
    if (repeats || (is_wide && !is_choice) || is_class || is_group || kSigns.contains(atom[0])) {
      count = 0;
      at = end;
      if (at < core.size() && core[at] == '{') at = std::min(core.find('}', at), core.size() - 1) + 1;
      else if (repeats) ++at;
      begin = at;
      continue;
    }
    if (count >= kLongestProbe) {
      at = end;
      continue;
    }
    at = end;
    count += is_choice ? std::min(kShortest, shortest_of(alternatives)) : 1;
    if (count > most) most = count, best = core.substr(begin, at - begin);
  }
  if (!has_many || most < kShortest) return {};
  return std::string(best);
}

}  // namespace bottle::scan
