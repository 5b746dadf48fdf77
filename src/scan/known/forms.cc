// Base64 turns three bytes into four characters, so a secret inside a longer text is encoded in one of three ways,
// depending on how many bytes come before it. The form for each way has only the characters that depend on the secret
// alone. The same holds for Base85, which has four alignments, and for uuencoded text.
#include "scan/known/forms.h"

#include <algorithm>
#include <array>

namespace bottle::scan {
namespace {

constexpr std::string_view kStandard = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrl = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

// Returns the text that results if a program treats the bytes as Latin-1 and converts them to UTF-8.
std::string latin1_as_utf8(std::string_view value) {
  std::string out;
  for (unsigned char c : value) {
    if (c < 0x80) {
      out += static_cast<char>(c);
    } else {
      out += static_cast<char>(0xc0 | c >> 6);
      out += static_cast<char>(0x80 | (c & 0x3f));
    }
  }
  return out;
}

}  // namespace

std::string base64_core(std::string_view value, uint8_t shift, bool url) {
  std::string_view alphabet = url ? kUrl : kStandard;
  size_t first = (shift * 8u + 5) / 6;  // the first character that consists only of bits of the value
  // The characters that share bits with the text before or after the secret are left out.
  size_t end = (shift + value.size()) * 8 / 6;
  std::string out;
  for (size_t i = first; i < end; ++i) {
    unsigned bits = 0;
    for (size_t bit = i * 6; bit < i * 6 + 6; ++bit) {
      auto byte = static_cast<unsigned char>(value[bit / 8 - shift]);
      bits = bits << 1 | (byte >> (7 - bit % 8) & 1u);
    }
    out += alphabet[bits];
  }
  return out;
}

std::vector<std::string> other_cores(std::string_view value) {
  static constexpr std::array<std::string_view, 3> kBase85 = {
      "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;<=>?@^_`{|}~",
      "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstu",
      "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"};
  constexpr size_t kWord = 4, kDigits = 5, kWords = 2, kTriples = 3;
  auto number = [&](size_t at, size_t size) {
    uint32_t all = 0;
    for (size_t i = at; i < at + size; ++i) all = all << 8 | static_cast<unsigned char>(value[i]);
    return all;
  };
  std::vector<std::string> cores;
  for (size_t skip = 0; skip < kWord && skip + kWords * kWord <= value.size(); ++skip)
    for (std::string_view alphabet : kBase85) {
      std::string core;
      for (size_t word = 0; word < kWords; ++word) {
        std::array<char, kDigits> digits{};
        uint32_t all = number(skip + word * kWord, kWord);
        for (size_t i = kDigits; i-- > 0; all /= 85) digits[i] = alphabet[all % 85];
        core.append(digits.data(), digits.size());
      }
      cores.push_back(std::move(core));
    }
  // A line of uuencoded text ends after 45 bytes, perhaps within the value, so its last bytes count too.
  for (size_t skip = 0; skip < 3 && skip + kTriples * 3 <= value.size(); ++skip)
    for (size_t from : {skip, skip + (value.size() - skip - kTriples * 3) / 3 * 3})
      for (char zero : {' ', '`'}) {
        std::string core;
        for (size_t at = from; at < from + kTriples * 3; at += 3)
          for (uint32_t all = number(at, 3), shift = 24; shift > 0;) {
            uint32_t digit = all >> (shift -= 6) & 63;
            core += digit ? static_cast<char>(digit + ' ') : zero;
          }
        cores.push_back(std::move(core));
      }
  return cores;
}

std::vector<Form> forms_of(std::string_view value) {
  std::vector<Form> forms{{std::string(value), Encoding::literal, 0}};
  if (value.find(' ') != value.npos) {
    std::string plus(value);
    std::ranges::replace(plus, ' ', '+');
    forms.push_back({std::move(plus), Encoding::plus, 0});
  }
  if (std::ranges::any_of(value, [](unsigned char c) { return c >= 0x80; }))
    forms.push_back({latin1_as_utf8(value), Encoding::latin1, 0});
  for (uint8_t shift = 0; shift < 3; ++shift) {
    std::string standard = base64_core(value, shift, false), url = base64_core(value, shift, true);
    if (standard.size() < kShortestEncoded) continue;
    // The two alphabets often give the same text.
    bool differ = standard != url;
    forms.push_back({std::move(standard), Encoding::base64, shift});
    if (differ) forms.push_back({std::move(url), Encoding::base64url, shift});
  }
  return forms;
}

}  // namespace bottle::scan
