// Text in groups shows its period: the same kind of character stands at the same distance again and again. The columns
// that are the same in all groups separate them, and columns that count up are line numbers. What is left is the text.
//
// A dump is different, because its lines have an offset and a column of characters. It has a separate parser, which
// accepts a line only if its offset follows from the number of bytes in the line before.
#include "scan/encoding/groups.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

#include "scan/encoding/escapes.h"
#include "scan/encoding/simd/masks.h"

namespace bottle::scan {
namespace {

constexpr uint32_t kMostFrom = (1u << 29) - 1;  // see Decoded::Anchor
constexpr size_t kFewestRows = 2, kLongestPeriod = 160, kLongestCounter = 6, kSurelyCounted = 8;

// Some punctuation is common in secrets (`part`). Other punctuation (`mark`) more often separates things.
enum class Kind : uint8_t { other, mark, part, alnum };

constexpr auto kKinds = [] {
  std::array<Kind, 256> kinds{};
  for (char c : std::string_view(":;,=()[]{}|")) kinds[static_cast<uint8_t>(c)] = Kind::mark;
  for (char c : std::string_view("_-+/.!@#$%^&*~?")) kinds[static_cast<uint8_t>(c)] = Kind::part;
  for (unsigned c = 0; c < 128; ++c)
    if (within(static_cast<uint8_t>(c), '0', 10) || within(static_cast<uint8_t>(c | 32), 'a', 26))
      kinds[c] = Kind::alnum;
  return kinds;
}();

int digit_of(char c) { return hex_digit(static_cast<uint8_t>(c)); }
Kind kind_of(char c) { return kKinds[static_cast<uint8_t>(c)]; }
bool is_alnum(char c) { return kind_of(c) == Kind::alnum; }

// Returns whether `c` may stand where `first` stands in the first group. A group may have a few other characters where
// the first one has a letter, and the reverse.
bool fits(char first, char c, Kind least, size_t& odd) {
  Kind one = kind_of(first), other = kind_of(c);
  if (one == other && (one == Kind::alnum || first == c)) return true;
  return std::min(one, other) >= least && std::max(one, other) == Kind::alnum && odd-- > 0;
}

// Returns whether the group at `row` looks like the one at `first`.
bool row_fits(std::string_view text, size_t first, size_t row, size_t period) {
  // A third of a group may differ in kind, because secrets have marks and digits among their letters.
  size_t odd = (period + 2) / 3;
  Kind least = row > first ? Kind::mark : Kind::part;
  for (size_t i = 0; i < period; i += sizeof(Lanes)) {
    uint64_t these = (uint64_t{1} << std::min(sizeof(Lanes), period - i)) - 1;
    auto lanes_at = [&](size_t at) {
      Lanes lanes{};
      if (at + i + sizeof lanes <= text.size()) std::memcpy(&lanes, text.data() + at + i, sizeof lanes);
      else std::memcpy(&lanes, text.data() + at + i, text.size() - at - i);
      return lanes;
    };
    auto alnum = [](const Lanes& c) { return within(c, '0', 10) | within(c | 32, 'a', 26); };
    Lanes one = lanes_at(first), second = lanes_at(first + period), other = lanes_at(row);
    Lanes same = reinterpret_cast<Lanes>(one == other);
    if (bits_of(~alnum(one) & reinterpret_cast<Lanes>(one == second) & ~same) & these) return false;
    // Nearly all are of one kind, and only the others are looked at one by one.
    for (uint64_t rest = bits_of(~(same | (alnum(one) & alnum(other)))) & these; rest; rest &= rest - 1) {
      size_t at = i + static_cast<size_t>(std::countr_zero(rest));
      if (!fits(text[first + at], text[row + at], least, odd)) return false;
    }
  }
  return true;
}

// Finds out which columns of the groups separate or number them.
class Columns {
 public:
  Columns(std::string_view text, const Groups& groups) : text_(text), period_(groups.period) {
    first_ = groups.begin;
    rows_ = (groups.end - groups.begin) / period_;
    for (size_t i = 0; i < period_; ++i) same_[i] = is_same(i);
    for (size_t i = 0; i < period_; ++i) drop_[i] = same_[i] && !is_alnum(text_[first_ + i]);
    // Letters that are the same in all rows belong to what separates the groups if they are beside it.
    for (size_t pass = 0; pass < 2; ++pass) {
      for (size_t i = 1; i < period_; ++i) drop_[i] |= same_[i] && drop_[i - 1];
      for (size_t i = period_ - 1; i-- > 0;) drop_[i] |= same_[i] && drop_[i + 1];
      if (period_ > 1) drop_[0] |= same_[0] && drop_[period_ - 1];
    }
    keep_bits();
    drop_counters();
  }
  bool drops(size_t column) const { return drop_[column]; }
  // Calls each(begin, end) for the columns to keep, as ranges.
  template <typename F>
  void each_part(F each) const {
    for (size_t begin = 0; begin < period_;) {
      size_t end = drop_[begin] ? begin + 1 : end_of(begin);
      if (!drop_[begin]) each(begin, end);
      begin = end;
    }
  }

 private:
  bool is_same(size_t column) const {
    for (size_t row = 1; row < rows_; ++row)
      if (text_[first_ + row * period_ + column] != text_[first_ + column]) return false;
    return true;
  }

  // Binary digits are the same in all groups if they are the first ones of ASCII characters. Keeps those beside the
  // others.
  void keep_bits() {
    auto is_bit = [&](size_t column) {
      for (size_t row = 0; row < rows_; ++row)
        if ((text_[first_ + row * period_ + column] | 1) != '1') return false;
      return true;
    };
    for (size_t i = 0; i < period_; ++i)
      if (!drop_[i] && !is_bit(i)) return;
    for (size_t i = 1; i < period_; ++i) drop_[i] &= drop_[i - 1] || !is_bit(i);
    for (size_t i = period_ - 1; i-- > 0;) drop_[i] &= drop_[i + 1] || !is_bit(i);
  }

  void drop_counters() {
    each_part([&](size_t begin, size_t end) {
      if (counts(begin, end)) std::fill(drop_.begin() + begin, drop_.begin() + end, true);
    });
  }
  size_t end_of(size_t begin) const {
    while (begin < period_ && !drop_[begin]) ++begin;
    return begin;
  }
  // Returns whether the columns have a number that grows from group to group, as line numbers and offsets do.
  bool counts(size_t begin, size_t end) const {
    if (end - begin > kLongestCounter) return false;
    int64_t before = 0, step = 0;
    for (size_t row = 0; row < rows_; ++row) {
      int64_t value = 0;
      for (size_t i = begin; i < end; ++i) {
        char c = text_[first_ + row * period_ + i];
        int digit = digit_of(c);  // decimal numbers count in this way too
        if (digit < 0) return false;
        value = value * 16 + digit;
      }
      if (row == 1) step = value - before;
      // Random numbers rarely become larger with each of many rows.
      bool even = value - before == step || value - before == step + 6;  // 10 comes after 9
      if (row > 0 && (value <= before || (!even && rows_ < kSurelyCounted))) return false;
      before = value;
    }
    return true;
  }

  std::string_view text_;
  size_t period_, first_ = 0, rows_ = 0;
  std::array<bool, kLongestPeriod> same_{}, drop_{};
};

// Reads the lines of a dump.
class Dump {
 public:
  Dump(std::string_view text, bool little_endian) : text_(text), little_endian_(little_endian) {}

  Decoded read(size_t at, DumpSearch& search) {
    constexpr size_t kFirst = 40;  // what it takes to find the beginning
    size_t line = begin_of_line(at), begin = line;
    search.read += kFirst;
    // The lines before this one are not needed, because a search from their words finds them.
    Offset before;
    size_t lines = 0;
    for (size_t from = 0; line < text_.size(); ++lines) {
      size_t words = line;
      auto offset = offset_at(words);
      if (!offset) break;
      if (lines > 0) {
        size_t count = bytes_between(before, *offset, out_.text.size() - from);
        if (count == 0) break;
        out_.text.resize(from + count);  // without characters that look like one more word
      }
      from = out_.text.size();
      before = *offset;
      if (lines == 0 && !is_followed(words, before, search))
        break;  // most attempts end here, so nothing was decoded yet
      if (words_at(words) == 0) {
        ++lines;
        break;
      }
      out_.end = end_of_line(words);
      line = next_line(words, out_.end);
      // Where line ends were escaped, spaces stand for them in the text without escapes.
      search.read += out_.end - std::exchange(begin, line) + out_.text.size() - from;
      size_t rest = past_spaces(words);
      if (!is_next(line, before, from) && is_next(rest, before, from)) line = out_.end = rest;
    }
    // A single line may be chance, and a word of one byte has no byte order.
    if (lines < 2 || (little_endian_ && width_ < 4)) return {};
    return std::move(out_);
  }

 private:
  static constexpr size_t kLongestLine = 160, kMostOfLine = 64;  // characters, and bytes in words
  static constexpr size_t kMostDigits = 16;                      // of a word

  // A form has a plus in place of each space.
  static bool is_space(char c) { return c == ' ' || c == '+'; }
  bool ends_line(size_t at) const {
    return text_[at] == '\n' || text_[at] == '\r' ||
           (text_[at] == '\\' && at + 1 < text_.size() && std::string_view("nr\\").contains(text_[at + 1]));
  }
  // Returns where the line of a dump begins that has a word at `at`.
  size_t begin_of_line(size_t at) const {
    size_t begin = at, limit = at - std::min<size_t>(at, 24);
    while (begin > limit && (digit_of(text_[begin - 1]) >= 0 || is_space(text_[begin - 1]) || text_[begin - 1] == ':'))
      --begin;
    // Other words may come before the offset, and some of them may have the form of one without a colon.
    size_t first = at;
    for (size_t offset = begin; offset < at; ++offset)
      if (size_t words = offset; digit_of(text_[offset]) >= 0 && (offset == begin || is_space(text_[offset - 1])))
        if (auto digits = offset_digits(words)) {
          size_t end = offset + digits->size();
          if (end < text_.size() && text_[end] == ':') return offset;
          first = std::min(first, offset);
        }
    return first < at ? first : begin;
  }
  size_t end_of_line(size_t at) const {
    std::string_view line = text_.substr(at, kLongestLine);
    for (char c : {'\n', '\r'}) line = line.substr(0, line.find(c));
    size_t end = line.find('\\');
    while (end != line.npos && !ends_line(at + end)) end = line.find('\\', end + 1);
    return at + std::min(end, line.size());
  }
  size_t past_spaces(size_t at) const {
    size_t limit = std::min(text_.size(), at + kLongestLine);
    while (at < limit && is_space(text_[at])) ++at;
    return at;
  }
  // Returns where the line begins after the one that ends at `at`, of which the rest begins at `rest`. Returns the end
  // of the text if no line begins near.
  size_t next_line(size_t rest, size_t at) const {
    size_t limit = std::min(text_.size(), rest + kLongestLine);
    while (at < limit && ends_line(at)) {
      while (at < limit && text_[at] == '\\') ++at;  // one for each JSON text that contains another
      ++at;
    }
    // A dump may be indented, as in a quotation.
    while (at < limit && is_space(text_[at])) ++at;
    return at < limit ? at : text_.size();
  }

  // Returns the digits of the offset at `at`, and moves `at` to the words.
  std::optional<std::string_view> offset_digits(size_t& at) const {
    size_t end = at;
    while (end < text_.size() && end < at + 16 && digit_of(text_[end]) >= 0) ++end;
    if (end - at < 4) return {};
    std::string_view digits = text_.substr(at, end - at);
    if (end < text_.size() && text_[end] == ':') ++end;
    if (end < text_.size() && !is_space(text_[end]) && !ends_line(end)) return {};
    while (end < text_.size() && is_space(text_[end])) ++end;
    at = end;
    return digits;
  }
  // Holds an offset in both bases, because its digits do not say which one it has.
  struct Offset {
    uint64_t hex = 0, octal = 0;
  };
  // Reads the offset at `at`, and moves `at` to the words.
  std::optional<Offset> offset_at(size_t& at) const {
    auto digits = offset_digits(at);
    if (!digits) return {};
    Offset offset;
    bool is_octal = true;
    for (char c : *digits) {
      auto digit = static_cast<uint64_t>(digit_of(c));
      offset.hex = offset.hex * 16 + digit;
      offset.octal = offset.octal * 8 + digit;
      is_octal &= digit < 8;
    }
    if (!is_octal) offset.octal = offset.hex;
    return offset;
  }
  // Returns the number of bytes between two offsets, or 0 if it is more than `most`. od(1) writes offsets in octal. A
  // single line does not show whether its digits are octal or hexadecimal.
  static size_t bytes_between(const Offset& before, const Offset& offset, size_t most) {
    uint64_t step = offset.hex - before.hex, count = step > 0 && step <= most ? step : offset.octal - before.octal;
    return count <= most ? count : 0;
  }
  // Returns whether the line after the one that began at `from` in the output begins at `at`.
  bool is_next(size_t at, const Offset& before, size_t from) const {
    auto offset = offset_at(at);
    return offset && bytes_between(before, *offset, out_.text.size() - from) > 0;
  }

  // Returns whether the offset of the next line comes after the words at `at`, on the next line or at the end of this
  // one, whose offset is `before`.
  bool is_followed(size_t at, const Offset& before, DumpSearch& search) {
    size_t begin = at, bytes = words_at(at, false);
    if (bytes == 0) return false;
    search.read += at - begin;
    size_t end = at, rest = past_spaces(at), line = next_line(at, end_of_line(at));
    auto of_line = offset_at(line), of_rest = offset_at(rest);
    auto follows = [&](const auto& offset) { return offset && bytes_between(before, *offset, bytes) > 0; };
    if (of_line || of_rest) return follows(of_line) || follows(of_rest);
    // Words that are too long for this dump may belong to another one.
    if (end < text_.size() && digit_of(text_[end]) < 0) search.without = end;
    return false;
  }

  // Appends the words of a line of a dump, or only finds their end. Returns the number of their bytes. A word has an
  // even number of digits, and no more than the first word of the dump.
  size_t words_at(size_t& at, bool are_kept = true) {
    size_t count = 0, limit = std::min(text_.size(), at + kLongestLine);
    for (;;) {
      size_t end = at;
      while (end < limit && end < at + kMostDigits && digit_of(text_[end]) >= 0) ++end;
      size_t digits = end - at;
      if (digits == 0 || digits % 2 ||
          (end < text_.size() && !is_space(text_[end]) && !ends_line(end) && text_[end] != '"'))
        break;
      if (width_ == 0) width_ = digits;
      if (little_endian_ && width_ < 4) break;
      if (digits > width_) break;
      if (are_kept) append_word(at, end, count == 0);
      count += digits / 2;
      size_t spaces = end;
      while (spaces < limit && spaces < end + 2 && is_space(text_[spaces])) ++spaces;
      at = spaces;
      if (count > kMostOfLine) break;
    }
    return count;
  }
  void append_word(size_t at, size_t end, bool is_first) {
    // Each line has an anchor, so that it is found again.
    if (is_first) out_.add_anchor(out_.text.size(), at);
    else out_.anchor(at);
    std::array<char, kMostDigits / 2> bytes;
    size_t size = 0;
    for (; at < end; at += 2) bytes[size++] = static_cast<char>(digit_of(text_[at]) * 16 + digit_of(text_[at + 1]));
    if (little_endian_) std::reverse(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size));
    out_.text.append(bytes.data(), size);
  }

  std::string_view text_;
  bool little_endian_;
  Decoded out_;
  size_t width_ = 0;  // digits of a word
};

}  // namespace

std::optional<Groups> groups_at(std::string_view text, size_t begin, size_t period, size_t most) {
  if (period < 2 || period > kLongestPeriod || begin + 2 * period > text.size()) return {};
  Groups groups{begin, begin + period, period};
  auto may_grow = [&] { return most > 0 && most-- > 0; };
  while (groups.end + period <= text.size() && may_grow() && row_fits(text, begin, groups.end, period))
    groups.end += period;
  while (groups.begin >= period && may_grow() && row_fits(text, begin, groups.begin - period, period))
    groups.begin -= period;
  if (groups.end - groups.begin < kFewestRows * period) return {};
  return groups;
}

GroupSizes ungroup(std::string_view text, const Groups& groups, Decoded& out) {
  Columns columns(text, groups);
  GroupSizes sizes;
  size_t period = groups.period, begin_of_text = out.text.size(), after_last = text.npos;
  out.form = Decoded::Form::parts;
  auto put = [&](size_t at, size_t column) {
    if (columns.drops(column)) return;
    if (at != after_last) out.add_anchor(out.text.size(), at);
    out.text += text[at];
    after_last = at + 1;
  };
  // A shorter group may come before the first one, and after the last one.
  size_t head = groups.begin, odd = 2;
  while (head > 0 && head + period > groups.begin && fits(text[head + period - 1], text[head - 1], Kind::part, odd))
    --head;
  for (size_t at = head; at < groups.begin; ++at) put(at, (at + period - groups.begin) % period);
  sizes.first = out.text.size() - begin_of_text;
  std::array<std::pair<uint8_t, uint8_t>, kLongestPeriod / 2 + 1> parts;  // where each begins, and its size
  size_t count = 0;
  columns.each_part([&](size_t from, size_t to) {
    sizes.group += to - from;
    parts[count++] = {static_cast<uint8_t>(from), static_cast<uint8_t>(to - from)};
  });
  // There may be many short parts, so memory for all of them is taken at once.
  size_t rows = (groups.end - groups.begin) / period, size = out.text.size(), anchor = out.anchors.size();
  out.text.resize(size + rows * sizes.group);
  out.anchors.resize(anchor + rows * count);
  for (size_t row = groups.begin; row < groups.end; row += period)
    for (size_t i = 0; i < count; ++i) {
      auto [from, length] = parts[i];
      out.anchors[anchor++] = {static_cast<uint32_t>(size), static_cast<uint32_t>(row + from) & kMostFrom, 0};
      for (size_t k = 0; k < length; ++k) out.text[size++] = text[row + from + k];
    }
  size_t end = groups.end;
  odd = 2;
  after_last = text.npos;
  for (; end < text.size() && end < groups.end + period; ++end) {
    if (!fits(text[end - period], text[end], Kind::part, odd)) break;
    put(end, end - groups.end);
  }
  out.end = end;
  return sizes;
}

Decoded dumped(std::string_view text, size_t at, bool little_endian, DumpSearch& search) {
  return Dump(text, little_endian).read(at, search);
}

}  // namespace bottle::scan
