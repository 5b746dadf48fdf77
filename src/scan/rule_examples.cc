// An example in the rules names a class and a count where its random part is, and this file fills it in when the
// example is tried, so no file of rules has to contain a credential. Most values with a checksum are random ones,
// tried until the check in checks.h accepts one, so their checksums need no second implementation.
#include "scan/rule_examples.h"

#include <algorithm>
#include <array>
#include <random>

#include "base/text/parse.h"
#include "pki/seal.h"
#include "scan/credential/builtin.h"
#include "scan/credential/checks.h"
#include "scan/credential/numbers.h"

namespace bottle::scan {
namespace {

constexpr std::string_view kDigits = "0123456789", kLower = "abcdefghijklmnopqrstuvwxyz",
                           kUpper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                           kBase58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

struct Class {
  std::string_view name;
  std::string characters;
};

// Returns the alphabets that examples may name (docs/rules.md, "Examples").
const std::vector<Class>& classes() {
  static const std::vector<Class> kClasses = [] {
    std::string digits(kDigits), lower(kLower), upper(kUpper), alnum = upper + lower + digits;
    return std::vector<Class>{{"alnum", alnum},
                              {"alpha", upper + lower},
                              {"digits", digits},
                              {"hex", digits + "abcdef"},
                              {"HEX", digits + "ABCDEF"},
                              {"base36", lower + digits},
                              {"BASE32", upper + "234567"},
                              {"base64", alnum + "+/"},
                              {"base64url", alnum + "-_"},
                              {"base58", std::string(kBase58)},
                              {"bech32", "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L"}};
  }();
  return kClasses;
}

class Filler {
 public:
  explicit Filler(uint32_t seed) : random_(seed) {}

  std::string of(std::string_view characters, size_t count) {
    std::string out;
    while (out.size() < count) out += characters[random_() % characters.size()];
    return out;
  }

  // Returns an empty string if the name is unknown, or if no such value has that length.
  std::string thing(std::string_view name, size_t count) {
    for (const auto& each : classes())
      if (each.name == name) return of(each.characters, count);
    std::string hex = std::string(kDigits) + "abcdef";
    if (name == "uuid")
      return of(hex, 8) + "-" + of(hex, 4) + "-4" + of(hex, 3) + "-a" + of(hex, 3) + "-" + of(hex, 12);
    if (name == "userpass") return encoded("robot:" + of(classes()[0].characters, 17), false);
    if (name == "jwt")
      return encoded(R"({"alg":"HS256","typ":"JWT"})", true) + "." +
             encoded(R"({"sub":")" + of(classes()[0].characters, 20) + "\"}", true) + "." +
             of(std::string(classes()[0].characters) + "-_", 43);
    if (name == "card") return card(count);
    if (name == "iban") return iban();
    if (name == "wif") return wif();
    if (name == "bip39") return words();
    return {};
  }

 private:
  static std::string encoded(std::string_view bytes, bool url) {
    std::string digits = std::string(kUpper) + std::string(kLower) + std::string(kDigits) + (url ? "-_" : "+/"), out;
    for (size_t bit = 0; bit < bytes.size() * 8; bit += 6) {
      uint32_t value = 0;
      for (size_t i = bit; i < bit + 6; ++i)
        value = value << 1 | (i / 8 < bytes.size() ? static_cast<uint32_t>(bytes[i / 8]) >> (7 - i % 8) & 1 : 0);
      out += digits[value];
    }
    while (!url && out.size() % 4) out += '=';
    return out;
  }

  // Returns the rest of a card number that begins with 4, or an empty string if no such number has that length.
  std::string card(size_t count) {
    // The example itself has the leading 4, and only numbers with 16 or 19 digits begin with it.
    if (count != 15 && count != 18) return {};
    for (;;) {
      std::string digits = of(kDigits, count);
      if (is_card("4" + digits) && card_at("4" + digits, 0)) return digits;
    }
  }

  std::string iban() {
    for (;;) {
      std::string number = "DE" + of(kDigits, 20);
      if (is_iban(number)) return number;
    }
  }

  std::string bytes(size_t count) {
    std::string out;
    while (out.size() < count) out += static_cast<char>(random_());
    return out;
  }

  // Returns a wallet's key. Computes the checksum, because trying random ones would take too long.
  std::string wif() {
    std::string key = "\x80" + bytes(32) + "\x01";
    key += pki::digest(pki::digest(key)).substr(0, 4);
    std::string out(52, '1');
    for (unsigned char byte : key) {  // converts the number to base 58
      uint32_t carry = byte;
      for (size_t i = out.size(); i-- > 0;) {
        carry += static_cast<uint32_t>(kBase58.find(out[i])) * 256;
        out[i] = kBase58[carry % 58];
        carry /= 58;
      }
    }
    return out;
  }

  // Returns twelve words with a correct checksum. One in 16 random phrases has one.
  std::string words() {
    const auto& list = bip39_words();
    for (;;) {
      std::string phrase;
      for (int i = 0; i < 12; ++i) phrase += (i ? " " : "") + std::string(list[random_() % list.size()]);
      bool good = false;
      int tries = 100;
      each_mnemonic(phrase, tries, [&](size_t, size_t) { good = true; });
      if (good) return phrase;
    }
  }

  std::mt19937 random_;
};

}  // namespace

std::string filled(std::string_view text, uint32_t seed) {
  Filler filler(seed);
  std::string out;
  while (!text.empty()) {
    // An escaped backslash before an "n" is not a line end.
    if (text.starts_with("\\n") && !out.ends_with('\\')) {
      out += '\n';
      text.remove_prefix(2);
      continue;
    }
    size_t end = text.front() == '<' ? text.find('>') : text.npos;
    if (end != text.npos) {
      std::string_view inside = text.substr(1, end - 1), name = inside.substr(0, inside.find(' '));
      size_t count = 0;
      if (name.size() < inside.size()) count = number_in<size_t>(inside.substr(name.size() + 1)).value_or(0);
      if (std::string thing = filler.thing(name, std::min<size_t>(count, 1000)); !thing.empty()) {
        out += thing;
        text.remove_prefix(end + 1);
        continue;
      }
    }
    out += text.front();
    text.remove_prefix(1);
  }
  return out;
}

std::vector<std::string> wrong_examples(Catalog& catalog, std::span<const Rule> rules, uint32_t seeds,
                                        const Progress& progress) {
  std::vector<std::string> wrong;
  Detector detector(&catalog);
  for (const Rule& rule : rules)
    for (const Example& example : rule.examples) {
      if (progress)
        progress("line " + std::to_string(example.line) + ": rule \"" + rule.id + "\": checking its example");
      for (uint32_t seed = 1; seed <= seeds; ++seed) {
        std::string text = filled(example.text, seed);
        auto result = detector.scan(text);
        bool found = std::ranges::any_of(result.findings, [&](const Finding& each) { return each.name == rule.id; });
        if (found == example.positive) continue;
        wrong.push_back("line " + std::to_string(example.line) + ": rule \"" + rule.id + "\" " +
                        (found ? "finds" : "does not find") + " its example \"" + text + "\"");
        // One wrong filling is enough to name the example.
        break;
      }
    }
  return wrong;
}

}  // namespace bottle::scan
