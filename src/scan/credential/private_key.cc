// Finds where a private key ends, and checks the keys and phrases of wallets.
//
// Programs show the lines of a key with numbers before them, as strings of a list, or in one line with escapes, and all
// of these lines belong to the key. A wallet's key has a checksum of 32 bits, which is enough. A phrase has only a few
// bits, but all its words must be in the list.
#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "pki/seal.h"
#include "scan/credential/builtin.h"
#include "scan/credential/check_text.h"
#include "scan/credential/numbers.h"

namespace bottle::scan {
namespace {

// Skips the margin that programs show before a line of a file: spaces, and the line's number with a tab, an arrow or
// a colon.
size_t past_margin(const Text& text, size_t at) {
  auto spaces = [&](size_t from) { return run_end(text, from, [](char c) { return c == ' ' || c == '\t'; }); };
  size_t number = spaces(at), end = run_end(text, number, [](char c) { return c >= '0' && c <= '9'; });
  if (end == number || end - number > 6) return number;
  std::string_view rest = text.substr(end);
  for (std::string_view sign : {"\t", "\\t", "\xe2\x86\x92", "\\u2192", ":", "|"}) {
    if (rest.starts_with(sign)) return spaces(end + sign.size());
    if (sign.starts_with(rest)) return text.size();  // the rest of the sign is still to come
  }
  return number;
}

// Returns where the next line of a key begins, if it is not simply on the next line: programs write the lines of a key
// in one line, as strings of a list, or quote them. Returns npos if none does.
size_t next_key_line(const Text& text, size_t at) {
  constexpr size_t kLongestGap = 40, kShortestLine = 16;
  size_t limit = std::min(text.size(), at + kLongestGap);
  while (at < limit) {
    bool escaped = text[at] == '\\' && at + 1 < limit && (text[at + 1] == 'n' || text[at + 1] == 'r');
    if (!escaped && std::string_view(" \t\r\n\"',+>|\\").find(text[at]) == std::string_view::npos) break;
    at += escaped ? 2 : 1;
  }
  size_t run = run_end(text, at, is_base64);
  return at < limit && run - at >= kShortestLine ? at : text.npos;
}

// Returns where the lines of a key end that begin at `at`. Its line ends may be escaped.
size_t key_end(const Text& whole, size_t at) {
  constexpr size_t kLongestKey = 16 * 1024;
  Text text = whole.first(at + kLongestKey);
  while (at < text.size()) {
    if (is_base64(text[at]) || text[at] == '=' || text[at] == '\r') {
      ++at;
      continue;
    }
    size_t end = at;
    while (end < text.size() && text[end] == '\\') ++end;
    if (end == text.size()) return end;  // the rest of the escape is still to come
    bool escaped = end > at && (text[end] == 'n' || text[end] == 'r');
    size_t next = text[at] != '\n' && !escaped ? text.npos : past_margin(text, end + 1);
    // A line begins with what quotes it, or the lines are strings.
    if (next == text.npos || (next < text.size() && !is_base64(text[next]))) {
      size_t quoted = next_key_line(text, next == text.npos ? at : next);
      if (quoted == text.npos) return text[at - 1] == '\r' ? at - 1 : at;  // the last line end belongs to what follows
      next = quoted;
    }
    at = next;
  }
  return at;
}

}  // namespace

// Finds a body of Base64 after the header of a key, and skips what programs put between them: headers, escapes, quotes.
Found key_body(const Text& text, size_t begin, size_t end) {
  constexpr size_t kLongestLine = 100, kLineWork = 100;
  size_t limit = std::min(text.size(), end + kFar), at = end;
  for (size_t lines = 0; lines < 12 && at < limit; ++lines) {
    while (at < limit && (static_cast<unsigned char>(text[at]) <= ' ' || text[at] == '"' || text[at] == '\'' ||
                          text[at] == '+' || text[at] == ',' || text[at] == '|' || text[at] == '>' || text[at] == '%'))
      ++at;
    if (at + 1 < limit && text[at] == '\\') {  // \n, \r, \\n
      at += 2;
      continue;
    }
    at = std::min(past_margin(text, at), limit);
    size_t run = run_end(text, at, is_base64);
    if (run - at >= 24 && !stands_in(text, at, run)) return Credential{begin, key_end(text, run)};
    text.look(kLineWork);
    std::string_view near = text.substr(run, kLongestLine);
    size_t line = std::min(run + std::min({near.find('\n'), near.find("\\n"), near.size()}), limit);
    if (line - at > kLongestLine || text.substr(at, line - at).find(':') == std::string_view::npos)
      return {};  // not a header
    at = line;
  }
  return {};
}

bool is_wif(std::string_view base58) {
  static constexpr std::string_view kDigits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
  if (base58.size() != 51 && base58.size() != 52) return false;
  // The version fixes the first digit.
  if (base58.size() == 51 ? base58[0] != '5' : base58[0] != 'K' && base58[0] != 'L') return false;
  static constexpr auto kValues = [] {
    std::array<uint8_t, 256> values{};
    values.fill(UINT8_MAX);
    for (size_t i = 0; i < kDigits.size(); ++i)
      values[static_cast<unsigned char>(kDigits[i])] = static_cast<uint8_t>(i);
    return values;
  }();
  // The number has 38 bytes: the version, the key, the compression flag and the checksum. Its parts have 32 bits, the
  // last ones first, and are multiplied for several digits at once.
  constexpr size_t kAtOnce = 5;
  std::array<uint32_t, 10> parts{};
  size_t size = base58.size() == 52 ? 38 : 37;
  for (size_t at = 0; at < base58.size(); at += kAtOnce) {
    uint64_t factor = 1, carry = 0;
    for (char c : base58.substr(at, kAtOnce)) {
      uint8_t digit = kValues[static_cast<unsigned char>(c)];
      if (digit == UINT8_MAX) return false;
      factor *= 58, carry = carry * 58 + digit;
    }
    for (uint32_t& part : parts) {
      carry += part * factor;
      part = static_cast<uint32_t>(carry);
      carry >>= 32;
    }
  }
  auto byte = [&](size_t i) { return static_cast<uint8_t>(parts[i / 4] >> i % 4 * 8); };  // from the last one
  for (size_t i = size; i < parts.size() * 4; ++i)
    if (byte(i)) return false;
  std::array<uint8_t, 38> bytes{};
  for (size_t i = 0; i < size; ++i) bytes[i] = byte(size - 1 - i);
  // A key of the main network begins with 0x80. In the longer form, a 1 after it marks a compressed public key.
  if (bytes[0] != 0x80 || (size == 38 && bytes[33] != 1)) return false;
  std::string_view key(reinterpret_cast<const char*>(bytes.data()), size - 4);
  return pki::digest(pki::digest(key)).substr(0, 4) == std::string_view(key.data() + key.size(), 4);
}

namespace {

// Returns the letters of a word as a number, in the order of the words. No word has more than eight.
uint64_t packed_word(std::string_view word) {
  uint64_t packed = 0;
  for (unsigned char c : word) packed = packed << 8 | c;
  return packed << 8 * (sizeof packed - word.size());
}

// Numbers the pairs of lower-case letters that a word can start with from 0, in order.
size_t first_letters(std::string_view word) {
  auto letter = [&](size_t at) { return static_cast<size_t>(word[at] - 'a'); };
  return letter(0) * 26 + letter(1);
}

// Returns the word's index in the list of BIP-39, or -1 if it has no such word. The list is sorted, and no two words
// have the same first four letters.
int64_t index_of_word(std::string_view word) {
  static const auto kFirst =
      [] {  // by the first two letters: the index of the first word that has them or follows them
        std::array<uint16_t, 26 * 26 + 1> first{};
        const auto& words = bip39_words();
        size_t index = 0;
        for (size_t letters = 0; letters < first.size(); ++letters) {
          while (index < words.size() && first_letters(words[index]) < letters) ++index;
          first[letters] = static_cast<uint16_t>(index);
        }
        return first;
      }();
  auto is_letter = [](char c) { return c >= 'a' && c <= 'z'; };
  if (word.size() < 3 || word.size() > 8 || !is_letter(word[0]) || !is_letter(word[1])) return -1;
  size_t letters = first_letters(word);
  static const auto kPacked = [] {
    std::vector<uint64_t> packed;
    for (std::string_view each : bip39_words()) packed.push_back(packed_word(each));
    return packed;
  }();
  auto begin = kPacked.begin() + kFirst[letters], end = kPacked.begin() + kFirst[letters + 1];
  auto found = std::lower_bound(begin, end, packed_word(word));
  return found != end && *found == packed_word(word) ? found - kPacked.begin() : -1;
}

// Returns whether the words with these indexes end in the checksum of the data that they encode.
bool checksum_fits(const std::vector<uint32_t>& indexes) {
  // BIP-39: each word has 11 bits, and one bit of checksum comes with each 32 bits of data.
  constexpr unsigned kWordBits = 11;
  size_t sum_bits = indexes.size() / 3, data_size = (indexes.size() * kWordBits - sum_bits) / 8;
  std::string data;
  uint32_t bits = 0;
  unsigned count = 0;
  for (uint32_t index : indexes) {
    bits = bits << kWordBits | index;
    for (count += kWordBits; count >= 8 && data.size() < data_size;) data += static_cast<char>(bits >> (count -= 8));
  }
  auto sum = static_cast<unsigned char>(pki::digest(data)[0]);
  return (bits & ((1u << sum_bits) - 1)) == static_cast<unsigned>(sum >> (8 - sum_bits));
}

}  // namespace

void each_mnemonic(std::string_view text, int& tries, const std::function<void(size_t, size_t)>& each) {
  constexpr size_t kFewest = 12, kMost = 24;
  struct Word {
    size_t begin, end;
    int64_t index = 0;  // once it was looked up
  };
  std::vector<Word> list;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find(' ', at), text.size());
    list.push_back({at, end});
    at = end + 1;
  }
  auto is_of_list = [&](Word& word) {
    word.index = index_of_word(text.substr(word.begin, word.end - word.begin));
    return word.index >= 0;
  };
  for (size_t first = 0, last; first + kFewest <= list.size(); first = last + 1) {
    // The last of twelve words is looked up first: if it is not in the list, the words before it need not be looked up.
    last = first + kFewest - 1;
    while (last > first && is_of_list(list[last])) --last;
    if (!is_of_list(list[last])) continue;
    for (last = first + kFewest; last < list.size() && is_of_list(list[last]);) ++last;
    for (size_t from = first; from + kFewest <= last; ++from)
      // A phrase has 12, 15, 18, 21 or 24 words. A longer one is tried first, because it contains shorter ones.
      for (size_t count = kMost; count >= kFewest; count -= 3) {
        if (from + count > last) continue;
        if (tries <= 0) return;
        --tries;
        std::vector<uint32_t> indexes;
        for (size_t i = from; i < from + count; ++i) indexes.push_back(static_cast<uint32_t>(list[i].index));
        if (!checksum_fits(indexes)) continue;
        // A phrase in which most words are repeated, such as "abandon abandon …", is an example from a document.
        std::ranges::sort(indexes);
        indexes.erase(std::ranges::unique(indexes).begin(), indexes.end());
        if (indexes.size() > count / 2) each(list[from].begin, list[from + count - 1].end);
        from += count - 1;
        break;
      }
  }
}

}  // namespace bottle::scan
