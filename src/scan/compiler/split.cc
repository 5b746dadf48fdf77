// Reads a pattern as a sequence of atoms, and removes characters and sets at its beginning and at its end. A pattern
// that cannot be read stays whole.
#include "scan/compiler/split.h"

#include <algorithm>
#include <bit>
#include <span>

#include "scan/compiler/atoms.h"
#include "scan/compiler/probe.h"

namespace bottle::scan {
namespace {

using Atoms = std::span<const Atom>;

constexpr uint32_t kFewest = 8;  // fewer characters of a lead or of a last set are not worth splitting off

// Returns whether two matches of the core that end at the same position always begin at the same one. If the first
// character does not occur again before the part with the variable length, a match that begins later would be too
// short. vectorscan reports only where a match ends. The matcher must know where the core begins to compare the
// characters before it.
bool has_one_begin(Atoms core) {
  auto varies = [](const Atom& atom) { return atom.kind == Atom::Kind::other || atom.varies(); };
  const Atom& first = core.front();
  if (!first.is_character()) return false;
  auto fixed = std::ranges::find_if(core.rbegin(), core.rend(), varies).base();  // what follows has a fixed length
  return std::all_of(core.begin() + (fixed > core.begin()), fixed, [&](const Atom& atom) {
    return atom.kind != Atom::Kind::other && !atom.set.has(first.character);
  });
}

bool are_disjoint(const CharacterSet& one, const CharacterSet& other) {
  for (size_t i = 0; i < one.bits.size(); ++i)
    if (one.bits[i] & other.bits[i]) return false;
  return true;
}

// Says how the matcher finds out how many characters of an atom there are.
enum class Count : uint8_t {
  read,     // their number is fixed, or all of a row are taken because what follows cannot belong to it
  tried,    // it has to try each number
  unknown,  // it cannot
};

Count count_of(Atoms atoms, size_t at) {
  constexpr uint32_t kMostTried = 32;
  const Atom& atom = atoms[at];
  if (atom.kind == Atom::Kind::other) return Count::unknown;
  if (!atom.varies()) return Count::read;
  bool differs = true;
  for (size_t next = at + 1; next < atoms.size(); ++next) {
    differs &= atoms[next].kind != Atom::Kind::other && are_disjoint(atom.set, atoms[next].set);
    if (atoms[next].least == 0) continue;
    if (differs) return Count::read;
    return atom.most != kNoLimit && atom.most - atom.least <= kMostTried ? Count::tried : Count::unknown;
  }
  return Count::unknown;  // the shortest of the matches would end before the last of these characters
}

// Returns where the steps may begin: the matcher can examine each atom from there on. Only one of them may be tried,
// because the work for several would multiply.
size_t first_step(Atoms atoms) {
  bool tries = false;
  size_t first = atoms.size();
  for (size_t at = atoms.size(); at-- > 0; first = at) {
    Count count = count_of(atoms, at);
    if (count == Count::unknown || (count == Count::tried && tries)) break;
    tries |= count == Count::tried;
  }
  return first;
}

int size_of(const CharacterSet& set) {
  int size = 0;
  for (uint64_t bits : set.bits) size += std::popcount(bits);
  return size;
}

// Returns whether the atom may be many different characters, or a different number of them.
bool is_open(const Atom& atom) {
  constexpr int kMostFixed = 10;
  constexpr uint32_t kMostRepeated = 4;
  return atom.varies() || atom.most > kMostRepeated || size_of(atom.set) > kMostFixed;
}

// Returns whether vectorscan finds the core by its fixed characters, and seldom by chance.
bool is_distinctive(std::string_view core, Atoms atoms) {
  constexpr size_t kManyFixed = 3, kSomeFixed = 2, kLong = 8;
  size_t width = 0, fixed = fixed_characters(core);
  for (const Atom& atom : atoms) width += atom.kind == Atom::Kind::other ? 0 : atom.least;
  return fixed >= kManyFixed || (fixed >= kSomeFixed && width >= kLong);
}

// Splits a pattern whose core begins with the atom `first`.
class Splitter {
 public:
  Splitter(std::string_view pattern, Atoms atoms, size_t first) : pattern_(pattern), atoms_(atoms), first_(first) {}

  // Returns how many atoms belong to the lead and to a distinctive core, or 0 if no core is. A core goes on as long as
  // its characters are fixed. It goes on after a few other characters if there are more fixed ones, because vectorscan
  // then finds it by these.
  size_t distinctive() const {
    constexpr uint32_t kLongest = 32;
    size_t best = 0, most = 0;
    uint32_t width = 0;
    for (size_t end = first_; end < atoms_.size(); width += atoms_[end++].least) {
      if (best > 0 && (width > kLongest || atoms_[end - 1].varies())) break;
      if (end < std::max(first_step(atoms_), first_ + 1) || !is_open(atoms_[end])) continue;
      size_t fixed = fixed_characters(core(end));
      if (fixed > most && is_distinctive(core(end), atoms_.subspan(first_, end - first_))) best = end, most = fixed;
    }
    return best;
  }

  // Returns the number of atoms, without the last one if it should be split off.
  size_t without_tail() const {
    const Atom& last = atoms_.back();
    bool is_tail = last.kind == Atom::Kind::set && !last.varies() && last.least >= kFewest;
    return atoms_.size() - (is_tail && atoms_.size() > first_ + 1 ? 1 : 0);
  }

  void split(size_t end, SplitPattern& out) const {
    out.core = core(end);
    out.one_begin = has_one_begin(atoms_.subspan(first_, end - first_));
    for (size_t at = end; at < atoms_.size(); ++at) {
      const Atom& atom = atoms_[at];
      out.steps.push_back({atom.set, atom.least, atom.most, count_of(atoms_, at) == Count::tried});
    }
    lengthen(end, out);
  }

 private:
  std::string_view core(size_t end) const {
    return pattern_.substr(atoms_[first_].begin, atoms_[end - 1].end - atoms_[first_].begin);
  }

  // Gives a core of two characters one of those that follow, because a shorter core would occur too often.
  void lengthen(size_t end, SplitPattern& out) const {
    constexpr size_t kShort = 2;
    Atoms core = atoms_.subspan(first_, end - first_);
    bool is_short = core.size() == kShort && std::ranges::all_of(core, &Atom::is_character);
    if (!is_short || out.steps.empty() || out.steps[0].least != out.steps[0].most || out.steps[0].least < 2) return;
    std::string_view next = pattern_.substr(atoms_[end].begin, atoms_[end].end - atoms_[end].begin);
    out.core += next.substr(0, next.rfind('{'));
    --out.steps[0].least, --out.steps[0].most;
  }

  std::string_view pattern_;
  Atoms atoms_;
  size_t first_;
};

// Returns how many atoms belong to a lead: a set with a count. A literal may precede the set, but only if the set does
// not have the character after it.
size_t lead_of(Atoms atoms, SplitPattern& out) {
  // vectorscan looks for the characters after a large set, and compares those of the set only by some of their bits. If
  // they seem to fit, it runs the rest of the pattern, which may take long and cannot be counted.
  constexpr int kLarge = 32;
  auto leads = [](const Atom& atom) {
    return atom.kind == Atom::Kind::set && (atom.least >= kFewest || (atom.least > 0 && size_of(atom.set) >= kLarge));
  };
  size_t letters = 0;
  while (letters < std::min(atoms.size(), PatternInfo::kLongestLiteral) && atoms[letters].is_character()) ++letters;
  bool after_literal = letters > 0 && letters + 1 < atoms.size() && atoms[letters].most == kNoLimit &&
                       atoms[letters + 1].kind == Atom::Kind::character && atoms[letters + 1].least > 0 &&
                       !atoms[letters].set.has(atoms[letters + 1].character);
  size_t lead = after_literal ? letters : 0;
  if (lead + 1 >= atoms.size() || !leads(atoms[lead])) return 0;
  for (size_t i = 0; i < lead; ++i) out.literal += atoms[i].character;
  out.lead = atoms[lead].set;
  out.least = atoms[lead].least;
  out.most = atoms[lead].most;
  return lead + 1;
}

}  // namespace

SplitPattern split(std::string_view pattern) {
  SplitPattern whole{.core = std::string(pattern)}, with_lead = whole;
  auto atoms = atoms_of(pattern);
  if (!atoms || atoms->empty()) return whole;
  size_t lead = lead_of(*atoms, with_lead);
  Splitter all(pattern, *atoms, 0), rest(pattern, *atoms, lead);
  if (size_t end = rest.distinctive(); lead > 0 && end > 0) {
    rest.split(end, with_lead);
    return with_lead;
  }
  if (size_t end = all.distinctive(); end > 0) {
    all.split(end, whole);
    return whole;
  }
  rest.split(rest.without_tail(), with_lead);
  return with_lead;
}

}  // namespace bottle::scan
