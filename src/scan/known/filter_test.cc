// Checks what is found in which form, and that cutting the stream anywhere changes nothing.
#include <gtest/gtest.h>

#include <random>

#include "scan/encoding/simd/wide.h"
#include "scan/known/filter.h"

namespace bottle::scan {
namespace {

using Do = Verdict::Do;

Dictionary dictionary(const std::vector<std::string>& needles) {
  Dictionary made;
  for (uint32_t i = 0; i < needles.size(); ++i) made.add(i, needles[i]);
  made.build();
  return made;
}

// Returns the stream with [needle number] in place of each find.
std::string marked(const Dictionary& d, std::string_view text, size_t piece = 1 << 20) {
  Filter filter(
      &d, [](const Sight& sight) { return Verdict{Do::replace, "[" + std::to_string(sight.pattern.needle) + "]"}; });
  std::string out;
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size())))
    EXPECT_TRUE(filter.feed(text.substr(0, piece), out));
  EXPECT_TRUE(filter.release(out));
  return out;
}

std::string base64(std::string_view bytes, bool url = false) {
  std::string text = base64_core(std::string(bytes) + std::string("\0\0", 2), 0, url);
  text.resize((bytes.size() * 8 + 5) / 6);
  return text;
}

std::string percent(std::string_view text, const char* format = "%%%02X") {
  std::string out;
  char buffer[16];
  for (unsigned char c : text) out.append(buffer, static_cast<size_t>(snprintf(buffer, sizeof buffer, format, c)));
  return out;
}

TEST(Forms, Base64IsFoundAtEveryAlignment) {
  std::string value = "v\xfflue?secret>>0123";
  auto d = dictionary({value});
  for (bool url : {false, true})
    for (size_t before = 0; before < 7; ++before)
      for (size_t after = 0; after < 5; ++after) {
        std::string text = base64(std::string(before, 'q') + value + std::string(after, 'z'), url);
        EXPECT_NE(marked(d, text).find("[0]"), std::string::npos) << before << " " << after << " " << text;
      }
}

TEST(Forms, ShortValuesHaveNoEncodedForms) {
  EXPECT_EQ(forms_of("abcd").size(), 1u);
  EXPECT_EQ(forms_of("abcdefgh").size(), 4u);
  EXPECT_EQ(forms_of("a b cdefgh")[1].text, "a+b+cdefgh");
}

TEST(Finder, FindsEscapedText) {
  std::string value = "tok/en\"with\\ever&y<t\xc3\xa9hing";
  auto d = dictionary({value});
  std::string json = R"(tok\/en\"with\\ever\u0026y\u003Ct\u00e9hing)",
              html = "tok&#47;en&quot;with\\ever&amp;y&lt;t&#xe9;hing";
  std::string twice = R"(tok\/en\\\"with\\\\ever\\u0026y\u003Ct\\u00e9hing)";
  for (const std::string& spelt :
       {value, percent(value), percent(value, "%%%02x"), percent(percent(value)), json, html, twice,
        percent(value, "\\x%02x"), std::string("tok%2Fen%22with%5cever%26y<t%C3%A9hing")}) {
    EXPECT_EQ(marked(d, "{" + spelt + "}"), "{[0]}") << spelt;
    for (size_t piece = 1; piece < 9; ++piece) EXPECT_EQ(marked(d, "%" + spelt + "%", piece), "%[0]%") << spelt;
  }
  EXPECT_EQ(marked(dictionary({"smile \xf0\x9f\x98\x80 now"}), R"("smile \ud83d\ude00 now")"), "\"[0]\"");
}

TEST(Finder, FindsEscapedBase64) {
  std::string value = "secret?>>value?>>";
  auto d = dictionary({value});
  std::string text = base64("me:" + value);
  ASSERT_NE(text.find_first_of("+/"), text.npos);
  EXPECT_NE(marked(d, percent(text)).find("[0]"), std::string::npos);
  std::string json;
  for (char c : text) json += c == '/' ? "\\/" : c == '+' ? "\\u002b" : std::string(1, c);
  EXPECT_NE(marked(d, json).find("[0]"), std::string::npos) << json;
}

TEST(Finder, AnEscapeIsNeverCut) {
  // JSON with a replaced find must still be JSON.
  auto d = dictionary({"\"begin and end\""});
  EXPECT_EQ(marked(d, R"({"a":"x\"begin and end\"y"})"), R"({"a":"x[0]y"})");
  EXPECT_EQ(marked(d, R"({"a":"\\\"begin and end\"\\"})"), R"({"a":"[0]\\"})");
}

TEST(Filter, TheLongestOfFindsThatBeginTogetherIsJudged) {
  auto d = dictionary({"placeholder-git", "placeholder-github", "hub-and-more"});
  EXPECT_EQ(marked(d, "placeholder-git placeholder-github placeholder-gith"), "[0] [1] [0]h");
  EXPECT_EQ(marked(d, "placeholder-github-and-more"), "[1][2]");
  for (size_t piece = 1; piece < 30; ++piece)
    EXPECT_EQ(marked(d, "placeholder-gitplaceholder-githubplaceholder-gi", piece), "[0][1]placeholder-gi");
}

TEST(Filter, StopsBeforeTheFirstByteOfAFind) {
  auto d = dictionary({"secret-value", "other"});
  std::string text = "aaa secret-secret-value bbb";
  for (size_t cut = 1; cut <= text.size(); ++cut) {
    Filter filter(&d, [](const Sight& sight) { return Verdict{sight.whole ? Do::stop : Do::keep, ""}; });
    std::string out;
    bool going = true;
    for (size_t at = 0; at < text.size() && going; at += cut)
      going = filter.feed(std::string_view(text).substr(at, cut), out);
    EXPECT_FALSE(going) << cut;
    EXPECT_EQ(out, "aaa secret-") << cut;
  }
}

TEST(Filter, AFindThatEndsLikeAnotherBeginsIsJudgedImmediately) {
  auto d = dictionary({"secret-more", "real-secret", "secret-more-or-less"});
  Filter filter(&d, [](const Sight& sight) { return Verdict{Do::replace, std::string(sight.bytes.size(), '#')}; });
  std::string out;
  EXPECT_TRUE(filter.feed("a real-secret", out));
  EXPECT_EQ(out, "a ###########");
  EXPECT_TRUE(filter.feed("-more", out));
  EXPECT_TRUE(filter.feed("!", out));
  EXPECT_EQ(out, "a ################!") << "and the rest of the other one too";
}

TEST(Filter, TheRestOfAReleasedFindIsStillJudged) {
  auto d = dictionary({"secret-value"});
  Filter filter(&d, [](const Sight& sight) {
    return Verdict{Do::replace, std::string(sight.bytes.size(), sight.whole ? '#' : '*')};
  });
  std::string out;
  EXPECT_TRUE(filter.feed("a sec", out));
  EXPECT_EQ(out, "a ");
  EXPECT_TRUE(filter.release(out));
  EXPECT_EQ(out, "a sec");
  EXPECT_TRUE(filter.feed("ret-value, secret-value", out));
  EXPECT_EQ(out, "a sec*********, ############");
  EXPECT_FALSE(filter.holds());
}

TEST(Filter, APauseJudgesAFindOfWhichMoreThanHalfArrived) {
  auto d = dictionary({"secret-value-of-24-bytes"});
  for (const auto& [text, judged] : std::initializer_list<std::pair<std::string_view, std::string_view>>{
           {"a secret-valu", ""}, {"a secret-value-", "secret-value-"}, {"a s%65cret-value-", "s%65cret-value-"}}) {
    std::string out, seen;
    Filter filter(&d, [&](const Sight& sight) {
      EXPECT_FALSE(sight.whole);
      seen = sight.bytes;
      return Verdict{Do::stop, {}};
    });
    EXPECT_TRUE(filter.feed(text, out));
    EXPECT_EQ(out, "a ");
    EXPECT_EQ(filter.pause(out), judged.empty());
    EXPECT_EQ(seen, judged);
    EXPECT_EQ(out, judged.empty() ? text : "a ");
  }
}

TEST(Filter, HoldsLittleIfItIsAtMostAQuarterOfAPattern) {
  auto d = dictionary({"secret-value-of-24-bytes", "sea"});
  auto little = [&](std::string_view text) {
    Filter filter(&d, [](const Sight&) { return Verdict{}; });
    std::string out;
    EXPECT_TRUE(filter.feed(text, out));
    return filter.holds_little();
  };
  EXPECT_FALSE(little("text")) << "nothing is held";
  EXPECT_FALSE(little("a s")) << "a third of the shorter one";
  EXPECT_TRUE(little("a sec"));
  EXPECT_TRUE(little("a sec%72"));
  EXPECT_TRUE(little("a secret"));
  EXPECT_FALSE(little("a secret-"));
  EXPECT_FALSE(little("a s%65cret-"));
}

TEST(Filter, RecognizesHalfAnEscape) {
  auto d = dictionary({"nabcdefg", "pass\\"});
  std::string seen;
  for (size_t piece : {1, 2, 100}) {
    Filter filter(&d, [&](const Sight& sight) {
      seen += sight.splits_escape ? "half " : "whole ";
      return Verdict{};
    });
    std::string out;
    std::string_view text = R"("\\nabcdefg \nabcdefg \\\nabcdefg pass\\ pass\")";
    for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) filter.feed(text.substr(0, piece), out);
    filter.release(out);
    EXPECT_EQ(seen, "whole half half whole half ") << piece;
    seen.clear();
  }
}

TEST(Filter, CuttingAnywhereChangesNothing) {
  std::mt19937 random(15);
  auto pick = [&](size_t below) { return static_cast<size_t>(random() % below); };
  constexpr std::string_view kPieces[] = {"ab", "a",     "b",     "%61",       "%62", "\\u0061", "\\", "%",
                                          "&",  "&#98;", "%2561", "\\\\u0062", "c",   "&#x61;",  "\\/"};
  for (int round = 0; round < 100; ++round) {
    std::vector<std::string> needles;
    for (size_t i = 0; i < 1 + pick(3); ++i) {
      std::string needle;
      while (needle.size() < 3 + pick(5)) needle += "abc/%\\&"[pick(7)];
      needles.push_back(needle);
    }
    auto d = dictionary(needles);
    std::string text;
    while (text.size() < 200) text += kPieces[pick(std::size(kPieces))];
    std::string whole = marked(d, text);
    for (size_t piece : {1, 2, 3, 7, 50}) EXPECT_EQ(marked(d, text, piece), whole) << text << " " << needles[0];
    bool usual = std::exchange(use_wide, false);
    EXPECT_EQ(marked(d, text), whole) << "on a processor that compares fewer bytes at once";
    use_wide = usual;
  }
}

// A buffer that is taken over must give the same output as a copy, wherever the finds are.
TEST(Filter, ABufferPassesLikeACopy) {
  auto d = dictionary({"real-secret", "real-secret-and-more", "\\u0061bc"});
  std::mt19937 random(4);
  auto pick = [&](size_t n) { return random() % n; };
  std::string noise;
  for (int round = 0; round < 300; ++round) {
    if (round % 30 == 0) noise.clear();  // making it takes longer than the rest
    while (noise.size() < 100'000) noise += static_cast<char>(pick(4) ? pick(256) : "real-\\"[pick(6)]);
    std::string text = noise;
    for (size_t finds = pick(3); finds > 0; --finds) {
      // Puts needles, some of them cut off, near the bounds of slices and of the pieces below.
      size_t at = (1 + pick(4)) * 16 * 1024 + pick(40) - 20;
      text.replace(at, 20, std::string("real-secret-and-more").substr(0, pick(2) ? 20 : 9 + pick(11)));
    }
    auto judge = [](const Sight& sight) {
      return Verdict{Do::replace,
                     "[" + std::to_string(sight.pattern.needle) + " at " + std::to_string(sight.begin) + "]"};
    };
    Filter copies(&d, judge), takes(&d, judge);
    std::string copied, taken;
    for (std::string_view rest = text; !rest.empty();) {
      std::string piece(rest.substr(0, 20'000 + pick(40'000))), one, other;
      rest.remove_prefix(piece.size());
      ASSERT_TRUE(copies.feed(piece, one));
      ASSERT_TRUE(takes.feed_buffer(piece, other));
      ASSERT_EQ(one, other);
      ASSERT_EQ(copies.holds(), takes.holds());
    }
    ASSERT_TRUE(copies.release(copied));
    ASSERT_TRUE(takes.release(taken));
    ASSERT_EQ(copied, taken);
  }
}

TEST(Filter, ABufferPassesLikeACopyAfterAPauseInALongFind) {
  std::mt19937 random(5);
  std::string needle;
  while (needle.size() < 60'000) needle += static_cast<char>('a' + random() % 26);
  auto d = dictionary({needle});
  auto judge = [](const Sight& sight) { return Verdict{Do::replace, sight.whole ? "[whole]" : "[rest]"}; };
  Filter copies(&d, judge), takes(&d, judge);
  for (size_t at : {0, 20'000, 40'000}) {
    std::string piece = needle.substr(at, 20'000), one, other;
    ASSERT_TRUE(copies.feed(piece, one));
    ASSERT_TRUE(takes.feed_buffer(piece, other));
    if (at == 0) {
      ASSERT_TRUE(copies.pause(one));
      ASSERT_TRUE(takes.pause(other));
      ASSERT_EQ(one, needle.substr(0, 20'000)) << "less than half of the find does not wait";
    }
    ASSERT_EQ(one, other);
    ASSERT_EQ(copies.holds(), takes.holds());
  }
}

TEST(Filter, ABufferThatPassesIsNotCopied) {
  auto d = dictionary({"real-secret"});
  Filter filter(&d, [](const Sight&) { return Verdict{}; });
  std::string bytes(64 * 1024, 'x'), out;
  const char* memory = bytes.data();
  ASSERT_TRUE(filter.feed_buffer(bytes, out));
  EXPECT_EQ(out.data(), memory);
  EXPECT_EQ(out.size(), size_t{64} * 1024);
}

TEST(Filter, TakesLinearTime) {
  // Each of these inputs would take quadratic time with a naive matcher that starts over, or with a list that grows.
  std::string needle(500, 'a');
  auto d = dictionary({needle + "b", needle});
  std::string escaped;
  for (int i = 0; i < 20'000; ++i) escaped += "%61";
  for (const std::string& text :
       {std::string(50'000, 'a'), escaped, std::string(50'000, '\\'), std::string(50'000, '%')}) {
    Filter filter(&d, [](const Sight& sight) { return Verdict{Do::replace, std::string(sight.bytes.size(), '*')}; });
    std::string out;
    EXPECT_TRUE(filter.feed(text, out));
    EXPECT_TRUE(filter.release(out));
    EXPECT_EQ(out.size(), text.size());
  }
}

}  // namespace
}  // namespace bottle::scan
