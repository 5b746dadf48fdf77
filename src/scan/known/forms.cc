#include "scan/known/forms.h"

#include <algorithm>

namespace bottle::scan {
namespace {

constexpr std::string_view kStandard = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrl = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

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
    bool differ = standard != url;
    forms.push_back({std::move(standard), Encoding::base64, shift});
    if (differ) forms.push_back({std::move(url), Encoding::base64url, shift});
  }
  return forms;
}

}  // namespace bottle::scan
