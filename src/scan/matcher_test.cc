// Checks that patterns find the same in parts as they do as a whole, and that the credentials that are found without a
// pattern are those that a pattern would find.
#include "scan/credential/matcher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <tuple>

#include "scan/compiler/atoms.h"
#include "scan/compiler/compile.h"
#include "scan/compiler/probe.h"
#include "scan/compiler/spaces.h"
#include "scan/compiler/split.h"
#include "scan/credential/builtin.h"
#include "scan/credential/numbers.h"
#include "scan/rule_examples.h"

namespace bottle::scan {
namespace {

using Found = std::set<std::tuple<uint32_t, size_t, size_t>>;  // rule, begin and end

Found found_by(Matcher& matcher, std::string_view text, Patterns patterns = Patterns::all) {
  Found found;
  auto add = [&](const Match& match) { found.emplace(match.rule, match.begin, match.end); };
  EXPECT_TRUE(matcher.scan(text, add, patterns));
  return found;
}

Matcher matcher_of(const std::vector<Rule>& rules, Whole whole) {
  return std::move(*Matcher::load(*compile(rules, {}, whole)));
}

Matcher matcher_of(std::string_view pattern) {
  std::string text = "[a]\nis: b\nyes: a\nno: b\npattern: " + std::string(pattern) + "\n";
  return matcher_of(*parse_rules(text), Whole::yes);
}

// Makes texts in which many examples of the rules begin close to each other, some of them cut off.
class Texts {
 public:
  explicit Texts(const std::vector<Rule>& rules) {
    for (const Rule& rule : rules)
      for (const Example& each : rule.examples) pieces_.push_back(each.text);
    for (const char* each : {"<alnum 20>", "<alnum 90>", "<hex 40>", "<base64url 140>", "eyJ", ".eyJ", "_", ".", "-",
                             " ", "\n", "/", "%", "=", "A", "<digits 9>"})
      pieces_.emplace_back(each);
  }

  std::string next() {
    std::string text;
    for (size_t count = 1 + random_() % 12; count > 0; --count) {
      std::string piece = filled(pieces_[random_() % pieces_.size()], static_cast<uint32_t>(random_()));
      if (random_() % 4 == 0) piece = piece.substr(random_() % (piece.size() + 1));
      if (random_() % 4 == 0) piece.resize(random_() % (piece.size() + 1));
      if (random_() % 8 == 0 && !piece.empty()) piece[random_() % piece.size()] = "+/.~ A0"[random_() % 7];
      text += piece;
    }
    return text;
  }

 private:
  std::mt19937 random_{17};
  std::vector<std::string> pieces_;
};

// Returns rules whose lead is seldom at the place where the leftmost match of the rest begins.
std::vector<Rule> rules_with_leads() {
  std::string text;
  for (const auto& [pattern, example] : {std::pair("[a-f0-9]{32}[a-z]?:acme-[0-9]", "<hex 32>:acme-<digits 1>"),
                                         std::pair("[0-9]{8}[A-Za-z0-9]+\\.acme", "<digits 9>.acme"),
                                         std::pair("[a-z0-9]{8}:[a-z0-9:]+!!", "::<hex 8>:a:<hex 8>:!!"),
                                         std::pair("[a-z0-9]{8}(?:ab|bab)!!", "<hex 8>bab!!"),
                                         std::pair("[a-z0-9]{8}:[a-z0-9]+:[A-Z:]{3}", "<hex 8>:a:::<hex 8>:b:A::")})
    text += "[r" + std::to_string(text.size()) + "]\nis: b\nyes: " + example + "\nno: b\npattern: " + pattern + "\n";
  return *parse_rules(text);
}

void expect_same_when_split(const std::vector<Rule>& rules) {
  Matcher whole = matcher_of(rules, Whole::yes), split = matcher_of(rules, Whole::no);
  Texts texts(rules);
  // The beginning may differ if the check does not use it.
  auto found = [&](Matcher& matcher, const std::string& text) {
    Found all;
    for (const auto& [rule, begin, end] : found_by(matcher, text))
      all.emplace(rule, needs_beginning(rules[rule]) ? begin : 0, end);
    return all;
  };
  size_t matches = 0;
  for (int i = 0; i < 4000; ++i) {
    std::string text = texts.next();
    Found expected = found(whole, text);
    matches += expected.size();
    ASSERT_EQ(found(split, text), expected) << text;
  }
  EXPECT_GT(matches, 2000u);
}

TEST(Matcher, FindsTheSameWithSplitPatterns) {
  expect_same_when_split(*parse_rules(credentials_text()));
  expect_same_when_split(rules_with_leads());
}

// Otherwise, a value of any length would be found again at each of its characters, under other fingerprints.
TEST(Matcher, ReportsAValueAtTheEndOfAMatchOnce) {
  for (const char* check : {"last 32", "basic", "docker-auth"}) {
    auto rules = parse_rules(std::string("[acme-key]\nis: a key\npattern: acme_key=[a-z0-9]{32,}\ncheck: ") + check +
                             "\nyes: acme_key=<base36 40>\nno: other\n");
    ASSERT_TRUE(rules) << rules.error().what;
    Matcher matcher = matcher_of(*rules, Whole::no);
    EXPECT_EQ(found_by(matcher, "acme_key=" + std::string(64, 'k')).size(), 1u) << check;
  }
}

TEST(Matcher, TellsWhichPatternsMayHaveASpace) {
  for (const char* each :
       {"a b", "a[ ]?b", "a\\sb", "a\\ b", "a.b", "[^b]", "[^b\\n]", "[\t-~]", "[]a ]", "[a\\]b ]", "\\x20", "\\040",
        "[\\x20]", "[a-\\x7f]", "[[:blank:]]", "(?i:a|\\W)", "[^\\w]", "[\\W]", "[^\\S]"})
    EXPECT_TRUE(may_have_space(each)) << each;
  for (const char* each : {"ab", "a[bc]{3,4}", "a\\.b", "[.]", "[a-z.]", "[^\\s]", "[^ a]", "[^a\\s]", "\\d\\w\\n",
                           "[\\d\\n]", "a\\[b", "[]^\\]]", "(?i:a_?b)", "[!-~]", "\\$[./A-Za-z0-9$=,]{40}"})
    EXPECT_FALSE(may_have_space(each)) << each;
}

TEST(Matcher, FindsEveryMatchWithASpaceAmongThePatternsWithSpaces) {
  auto rules = *parse_rules(credentials_text());
  Matcher matcher = matcher_of(rules, Whole::no);
  Texts texts(rules);
  size_t matches = 0;
  for (int i = 0; i < 4000; ++i) {
    std::string text = texts.next();
    Found all = found_by(matcher, text), some = found_by(matcher, text, Patterns::with_spaces);
    EXPECT_TRUE(std::ranges::includes(all, some));
    for (const auto& match : all) {
      const auto& [rule, begin, end] = match;
      if (std::string_view(text).substr(begin, end - begin).contains(' ') && ++matches)
        EXPECT_TRUE(some.contains(match)) << rules[rule].id << ": " << text;
    }
  }
  EXPECT_GT(matches, 200u);
  Matcher without = matcher_of("acme_[a-z]{20}");
  EXPECT_TRUE(found_by(without, "acme_abcdefghijklmnopqrst", Patterns::with_spaces).empty());
}

TEST(Matcher, TellsWhichCoresHaveOneBeginning) {
  for (const char* each : {"eyJ[a-z]{10,}\\.eyJ[a-z]{10,}\\.[a-z]{20}", "[a-z]{8}:[a-z]+:[A-Z:]{3}", "[a-z]{8}:abc"})
    EXPECT_TRUE(split(each).one_begin) << each;
  for (const char* each : {"[a-z]{8}:[a-z:]+!!", "[a-z]{8}[a-z]?:abc", "[a-z]{8}(?:ab|bab)!!", "[a-z]{8}::?[a-z]+!!",
                           "[a-z]{8}:(?:a|:b)!!", "[a-z]{8}:{2}[a-z]+!!"})
    EXPECT_FALSE(split(each).one_begin) << each;
}

TEST(Matcher, SplitsOnlyWhatItUnderstands) {
  auto parts = [](std::string_view pattern) {
    SplitPattern split = scan::split(pattern);
    std::string out = split.lead ? split.literal + "<" + std::to_string(split.least) + "> " : "";
    out += split.core;
    for (const auto& [set, least, most, is_tried] : split.steps) {
      out += is_tried ? " ?" : " ";
      out += std::to_string(least);
      if (most != least) out += most == kNoLimit ? "+" : "-" + std::to_string(most);
    }
    return out;
  };
  EXPECT_EQ(parts("gh[pousr]_[A-Za-z0-9]{36}"), "gh[pousr]_ 36");
  EXPECT_EQ(parts("[A-Z]{32,80}(?:AzCa|ASt)[a-z]{8}"), "<32> (?:AzCa|ASt) 8");
  EXPECT_EQ(parts("eyJ[a-z]{10,}\\.eyJ[a-z]{10,}\\.[a-z]{20}"), "eyJ<10> \\.eyJ 10+ 1 20");
  EXPECT_EQ(parts("sk\\.eyJ1[a-z]{40,}\\.[a-z]{20}"), "sk\\.eyJ1 40+ 1 20") << "a core of a dot would occur too often";
  EXPECT_EQ(parts("00D[A-Z]{12,15}![A-Z.]{80}"), "00D 12-15 1 80");
  EXPECT_EQ(parts("SK[0-9a-f]{32}"), "SK[0-9a-f] 31");
  EXPECT_EQ(parts("[?&]sig=[A-Z%]{43,67}%3[dD]"), "[?&]sig= ?43-67 1 1 1");
  EXPECT_EQ(parts("abcd[^a-z]{36}"), "abcd 36");
  EXPECT_EQ(parts("abcd[a-z]{3}[xy]?z"), "abcd 3 0-1 1");
  EXPECT_EQ(parts("abcd[\\s]{36}"), "abcd 36");
  EXPECT_EQ(parts("eyJ[a-z]{10,20}eyJ"), "eyJ ?10-20 1 1 1");
  // A part must not be split off if its length or its case varies, or if it uses syntax that the splitter does not
  // parse.
  for (const char* each : {"abcd[a-z]{8,}", "(?i)abcd[a-z]{36}", "abcd|efgh[a-z]{36}", "^abcd[a-z]{36}", "[a-z]{36}",
                           "abcd(?:[a-z]{36})", "ab.d[a-z]{36}", "eyJ[a-z]{10,}eyJ", "abcd[a-z]{36}?",
                           "\\x41bcd[a-z]{36}", "abcd[[:alpha:]]{36}", "abcd[\\w]{36}"})
    EXPECT_EQ(parts(each), each);
}

TEST(Matcher, ReadsSetsLikeVectorscan) {
  for (std::string_view set : {"[a-f0]", "[^a-f0]", "[-:]", "[a-z-]", "[\\s,]", "[^\\s:]", "[\\d_]", "[^\"'\\\\\\n]",
                               "\\s", "\\d", "\\.", "[\\]\\-a]", "[[(]", "[.^$|]"}) {
    auto atoms = atoms_of(set);
    ASSERT_TRUE(atoms) << set;
    ASSERT_EQ(atoms->size(), 1u) << set;
    Matcher matcher = matcher_of("abcd" + std::string(set));
    for (int c = 0; c < 256; ++c) {
      std::string text = std::string("abcd") + static_cast<char>(c);
      EXPECT_EQ((*atoms)[0].set.has(static_cast<char>(c)), !found_by(matcher, text).empty()) << set << " " << c;
    }
  }
}

TEST(Matcher, FindsTokensOfXLikeAPattern) {
  Matcher first = matcher_of("^AAAAAAAAAAAAAAAAAAAAA[A-Za-z0-9]{8}[A-Za-z0-9%]{70}");
  Matcher others = matcher_of("[^A-Za-z0-9]AAAAAAAAAAAAAAAAAAAAA[A-Za-z0-9]{8}[A-Za-z0-9%]{70}");
  std::mt19937 random(18);
  size_t matches = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (size_t count = 1 + random() % 4; count > 0; --count)
      text += std::string("\"_=a ").substr(random() % 5, random() % 2) + std::string(15 + random() % 40, 'A') +
              filled("<alnum 9>%2B<alnum 60>", static_cast<uint32_t>(random())) + std::string(random() % 9, 'A');
    std::set<size_t> expected, found;
    for (Matcher* each : {&first, &others})
      for (const auto& [rule, begin, end] : found_by(*each, text)) expected.insert(end);
    each_x_bearer(text, [&](size_t, size_t end) { found.insert(end); });
    matches += found.size();
    ASSERT_EQ(found, expected) << text;
  }
  EXPECT_GT(matches, 1000u);
}

// vectorscan looks for the rest of a pattern after each of its beginnings.
TEST(Matcher, CountsBeginningsOfPatterns) {
  constexpr size_t kBeginnings = 50;
  for (const auto& [pattern, beginning] :
       {std::pair("00D[A-Za-z0-9]{12,15}![A-Za-z0-9._]{80}", "00D"), std::pair("[ps]at\\.[a-z]{2,9}-[0-9]", "pat."),
        std::pair("[a-z]{3,8}(?:AzCa|ACDb)[a-z]{3,5}=", "AzCa")}) {
    Matcher matcher = matcher_of(pattern);
    std::string text;
    for (size_t i = 0; i < kBeginnings; ++i) text.append(beginning).append(" ");
    size_t most = SIZE_MAX, matches = 0;
    EXPECT_TRUE(matcher.scan(text, [&](const Match&) { ++matches; }, most));
    EXPECT_EQ(matches, 0u);
    EXPECT_EQ(SIZE_MAX - most, kBeginnings * Matcher::kProbe) << pattern;
    most = 1;
    EXPECT_FALSE(matcher.scan(text, [](const Match&) {}, most)) << pattern;
  }
}

// An agent can send a long row of characters after each of many cores, so what is read of it counts.
TEST(Matcher, CountsWhatItReadsAfterACore) {
  Matcher matcher = matcher_of(*parse_rules("[a]\nis: b\nyes: a\nno: b\npattern: sk\\.eyJ1[a-z]{40,}\\.[a-z]{20}\n"
                                            "pattern: xyz[a-z]{40,}\\.[a-z]{20}\npattern: abc[a-z%]{9,30}%3[dD]\n"),
                               Whole::no);
  auto work = [&](const std::string& text) {
    size_t most = SIZE_MAX;
    EXPECT_TRUE(matcher.scan(text, [](const Match&) { ADD_FAILURE(); }, most));
    return SIZE_MAX - most;
  };
  constexpr size_t kCores = 1000, kRow = 200;
  std::string tokens, cores, tried;
  for (size_t i = 0; i < kCores; ++i)
    tokens += "sk.eyJ1" + std::string(kRow, 'q') + "!", cores += "xyz", tried += "abc";
  EXPECT_GE(work(tokens), kCores * (Matcher::kCore + kRow * Matcher::kRead));
  // Many cores in one row do not read it again.
  constexpr size_t kMostOfCore = 30, kMostTried = 100;
  EXPECT_LE(work(cores + std::string(kRow, 'q')), kCores * (Matcher::kCore + kMostOfCore) + kRow);
  EXPECT_GE(work(tried), kCores * (Matcher::kCore + kMostOfCore));
  EXPECT_LE(work(tried), kCores * (Matcher::kCore + kMostTried));
}

// vectorscan reports no match until it has read all repeated characters, however long that takes.
TEST(Matcher, LooksForNoRepeatedCharactersInVectorscan) {
  constexpr uint32_t kFew = 3;
  auto repeats = [&](std::string_view core) {
    auto atoms = atoms_of(core);
    return !atoms || std::ranges::any_of(*atoms, [&](const Atom& atom) {
      std::string_view text = core.substr(atom.begin, atom.end - atom.begin);
      bool is_group = atom.kind == Atom::Kind::other;
      return (atom.varies() && atom.most > kFew) || (is_group && text.find_first_of("*+{") != text.npos);
    });
  };
  for (const Rule& rule : *parse_rules(credentials_text()))
    for (size_t i = 0; i < rule.patterns.size(); ++i)
      if (!rule.are_names[i] && repeats(split(rule.patterns[i]).core))
        EXPECT_EQ(rule.id, "asana-token") << rule.patterns[i];
}

// An operator's rule must not fail because of its probe, or count in every text.
TEST(Matcher, NeedsNoBeginningOfAPattern) {
  EXPECT_EQ(probe_of("tok[^]}]{30}"), "tok");
  EXPECT_EQ(probe_of("tok[]}]{30}x"), "tok");
  EXPECT_EQ(probe_of("[A-Z]{4}(?:-|)[0-9a-f]{30}"), "");
  EXPECT_EQ(probe_of("(?:a|e|i|o)[0-9A-F]{30}"), "");
  EXPECT_EQ(probe_of("(?:ab|e)(?:ij|kl)[0-9A-F]{30}"), "(?:ab|e)(?:ij|kl)");
  for (const auto& [pattern, text] :
       {std::pair("tok[^]}]{30}", "tok<hex 30>"), std::pair("tok[]}a-f]{30}x", ""),
        std::pair("[A-Z]{4}(?:-|)[0-9a-f]{30}", "ABCD-<hex 30>"), std::pair("(?:a|e|i|o)[0-9A-F]{30}", "a<HEX 30>")}) {
    auto rules = parse_rules("[own]\nis: b\nyes: a\nno: b\npattern: " + std::string(pattern) + "\n");
    ASSERT_TRUE(rules) << pattern;
    auto database = compile(*rules);
    ASSERT_TRUE(database) << pattern << ": " << database.error().what;
    Matcher matcher = std::move(*Matcher::load(*database));
    EXPECT_EQ(found_by(matcher, filled(text, 3)).size(), *text ? 1u : 0u) << pattern;
    std::string words;
    for (int i = 0; i < 100; ++i) words += "Some words of a text in ordinary English, to which nobody objects. ";
    size_t most = words.size() / 4;
    EXPECT_TRUE(matcher.scan(words, [](const Match&) {}, most)) << pattern;
  }
}

TEST(Matcher, FindsTokensOfBitwardenLikeAPattern) {
  Matcher matcher = matcher_of("0\\.[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\\.[A-Za-z0-9]{30}:");
  std::mt19937 random(20);
  size_t matches = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string text(random() % 70, '.');
    for (size_t count = 1 + random() % 4; count > 0; --count) {
      std::string token = filled("0.<uuid>.<alnum 30>:", static_cast<uint32_t>(random()));
      if (random() % 4 == 0) token[random() % token.size()] = "0.-g:A"[random() % 6];
      text += token + std::string(random() % 70, "a. "[random() % 3]);
    }
    Found found;
    each_bitwarden_token(text, [&](size_t begin, size_t end) { found.emplace(0, begin, end); });
    matches += found.size();
    ASSERT_EQ(found, found_by(matcher, text)) << text;
  }
  EXPECT_GT(matches, 2000u);
}

TEST(Matcher, FindsTokensOfAsanaLikeAPattern) {
  Matcher matcher = matcher_of("[0-9]/[0-9]{16}(?:/[0-9]{16})?:[0-9a-f]{32}");
  std::mt19937 random(21);
  size_t matches = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string text(random() % 70, "/:5"[random() % 3]);
    for (size_t count = 1 + random() % 4; count > 0; --count) {
      const char* form = random() % 2 ? "1/<digits 16>:<hex 32>" : "2/<digits 16>/<digits 16>:<hex 32>";
      std::string token = filled(form, static_cast<uint32_t>(random()));
      if (random() % 4 == 0) token[random() % token.size()] = "0/:gA"[random() % 5];
      if (random() % 4 == 0) token.erase(0, random() % 20);
      text += token + std::string(random() % 70, "a/:5 "[random() % 5]);
    }
    Found found;
    each_asana_token(text, [&](size_t begin, size_t end) { found.emplace(0, begin, end); });
    matches += found.size();
    ASSERT_EQ(found, found_by(matcher, text)) << text;
  }
  EXPECT_GT(matches, 2000u);
}

TEST(Matcher, FindsTokensOfDiscordLikeAPattern) {
  Matcher matcher =
      matcher_of("[MNO][DTjz][AEIMQUYcgk][w-z0-5][A-Za-z0-9_-]{20,22}\\.[A-Za-z0-9_-]{6}\\.[A-Za-z0-9_-]{27}");
  std::mt19937 random(19);
  size_t matches = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (size_t count = 1 + random() % 4; count > 0; --count) {
      std::string first = std::string("MzA1NTAz").substr(0, 4 * (random() % 3));
      text += filled(first + "<base64url " + std::to_string(18 + random() % 6) + ">." +
                         (random() % 4 ? "<base64url 6>" : "<base64url 7>") + ".<base64url " +
                         std::to_string(26 + random() % 20) + ">",
                     static_cast<uint32_t>(random()));
    }
    Found found;
    each_discord_token(text, [&](size_t begin, size_t end) { found.emplace(0, begin, end); });
    matches += found.size();
    ASSERT_EQ(found, found_by(matcher, text)) << text;
  }
  EXPECT_GT(matches, 500u);
}

}  // namespace
}  // namespace bottle::scan
