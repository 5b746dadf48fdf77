// Checks card and account numbers, and finds tokens whose beginnings are too common for a pattern.
//
// A checksum alone proves little: one of ten random numbers passes Luhn's. A card number must also have an issuer's
// prefix and length, stand by itself, and be grouped as people group it, and an account number must have its country's
// length.
#include "scan/credential/numbers.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <string>

#include "base/text/words.h"
#include "scan/credential/stand_in.h"
#include "scan/encoding/escapes.h"
#include "scan/encoding/simd/masks.h"

namespace bottle::scan {

bool is_card(std::string_view digits) {
  auto first = [&](size_t count) {
    uint32_t value = 0;
    for (size_t i = 0; i < count; ++i) value = value * 10 + static_cast<uint32_t>(digits[i] - '0');
    return value;
  };
  if (digits.size() < 13 || digits.size() > 19) return false;
  // These are the prefixes and lengths that the issuers publish (ISO/IEC 7812).
  bool visa = digits[0] == '4' && (digits.size() == 16 || digits.size() == 19);
  bool master = digits.size() == 16 && ((first(2) >= 51 && first(2) <= 55) || (first(4) >= 2221 && first(4) <= 2720));
  bool amex = digits.size() == 15 && (first(2) == 34 || first(2) == 37);
  bool discover = digits.size() == 16 && (first(4) == 6011 || first(2) == 65 || (first(3) >= 644 && first(3) <= 649));
  bool jcb = digits.size() == 16 && first(4) >= 3528 && first(4) <= 3589;
  if (!visa && !master && !amex && !discover && !jcb) return false;
  // Luhn's sum (ISO/IEC 7812-1): every second digit from the right counts twice, and of a result above 9 the sum of its
  // digits.
  uint32_t sum = 0;
  for (size_t i = 0; i < digits.size(); ++i) {
    auto digit = static_cast<uint32_t>(digits[digits.size() - 1 - i] - '0');
    sum += i % 2 ? digit * 2 - (digit > 4 ? 9 : 0) : digit;
  }
  return sum % 10 == 0;
}

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_part_of_word(char c) { return is_digit(c) || is_upper(c) || (c >= 'a' && c <= 'z') || c == '_'; }

// Holds the characters of a number that may be written in groups, and where each of them ends in the text.
struct Grouped {
  static constexpr size_t kMost = 34;
  std::array<char, kMost> characters;  // not initialized, because most numbers are short
  std::array<size_t, kMost> ends;
  size_t size = 0;
  std::string_view text() const { return {characters.data(), size}; }
};

// Returns the characters of `member` from `at` on, with at most one space or dash between two of them.
template <typename F>
Grouped grouped(std::string_view text, size_t at, size_t most, F member) {
  Grouped out;
  while (at < text.size() && out.size < most) {
    if (member(text[at])) {
      out.characters[out.size] = text[at++];
      out.ends[out.size++] = at;
    } else if ((text[at] == ' ' || text[at] == '-') && at + 1 < text.size() && member(text[at + 1]) && out.size > 0) {
      ++at;
    } else {
      break;
    }
  }
  return out;
}

// Returns whether the last two digits are a month after a space, and a year follows, as in "12/27". This is how people
// write when a card expires.
bool ends_in_month(std::string_view text, const Grouped& number) {
  constexpr size_t kMonth = 2, kShortest = 6;  // " 12/27"
  if (number.size <= kMonth) return false;
  std::string_view rest = text.substr(number.ends[number.size - kMonth - 1]);
  if (rest.size() < kShortest || rest[0] != ' ' || rest[3] != '/' || !is_digit(rest[4]) || !is_digit(rest[5]))
    return false;
  return rest[1] == '0' ? is_digit(rest[2]) && rest[2] != '0' : rest[1] == '1' && rest[2] >= '0' && rest[2] <= '2';
}

// Returns whether four hexadecimal digits and a space precede the position, as in a dump.
bool is_after_word_of_dump(std::string_view text, size_t at) {
  constexpr size_t kWord = 4;
  if (at <= kWord || text[at - 1] != ' ' || (at > kWord + 1 && is_part_of_word(text[at - kWord - 2]))) return false;
  return std::ranges::all_of(text.substr(at - kWord - 1, kWord),
                             [](char c) { return is_digit(c) || ((c | 32) >= 'a' && (c | 32) <= 'f'); });
}

// Returns whether more of a dump's line follows the position: a whole word, or the spaces before the characters. A word
// has four hexadecimal digits, and the last one may have two.
bool is_before_word_of_dump(std::string_view text, size_t end) {
  constexpr size_t kWord = 4;
  if (end + 1 >= text.size() || text[end] != ' ') return false;
  std::string_view rest = text.substr(end + 1);
  if (rest[0] == ' ') return true;
  size_t digits = 0;
  while (digits < std::min(rest.size(), kWord) && hex_digit(static_cast<uint8_t>(rest[digits])) >= 0) ++digits;
  rest.remove_prefix(digits);
  if (digits == kWord / 2) return rest.starts_with("  ");
  // In a string, a quote or an escaped line end follows the last word.
  return digits == kWord && (rest.empty() || std::string_view(" \r\n\\\"").contains(rest[0]));
}

// Returns whether [at, end) are words of four hexadecimal digits in a line of a dump, and more of the line follows. An
// offset and a colon begin such a line, as xxd and tcpdump write it, and the words before follow them.
bool is_in_line_of_dump(std::string_view text, size_t at, size_t end) {
  constexpr size_t kWord = 4, kMostWords = 16, kOffset = 8, kShortOffset = 4;
  auto is_hex = [&](size_t i) { return hex_digit(static_cast<uint8_t>(text[i])) >= 0; };
  if (!is_before_word_of_dump(text, end)) return false;
  for (size_t words = 0; words < kMostWords && at > kWord && text[at - 1] == ' ' && is_hex(at - 2); ++words) {
    for (size_t i = at - kWord - 1; i + 1 < at; ++i)
      if (!is_hex(i)) return false;
    at -= kWord + 1;
  }
  size_t spaces = 0;
  while (at > 0 && spaces < 2 && text[at - 1] == ' ') --at, ++spaces;
  if (spaces == 0 || at == 0 || text[at - 1] != ':') return false;
  --at;
  size_t digits = 0;
  while (digits < at && digits < kOffset && is_hex(at - 1 - digits)) ++digits;
  bool has_prefix = digits >= kShortOffset && digits < at && text[at - 1 - digits] == 'x';
  return digits == kOffset || has_prefix;
}

// Returns whether the value at a position is an id that has 16 digits, such as in "span_id":"4539148803436467". The ids
// of spans have 16 hexadecimal digits, some of them without letters. The ids of Meta are numbers.
bool is_other_id(std::string_view text, size_t at) {
  static constexpr std::string_view kOwners[] = {"span", "page",     "ad",    "adset", "campaign", "creative",
                                                 "post", "business", "photo", "video", "album",    "pixel"};
  constexpr size_t kLongest = 8;  // of these words
  size_t end = text.substr(0, at).find_last_not_of("\"' \\:=");
  if (end == text.npos || end + 1 == at) return false;
  std::string_view name = text.substr(0, end + 1);
  if (!name.ends_with("id") && !name.ends_with("Id") && !name.ends_with("ID")) return false;
  name.remove_suffix(2);
  if (name.ends_with('_') || name.ends_with('-') || name.ends_with('.')) name.remove_suffix(1);
  std::string owner = lower(name.substr(name.size() - std::min(name.size(), kLongest)));
  return std::ranges::any_of(kOwners, [&](std::string_view each) {
    if (!owner.ends_with(each)) return false;
    // "upload_id" does not name an ad.
    size_t begin = name.size() - each.size();
    return begin == 0 || each == "span" || is_upper(name[begin]) || !is_part_of_word(name[begin - 1]) ||
           name[begin - 1] == '_';
  });
}

// Returns how long the account numbers of a country are, or 0 if it has none. Takes the two letters of its code.
size_t length_of_iban(std::string_view code) {
  struct Country {
    std::string_view code;
    size_t length;
  };
  static constexpr std::array kCountries = std::to_array<Country>(
      {{"AD", 24}, {"AE", 23}, {"AL", 28}, {"AT", 20}, {"AZ", 28}, {"BA", 20}, {"BE", 16}, {"BG", 22}, {"BH", 22},
       {"BR", 29}, {"BY", 28}, {"CH", 21}, {"CR", 22}, {"CY", 28}, {"CZ", 24}, {"DE", 22}, {"DK", 18}, {"DO", 28},
       {"EE", 20}, {"EG", 29}, {"ES", 24}, {"FI", 18}, {"FO", 18}, {"FR", 27}, {"GB", 22}, {"GE", 22}, {"GI", 23},
       {"GL", 18}, {"GR", 27}, {"GT", 28}, {"HR", 21}, {"HU", 28}, {"IE", 22}, {"IL", 23}, {"IQ", 23}, {"IS", 26},
       {"IT", 27}, {"JO", 30}, {"KW", 30}, {"KZ", 20}, {"LB", 28}, {"LC", 32}, {"LI", 21}, {"LT", 20}, {"LU", 20},
       {"LV", 21}, {"MC", 27}, {"MD", 24}, {"ME", 22}, {"MK", 19}, {"MR", 27}, {"MT", 31}, {"MU", 30}, {"NL", 18},
       {"NO", 15}, {"PK", 24}, {"PL", 28}, {"PS", 29}, {"PT", 25}, {"QA", 29}, {"RO", 24}, {"RS", 22}, {"SA", 24},
       {"SC", 31}, {"SE", 24}, {"SI", 19}, {"SK", 24}, {"SM", 27}, {"TN", 24}, {"TR", 26}, {"UA", 29}, {"VA", 22},
       {"VG", 24}, {"XK", 20}});
  static constexpr auto kLengths = [] {
    std::array<uint8_t, size_t{26} * 26> lengths{};
    for (const auto& [code, length] : kCountries)
      lengths[static_cast<size_t>((code[0] - 'A') * 26 + code[1] - 'A')] = static_cast<uint8_t>(length);
    return lengths;
  }();
  if (!is_upper(code[0]) || !is_upper(code[1])) return 0;
  return kLengths[static_cast<size_t>((code[0] - 'A') * 26 + code[1] - 'A')];
}

// Calls token(at) for each character `one` that has `other` `distance` bytes after it. Many texts have these
// characters, but few have them at the distance of those in a token.
template <typename F>
void each_two(std::string_view text, uint8_t one, uint8_t other, size_t distance, F token) {
  constexpr size_t kBlock = 64;
  auto all_of = [&](uint8_t character, size_t at) {
    return mask_of(load_block(reinterpret_cast<const uint8_t*>(text.data()) + at),
                   [character](const Lanes& c) { return equal(c, character); });
  };
  size_t at = 0;
  for (; at + kBlock + distance <= text.size(); at += kBlock)
    for (uint64_t both = all_of(one, at) & all_of(other, at + distance); both; both &= both - 1)
      token(at + static_cast<size_t>(std::countr_zero(both)));
  for (; at + distance < text.size(); ++at)
    if (text[at] == static_cast<char>(one) && text[at + distance] == static_cast<char>(other)) token(at);
}

}  // namespace

void each_discord_token(std::string_view text, const std::function<void(size_t, size_t)>& each) {
  constexpr size_t kMiddle = 6, kLast = 27, kShortest = 24, kLongest = 26;
  auto is_part = [](char c) { return is_part_of_word(c) || c == '-'; };
  auto all = [&](size_t begin, size_t size) { return std::ranges::all_of(text.substr(begin, size), is_part); };
  // The first part is a number of 17 to 19 digits in Base64, so it begins with two of these letters.
  auto is_number = [&](size_t at) {
    constexpr std::string_view kFirst = "MNO", kSecond = "DTjz", kThird = "AEIMQUYcgk", kFourth = "wxyz012345";
    return kFirst.contains(text[at]) && kSecond.contains(text[at + 1]) && kThird.contains(text[at + 2]) &&
           kFourth.contains(text[at + 3]);
  };
  each_two(text, '.', '.', kMiddle + 1, [&](size_t dot) {
    size_t last = dot + 2 + kMiddle, end = last + kLast;
    if (end > text.size() || !all(dot + 1, kMiddle) || !all(last, kLast)) return;
    for (size_t length = kLongest; length >= kShortest; --length)
      if (length <= dot && is_number(dot - length) && all(dot - length, length)) return each(dot - length, end);
  });
}

void each_bitwarden_token(std::string_view text, const std::function<void(size_t, size_t)>& each) {
  constexpr std::string_view kUuid = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
  constexpr size_t kRest = 30;
  auto is_of_uuid = [](char c, char form) { return form == '-' ? c == '-' : is_digit(c) || (c >= 'a' && c <= 'f'); };
  auto is_alnum = [](char c) { return is_part_of_word(c) && c != '_'; };
  each_two(text, '.', '.', kUuid.size() + 1, [&](size_t dot) {
    size_t rest = dot + 2 + kUuid.size(), end = rest + kRest;
    if (dot > 0 && text[dot - 1] == '0' && end < text.size() && text[end] == ':' &&
        std::ranges::equal(text.substr(dot + 1, kUuid.size()), kUuid, is_of_uuid) &&
        std::ranges::all_of(text.substr(rest, kRest), is_alnum))
      each(dot - 1, end + 1);
  });
}

void each_asana_token(std::string_view text, const std::function<void(size_t, size_t)>& each) {
  constexpr size_t kId = 16, kRest = 32;
  auto is_id = [&](size_t begin) { return std::ranges::all_of(text.substr(begin, kId), is_digit); };
  auto is_hex = [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); };
  each_two(text, '/', ':', kId + 1, [&](size_t slash) {
    size_t rest = slash + kId + 2, end = rest + kRest;
    if (slash == 0 || !is_digit(text[slash - 1]) || end > text.size() || !is_id(slash + 1)) return;
    if (!std::ranges::all_of(text.substr(rest, kRest), is_hex)) return;
    size_t first = slash - std::min(slash, kId + 1);  // the slash before another id
    bool has_two = first > 0 && text[first] == '/' && is_digit(text[first - 1]) && is_id(first + 1);
    each((has_two ? first : slash) - 1, end);
  });
}

void each_x_bearer(std::string_view text, const std::function<void(size_t, size_t)>& each) {
  constexpr size_t kLetters = 21, kAlnum = 8, kRest = 70;
  auto is_alnum = [](char c) { return is_part_of_word(c) && c != '_'; };
  // So many letters in a row must cover one of these positions, so the others need no look.
  for (size_t at = kLetters - 1; at < text.size(); at += kLetters) {
    if (text[at] != 'A') continue;
    size_t begin = at, end = at;
    while (begin > 0 && text[begin - 1] == 'A') --begin;
    while (end < text.size() && text[end] == 'A') ++end;
    at += (end - at) / kLetters * kLetters;  // the sequence is examined once
    if (end - begin < kLetters || (begin > 0 && is_alnum(text[begin - 1]))) continue;
    size_t rest = begin + kLetters, last = rest + kAlnum + kRest;
    if (last > text.size() || !std::ranges::all_of(text.substr(rest, kAlnum), is_alnum)) continue;
    if (std::ranges::all_of(text.substr(rest + kAlnum, kRest), [&](char c) { return c == '%' || is_alnum(c); }))
      each(begin, last);
  }
}

size_t card_at(std::string_view text, size_t at) {
  constexpr size_t kFewestKinds = 5;  // different digits; the test numbers that are published have fewer
  if (!within(static_cast<uint8_t>(text[at]), '2', 5)) return 0;  // the first digits of all issuers' prefixes
  // A number in a path, an amount or a hash is not a card number. After '=' and ':', it is a value.
  if (at > 0 &&
      (is_part_of_word(text[at - 1]) || std::string_view(".-:/=%+#").find(text[at - 1]) != std::string_view::npos)) {
    char before = text[at - 1];
    if (before != '=' && before != ':') return 0;
  }
  if (at > 1 && text[at - 1] == ' ' && is_digit(text[at - 2])) return 0;  // part of a list of numbers
  if (is_after_word_of_dump(text, at)) return 0;
  Grouped number = grouped(text, at, 20, is_digit);
  if (ends_in_month(text, number)) number.size -= 2;
  std::string_view digits = number.text();
  if (digits.size() < 15 || digits.size() > 19) return 0;
  size_t end = number.ends[number.size - 1];
  if (end < text.size() && (is_part_of_word(text[end]) || text[end] == '.' || text[end] == '-')) {
    bool sentence = text[end] == '.' && (end + 1 == text.size() || !is_digit(text[end + 1]));
    if (!sentence) return 0;
  }
  bool split = end - at != digits.size();
  if (!split && digits.size() == 16 && is_other_id(text, at)) return 0;
  if (split && digits.size() == 16 && end - at != 19) return 0;  // four groups
  if (!is_card(digits) || distinct(digits) < kFewestKinds) return 0;
  return split && is_in_line_of_dump(text, at, end) ? 0 : end;
}

bool is_among_ids(std::string_view text, size_t begin, size_t end) {
  constexpr size_t kBefore = 4, kFewest = 3, kMost = 8;
  size_t size = end - begin, from = begin - std::min(begin, kNearNumber), to = std::min(text.size(), end + kNearNumber);
  // The digits before a number in a list are those of another number.
  auto alike = [](char a, char b) { return a == b || (is_digit(a) && is_digit(b)); };
  auto is_like_it = [&](size_t at) {
    return at >= kBefore && begin >= kBefore &&
           std::ranges::equal(text.substr(at - kBefore, kBefore), text.substr(begin - kBefore, kBefore), alike);
  };
  size_t others = 0, cards = 0;
  auto count = [&](size_t first, size_t last) {
    if (last - first != size || !is_like_it(first)) return;
    ++others;
    cards += is_card(text.substr(first, size)) ? 1 : 0;
  };
  // The nearest numbers come first.
  for (size_t at = begin; at > from && others < kMost / 2;) {
    size_t last = at;
    while (at > from && is_digit(text[at - 1])) --at;
    if (at < last && at > from) count(at, last);
    if (at > from) --at;
  }
  for (size_t at = end; at < to && others < kMost;) {
    size_t first = at;
    while (at < to && is_digit(text[at])) ++at;
    if (at > first && at < text.size()) count(first, at);
    ++at;
  }
  return others >= kFewest && 2 * cards < others;
}

bool may_begin_number(std::string_view text, size_t at) {
  constexpr size_t kLooked = 13;  // the shortest card number has as many digits
  constexpr std::ptrdiff_t kDigits = 9;
  std::string_view part = text.substr(at, kLooked);
  if (part.size() < kLooked) return false;
  bool is_account = is_upper(part[0]) && is_upper(part[1]) && is_digit(part[2]) && is_digit(part[3]);
  // The first digits of all issuers' prefixes are 2 to 6.
  bool may_be_card = within(static_cast<uint8_t>(part[0]), '2', 5);
  return is_account || (may_be_card && std::ranges::count_if(part, is_digit) >= kDigits);
}

size_t iban_at(std::string_view text, size_t at, size_t& read) {
  if (at + 15 > text.size() || !is_upper(text[at]) || !is_upper(text[at + 1]) || !is_digit(text[at + 2])) return 0;
  if (at > 0 && is_part_of_word(text[at - 1])) return 0;
  size_t length = length_of_iban(text.substr(at, 2));
  if (length == 0) return 0;
  Grouped number = grouped(text, at, length, [](char c) { return is_digit(c) || is_upper(c); });
  read += number.size + length;
  if (number.size < length || !is_iban(number.text())) return 0;
  size_t end = number.ends[length - 1];
  if (end < text.size() && is_part_of_word(text[end])) return 0;
  return is_in_line_of_dump(text, at, end) ? 0 : end;
}

bool is_iban(std::string_view iban) {
  if (iban.size() < 15 || length_of_iban(iban) != iban.size()) return false;
  // ISO 13616: with letters as numbers from 10 to 35, the rest of the division by 97 must be 1.
  constexpr size_t kMoved = 4;          // characters at the beginning that belong to the end
  constexpr uint32_t kLarge = 1 << 24;  // dividing takes long, so it is only done for large numbers
  uint32_t rest = 0;
  for (std::string_view part : {iban.substr(kMoved), iban.substr(0, kMoved)})
    for (char c : part) {
      if (is_digit(c)) rest = rest * 10 + static_cast<uint32_t>(c - '0');
      else if (is_upper(c)) rest = rest * 100 + static_cast<uint32_t>(c - 'A' + 10);
      else return false;
      if (rest > kLarge) rest %= 97;
    }
  return rest % 97 == 1;
}

}  // namespace bottle::scan
