// Adds to the dictionary the forms that the decoders cannot undo: the other case, the reverse order, ROT13, and
// encodings that are themselves reversed or in ROT13. So the scan of each decoded text is one pass over it. All forms
// are in lower case, and fold() converts the scanned text to lower case, so one form covers every mixture of cases.
//
// For a long secret, it adds pieces, so that a part of the secret is found as well.
#include "scan/known/known.h"

#include <algorithm>
#include <cstdio>

#include "scan/encoding/escapes.h"
#include "scan/known/forms.h"

namespace bottle::scan {
namespace {

// Values shorter than kShortest would be found everywhere. Values longer than kWhole are found by pieces of kPiece
// bytes.
constexpr size_t kShortest = 8, kWhole = 48, kPiece = 32;
constexpr size_t kLongestForm = 24;  // of an encoded secret, whose beginning is enough

std::string rot13(std::string text) {
  for (char& c : text)
    if (c >= 'a' && c <= 'z') c = static_cast<char>('a' + (c - 'a' + 13) % 26);
  return text;
}

bool is_printable(char c) { return c >= ' ' && c < 0x7f; }

// Returns the length of the longest run of printable characters.
size_t longest_run(std::string_view value) {
  size_t longest = 0, run = 0;
  for (char c : value) longest = std::max(longest, run = is_printable(c) ? run + 1 : 0);
  return longest;
}

std::string reversed(std::string_view text) { return {text.rbegin(), text.rend()}; }

// Returns the text as it is in an HTML form, but without percent escapes.
std::string in_form(std::string_view text) {
  std::string out(text);
  std::ranges::replace(out, ' ', '+');
  return out;
}

std::string hex_of(std::string_view value) {
  std::string out;
  for (unsigned char c : value) out.append({"0123456789abcdef"[c >> 4], "0123456789abcdef"[c & 15]});
  return out;
}

// Returns the part of the Base32 text of (`shift` bytes + `value`) that depends only on `value`.
std::string base32_core(std::string_view value, size_t shift) {
  std::string out;
  for (size_t bit = (shift * 8 + 4) / 5 * 5; bit + 5 <= (shift + value.size()) * 8; bit += 5) {
    unsigned digit = 0;
    for (size_t i = bit; i < bit + 5; ++i)
      digit = digit << 1 | (static_cast<unsigned char>(value[i / 8 - shift]) >> (7 - i % 8) & 1u);
    out += "abcdefghijklmnopqrstuvwxyz234567"[digit];
  }
  return out;
}

struct Character {
  uint32_t code = 0;
  size_t size = 1;  // in bytes
};
// Returns the character of UTF-8 that begins at `at`. Bytes that are not UTF-8 may give any character.
Character character_at(std::string_view value, size_t at) {
  auto byte = [&](size_t i) { return i < value.size() ? static_cast<unsigned char>(value[i]) : 0u; };
  unsigned first = byte(at);
  if (first < 0xc0) return {first};
  size_t more = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
  Character out{first & (0x3fu >> more), more + 1};
  for (size_t i = at + 1; i <= at + more; ++i) out.code = out.code << 6 | (byte(i) & 63);
  return out;
}

// Returns the ways in which JSON, URLs and programs escape a value with characters beyond ASCII. The decoded text of
// such a value looks like binary data.
std::vector<std::string> escaped(std::string_view value) {
  std::string json, url, bytes;
  char digits[8];
  auto add_unit = [&](unsigned unit) {
    (void)std::snprintf(digits, sizeof digits, "\\u%04x", unit & 0xffffu);
    json += digits;
  };
  for (size_t at = 0; at < value.size(); ++at) {
    auto byte = [&](size_t i) { return i < value.size() ? static_cast<unsigned char>(value[i]) : 0u; };
    unsigned c = byte(at);
    bool plain =
        (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || std::string_view("-._~").contains(value[at]);
    (void)std::snprintf(digits, sizeof digits, "%%%02x", c);
    url += plain ? std::string(1, value[at]) : digits;
    (void)std::snprintf(digits, sizeof digits, "\\x%02x", c);
    bytes += c < 0x80 ? std::string(1, value[at]) : digits;
    if (c < 0x80) {
      if (c == '"' || c == '\\') json += '\\';
      json += value[at];
    } else if (c >= 0xc0) {
      uint32_t code = character_at(value, at).code;
      // Characters above U+FFFF are written as a pair of surrogates (RFC 8259 §7).
      if (code >= 0x10000) add_unit(0xd800 + ((code - 0x10000) >> 10 & 0x3ff));
      add_unit(code < 0x10000 ? code : 0xdc00 + (code & 0x3ff));
    }
  }
  std::string form;
  for (size_t at = 0; at < url.size();) {
    bool is_space = url.compare(at, 3, "%20") == 0;
    form += is_space ? '+' : url[at];
    at += is_space ? 3 : 1;
  }
  return {json, url, form, bytes};
}

// Returns the value as it is in JSON within `depth` JSON texts. Without `quotes`, only backslashes are escaped.
std::string in_json(std::string_view value, unsigned depth, bool quotes) {
  std::string out;
  for (char c : value) {
    size_t backslashes = (size_t{1} << depth) - 1;
    if (c == '\\' || (quotes && c == '"')) out.append(backslashes, '\\');
    out += c;
  }
  return out;
}

// Returns the value in UTF-16.
std::string utf16(std::string_view value, bool big_endian) {
  std::string out;
  auto add = [&](uint32_t unit) {
    char high = static_cast<char>(unit >> 8), low = static_cast<char>(unit);
    out += big_endian ? high : low;
    out += big_endian ? low : high;
  };
  for (size_t at = 0; at < value.size();) {
    auto [code, size] = character_at(value, at);
    if (code >= 0x10000) add(0xd800 + ((code - 0x10000) >> 10 & 0x3ff));
    add(code < 0x10000 ? code : 0xdc00 + (code & 0x3ff));
    at += size;
  }
  return out;
}

// Returns other bytes for a value that is UTF-8 with characters beyond ASCII: Latin-1, if that has all of the value's
// characters, and otherwise UTF-16, from which the decoder makes Latin-1; and UTF-8 of each single byte. The decoder
// makes the last one from escapes of bytes, such as "\xc3\xbc" in Python and "\303\274" in git.
std::vector<std::string> other_bytes(std::string_view value) {
  std::string latin, of_bytes;
  bool fits = true;
  for (size_t at = 0; at < value.size(); ++at) {
    auto byte = static_cast<unsigned char>(value[at]);
    if (byte < 0x80) {
      of_bytes += value[at];
    } else {
      of_bytes += static_cast<char>(0xc0 | byte >> 6);
      of_bytes += static_cast<char>(0x80 | (byte & 63));
    }
    bool two = (byte == 0xc2 || byte == 0xc3) && at + 1 < value.size();
    bool second = (byte & 0xc0) == 0x80 && at > 0 && (value[at - 1] & 0xfe) == 0xc2;
    fits &= byte < 0x80 || two || second;
    if (byte < 0x80) latin += value[at];
    else if (two) latin += static_cast<char>((byte & 3) << 6 | (value[at + 1] & 63));
  }
  std::vector<std::string> out;
  if (of_bytes == value) return out;
  if (fits) out.push_back(std::move(latin));
  else out.insert(out.end(), {utf16(value, false), utf16(value, true)});
  out.push_back(std::move(of_bytes));
  return out;
}

}  // namespace

void fold(std::string_view text, std::string& to) {
  to.resize_and_overwrite(text.size(), [text](char* __restrict out, size_t) {
    const char* __restrict from = text.data();
    for (size_t i = 0, size = text.size(); i < size; ++i) {
      auto c = static_cast<unsigned char>(from[i]);
      auto capital = static_cast<unsigned char>(static_cast<unsigned char>(c - 'A') < 26);
      out[i] = static_cast<char>(c | capital << 5);
    }
    return text.size();
  });
}

std::optional<std::pair<uint32_t, size_t>> KnownSecrets::begun(std::string_view folded) const {
  // A longer beginning contains a whole piece, which is found as such.
  std::string_view tail = folded.substr(folded.size() - std::min(folded.size(), kWhole));
  Dictionary::State state = Dictionary::kRoot;
  for (char c : tail) state = dictionary_.next(state, static_cast<uint8_t>(c));
  uint32_t pattern = dictionary_.half_begun(state);
  size_t depth = dictionary_.open(state);
  if (pattern == Dictionary::kNoPattern || depth < kSurelyBegun) return {};
  return std::pair(dictionary_.pattern(pattern).needle, folded.size() - depth);
}

void KnownSecrets::add(std::string name, std::string_view value) {
  for (const std::string& other : other_bytes(value)) add_bytes(name, other);
  add_bytes(std::move(name), value);
}

void KnownSecrets::add_bytes(std::string name, std::string_view value) {
  if (value.size() < kShortest) return;
  auto secret = static_cast<uint32_t>(names_.size());
  names_.push_back(std::move(name));
  all_text_ &= std::ranges::all_of(value, is_printable);
  has_spaces_ |= value.contains(' ');
  std::string folded;
  fold(value, folded);
  auto add = [&](std::string_view piece) {
    hex_ += has_only_pairs(piece) || has_only_pairs(rot13(std::string(piece)));
    dictionary_.add_exactly(secret, piece);
    dictionary_.add_exactly(secret, reversed(piece));
    dictionary_.add_exactly(secret, rot13(std::string(piece)));
    // A form that has no percent escapes is not decoded.
    if (piece.find(' ') != piece.npos) dictionary_.add_exactly(secret, in_form(piece));
  };
  add_encoded(secret, value);
  // A few escaped quotes and backslashes do not make a text that is worth decoding. Where they are beside others that
  // do, the decoder leaves only escaped backslashes, which may belong to what an inner text escapes.
  constexpr unsigned kDeepest = 3;
  for (unsigned depth = 1; depth <= kDeepest && value.find_first_of("\"\\") != value.npos; ++depth)
    for (bool quotes : {false, true})
      dictionary_.add_exactly(secret, in_json(std::string_view(folded).substr(0, kWhole), depth, quotes));
  // Decoded bytes beyond ASCII do not look like text, so the scan also looks for the escaped forms of such a secret.
  if (std::ranges::any_of(value, [](char c) { return static_cast<unsigned char>(c) >= 0x80; }))
    for (const std::string& each : escaped(value)) {
      fold(each, folded_);
      dictionary_.add_exactly(secret, std::string_view(folded_).substr(0, kWhole));
    }
  if (folded.size() <= kWhole) return add(folded);
  std::string_view all(folded);
  for (size_t at = 0; at + kPiece <= all.size(); at += kPiece) add(all.substr(at, kPiece));
  // The last piece overlaps with the one before it unless the length is a multiple of kPiece.
  add(all.substr(all.size() - kPiece));
}

// Adds the forms that decoding does not find: encoded texts that are reversed or in ROT13. For a secret that does not
// look like text, also adds the encoded texts themselves, because what they decode to is not scanned.
void KnownSecrets::add_encoded(uint32_t secret, std::string_view value) {
  bool is_unlike = longest_run(value) < kShortestRow;
  has_unlike_ |= is_unlike;
  auto add = [&](std::string core, bool has_rot13) {
    core = core.substr(0, kLongestForm);
    if (core.size() < kShortest) return;
    if (is_unlike) dictionary_.add_exactly(secret, core);
    dictionary_.add_exactly(secret, reversed(core));
    if (has_rot13) dictionary_.add_exactly(secret, rot13(core));
  };
  std::string_view begin = value.substr(0, kLongestForm);
  for (uint8_t shift = 0; shift < 3; ++shift)
    for (bool url : {false, true}) {
      fold(base64_core(begin, shift, url), folded_);
      add(folded_, true);
    }
  for (size_t shift = 0; is_unlike && shift < 5; ++shift) add(base32_core(begin, shift), true);
  add(hex_of(begin), false);
  for (const std::string& core : other_cores(value))
    for (unsigned depth : {0u, 1u}) {
      // Without these characters, JSON writes the text as it is.
      if (depth > 0 && core.find_first_of("\"\\") == core.npos) continue;
      fold(in_json(core, depth, true), folded_);
      dictionary_.add_exactly(secret, folded_);
    }
}

}  // namespace bottle::scan
