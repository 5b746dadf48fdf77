// The reader accepts only what it surely understands: a pattern that is not split only costs time, whereas a pattern
// that is read wrongly would make its rule miss credentials.
#include "scan/compiler/atoms.h"

#include <charconv>
#include <utility>

namespace bottle::scan {
namespace {

bool is_letter(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Adds what the escape of this letter stands for. Returns false for an escape that is not known.
bool add_escape(CharacterSet& set, char letter) {
  switch (letter) {
    case 'd':
      set.add('0', '9');
      return true;
    case 's':
      set.add('\t', '\r');
      set.add(' ', ' ');
      return true;
    case 'n':
      set.add('\n', '\n');
      return true;
    case 't':
      set.add('\t', '\t');
      return true;
    default:
      if (is_letter(letter)) return false;
      set.add(letter, letter);
      return true;
  }
}

class Reader {
 public:
  explicit Reader(std::string_view pattern) : text_(pattern) {}

  std::optional<std::vector<Atom>> atoms() {
    std::vector<Atom> atoms;
    while (ok_ && at_ < text_.size()) {
      Atom atom{.begin = at_};
      read(atom);
      quantifier(atom);
      atom.end = at_;
      atoms.push_back(atom);
    }
    if (!ok_) return {};
    return atoms;
  }

 private:
  bool is(char c) const { return at_ < text_.size() && text_[at_] == c; }
  void fail() { ok_ = false; }

  void read(Atom& atom) {
    char c = text_[at_];
    if (c == '(') return group();
    if (c == '[') {
      atom.kind = Atom::Kind::set;
      return set(atom);
    }
    ok_ &= !std::string_view("|^$.)]}*+?{").contains(c);
    if (c == '\\') return escape(atom);
    atom.kind = Atom::Kind::character;
    atom.character = c;
    atom.set.add(c, c);
    ++at_;
  }

  void group() {
    // Options such as (?i) without a group apply to everything after them, so they are not supported.
    std::string_view rest = text_.substr(at_);
    ok_ &= !rest.starts_with("(?") || rest.starts_with("(?:") || rest.starts_with("(?i:");
    size_t depth = 0;
    do {
      if (is('[')) {
        Atom ignored;
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
    if (!add_escape(atom.set, c)) return fail();  // other escapes are rare
    atom.kind = is_letter(c) ? Atom::Kind::set : Atom::Kind::character;
    atom.character = c;
  }

  // Reads "[…]" with ranges, and with the escapes of single characters. A set with anything else is not used.
  void set(Atom& atom) {
    ++at_;
    bool is_inverse = is('^');
    if (is_inverse) ++at_;
    if (is(']')) return skip_set(atom);
    while (at_ < text_.size() && !is(']')) {
      char first = text_[at_++], last = first;
      if (first == '[' && (is(':') || is('.') || is('='))) return fail();  // a class with a name
      if (first == '\\') {
        if (at_ == text_.size()) return fail();
        bool goes_on = at_ + 1 < text_.size() && text_[at_ + 1] == '-' && !text_.substr(at_ + 2).starts_with(']');
        if (goes_on || !add_escape(atom.set, text_[at_])) return skip_set(atom);
        ++at_;
        continue;
      }
      if (is('-') && at_ + 1 < text_.size() && text_[at_ + 1] != ']') {
        last = text_[at_ + 1];
        if (last == '\\' || last < first) return fail();
        at_ += 2;
      }
      atom.set.add(first, last);
    }
    if (is_inverse)
      for (uint64_t& bits : atom.set.bits) bits = ~bits;
    ok_ &= is(']');
    ++at_;
  }
  void skip_set(Atom& atom) {
    if (is(']')) ++at_;
    while (at_ < text_.size() && !is(']')) at_ += is('\\') ? 2 : 1;
    ok_ &= is(']');
    ++at_;
    atom.kind = Atom::Kind::other;
  }

  void quantifier(Atom& atom) {
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
      if (!is('}') || atom.most < atom.least || atom.most == 0) return fail();
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

  std::string_view text_;
  size_t at_ = 0;
  bool ok_ = true;
};

}  // namespace

std::optional<std::vector<Atom>> atoms_of(std::string_view pattern) { return Reader(pattern).atoms(); }

}  // namespace bottle::scan
