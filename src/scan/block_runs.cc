// Scans what encoded text decodes to, and what compressed bytes decompress to.
//
// A run of letters and digits does not say which encoding it has, if any, nor where it begins. Each encoding is
// therefore tried at each alignment, but only as far as a cheap look at the result permits: bytes that are not text,
// have no magic number of a compressed format and cannot be a known secret are dropped immediately. Most runs are
// words, identifiers or parts of images, so this look decides what the scan costs.
//
// The result at another alignment is the first result with its bits shifted, and shifting is faster than decoding
// again.
#include <algorithm>
#include <bit>
#include <utility>

#include "scan/block_scan.h"
#include "scan/credential/checks.h"
#include "scan/credential/numbers.h"
#include "scan/encoding/peek.h"
#include "scan/encoding/run_parts.h"

namespace bottle::scan {
namespace {

// Runs of at most this length are decoded again at each alignment, and from each slash on. Longer ones are decoded once
// and then shifted.
constexpr size_t kShortRun = 1024;
constexpr size_t kShortestPacked = 16;  // fewer bytes are not decompressed
constexpr size_t kMostUnpackedOfRun = 256 * 1024;

// Returns whether plain_letters() changes the text. Such a text is scanned even if it does not look like text before
// that.
bool has_unusual_letter(std::string_view text) {
  for (size_t at = 0; at < text.size(); ++at)
    if (static_cast<unsigned char>(text[at]) >= 0xc0 && unusual_letter(text, at)) return true;
  return false;
}

bool may_hide(std::string_view bytes) { return has_text(bytes) || has_packed(bytes); }

// Returns whether the beginning is text or almost text, and therefore not compressed.
bool is_text(std::string_view bytes) {
  bytes = bytes.substr(0, 64);
  auto readable = std::ranges::count_if(bytes, [](unsigned char c) { return c == '\n' || (c >= 0x20 && c < 0x7f); });
  return static_cast<size_t>(readable) * 8 > bytes.size() * 7;
}

// Returns whether the bytes may be compressed. Few texts may.
bool may_be_compressed(std::string_view bytes) { return !is_text(bytes) || may_begin_with_copy(bytes); }

// Returns whether the beginning has a control character. Compressed bytes nearly always have one. Formulas such as
// "x^2", which begin like zlib, do not.
bool has_control(std::string_view bytes) {
  constexpr size_t kBeginning = 64;
  return std::ranges::any_of(bytes.substr(0, kBeginning),
                             [](unsigned char c) { return c < ' ' && (c < '\t' || c > '\r'); });
}

// Returns whether the run has more than a few different characters. Otherwise, nothing is encoded in it.
bool is_varied(std::string_view run) {
  constexpr int kFewest = 6;
  constexpr size_t kFew = 12, kStep = 64;
  uint64_t some = 0;  // two characters can have one bit, so this is the minimum
  for (unsigned char c : run.substr(0, kFew)) some |= uint64_t{1} << c % 64;
  if (std::popcount(some) >= kFewest) return true;
  uint64_t low = 0, high = 0;
  for (size_t at = 0; at < run.size(); at += kStep) {
    for (unsigned char c : run.substr(at, kStep)) {
      uint64_t bit = uint64_t{1} << c % 64;
      low |= c < 64 ? bit : 0;
      high |= c >= 64 && c < 128 ? bit : 0;
    }
    if (std::popcount(low) + std::popcount(high) >= kFewest) return true;
  }
  return false;
}

// Returns whether the run may be binary digits in hexadecimal, perhaps with separators between the bytes. It has few
// different characters, because most of its pairs are "30" or "31". Looks only at its beginning.
bool may_be_hex_of_bits(std::string_view run) {
  constexpr size_t kLooked = 128;  // 64 digits
  constexpr size_t kOneOf = 6;     // of the characters; one of four are the first digits of a "0" or "1"
  if (run.size() < kLooked) return false;
  run = run.substr(0, kLooked);
  size_t bits = 0;
  for (size_t at = 0; at + 1 < run.size(); ++at) bits += run[at] == '3' && (run[at + 1] | 1) == '1';
  return bits * kOneOf >= run.size() && is_hex(run);
}

struct Format {
  Compression compression;
  std::string_view name;
};

// Returns the format whose magic number the bytes begin with.
std::optional<Format> marked_format(std::string_view bytes) {
  if (bytes.size() < 3) return {};
  auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  if (byte(0) == 0x1f && byte(1) == 0x8b) return Format{Compression::gzip, "gzip"};
  if (byte(0) == 0x28 && byte(1) == 0xb5 && byte(2) == 0x2f) return Format{Compression::zstd, "zstd"};
  if (byte(0) == 0x78 && (byte(0) * 256u + byte(1)) % 31 == 0) return Format{Compression::zlib, "deflate"};
  return {};
}

}  // namespace

void BlockScan::scan_run(const View& view, const Spot& at) {
  auto [begin, end] = std::pair(at.begin, at.end);
  if (!may_work(work::kRun + (end - begin) * work::kOfRun)) return;
  scan_binary(view, begin, end);
  std::string_view run = view.text.substr(begin, end - begin);
  if (!is_varied(run) && !may_be_hex_of_bits(run)) return did_work((end - begin) * work::kOfRun);
  // A hash in base 32 may be as long as a key.
  bool may_be_wif = (run.size() == 51 && run[0] == '5') || (run.size() == 52 && (run[0] == 'K' || run[0] == 'L'));
  may_be_wif = may_be_wif && !catalog_.wifs_.empty();
  if (may_be_wif && !may_work(work::kWif)) return;
  if (may_be_wif && is_wif(run))
    for (const Rule* rule : catalog_.wifs_) report(view, *rule, begin, end, true);
  // Random values are common, so most of them are not looked at once there is no room for them.
  bool wanted = std::ranges::any_of(catalog_.random_, [&](const Rule* rule) { return has_room(rule->warns); });
  if (wanted && view.depth <= 1 && !view.joined && is_random_value(view.text, begin, end))
    for (const Rule* rule : catalog_.random_) report(view, *rule, begin, end, false);
  if (!at.lines) {
    if (!scan_parts_of_run(view, begin, end)) scan_base64(view, begin, end, view.text.substr(begin, end - begin));
    return;
  }
  // The parts of the smaller alphabets can end with a line, or go on in the next one.
  if (!may_work(work::kLines + (end - begin) * work::kOfLines)) return;
  Decoded flat = without_line_ends(view.text, begin, end);
  View lines{.text = flat.text, .outer = &view, .map = &flat, .depth = view.depth, .joined = view.joined};
  if (!scan_parts_of_run(lines, 0, flat.text.size()) && !scan_parts_of_run(view, begin, end))
    scan_base64(view, begin, end, flat.text);
}

// Scans the parts of the run that use a smaller alphabet. Returns whether they cover the whole run.
bool BlockScan::scan_parts_of_run(const View& view, size_t begin, size_t end) {
  std::string_view run = view.text.substr(begin, end - begin);
  if (run.size() >= kShortestHex && is_hex(run)) {  // as in most runs, which need no list of parts
    scan_hex(view, begin, end);
    scan_binary(view, begin, end);
    return true;
  }
  std::vector<RunPart> parts;
  parts_of_run(run, parts);
  for (const RunPart& part : parts) {
    auto [from, to] = std::pair(begin + part.begin, begin + part.end);
    if (!part.is_hex) {
      scan_base32(view, from, to);
      continue;
    }
    scan_hex(view, from, to);
    scan_binary(view, from, to);
  }
  return false;
}

// Scans a run of the digits 0 and 1. Eight of them are a byte, and a text of 8 bytes is the shortest that is scanned.
// In groups, the end of a word may come before them.
void BlockScan::scan_binary(const View& view, size_t begin, size_t end) {
  constexpr size_t kShortest = 64, kLongestWord = 8;
  size_t word = view.groups ? view.text.substr(begin, kLongestWord).find_first_of("01") : 0;
  if (word == view.text.npos || end - begin < kShortest + word) return;
  begin += word;
  if (view.text[begin] != '0' && view.text[begin] != '1') return;
  if (view.text.substr(begin, kShortest).find_first_not_of("01") != view.text.npos) return;
  scan_decoded(view, binary_run(view.text, begin, end), "binary");
}

// Scans what hexadecimal digits decode to, with and without the first digit, which may belong to something else.
void BlockScan::scan_hex(const View& view, size_t begin, size_t end) {
  if (!may_work(work::kHex)) return;
  std::string_view digits = view.text.substr(begin, end - begin);
  auto has_mark = [&](size_t at) {
    constexpr size_t kDigits = 6;
    // The first byte of a magic number is 1f, 28 or 78.
    char first = digits[at], second = static_cast<char>(digits[at + 1] | 32);
    if (!(first == '1' && second == 'f') && !((first == '2' || first == '7') && second == '8')) return false;
    hex_digits(digits.substr(at, kDigits), shifted_);
    return marked_format(shifted_).has_value();
  };
  bool tries = digits.size() >= 2 * kShortestPacked && (trials_left_ > 0 || has_mark(0) || has_mark(1));
  if (!tries && !hex_hides(digits) && !catalog_.known_.has_unlike()) return;
  if (!may_work((end - begin) * work::kDecodedHex)) return;
  hex_digits(digits, hex_);
  shift(hex_, 4, shifted_);
  bool first = is_worth_a_look(std::string_view(hex_).substr(0, (end - begin) / 2)), second = is_worth_a_look(shifted_);
  if (first) scan_decoded(view, hex_run(view.text, begin, end), "hex");
  if (second) scan_decoded(view, hex_run(view.text, begin + 1, end), "hex", true);
}

// Returns whether scan_decoded() would do more with the decoded bytes than look at them. Then they need a map.
bool BlockScan::is_worth_a_look(std::string_view decoded) const {
  if (may_hide(decoded) || catalog_.known_.has_unlike()) return true;
  return decoded.size() >= kShortestPacked && (trials_left_ > 0 || marked_format(decoded)) &&
         may_be_compressed(decoded);
}

// `flat` is the run without line ends.
void BlockScan::scan_base64(const View& view, size_t begin, size_t end, std::string_view flat) {
  std::optional<Peek> peek;
  if (end - begin <= kPeekedRun) {
    // Most runs are short and hide nothing. Peeking at one costs no memory.
    std::string_view digits = view.text.substr(begin, end - begin);
    bool padded = digits.contains('=');
    peek = peek_base64(padded ? digits : flat);
    if (!peek && !catalog_.known_.has_unlike()) peek = peek_base64_parts(digits);
    bool tries = peek && peek->size >= kShortestPacked && (trials_left_ > 0 || marked_format({peek->first, 3}));
    if (peek && !peek->hides && !tries) return scan_base64_in_path(view, begin, end);
  }
  if (!may_work(work::kBase64 + (end - begin))) return;
  Decoded aligned = base64_run(view.text, begin, end, 0);
  if (aligned.text.size() < 8) return;
  scan_decoded(view, aligned, "base64");
  if (end - begin <= kShortRun && !is_text(aligned.text)) scan_base64_in_path(view, begin, end);
  // The other alignments are the same bits, read from a later one. A '=' in the middle ends a text, and a new text
  // begins after it, so the bits cannot simply be shifted.
  bool padded = view.text.substr(begin, end - begin).find('=') != view.text.npos;
  for (unsigned bits = 2; bits < 8; bits += 2) {
    bool may_be_packed = padded && trials_left_ > 0;  // without a magic number, in the middle of the run
    if (peek && !(peek->hides >> bits & 1) && !may_be_packed && !catalog_.known_.has_unlike()) continue;
    if (!may_work((end - begin) * work::kShifted)) return;
    if (!padded) {
      if (!hides_when_shifted(aligned.text, bits)) continue;
      shift(aligned.text, bits, shifted_);
      if (!may_hide(shifted_)) continue;
    }
    bool whole = !padded && end - begin > kShortRun;
    scan_decoded(view,
                 whole ? Decoded{shifted_, aligned.anchors, aligned.end, aligned.form, bits}
                       : base64_run(view.text, begin, end, bits),
                 "base64", !padded);
  }
}

// Decodes from each slash on, because in a path the run begins with other segments. Text is found at any alignment, but
// compressed bytes must be decoded from their beginning.
void BlockScan::scan_base64_in_path(const View& view, size_t begin, size_t end) {
  constexpr int kMostSegments = 6;
  for (int i = 0; i < kMostSegments; ++i) {
    std::string_view rest = view.text.substr(begin, end - begin);
    size_t slash = rest.find('/');
    if (slash == rest.npos || rest.size() - slash - 1 < kShortestRun) return;
    begin += slash + 1;
    if (trials_left_ <= 0) {
      uint32_t bits = 0;
      bool valid = true;
      for (size_t at = slash + 1; at < slash + 5; ++at) {
        int digit = base64_digit(rest[at]);
        valid &= digit >= 0;
        bits = bits << 6 | static_cast<uint32_t>(digit);
      }
      const char first[] = {static_cast<char>(bits >> 16), static_cast<char>(bits >> 8), static_cast<char>(bits)};
      if (valid && !marked_format({first, sizeof first})) continue;
    }
    Decoded part = base64_run(view.text, begin, end, 0);
    if (part.text.size() >= 8 && may_be_compressed(part.text)) unpack(view, part);
  }
}

void BlockScan::scan_base32(const View& view, size_t begin, size_t end) {
  if (!may_work((end - begin) * work::kBase32)) return;
  Decoded aligned = base32_run(view.text, begin, end, 0);
  if (aligned.text.size() < 8) return;
  scan_decoded(view, aligned, "base32");
  for (unsigned bits = 1; bits < 8; ++bits) {
    if (!hides_when_shifted(aligned.text, bits)) continue;
    shift(aligned.text, bits, shifted_);
    if (!may_hide(shifted_)) continue;
    bool whole = end - begin > kShortRun;
    scan_decoded(view,
                 whole ? Decoded{shifted_, aligned.anchors, aligned.end, aligned.form, bits}
                       : base32_run(view.text, begin, end, bits),
                 "base32", true);
  }
}

// Scans a text without its escapes, and with those of bytes as bytes if compressed data may begin among them.
void BlockScan::scan_escapes(const View& view, const Spot& at) {
  Decoded decoded = unescaped(view.text, at.begin, at.end);
  scan_escaped(view, decoded, at, "escapes");
  if (!may_be_packed_bytes(decoded.text) || !may_work((at.end - at.begin) * work::kEscape)) return;
  if (Decoded bytes = unescaped_bytes(view.text, at.begin, at.end); has_packed(bytes.text))
    scan_decoded(view, bytes, "escapes");
}

void BlockScan::scan_decoded(const View& outer, const Decoded& decoded, std::string_view encoding, bool by_chance) {
  if (decoded.text.size() < 8 || !may_work(work::kLooked + decoded.text.size() / work::kBytes)) return;
  bool bytes = encoding == "base64" || encoding == "hex";
  // What decodes to bytes may be compressed, as in a data: URL or a JSON field with a file.
  if (bytes && may_be_compressed(decoded.text)) unpack(outer, decoded);
  // After this step, letters of other blocks of Unicode are bytes above 127, which do not look like text.
  bool escaped = encoding == "percent" || encoding == "escapes";
  bool hides = may_hide(decoded.text) || (escaped && has_unusual_letter(decoded.text));
  if (!hides && !catalog_.known_.has_unlike()) return;
  bool gathers = hides && outer.short_texts && decoded.text.size() <= ShortTexts::kLongest && !escaped &&
                 begun_size_ == 0 && !decoded.anchors.empty() && decoded.skipped == 0;
  uint64_t hash = keyed_hash(decoded.text);
  SeenTexts& seen = seen_[outer.joined];
  if (seen.has(hash, outer.depth + 1) || !may_work(work::kDecoded)) return;
  if (hides && decoded.text.size() > decoded_left_) {
    result_.incomplete = true;
    return;
  }
  decoded_left_ -= std::min(decoded_left_, decoded.text.size());
  result_.decoded += decoded.text.size();
  if (gathers) return gather(outer, decoded, hash, encoding);
  seen.add(hash, outer.depth + 1);
  View inside{.text = decoded.text,
              .outer = &outer,
              .map = &decoded,
              .encoding = encoding,
              .depth = outer.depth + 1,
              .by_chance = by_chance,
              // If joined pieces decode to text, that is not chance.
              .joined = outer.joined && (encoding == "escapes" || encoding == "percent")};
  size_t found = result_.findings.size();
  if (hides) scan_view(inside);
  else find_known(inside, 0, inside.text.size());
  if (result_.findings.size() > found) seen.forget(hash);
}

void BlockScan::gather(const View& outer, const Decoded& decoded, uint64_t hash, std::string_view encoding) {
  auto& all = *outer.short_texts;
  auto found = std::ranges::find(all, encoding, &ShortTexts::encoding);
  if (found == all.end()) found = all.insert(all.end(), {.encoding = encoding, .all = {.form = decoded.form}});
  Decoded& to = found->all;
  size_t begin = to.text.size();
  size_t cost = decoded.text.size() * work::kGathered + (begin == 0 ? work::kGatheredView : 0);
  if (!may_work(cost)) return;
  // This work is not done yet.
  result_.work -= cost;
  reserved_ += cost;
  found->reserved += cost;
  for (const auto& each : decoded.anchors) to.add_anchor(begin + each.at, each.from, each.skipped);
  to.text.append(decoded.text);
  to.add_anchor(to.text.size(), decoded.end);
  to.text.append(ShortTexts::kBetween);
  to.end = std::max(to.end, decoded.end);
  found->hashes.push_back(hash);
  if (to.text.size() >= ShortTexts::kMost) scan_gathered(outer, *found);
}

// Remembers the texts only if nothing was found in them, because the same text at another place is another finding.
void BlockScan::scan_gathered(const View& outer, ShortTexts& texts) {
  if (texts.hashes.empty()) return;
  size_t found = result_.findings.size();
  texts.all.between = ShortTexts::kBetween.size();
  bool was_spent = std::exchange(spent_, result_.full);
  reserved_ -= std::exchange(texts.reserved, 0);
  scan_view({.text = texts.all.text,
             .outer = &outer,
             .map = &texts.all,
             .encoding = texts.encoding,
             .depth = outer.depth + 1});
  spent_ |= was_spent;
  if (result_.findings.size() == found)
    for (uint64_t hash : texts.hashes) seen_[outer.joined].add(hash, outer.depth + 1);
  texts.hashes.clear();
  texts.all.text.clear();
  texts.all.anchors.clear();
  texts.all.end = 0;
}

// Tries to decompress decoded bytes that do not look like text.
bool BlockScan::unpack(const View& outer, const Decoded& decoded) {
  std::string_view packed = decoded.text;
  if (packed.size() < kShortestPacked) return false;
  size_t used = 0;
  auto with = [&](const Format& format) {
    std::string text = decompress(format.compression, packed, kMostUnpackedOfRun, used);
    if (text.size() < 8) return false;
    // What follows the compressed bytes may belong to something else.
    auto [begin, end, skipped] = origin_of(outer.text, decoded, 0, used);
    scan_unpacked(outer, text, begin, end, format.name);
    return true;
  };
  if (auto format = marked_format(packed)) {
    if (with(*format)) return true;
    // The first two or three bytes of other data may look like that by chance, also those of brotli.
  }
  for (const Format& format : {Format{Compression::brotli, "brotli"}, Format{Compression::deflate, "deflate"}}) {
    if (trials_left_ <= 0) return false;
    --trials_left_;
    // Without a magic number, the first few kilobytes of output must look like text before more is decompressed.
    std::string text = attempt(format.compression, packed, 4096, used);
    if (text.size() >= kShortestPacked && is_text(text)) return with(format);
  }
  return false;
}

// Decompresses at most `most` bytes. What the attempt costs is counted even if it gives nothing: any number of them may
// share their bytes, as entries of a zip file whose headers lead to the same data.
std::string BlockScan::attempt(Compression compression, std::string_view packed, size_t most, size_t& used) {
  used = 0;
  if (!may_work(work::kTrial)) return {};
  Unpacked unpacked = decompressed(compression, packed, most, work_left());
  used = unpacked.used;
  did_work(unpacked.work + used * work::kPacked);
  if (unpacked.spent) result_.incomplete = spent_ = true;
  return std::move(unpacked.text);
}

// Returns at most `most` bytes, and nothing once the block's budget is spent. Then the scan is incomplete, but only if
// text follows, because magic numbers also occur by chance. Sets `used` to the number of packed bytes that it took, or
// of all if the text goes on. What goes on is not scanned, so it must not remain if a finding is replaced.
std::string BlockScan::decompress(Compression compression, std::string_view packed, size_t most, size_t& used) {
  constexpr size_t kSample = 256;
  bool spent = unpacked_left_ < kSample;
  size_t limit = spent ? kSample : std::min(most, unpacked_left_);
  std::string text = attempt(compression, packed, limit, used);
  if (text.size() >= limit) used = packed.size();
  if (!spent) return text;
  result_.incomplete |= has_text(text) || has_packed(text);
  return {};
}

void BlockScan::scan_compressed(const View& view, const Spot& at) {
  std::string_view packed = view.text.substr(at.begin);
  auto format = marked_format(packed);
  if (!format) return;
  if (marks_left_ <= 0) {
    did_work(work::kControl);
    result_.incomplete |= has_control(packed);
    return;
  }
  size_t used = 0;
  std::string text = decompress(format->compression, packed, Detector::kMostUnpacked, used);
  // Magic numbers that occur by chance, or that are meant to keep the scan busy, decompress to almost nothing.
  if (text.size() < 8) --marks_left_;
  else scan_unpacked(view, text, at.begin, at.begin + used, format->name);
}

void BlockScan::scan_unpacked(const View& outer, const std::string& text, size_t begin, size_t end,
                              std::string_view encoding) {
  unpacked_left_ -= std::min(unpacked_left_, text.size());
  result_.decoded += text.size();
  result_.unpacked += text.size();
  // Decompressed text adds to the budget as the block does, because it may be much longer than the bytes that it came
  // from. The bytes of the block itself add to it as well, each once, because opening many small pieces costs more than
  // their text brings.
  size_t packed = outer.depth > 0 ? 0 : end - std::min(end, std::max(begin, outer.packed_end));
  outer.packed_end = std::max(outer.packed_end, end);
  most_work_ += text.size() * Detector::kMostWork + packed * Detector::kMostPackedWork;
  if (catalog_.is_steady_) {
    size_t more =
        (text.size() * Detector::kSteadyUnpackedWork + packed * Detector::kSteadyPackedWork) * (is_thorough_ ? 2 : 1);
    steady_work_ += more;
    lent_ += more;
  }
  text_left_ += text.size();  // decompressed text is limited separately
  did_work(text.size() * work::kUnpacked);
  scan_view({.text = text,
             .outer = &outer,
             .fixed_begin = begin,
             .fixed_end = end,
             .encoding = encoding,
             .depth = outer.depth + 1});
}

// Scans the entries of zip files. Each begins with a header that has its name, and deflated data after it. Stored data
// is found as it is.
void BlockScan::scan_zip_entries(const View& view) {
  constexpr size_t kHeader = 30, kMethod = 8, kNameSize = 26, kExtraSize = 28, kDeflated = 8;
  constexpr size_t kTiny = 16;  // the deflated form of a file of some bytes has fewer
  // The search looks for the third byte of the magic number, because it is rarer than the first two.
  constexpr char kEnd = '\3';
  constexpr std::string_view kMark = "PK\3\4";
  auto number = [&](size_t at) {
    return static_cast<size_t>(static_cast<unsigned char>(view.text[at])) |
           static_cast<size_t>(static_cast<unsigned char>(view.text[at + 1])) << 8;
  };
  for (size_t end = view.text.find(kEnd); end != view.text.npos; end = view.text.find(kEnd, end + 1)) {
    if (!may_work(work::kStop)) return;
    if (end < 2 || view.text.substr(end - 2, kMark.size()) != kMark) continue;
    size_t begin = end - 2;
    if (begin + kHeader > view.text.size() || number(begin + kMethod) != kDeflated) continue;
    size_t data = begin + kHeader + number(begin + kNameSize) + number(begin + kExtraSize);
    if (data >= view.text.size()) continue;
    std::string_view packed = view.text.substr(data);
    if (marks_left_ <= 0) {
      result_.incomplete |= has_control(packed);
      return;
    }
    size_t used = 0;
    std::string text = decompress(Compression::deflate, packed, Detector::kMostUnpacked, used);
    if (text.size() >= 8) scan_unpacked(view, text, begin, data + used, "zip");
    else if (used > kTiny) --marks_left_;
  }
}

}  // namespace bottle::scan
