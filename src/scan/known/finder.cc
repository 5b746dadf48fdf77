// The code has a fast, a middle and a slow way. Bytes without escapes have one reading, and Dictionary::skip jumps
// over most of them (plain). The most frequent escapes, such as line ends in JSON, are taken in one step if no
// pattern has begun (common_escape). Only near a possible find in escaped text does every byte go through each
// reading that is active (step).
//
// The positions of finds are those of the original stream, although a reading has fewer bytes. Each reading therefore
// records how much longer each escape was than the bytes that it stands for. It keeps these records for as many bytes
// as its state covers.
#include "scan/known/finder.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <iterator>

#include "scan/encoding/simd/masks.h"
#include "scan/encoding/simd/wide.h"

namespace bottle::scan {
namespace {

// Says, with one bit for each notation, whether an escape can begin with the byte, and whether the byte can be its
// second one.
struct Kind {
  uint8_t begins = 0, follows = 0;
};
constexpr std::string_view kFollow[] = {"0123456789abcdefABCDEF", "ux\"\\/'bfnrt0", "#algq"};  // by notation
constexpr std::array<Kind, 256> kKinds = [] {
  std::array<Kind, 256> kinds{};
  for (unsigned i = 0; i < std::size(kFollow); ++i) {
    auto bit = static_cast<uint8_t>(1u << i);
    kinds[introducer(Notation(i))].begins |= bit;
    for (char c : kFollow[i]) kinds[static_cast<uint8_t>(c)].follows |= bit;
  }
  return kinds;
}();

const Kind& kind_of(char c) { return kKinds[static_cast<uint8_t>(c)]; }

// This range has all bytes that can follow an introducer in an escape, and only a third of random bytes.
constexpr uint8_t kFirstFollows = '"', kFollows = 'z' - '"' + 1;

#ifdef SCAN_HAS_WIDE
constexpr WideSet kWideFollows{kFollow[0], kFollow[1], kFollow[2]};

// Looks for an introducer before a byte that can follow one. Returns the offset of the first block of 64 bytes that has
// one, with `mask` as a bit for each, or of the first block from `size` on.
SCAN_WIDE size_t wide_introducer_block(const uint8_t* bytes, size_t size, uint64_t& mask) {
  size_t at = 0;
  for (; at < size; at += 64) {
    Wide c(bytes + at), next(bytes + at + 1);
    mask = c.equal(introducer(Notation::percent)) | c.equal(introducer(Notation::backslash)) |
           c.equal(introducer(Notation::html));
    mask &= next.in(kWideFollows);
    if (mask) break;
  }
  return at;
}
#else
size_t wide_introducer_block(const uint8_t*, size_t, uint64_t&) { return 0; }
#endif

// Finds the next byte that may start an escape. It also looks at the bytes after it, because in text and in archives,
// most introducers do not start an escape.
class Introducers {
 public:
  explicit Introducers(std::string_view bytes) : bytes_(bytes) {}

  // Returns the first such position from `at` on, or the number of bytes.
  size_t from(size_t at) {
    // The mask stays valid until the search leaves its block.
    if (size_t block = at / kBlock * kBlock; block != block_) look_from(block);
    if (at > block_) mask_ &= ~uint64_t{0} << (at - block_);
    for (;; look_from(block_ + kBlock)) {
      for (; mask_; mask_ &= mask_ - 1)
        if (size_t found = block_ + static_cast<size_t>(std::countr_zero(mask_)); may_begin(found)) return found;
      if (block_ + kBlock >= bytes_.size()) return bytes_.size();
    }
  }

 private:
  static constexpr size_t kBlock = 64;

  // Describes this block, or a later one if none before it has a bit.
  void look_from(size_t block) {
    if (use_wide && block + kBlock < bytes_.size()) {
      size_t size = bytes_.size() - kBlock - block;  // each block before it has a byte after it
      block += wide_introducer_block(reinterpret_cast<const uint8_t*>(bytes_.data()) + block, size, mask_);
      block_ = block;
      if (block + kBlock < bytes_.size()) return;
    }
    look(block);
  }

  void look(size_t block) {
    const auto* here = reinterpret_cast<const uint8_t*>(bytes_.data()) + block;
    std::array<uint8_t, kBlock + 1> last;
    if (block + kBlock >= bytes_.size()) {
      last.fill('0');  // unknown bytes: after any introducer, a 0 may belong to an escape
      std::memcpy(last.data(), here, bytes_.size() - block);
      here = last.data();
    }
    block_ = block;
    mask_ = mask_of(load_block(here), load_block(here + 1), [](const Lanes& c, const Lanes& next) {
      return within(next, kFirstFollows, kFollows) &
             (equal(c, introducer(Notation::percent)) | equal(c, introducer(Notation::backslash)) |
              equal(c, introducer(Notation::html)));
    });
  }

  // Returns false only if Unescaper returns the byte unchanged.
  bool may_begin(size_t at) const {
    if (at + 1 == bytes_.size()) return true;
    if (!(kind_of(bytes_[at]).begins & kind_of(bytes_[at + 1]).follows)) return false;
    // A percent escape needs two digits, and random bytes seldom have the second.
    bool percent = bytes_[at] == introducer(Notation::percent);
    return !percent || at + 2 == bytes_.size() || hex_digit(static_cast<uint8_t>(bytes_[at + 2])) >= 0;
  }

  std::string_view bytes_;
  size_t block_ = SIZE_MAX;  // where the 64 bytes begin that `mask_` describes
  uint64_t mask_ = 0;        // one bit for each of these bytes that could start an escape
};

}  // namespace

void Finder::feed(std::string_view bytes, std::vector<Find>& finds) {
  // Without patterns, only the positions matter.
  if (dictionary_->empty()) {
    fed_ += bytes.size();
    return;
  }
  Introducers introducers(bytes);
  for (size_t at = 0; at < bytes.size();) {
    if (active_ == 0) at = plain(bytes, at, introducers.from(at), finds);
    if (at == bytes.size()) break;
    if (size_t size = active_ == 0 && state_ == Dictionary::kRoot ? common_escape(bytes.substr(at)) : 0) at += size;
    else step(static_cast<uint8_t>(bytes[at++]), finds);
  }
}

// Scans bytes without escapes, which have only one reading. Returns `limit`.
size_t Finder::plain(std::string_view bytes, size_t at, size_t limit, std::vector<Find>& finds) {
  const Dictionary& dictionary = *dictionary_;
  uint64_t base = fed_ - at;
  Dictionary::State state = state_;
  while (at < limit) {
    if (state == Dictionary::kRoot) {
      at = dictionary.skip(bytes, at, limit);
      if (at == limit) break;
    }
    state = dictionary.next(state, static_cast<uint8_t>(bytes[at++]));
    if (dictionary.reports(state))
      dictionary.each_end(state, [&](uint32_t pattern) {
        finds.push_back({base + at - dictionary.pattern(pattern).length, base + at, pattern});
      });
  }
  state_ = state;
  fed_ = base + limit;
  return limit;
}

// Does the work of several calls of step() for the most frequent escapes (and text that only looks like one), if no
// pattern has begun and none begins with the byte that the escape stands for. Returns how many bytes it took, or 0 if
// the case is not that simple.
size_t Finder::common_escape(std::string_view rest) {
  auto byte = [&](size_t i) { return static_cast<uint8_t>(rest[i]); };
  auto take_all = [&](size_t size) -> size_t {
    Dictionary::State state = Dictionary::kRoot;
    for (size_t i = 0; i < size; ++i) {
      state = dictionary_->next(state, byte(i));
      if (dictionary_->reports(state)) return 0;
    }
    state_ = state;
    fed_ += size;
    return size;
  };
  // The escape may end in the next piece of the stream.
  if (rest.size() < 3) return 0;
  if (rest[0] == '&') return rest[1] == ' ' || rest[1] == '&' || rest[1] == '=' ? take_all(1) : 0;
  size_t size = 2, reading = static_cast<size_t>(Notation::backslash);
  int value = -1;
  if (rest[0] == '\\') {
    value = rest[1] == 'n' ? '\n' : rest[1] == '"' ? '"' : rest[1] == 't' ? '\t' : -1;
  } else {
    int high = hex_digit(byte(1)), low = hex_digit(byte(2));
    if (high < 0) return take_all(1);
    if (high >= 0 && low >= 0) value = high * 16 + low;
    size = 3;
    reading = static_cast<size_t>(Notation::percent);
  }
  if (value < 0 || value == '%' || dictionary_->begins_with(static_cast<uint8_t>(value)) || !take_all(size)) return 0;
  // A reading that begins later must not take over a state from before this escape.
  readings_[reading].last_escape = fed_;
  return size;
}

void Finder::step(uint8_t byte, std::vector<Find>& finds) {
  // The readings come before their source, because one that begins now takes over the source's state from before this
  // byte.
  for (size_t i = 0; i < kOfStream; ++i)
    if (active(i) || byte == introducer(Notation(i))) give(i, byte, 1, finds);
  state_ = dictionary_->next(state_, byte);
  ++fed_;
  if (dictionary_->reports(state_))
    dictionary_->each_end(state_, [&](uint32_t pattern) {
      finds.push_back({fed_ - dictionary_->pattern(pattern).length, fed_, pattern});
    });
}

// Gives a reading one more byte of its source.
void Finder::give(size_t index, uint8_t byte, uint16_t length, std::vector<Find>& finds) {
  if (!active(index)) begin(index);
  Reading& reading = readings_[index];
  Unescaper::Outs outs;
  reading.unescaper.put(byte, length, outs);
  for (const auto& out : outs) take(index, out, finds);
  // Until the next escape, the source finds everything that this reading would find.
  if (merges(index)) active_ &= ~(1u << index);
}

void Finder::begin(size_t index) {
  Reading& reading = readings_[index];
  active_ |= 1u << index;
  reading.escapes.clear();
  if (index < kOfStream) {
    reading.state = state_;
    reading.count = reading.forgotten = 0;
    reading.end = fed_;
  } else {
    const Reading& from = readings_[index - kOfStream];
    reading.state = from.state;
    reading.count = from.count;
    reading.end = from.end;
    reading.escapes = from.escapes;
    reading.forgotten = from.forgotten;
  }
  // An escape must not be counted in part, so the state is cut to what follows the reading's own last escape.
  while (reading.state != Dictionary::kRoot &&
         begin_of_last(reading, dictionary_->depth(reading.state)) < reading.last_escape)
    reading.state = dictionary_->suffix(reading.state);
}

void Finder::take(size_t index, Unescaper::Out out, std::vector<Find>& finds) {
  Reading& reading = readings_[index];
  // As in step(): a reading that begins now takes over the state from before this byte.
  if (size_t next = index + kOfStream; next < kReadings && (active(next) || out.byte == introducer(Notation(index))))
    give(next, out.byte, out.length, finds);
  uint32_t deep = dictionary_->depth(reading.state);
  reading.state = dictionary_->next(reading.state, out.byte);
  reading.end += out.length;
  if (out.length != 1) {
    forget(reading, deep);
    int64_t before = reading.escapes.empty() ? reading.forgotten : reading.escapes.back().extra;
    reading.escapes.push_back({reading.count, before + out.length - 1});
    reading.last_escape = reading.end;
  }
  ++reading.count;
  if (dictionary_->reports(reading.state))
    dictionary_->each_end(reading.state, [&](uint32_t pattern) {
      finds.push_back({begin_of_last(reading, dictionary_->pattern(pattern).length), reading.end, pattern});
    });
}

// Returns whether, until the next escape, the reading can find nothing that its source does not find.
bool Finder::merges(size_t index) const {
  const Reading& reading = readings_[index];
  if (reading.unescaper.unfinished() || (index + kOfStream < kReadings && active(index + kOfStream))) return false;
  return reading.escapes.empty() || reading.escapes.back().index + dictionary_->depth(reading.state) < reading.count;
}

// Drops the escapes before the last `deep` bytes if there are many.
void Finder::forget(Reading& reading, size_t deep) {
  auto& escapes = reading.escapes;
  // Removing a few at a time would move the others too often.
  if (escapes.size() <= 2 * deep + 16) return;
  auto first =
      std::ranges::partition_point(escapes, [&](const Escape& escape) { return escape.index + deep < reading.count; });
  if (first == escapes.begin()) return;
  reading.forgotten = std::prev(first)->extra;
  escapes.erase(escapes.begin(), first);
}

uint64_t Finder::begin_of_last(const Reading& reading, uint32_t bytes) const {
  const auto& escapes = reading.escapes;
  if (escapes.empty()) return reading.end - bytes;
  auto first =
      std::ranges::partition_point(escapes, [&](const Escape& escape) { return escape.index + bytes < reading.count; });
  int64_t before = first == escapes.begin() ? reading.forgotten : std::prev(first)->extra;
  return reading.end - bytes - static_cast<uint64_t>(escapes.back().extra - before);
}

uint64_t Finder::open_from() const {
  if (dictionary_->empty()) return fed_;
  uint64_t open = fed_ - dictionary_->open(state_);
  if (active_ == 0) return open;
  for (size_t i = 0; i < kReadings; ++i)
    if (active(i)) open = std::min(open, begin_of_last(readings_[i], dictionary_->open(readings_[i].state)));
  return open;
}

bool Finder::barely_begun() const {
  if (dictionary_->empty()) return true;
  if (!dictionary_->barely_begun(state_)) return false;
  for (size_t i = 0; i < kReadings; ++i)
    if (active(i) && !dictionary_->barely_begun(readings_[i].state)) return false;
  return true;
}

uint32_t Finder::half_begun() const {
  if (dictionary_->empty()) return Dictionary::kNoPattern;
  uint32_t found = dictionary_->half_begun(state_);
  for (size_t i = 0; i < kReadings && found == Dictionary::kNoPattern; ++i)
    if (active(i)) found = dictionary_->half_begun(readings_[i].state);
  return found;
}

}  // namespace bottle::scan
