// Checks the format of rules, and the examples of the rules that the program carries.
#include <gtest/gtest.h>

#include <set>
#include <tuple>

#include "scan/compiler/compile.h"
#include "scan/compiler/spaces.h"
#include "scan/credential/builtin.h"
#include "scan/credential/characters.h"
#include "scan/credential/numbers.h"
#include "scan/disguise_test.h"
#include "scan/rule_examples.h"

namespace bottle::scan {
namespace {

std::string refusal(std::string_view text) {
  auto rules = parse_rules(text);
  return rules ? "" : rules.error().what;
}

constexpr std::string_view kGood = R"([acme-key]
is: an Acme key
pattern: acme_[a-z0-9]{20}
yes: acme_<base36 20>
no: acme_<base36 8>
)";

TEST(Rules, APlaceInAnExampleNeedsAWholeNumber) {
  EXPECT_EQ(filled("<hex 4>", 1).find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_EQ(filled("<hex 4x>", 1), "<hex 4x>");
}

TEST(Rules, AMistakeIsNamedWithItsLine) {
  EXPECT_EQ(refusal(kGood), "");
  EXPECT_EQ(refusal("is: early\n"), "line 1: the line comes before the first rule");
  EXPECT_EQ(refusal("[Acme]\n"), "line 1: the id of a rule must be lower-case letters, digits and '-' in brackets");
  EXPECT_EQ(refusal("[a]\nis: b\ncheck: c\n"), "line 3: unknown check \"c\"");
  EXPECT_EQ(refusal("[a]\nis: b\nedge: sharp\n"), "line 3: \"edge: sharp\" is not a known line");
  EXPECT_EQ(refusal("[a]\nis: b\n\n[c]\n"), "line 4: rule \"a\" has no line \"pattern\"");
  EXPECT_EQ(refusal("[a]\nis: b\npattern: cdef\n"), "line 3: rule \"a\" needs an example \"yes\" and one \"no\"");
  EXPECT_EQ(refusal("[a]\nis: b\ncheck: luhn\npattern: 4[0-9]{15}\n"),
            "line 4: rule \"a\" has a pattern, but its check works without one");
  EXPECT_EQ(refusal("[a]\nis: b\nname: secret\nyes: a\nno: b\n"),
            "line 5: rule \"a\" has a line \"name\", but its check is not \"assignment\"");
  EXPECT_EQ(refusal(std::string(kGood) + std::string(kGood)), "line 6: rule \"acme-key\" is defined twice");
  EXPECT_EQ(refusal("[a]\n" + std::string(3000, 'x')), "line 2: the line has more than 2000 characters");
  EXPECT_EQ(refusal("[a]\nis: caf\xe9\n"), "line 2: the line is not UTF-8");
}

// The last of two lines would otherwise count without a word.
TEST(Rules, AKeyThatCountsOnceIsNotRepeated) {
  for (std::string line : {"is: b", "check: token", "edge: word", "act: warn"}) {
    std::string key = line.substr(0, line.find(':')), text(kGood);
    if (key != "is") text += line + "\n";
    EXPECT_EQ(refusal(text), "");
    EXPECT_EQ(refusal(text + line + "\n"), (key == "is" ? "line 6" : "line 7") +
                                               std::string(": rule \"acme-key\" has a second line \"") + key + "\"");
  }
  std::string other = "[other]" + std::string(kGood.substr(kGood.find('\n')));
  EXPECT_EQ(refusal(std::string(kGood) + "pattern: acme-[a-z0-9]{20}\nyes: acme-<base36 20>\n" + other), "");
}

// A rule without a pattern of the operator finds what a built-in one finds, and does not take its place.
TEST(Rules, OwnRulesWithoutAPatternCountBesideTheOthers) {
  for (const auto& [id, check, example] :
       {std::tuple("discord-token", "discord", "MTIzNDU2Nzg5MDEyMzQ1Njc4.<alnum 6>.<base64url 38>"),
        std::tuple("twitter-token", "x-bearer", "AAAAAAAAAAAAAAAAAAAAA<alnum 8>%2B<alnum 67>%3D<alnum 30>"),
        std::tuple("bitcoin-wif", "wif", "<wif>"), std::tuple("bip39-words", "bip39", "seed: <bip39>"),
        std::tuple("payment-card", "luhn", "card 4<card 15>"), std::tuple("iban", "iban", "<iban>"),
        std::tuple("random-value", "random", "session_word = \"<alnum 60>\"")}) {
    for (bool warns : {true, false}) {
      auto catalog = *Catalog::builtin();
      std::string own = "[own]\nis: b\ncheck: " + std::string(check) + "\nyes: a\nno: b\n";
      ASSERT_TRUE(catalog.add(*parse_rules(own + (warns ? "act: warn\n" : "")), ""));
      catalog.build();
      std::set<std::string> found;
      for (const Finding& each : Detector(&catalog).scan(filled(example, 3)).findings) found.insert(each.name);
      // A warning is not reported where something is refused.
      bool both = std::string_view(check) == "random" ? warns : !warns;
      EXPECT_EQ(found, both ? std::set<std::string>({id, "own"}) : std::set<std::string>{warns ? id : "own"}) << check;
    }
  }
}

TEST(Rules, APatternThatIsNotValidIsNamed) {
  auto compiled = compile(*parse_rules("[a]\nis: b\npattern: (abcd\nyes: a\nno: b\n"));
  ASSERT_FALSE(compiled);
  EXPECT_TRUE(compiled.error().what.starts_with("line 3: rule \"a\": the pattern is not valid"))
      << compiled.error().what;
  compiled = compile(*parse_rules("[a]\nis: b\npattern: abc\nyes: a\nno: b\n"));
  ASSERT_FALSE(compiled);
  EXPECT_EQ(compiled.error().what, "line 3: rule \"a\": a pattern must match at least 4 bytes");
}

TEST(Rules, OwnRulesAreTriedOnTheirExamples) {
  auto rules = *parse_rules(kGood);
  auto catalog = Catalog::make(rules, *compile(rules));
  ASSERT_TRUE(catalog);
  catalog->build();
  EXPECT_TRUE(wrong_examples(*catalog, catalog->rules(), 5).empty());
  rules[0].examples.push_back({.positive = true, .text = "acme_short"});
  catalog = Catalog::make(rules, *compile(rules));
  catalog->build();
  EXPECT_EQ(wrong_examples(*catalog, catalog->rules(), 5),
            std::vector<std::string>{"line 0: rule \"acme-key\" does not find its example \"acme_short\""});
}

TEST(Rules, ACardOfAnImpossibleLengthStaysText) {
  EXPECT_EQ(filled("4<card> 4<card 3> 4<card 1000>", 1), "4<card> 4<card 3> 4<card 1000>");
  EXPECT_EQ(filled("4<card 15>", 1).size(), 16u);
}

TEST(Rules, TheBuiltInRulesFindTheirExamples) {
  auto catalog = Catalog::builtin();
  ASSERT_TRUE(catalog) << catalog.error().what;
  catalog->build();
  EXPECT_GE(catalog->rules().size(), 100u);
  for (const auto& problem : wrong_examples(*catalog, catalog->rules(), 20)) ADD_FAILURE() << problem;
}

// Returns the text as a field of a form. A browser writes a space as `+`, other programs as %20.
std::string form_field(std::string_view text, std::string_view space, std::string out = "x=%3C") {
  constexpr char kDigits[] = "0123456789ABCDEF";
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (c == ' ') out += space;
    else if (is_alnum(c) || c == '-') out += c;
    else out.append({'%', kDigits[byte >> 4], kDigits[byte & 15]});
  }
  return out;
}

// Returns the ids of the rules of which a pattern can match a space.
std::set<std::string> rules_with_spaces(const std::vector<Rule>& rules) {
  std::set<std::string> ids;
  for (const Rule& rule : rules)
    for (const std::string& pattern : rule.patterns)
      if (may_have_space(pattern)) ids.insert(rule.id);
  return ids;
}

// Only the patterns that can match a space are searched in a form with its spaces. Each of them needs an example with a
// space.
TEST(Rules, FormsWithEitherSpaceAreFound) {
  auto catalog = Catalog::builtin();
  ASSERT_TRUE(catalog) << catalog.error().what;
  catalog->build();
  auto found = [&](const std::string& text) {
    std::set<std::string> names;
    for (const Finding& each : Detector(&*catalog).scan(text).findings) names.insert(each.name);
    return names;
  };
  std::set<std::string> untried = rules_with_spaces(catalog->rules());
  size_t tried = 0;
  for (const Rule& rule : catalog->rules())
    for (const auto& example : rule.examples) {
      std::string text = filled(example.text, 3);
      if (!example.positive || text.find(' ') == text.npos || rule.warns) continue;
      if (!found(form_field(text, "%20")).contains(rule.id)) continue;
      ++tried;
      untried.erase(rule.id);
      EXPECT_TRUE(found(form_field(text, "+")).contains(rule.id)) << rule.id << ": " << text;
    }
  EXPECT_GT(tried, 60u);
  EXPECT_EQ(untried, std::set<std::string>()) << "an example with a space is missing";
  EXPECT_TRUE(found(form_field("pay to " + filled("<iban>", 3), "+")).contains("iban"));
}

// The parameter after a signature helps to find it, but is not a part of it.
TEST(Rules, ASignatureIsTheSameWhereverItStands) {
  auto catalog = Catalog::builtin();
  ASSERT_TRUE(catalog);
  catalog->build();
  for (std::string_view pad : {"=", "%3D"}) {
    std::string signature = filled("sig=<alnum 43>", 3).append(pad), after = "&se=1700000000";
    auto first = Detector(&*catalog).scan(signature + after).findings;
    auto second = Detector(&*catalog).scan("?" + signature + after).findings;
    ASSERT_EQ(first.size(), 1u) << signature;
    ASSERT_EQ(second.size(), 1u) << signature;
    EXPECT_EQ(first[0].fingerprint, second[0].fingerprint);
    EXPECT_EQ(first[0].begin + 1, second[0].begin);
    EXPECT_EQ(first[0].begin, std::string_view("sig=").size()) << "nothing of the signature remains";
    EXPECT_EQ(first[0].end, signature.size());
  }
}

// A salt of WordPress may contain "&" anywhere.
TEST(Rules, TheLastBytesOfAMatchAreTheCredential) {
  auto catalog = Catalog::builtin();
  ASSERT_TRUE(catalog);
  catalog->build();
  for (std::string_view salt : {"<alnum 20>&<alnum 43>", "<alnum 58>&<alnum 5>", "<alnum 40>&<alnum 18>="}) {
    std::string value = filled(salt, 3), before = "define('AUTH_KEY', '";
    auto findings = Detector(&*catalog).scan(before + value.substr(0, 60) + "');").findings;
    ASSERT_EQ(findings.size(), 1u) << value;
    EXPECT_EQ(findings[0].name, "wordpress-key");
    EXPECT_EQ(findings[0].begin, before.size()) << value;
    EXPECT_EQ(findings[0].end, before.size() + 60) << value;
  }
}

// Returns the account number with its checksum, in groups of four characters.
std::string iban_in_groups(const std::string& country, const std::string& account) {
  for (char tens = '0'; tens <= '9'; ++tens)
    for (char ones = '0'; ones <= '9'; ++ones)
      if (std::string iban = country + std::string{tens, ones}.append(account); is_iban(iban)) {
        for (size_t at = iban.size() / 4 * 4; at > 0; at -= 4)
          if (at < iban.size()) iban.insert(at, " ");
        return iban;
      }
  return {};
}

// Pluses separate the groups of these numbers. Only the first group may have no plus before it, if it begins the value.
TEST(Rules, NumbersInFormsAreFound) {
  auto catalog = Catalog::builtin();
  ASSERT_TRUE(catalog);
  catalog->build();
  for (const auto& [rule, number] : {std::pair("payment-card", std::string("4539 1488 0343 6467")),
                                     std::pair("payment-card", std::string("3759 824163 05270")),
                                     std::pair("payment-card", std::string("4929-2019 8603 9547")),
                                     std::pair("iban", iban_in_groups("GB", "NWBK29144012345678")),
                                     std::pair("iban", iban_in_groups("NL", "INGB0417164038")),
                                     std::pair("iban", iban_in_groups("BE", "729105634182")),
                                     std::pair("iban", iban_in_groups("DE", "370400440532013007"))})
    for (std::string before : {"", "my number is ", "a", "b "})
      for (std::string_view field : {"x=%3C", "card=", "a=b&iban=", "a=%2F&x="}) {
        auto findings =
            Detector(&*catalog).scan(form_field(before + number, "+", std::string(field)) + "&y=a%2Fb").findings;
        if (before == "a") {
          EXPECT_TRUE(findings.empty()) << "a letter precedes the number";
          continue;
        }
        ASSERT_EQ(findings.size(), 1u) << rule << ": " << field << before << number;
        EXPECT_EQ(findings[0].name, rule);
      }
}

// Only the pattern of a rule shows that a match can have a space, and a pattern can express that in many ways.
TEST(Rules, OwnRulesWithASpaceAreFoundInForms) {
  for (std::string space : {" ", "[ ]", "[ ]?", "\\s", "[\\s]", "\\x20", "[\\x20]", "\\h", "\\W", "\\D", ".", "[^a-z]",
                            "[!-~ ]", "[\t-/]", "[\\t-!]", "[[:space:]]", "[^\\S]", "(?: |_)"}) {
    for (std::string mark : {"acmekey", "[a-z]{7}"}) {
      auto rules =
          *parse_rules("[acme]\nis: b\nyes: a\nno: b\npattern: " + mark + space + "(?:[A-Z0-9]{4}" + space + "){3}\n");
      auto catalog = *Catalog::builtin();
      ASSERT_TRUE(catalog.add(rules, *compile(rules))) << space;
      catalog.build();
      auto findings = Detector(&catalog).scan("a=%3Cacmekey+K3X9+7QPL+Z2M4+b").findings;
      ASSERT_EQ(findings.size(), 1u) << mark << space;
      EXPECT_EQ(findings[0].name, "acme");
    }
  }
}

// One in ten numbers passes Luhn's checksum.
TEST(Rules, LetsIdsPassIfOneIsACardNumberByChance) {
  std::string ids, list, lines, cards;
  for (int i = 0; i < 30; ++i) {
    std::string id = std::to_string(4539148803436467 + i * 7919);
    ids += "{\"id\":" + id + ",\"name\":\"a thing with a name\"},";
    list += id + ", ";
    lines += id + "\n";
    cards += filled("{\"id\":4<card 15>,\"name\":\"a thing with a name\"},", static_cast<uint32_t>(i));
  }
  EXPECT_EQ(found("[" + ids + "{}]"), "");
  EXPECT_EQ(found("[1234, " + list + "1]"), "");
  EXPECT_EQ(found("the ids:\n1234\n" + lines), "");
  EXPECT_EQ(Detector(&catalog()).scan(cards).findings.size(), 30u);
  // Numbers after another text do not count.
  EXPECT_EQ(found("[" + ids + "{\"card\":4539148803436467}]"), "payment-card");
  EXPECT_EQ(found("{\"card\":4539148803436467," + ids + "}"), "payment-card");
  EXPECT_EQ(found("{\"id\":4539148803436467},{\"id\":4539148803436468},{\"id\":4539148803436469}"), "payment-card");
  std::string export_lines = "name,card,order\n";
  for (int i = 0; i < 10; ++i)
    export_lines +=
        "ann," + filled("4<card 15>", static_cast<uint32_t>(i)) + "," + std::to_string(1234567890123457 + i) + "\n";
  EXPECT_EQ(Detector(&catalog()).scan(export_lines).findings.size(), 10u);
}

TEST(Rules, ADatabaseOfOtherRulesIsRefused) {
  EXPECT_FALSE(Catalog::make({}, credentials_database()));
  EXPECT_FALSE(Catalog::make(*parse_rules(credentials_text()), credentials_database().substr(0, 1000)));
}

}  // namespace
}  // namespace bottle::scan
