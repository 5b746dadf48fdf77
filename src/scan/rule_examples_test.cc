// Checks the format of rules, and the examples of the rules that the program carries.
#include <gtest/gtest.h>

#include "scan/compiler/compile.h"
#include "scan/credential/builtin.h"
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

TEST(Rules, ADatabaseOfOtherRulesIsRefused) {
  EXPECT_FALSE(Catalog::make({}, credentials_database()));
  EXPECT_FALSE(Catalog::make(*parse_rules(credentials_text()), credentials_database().substr(0, 1000)));
}

}  // namespace
}  // namespace bottle::scan
