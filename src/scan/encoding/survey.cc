// One pass decides where the scan looks more closely. It sees every byte of every message, so it must cost almost
// nothing for ordinary text. For every 64 bytes, it computes one mask per class of characters. Shifts of these masks
// then show sequences, pairs and distances. Only where a mask shows something does a slower function look at single
// bytes.
//
// Each kind of spot remembers where its last one ended (`run_end_` and the like), so that no byte belongs to two spots
// of one kind, and no function looks at the same bytes again for each block that they cross.
#include "scan/encoding/survey.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "scan/encoding/decode.h"
#include "scan/encoding/escapes.h"
#include "scan/encoding/groups.h"
#include "scan/encoding/number_rows.h"
#include "scan/encoding/simd/survey_masks.h"

namespace bottle::scan {
namespace {

constexpr size_t kFullLine = 56;
constexpr size_t kLongestWords = 400;
constexpr size_t kAround = 96;     // bytes on either side that belong to an escape
constexpr int kFewestDigits = 12;  // of a card or account number
constexpr int kFewestPaired = 16;  // hexadecimal digits in a block that may contain pairs of them
constexpr int kFewestPairs = 8;
constexpr unsigned kShortestWords = 32;
constexpr int kFewestVaried = 4;  // digits and capitals in a block that may contain groups
constexpr int kMostHigh = 4;      // bytes above 127 in such a block

// The work of looking more closely at a place, in units of BlockResult::work.
constexpr size_t kOfAmpersand = 8, kOfEscape = 8, kOfPercent = 5, kOfLetter = 4, kOfRun = 20, kOfDigits = 50,
                 kOfNumbers = 40, kOfPairs = 40, kOfTry = 66, kOfRow = 9, kOfEscapes = 600, kOfMark = 6, kOfSpot = 5,
                 kOfWord = 2;  // the last for each byte

class Survey {
 public:
  Survey(std::string_view text, std::vector<Spot>& spots, const Wanted& wanted)
      : text_(text), padded_(text), spots_(spots), rows_(padded_, wanted.all_numbers), wanted_(wanted) {
    if (!wanted.groups) groups_end_ = SIZE_MAX / 2;  // groups are looked for after this position
  }

  size_t go(const std::vector<Region>& regions) {
    size_t done = 0;
    for (const Region& region : regions) {
      between(done, region.begin);
      within_region(region);
      done = region.end;
    }
    between(done, text_.size());
    end_escapes();
    return work_;
  }

 private:
  void add(Shape shape, size_t begin, size_t end) {
    work_ += kOfSpot;
    spots_.push_back({.shape = shape, .begin = static_cast<uint32_t>(begin), .end = static_cast<uint32_t>(end)});
  }
  uint8_t byte(size_t at) const { return padded_.byte(at); }
  const uint8_t* bytes(size_t at) { return padded_.block(at); }

  void within_region(const Region& region) {
    if (use_wide) wide_within_region(region);
    else look_at_all(region, masks_of);
  }
#ifdef SCAN_HAS_WIDE
  SCAN_WIDE void wide_within_region(const Region& region) { look_at_all(region, wide_masks_of); }
#else
  void wide_within_region(const Region&) {}
#endif
  // This is a template so that it is compiled once for each implementation of the masks.
  template <typename F>
  [[gnu::always_inline]] void look_at_all(const Region& region, F masks_of) {
    std::array<Masks, 2> masks;  // of this block and of the next one, in turn, because copying them takes long
    masks_of(bytes(region.begin), &masks[0]);
    size_t now = 0;
    for (size_t at = region.begin; at < region.end && work_ <= wanted_.most_work; at += kBlock, now ^= 1) {
      masks_of(bytes(at + kBlock), &masks[now ^ 1]);
      look(at, masks[now], masks[now ^ 1]);
    }
  }
  void between(size_t begin, size_t end) {
    for (size_t at = begin; at < end; at += kBlock) {
      if (use_wide) at = next_packed(at, end);
      if (at < end) magic(at);
    }
  }

  // Returns the first of the blocks from `at` on that may not contain only bytes for which magic() does nothing.
  size_t next_packed(size_t at, size_t end) const {
    const auto* begin = reinterpret_cast<const uint8_t*>(text_.data());
    size_t last = std::min(end, text_.size() - std::min(text_.size(), kBlock));  // no block before it needs padding
    return at < last ? at + wide_packed_block(begin + at, last - at) : at;
  }

  [[gnu::always_inline]] void look(size_t at, const Masks& now, const Masks& next) {
    static_assert(kShortestRun == 16 && kShortestWords >= 16);
    if (now.special) special(at, next);
    if (!is_escaped(at, open_[kPercent])) look_at_plain(at, now, next, !is_escaped(at, open_[kEscapes]));
    if (now.high) {
      magic(at);
      letters(at, now.high);
    }
  }
  // Returns whether all of the block belongs to that spot of escapes, which will be decoded.
  bool is_escaped(size_t at, const Spot& open) const {
    return !wanted_.in_escaped && open.end >= at + kBlock && open.begin <= at &&
           (open.shape == Shape::percent || decodes_);
  }
  // Other escapes do not keep line ends, so runs and groups may be different without them, but not the rest (`all`).
  [[gnu::always_inline]] void look_at_plain(size_t at, const Masks& now, const Masks& next, bool all) {
    if (may_have_row(now.run, next.run) && rows(now.run, next.run, kShortestRun)) runs(at, now, next);
    if (all && std::popcount(now.hex) >= kFewestPaired && has_pairs(now.hex, next.hex)) pairs(at, now.hex, next.hex);
    if (all && now.digit && std::popcount(now.digit) + std::popcount(next.digit) >= kFewestDigits)
      digits(at, now, next);
    if (all && may_have_row(now.words, next.words))
      if (uint64_t mask = rows(now.words, next.words, kShortestWords))
        words(at + static_cast<size_t>(std::countr_zero(mask)));
    if (std::popcount(now.varied) >= kFewestVaried && std::popcount(now.high) <= kMostHigh)
      groups(at, now.alnum, next.alnum);
  }

  // Finds groups of equal size: places where three groups begin at equal distances and look alike.
  void groups(size_t at, uint64_t low, uint64_t high) {
    if (at + kBlock <= groups_end_) return;
    constexpr int kMostStarts = 8, kMostApart = 4;
    uint64_t starts[2] = {low & ~(low << 1), high & ~(high << 1 | low >> 63)}, first = starts[0];
    int tries = 3;
    size_t similar = 0, similar_period = 0;
    for (int i = 0; i < kMostStarts && first; ++i, first &= first - 1) {
      auto begin = static_cast<unsigned>(std::countr_zero(first));
      if (at + begin < groups_end_) continue;
      uint64_t second = first & (first - 1);
      for (int k = 0; k < kMostApart && second; ++k, second &= second - 1) {
        unsigned period = static_cast<unsigned>(std::countr_zero(second)) - begin, third = begin + 2 * period;
        if (!(starts[third / kBlock] >> third % kBlock & 1)) continue;
        int differ = differences(low, high, begin, period);
        if (differ == 0) {
          if (group(at + begin, period) || --tries == 0) return;
          break;
        }
        if (differ > 0 && differ <= (period < 8 ? 2 : 4) && within(static_cast<uint8_t>(period), 4, 28) &&
            !similar_period)
          similar = at + begin, similar_period = period;
      }
    }
    if (similar_period) group(similar, similar_period);
  }
  // Compares the two or three periods from `begin` on that the masks cover. Returns the number of bits in which they
  // differ.
  static int differences(uint64_t low, uint64_t high, unsigned begin, unsigned period) {
    __extension__ using Bits = unsigned __int128;
    Bits mask = Bits{high} << 64 | low;
    unsigned size = std::min(2 * period, 128 - begin - period);
    Bits differ = (mask ^ mask >> period) >> begin & ((Bits{1} << size) - 1);
    return std::popcount(static_cast<uint64_t>(differ)) + std::popcount(static_cast<uint64_t>(differ >> 64));
  }
  bool group(size_t begin, size_t period) {
    if (period == 3 && begin > 0 && byte(begin - 1) == '%') return false;  // percent escapes
    work_ += kOfTry;
    // One group more than the work suffices for, so that it counts as spent.
    size_t most = (wanted_.most_work - std::min(wanted_.most_work, work_)) / (period + kOfRow) + 1;
    auto found = groups_at(text_, begin, period, most);
    if (!found) return false;
    work_ += found->end - found->begin + (found->end - found->begin) / period * kOfRow;
    add(Shape::groups, found->begin, found->end);
    spots_.back().period = static_cast<uint16_t>(period);
    groups_end_ = found->end;
    return true;
  }

  void letters(size_t at, uint64_t high) {
    uint64_t first =
        high & mask_of(load_block(bytes(at)), [](const Lanes& c) {
          return equal(c, 0xc2) | equal(c, 0xe1) | equal(c, 0xe2) | equal(c, 0xef) | equal(c, 0xf0) | equal(c, 0xf3);
        });
    for (; first; first &= first - 1) {
      size_t begin = at + static_cast<size_t>(std::countr_zero(first));
      work_ += kOfLetter;
      if (begin > 0 && unusual_letter(text_, begin)) widen(begin, open_[kLetters], Shape::letters);
    }
  }

  void special(size_t at, const Masks& next) {
    if (uint64_t mask = where(bytes(at), '%')) escapes(at, mask, Shape::percent);
    if (uint64_t mask = where(bytes(at), '\\') | where(bytes(at), '&')) escapes(at, mask, Shape::escapes);
    if (uint64_t mask = where(bytes(at), 0)) wide(at, mask, next.special ? where(bytes(at + kBlock), 0) : 0);
  }

  void runs(size_t at, const Masks& now, const Masks& next) {
    for (uint64_t starts = rows(now.run, next.run, kShortestRun); starts;) {
      size_t begin = at + static_cast<size_t>(std::countr_zero(starts));
      if (begin >= run_end_) run(begin);
      if (run_end_ >= at + kBlock) return;
      starts &= ~uint64_t{0} << (run_end_ - at);
    }
  }
  bool in_run(size_t at) const {
    uint8_t c = byte(at);
    return within(c | 32, 'a', 26) || within(c, '0', 10) || c == '+' || c == '/' || c == '-' || c == '_';
  }
  // Returns the end of the run, without looking at every byte twice.
  size_t run_end(size_t at) const {
    while (at + kBlock <= text_.size()) {
      uint64_t other = ~run_mask(reinterpret_cast<const uint8_t*>(text_.data()) + at);
      if (other) return at + static_cast<size_t>(std::countr_zero(other));
      at += kBlock;
    }
    while (at < text_.size() && in_run(at)) ++at;
    return at;
  }
  void run(size_t begin) {
    while (begin > run_end_ && in_run(begin - 1)) --begin;
    size_t end = run_end(begin), first_end = end;
    // The lines form one text if only line ends, plain or escaped, and padding separate them.
    for (;;) {
      size_t next = end;
      bool line = end - begin >= kFullLine && byte(end) == ' ' && in_run(end + 1);  // a folded header
      while (next < text_.size() && next < end + 16) {
        char c = text_[next];
        if (c == '\n' || c == '\r' || (c == '\\' && escapes_line_end(next))) line = true;
        else if (c != ' ' && c != '\t' && c != '=' && !(line && (c == '"' || c == '+' || c == '\''))) break;
        ++next;
      }
      if (!line || next >= text_.size() || !in_run(next)) break;
      size_t more = run_end(next);
      // The last line may be short. If few characters precede it, it must look like a last line.
      bool ends = more == text_.size() || std::string_view("=\"'\\\r\n").contains(text_[more]);
      bool last = ends || (end - begin >= 40 && text_[more] != ' ');
      if (more - next < kShortestRun && !last) break;
      end = more;
    }
    add(Shape::run, begin, end);
    work_ += kOfRun;
    spots_.back().lines = end != first_end;
    run_end_ = end;
    // Three runs at equal distances may be lines with the same beginning.
    size_t distance = begin - std::exchange(last_run_, begin);
    if (distance == last_distance_ && begin >= groups_end_ + 2 * distance) group(begin - 2 * distance, distance);
    last_distance_ = distance;
  }
  // Returns whether backslashes and "n" or "r" stand at `at`, and moves `at` to that letter.
  bool escapes_line_end(size_t& at) const {
    size_t letter = at;
    while (byte(letter) == '\\') ++letter;
    if (byte(letter) != 'n' && byte(letter) != 'r') return false;
    at = letter;
    return true;
  }

  // Finds escapes of printable characters other than spaces. A single escape cannot hide anything.
  void escapes(size_t at, uint64_t mask, Shape shape) {
    for (; mask; mask &= mask - 1) {
      size_t begin = at + static_cast<size_t>(std::countr_zero(mask));
      work_ += shape == Shape::percent ? kOfPercent : kOfAmpersand;
      if (!begins_escape(text_, begin)) continue;
      work_ += shape == Shape::percent ? 0 : kOfEscape;
      bool is_new = widen(begin, open_[shape == Shape::percent ? kPercent : kEscapes], shape);
      if (shape == Shape::escapes && !wanted_.in_escaped) decodes_ = (decodes_ && !is_new) || is_shorter(begin);
    }
  }
  // Returns whether the escape stands for fewer bytes than it has.
  bool is_shorter(size_t at) const {
    std::string decoded;
    return escape_step(text_, at, text_.size(), decoded) > at + decoded.size();
  }
  // Returns whether a new spot begins.
  bool widen(size_t begin, Spot& open, Shape shape) {
    size_t from = begin - std::min(begin, kAround), to = std::min(text_.size(), begin + kAround);
    if (open.end < from && open.end > 0) open.end = static_cast<uint32_t>(run_end(open.end));
    bool is_new = open.end < from || open.end == 0;
    if (is_new) {
      work_ += kOfEscapes;
      if (open.end) spots_.push_back(open);
      // Do not cut a run: data that is compressed and then written in Base64 can be read only as a whole.
      while (from > open.end && in_run(from - 1)) --from;
      open = {.shape = shape, .begin = static_cast<uint32_t>(from)};
    }
    open.end = std::max(open.end, static_cast<uint32_t>(to));
    return is_new;
  }

  void end_escapes() {
    for (const Spot& open : open_)
      if (open.end) add(open.shape, open.begin, run_end(open.end));
  }

  // Returns whether there are enough pairs of digits, with another byte after each, for a sequence of pairs.
  [[gnu::always_inline]] static bool has_pairs(uint64_t low, uint64_t high) {
    return std::popcount(pair_ends(low, high)) + std::popcount(pair_ends(high, 0)) >= kFewestPairs;
  }

  void pairs(size_t at, uint64_t low, uint64_t high) {
    // Describes eight repetitions of two digits and one to four other bytes. In "0x41,", the zero is a digit too.
    struct Period {
      unsigned size;
      uint8_t digits, others;  // bit masks by position
    };
    static constexpr Period kPeriods[] = {
        {3, 0b011, 0b100}, {4, 0b0011, 0b1100}, {5, 0b01011, 0b10100}, {6, 0b010011, 0b101100}};
    if (at < pairs_end_) return;
    work_ += kOfPairs;
    for (const auto& period : kPeriods) {
      uint64_t one = ~uint64_t{0}, two = ~uint64_t{0};
      for (unsigned i = 0; i < period.size; ++i) {
        uint64_t here = i ? low >> i | high << (64 - i) : low, there = high >> i;
        if (period.digits >> i & 1) one &= here, two &= there;
        else if (period.others >> i & 1) one &= ~here, two &= ~there;
      }
      for (unsigned step = period.size, times = 1; times < 8 && one; times *= 2, step *= 2) {
        one &= step < 64 ? one >> step | two << (64 - step) : 0;
        two &= step < 64 ? two >> step : 0;
      }
      if (one) return pair_spot(at + static_cast<size_t>(std::countr_zero(one)), period.size);
    }
  }

  void pair_spot(size_t begin, size_t period) {
    auto is_pair = [&](size_t i) { return hex_digit(byte(i)) >= 0 && hex_digit(byte(i + 1)) >= 0; };
    auto is_written = [&](size_t i) { return is_pair(i) || (byte(i) == '0' && (byte(i + 1) | 32) == 'x'); };
    // A digit between two pairs belongs to something else, such as the offset of a line.
    auto is_apart = [&](size_t i) { return !is_pair(i) || hex_digit(byte(i + 2)) < 0; };
    while (begin >= period && is_written(begin - period) && is_apart(begin - period)) begin -= period;
    size_t end = begin;
    for (bool goes_on = true; goes_on && end + 1 < text_.size();) {
      if (!is_written(end)) {
        // The pairs go on in the next line if it begins with one.
        size_t next = past_line_end(end);
        if (next == end || !is_written(next) || !is_apart(next)) break;
        end = next;
      }
      goes_on = is_apart(end);
      end += period;
    }
    end = std::min(end, text_.size());
    pairs_end_ = end;
    // Pairs with a '%' before each are found as percent escapes.
    constexpr size_t kOfPercent = 3;
    bool percent = period == kOfPercent && begin > 0;
    for (size_t at = begin; percent && at < end; at += period) percent = byte(at - 1) == '%';
    if (!percent) add(Shape::hex_pairs, begin, end);
  }

  // Skips a line end and the few other bytes that may be around it between the last digit before `at` and the next
  // text. Returns where that text begins, or `at` if there is no line end.
  size_t past_line_end(size_t at) const {
    constexpr size_t kMostBefore = 6, kMostBetween = 12;
    size_t begin = at;
    while (begin > 0 && at - begin < kMostBefore && hex_digit(byte(begin - 1)) < 0) --begin;
    bool found = false;
    size_t next = begin;
    for (; next < begin + kMostBetween; ++next) {
      uint8_t c = byte(next);
      if (c == '\n' || (c == '\\' && escapes_line_end(next))) found = true;
      else if (c != ' ' && c != '\r' && c != '\t' && c != '+' && c != ',') break;
    }
    return found && next > at ? next : at;
  }

  void wide(size_t at, uint64_t low, uint64_t high) {
    if (at < wide_end_) return;
    // The byte between them is not zero.
    uint64_t every = low & ~(low >> 1 | high << 63), after = high & ~(high >> 1);
    for (unsigned step = 2; step < 16; step *= 2) {
      every &= every >> step | after << (64 - step);
      after &= after >> step;
    }
    if (every) return wide_spot(at + static_cast<size_t>(std::countr_zero(every)), 2);
    // In UTF-32, three zeros come before or after each character.
    every = low & (low >> 1 | high << 63) & (low >> 2 | high << 62) & ~(low >> 3 | high << 61);
    if (!every) return;
    after = high & high >> 1 & high >> 2 & ~(high >> 3);
    for (unsigned step : {4u, 8u, 8u}) {
      every &= every >> step | after << (64 - step);
      after &= after >> step;
    }
    if (every) wide_spot(at + static_cast<size_t>(std::countr_zero(every)), 4);
  }

  // Adds the characters of `size` bytes, all but one of them zero. The zeros of the first one begin at `begin`.
  void wide_spot(size_t begin, uint16_t size) {
    size_t end = begin;
    if (begin > 0) --begin;
    auto is_character = [&] {
      for (size_t i = 0; i + 1 < size; ++i)
        if (byte(end + i) != 0) return false;
      return byte(end + size - 1) != 0;
    };
    while (end < text_.size() && is_character()) end += size;
    add(Shape::wide, begin, std::min(end, text_.size()));
    spots_.back().period = size;
    wide_end_ = end;
  }

  // Returns the positions where a row of fifteen digits may begin that has at most one space or dash between two of
  // them, but not within a list of numbers.
  uint64_t card_begins(size_t at, uint64_t low, uint64_t high) {
    auto is_between = [](const Lanes& c) { return equal(c, ' ') | equal(c, '-'); };
    Block block = load_block(bytes(at));
    uint64_t spaces = mask_of(block, [](const Lanes& c) { return equal(c, ' '); });
    uint64_t of_low = low | (mask_of(block, is_between) & (low << 1 | 1));
    uint64_t of_high = high | (mask_of(load_block(bytes(at + kBlock)), is_between) & (high << 1 | low >> 63));
    uint64_t eight = rows(of_low, of_high, 8), eight_after = rows(of_high, 0, 8);
    return low & eight & (eight >> 7 | eight_after << 57) & ~(spaces << 1 & low << 2);
  }

  void digits(size_t at, const Masks& now, const Masks& next) {
    work_ += kOfDigits;
    uint64_t low = now.digit, high = next.digit, starts = low & ~(low << 1);
    auto among = [&](unsigned first, unsigned bytes) {
      uint64_t from_here = first ? low >> first | high << (kBlock - first) : low;
      return std::popcount(from_here & ((uint64_t{1} << bytes) - 1));
    };
    for (uint64_t left = starts & ~(now.run << 1); left && (left &= card_begins(at, low, high)); left &= left - 1) {
      auto first = static_cast<unsigned>(std::countr_zero(left));
      // A card number never begins after one of these marks.
      uint8_t before = at + first > 0 ? byte(at + first - 1) : uint8_t{' '};
      if (before == '.' || before == '%' || before == '#') continue;
      if (among(first, 24) >= 13 && may_begin_card(text_, at + first)) add(Shape::digits, at + first, at + first + 1);
    }
    // An account number begins with two capitals.
    uint64_t capitals = now.varied & ~now.digit, after_two = capitals << 1 & capitals << 2;
    auto is_capital = [&](size_t position) { return within(byte(position), 'A', 26); };
    if (at >= 2 && (starts & 3) && is_capital(at - 1))
      after_two |= (is_capital(at - 2) ? 1u : 0u) | (capitals << 1 & 2);
    for (uint64_t left = starts & after_two; left; left &= left - 1) {
      auto first = static_cast<unsigned>(std::countr_zero(left));
      size_t begin = at + first;
      if (among(first, 42) >= 10) add(Shape::digits, begin - 2, begin);
    }
    if (std::popcount(starts) < 8 || std::popcount(low) > 52) return;
    work_ += kOfNumbers;
    if (rows_.has_row(at, low, high))
      rows_.each(at, [&](size_t begin, size_t end) { add(Shape::decimals, begin, end); });
  }

  // Finds 32 or more bytes of lower-case letters and spaces.
  void words(size_t begin) {
    if (begin < words_end_) return;
    auto is_word = [&](size_t i) { return within(byte(i), 'a', 26) || byte(i) == ' '; };
    size_t end = begin;
    while (end < text_.size() && end < begin + kLongestWords && is_word(end)) ++end;
    while (begin > words_end_ && is_word(begin - 1)) --begin;
    words_end_ = end;
    work_ += kOfWord * (end - begin);
    constexpr size_t kTwelveWords = 47;
    size_t row = 0, word = 0;  // words of 3 to 8 letters
    for (size_t i = begin; i < end && row < 12; ++i) {
      if (byte(i) != ' ') ++word;
      else if (word >= 3 && word <= 8) ++row, word = 0;
      else row = word = 0;
    }
    if (row >= 11 && end - begin >= kTwelveWords) add(Shape::words, begin, end);
  }

  void magic(size_t at) {
    for (uint64_t mask = packed_mask(bytes(at)); mask; mask &= mask - 1) {
      work_ += kOfMark;
      size_t begin = at + static_cast<size_t>(std::countr_zero(mask));
      uint8_t first = byte(begin), second = byte(begin + 1);
      bool gzip = first == 0x1f && second == 0x8b && byte(begin + 2) == 8;
      bool zstd = first == 0x28 && second == 0xb5 && byte(begin + 2) == 0x2f && byte(begin + 3) == 0xfd;
      bool zlib = first == 0x78 && packs_zlib(second) && begins_deflate(begin + 2);
      if (gzip || zstd || zlib) add(Shape::compressed, begin, text_.size());
    }
  }

  // Returns whether a block of deflate may begin there (RFC 1951). A stored block begins with its length and the
  // complement of its length.
  bool begins_deflate(size_t at) const {
    uint8_t kind = byte(at) & 6;
    return kind != 6 && (kind != 0 || at + 5 > text_.size() ||
                         ((byte(at + 1) ^ byte(at + 3)) == 0xff && (byte(at + 2) ^ byte(at + 4)) == 0xff));
  }

  std::string_view text_;
  PaddedText padded_;
  std::vector<Spot>& spots_;
  size_t run_end_ = 0, pairs_end_ = 0, wide_end_ = 0, words_end_ = 0, groups_end_ = 0;
  size_t last_run_ = 0, last_distance_ = 0;
  size_t work_ = 0;
  NumberRows rows_;
  Wanted wanted_;
  bool decodes_ = false;  // the open spot of `escapes` becomes shorter
  enum : uint8_t { kEscapes, kPercent, kLetters };
  std::array<Spot, 3> open_{};
};

}  // namespace

size_t survey(std::string_view block, const std::vector<Region>& regions, std::vector<Spot>& spots,
              const Wanted& wanted) {
  return Survey(block, spots, wanted).go(regions);
}

}  // namespace bottle::scan
