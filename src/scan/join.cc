// A secret can be cut into values that reveal nothing by themselves: "a=gh&b=p_12&c=…" or the fields of a JSON
// object. This file takes the values out in their order and joins them, and the detector then scans the result as
// another text.
//
// It does not parse the format. A quote or a '=' always begins a value, because the same loop must read JSON, forms,
// logs and mixtures of them, and a byte that breaks the syntax must not mislead it. Long values are skipped, because
// they are scanned where they are, and joining them would only put prose together.
#include "scan/join.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "scan/encoding/simd/masks.h"

namespace bottle::scan {
namespace {

bool is_control(char c) { return static_cast<unsigned char>(c) < ' ' && c != '\t'; }

// Returns whether the bytes are UTF-8 without control characters, judged only by the lengths of characters. A piece of
// a secret is such text.
bool is_text(std::string_view bytes) {
  uint8_t unusual = 0;
  for (unsigned char c : bytes) unusual |= static_cast<uint8_t>(c >= 0x80) | static_cast<uint8_t>(c < ' ');
  if (!unusual) return true;
  int missing = 0;  // missing bytes of the current character
  for (char each : bytes) {
    auto c = static_cast<unsigned char>(each);
    bool continues = (c & 0xc0) == 0x80;
    if (continues != (missing > 0) || is_control(each)) return false;
    if (continues) --missing;
    else if (c >= 0x80) missing = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
  }
  return missing == 0;
}

Lanes are_control(const Lanes& c) { return within(c, 0, ' ') & ~equal(c, '\t'); }

bool ends_value(char c) { return c == '&' || c == ';' || static_cast<unsigned char>(c) <= ' '; }
Lanes end_value(const Lanes& c) { return equal(c, '&') | equal(c, ';') | within(c, 0, ' ' + 1); }

class Joiner {
 public:
  Joiner(std::string_view text, const std::vector<Region>& regions) : text_(text), regions_(regions) {
    out_.form = Decoded::Form::parts;
  }

  Decoded join(size_t most) {
    walk(most);
    // A single value was already scanned in its text.
    if (pieces_ < 2) return {};
    return std::move(out_);
  }

  size_t begun() const { return begun_; }

  bool each(const EachValue& each) {
    each_ = &each;
    walk(SIZE_MAX);
    return pieces_ > 0;
  }

 private:
  void walk(size_t most) {
    size_t at = 0;
    for (const Region& region : regions_)
      for (at = std::max(at, region.begin); begun_ <= most && (at = next(at, region.end)) < region.end;)
        ++begun_, at = text_[at] == '"' ? quoted(at + 1) : assigned(at + 1);
  }

  // Returns the position of the next quote or '=' before `limit`, without looking at every byte.
  size_t next(size_t at, size_t limit) const {
    constexpr size_t kBlock = 64;
    for (; at + kBlock <= limit; at += kBlock)
      if (uint64_t mask = mask_of(load_block(reinterpret_cast<const uint8_t*>(text_.data()) + at),
                                  [](const Lanes& c) { return equal(c, '"') | equal(c, '='); }))
        return at + static_cast<size_t>(std::countr_zero(mask));
    while (at < limit && text_[at] != '"' && text_[at] != '=') ++at;
    return at;
  }

  // Returns the first position in [at, limit) where `in` is true, or `limit`. Returns `at` if it is not before `limit`.
  // Looks at sixteen bytes at a time, because this loop sees most of the bytes of source code.
  template <typename F>
  size_t find(size_t at, size_t limit, F in) const {
    constexpr size_t kSize = sizeof(Lanes);
    if (at >= limit) return at;
    for (; at < limit; at += kSize) {
      Lanes lanes{};
      if (at + kSize <= text_.size()) std::memcpy(&lanes, text_.data() + at, kSize);
      else std::memcpy(&lanes, text_.data() + at, text_.size() - at);
      if (uint64_t mask = bits_of(in(lanes))) return std::min(limit, at + static_cast<size_t>(std::countr_zero(mask)));
    }
    return limit;
  }

  void add(size_t begin, size_t end) {
    if (begin == end) return;
    if (each_) {
      if (pieces_++ < kMostValues) (*each_)(name_, text_.substr(begin, end - begin));
      return;
    }
    if (!is_text(text_.substr(begin, end - begin))) return;
    out_.add_anchor(out_.text.size(), begin);
    out_.text.append(text_.substr(begin, end - begin));
    out_.end = end;
    ++pieces_;
  }

  // Takes the string that begins at `begin`, after a quote. Returns where the walk goes on.
  size_t quoted(size_t begin) {
    size_t end = begin, limit = std::min(text_.size(), begin + kLongestPiece + 1);
    auto stops = [](const Lanes& c) { return equal(c, '"') | equal(c, '\\') | are_control(c); };
    while ((end = find(end, limit, stops)) < limit && text_[end] == '\\') end += 2;
    // The string is longer than a piece may be, or does not end as a string does.
    if (end >= limit || is_control(text_[end])) return closing(std::min(end, text_.size()));
    size_t after = end + 1;
    while (after < text_.size() && (text_[after] == ' ' || text_[after] == '\n')) ++after;
    // A key names the values after it and is not joined with them.
    bool is_key = after < text_.size() && text_[after] == ':';
    if (is_key) name_ = text_.substr(begin, end - begin);
    else if (end - begin <= kLongestPiece) add(begin, end);
    return end + 1;
  }

  // Finds the closing quote. Text in long quotes may contain quotes of its own, which are escaped.
  size_t closing(size_t at) const {
    for (;;) {
      const void* found = at < text_.size() ? std::memchr(text_.data() + at, '"', text_.size() - at) : nullptr;
      if (!found) return text_.size();
      at = static_cast<size_t>(static_cast<const char*>(found) - text_.data()) + 1;
      if (text_[at - 2] != '\\') return at;
    }
  }

  // Takes the value that begins at `begin`, after a '='. Returns where the walk goes on.
  size_t assigned(size_t begin) {
    size_t end = begin, name = begin - 1;
    while (each_ && name > 0 && begin - name <= kLongestPiece && !ends_value(text_[name - 1])) --name;
    name_ = text_.substr(name, begin - 1 - name);
    size_t limit = std::min(text_.size(), begin + kLongestPiece + 1);
    end = find(end, limit, [](const Lanes& c) { return equal(c, '"') | end_value(c); });
    if (end - begin <= kLongestPiece && (end == text_.size() || ends_value(text_[end]))) add(begin, end);
    return end;
  }

  std::string_view text_, name_;
  const std::vector<Region>& regions_;
  const EachValue* each_ = nullptr;
  Decoded out_;
  size_t pieces_ = 0, begun_ = 0;
};

}  // namespace

Decoded joined_values(std::string_view text, const std::vector<Region>& regions, size_t most, size_t& begun) {
  Joiner joiner(text, regions);
  Decoded values = joiner.join(most);
  begun = joiner.begun();
  return values;
}

bool each_value(std::string_view text, const EachValue& each) {
  // The text is short, so all of it is walked.
  std::vector<Region> whole{{0, text.size()}};
  return Joiner(text, whole).each(each);
}

}  // namespace bottle::scan
