#include "base/text/line.h"

#include <gtest/gtest.h>

namespace bottle {
namespace {

TEST(Line, HumanWritingStaysReadable) {
  for (const char* text :
       {"plain ~/a b/c.txt", "Überstraße", "日本語のファイル", "Ωmega — “quoted”…", "עברית", "🙂", "e\u0301"})
    EXPECT_EQ(one_line(text), text);
}

TEST(Line, ControlAndDeceptiveCharactersAreEscaped) {
  struct Case {
    std::string_view text, shown;
  };
  for (auto [text, shown] : {
           Case{"a\nTake it: curl x | sh", "a\\nTake it: curl x | sh"},
           {"a\r\tb", "a\\r\\tb"},
           {"\x1b]0;owned\x07", "\\x1b]0;owned\\x07"},
           {std::string_view("a\0b\x7f", 4), "a\\x00b\\x7f"},
           {"\xc2\x9b[31m", "\\u{9b}[31m"},                         // CSI as one character
           {"\x9b[31m", "\\x9b[31m"},                               // and as one byte
           {"a\u202egpj.exe\u202c", "a\\u{202e}gpj.exe\\u{202c}"},  // reads exe.jpg
           {"\u2066x\u2069", "\\u{2066}x\\u{2069}"},
           {"a\u2028b\u2029c", "a\\u{2028}b\\u{2029}c"},
           {"a\u200bb\ufeffc\u2060\u00ad", "a\\u{200b}b\\u{feff}c\\u{2060}\\u{ad}"},
           {"\ue000\U000f0000\U000e0041", "\\u{e000}\\u{f0000}\\u{e0041}"},
           {"\xed\xa0\x80", "\\xed\\xa0\\x80"},                    // half of a pair
           {"\xc0\xaf\xe0\x80\x8a", "\\xc0\\xaf\\xe0\\x80\\x8a"},  // overlong
           {"\xf4\x90\x80\x80\xff", "\\xf4\\x90\\x80\\x80\\xff"},
           {"a\xe6\x97", "a\\xe6\\x97"},  // cut off
       }) {
    EXPECT_EQ(one_line(text), shown);
    EXPECT_EQ(one_line(one_line(text)), shown);
  }
}

TEST(Line, EveryCharacterIsKeptWholeOrEscaped) {
  for (int first = 0; first < 256; ++first)
    for (int second = 0; second < 256; ++second) {
      std::string text = {static_cast<char>(first), static_cast<char>(second)}, shown = one_line(text);
      for (unsigned char c : shown) ASSERT_TRUE(c >= 0x20 && c != 0x7f) << first << " " << second;
      ASSERT_EQ(one_line(shown), shown);
    }
}

TEST(Line, ALongLineIsCutBetweenCharacters) {
  EXPECT_EQ(one_line("abcdefgh", 8), "abcdefgh");
  EXPECT_EQ(one_line("abcdefghi", 8), "abcde…");
  EXPECT_EQ(one_line("ééééé", 8), "éé…");
  EXPECT_EQ(one_line("\x1b\x1b\x1b", 8), "\\x1b…");
  EXPECT_EQ(one_line(one_line("ééééé", 8), 8), "éé…");
  EXPECT_LE(Line(std::string(1 << 20, '\x1b')).text().size(), kLongestLine);
}

TEST(Line, AStyleTakesNoColumns) {
  Line line = Line::styled(Line::Style::bold, "a\x1b[2Jé") + " b";
  EXPECT_EQ(line.text(), "\033[1ma\\x1b[2Jé\033[0m b");
  EXPECT_EQ(line.columns(), std::string("a\\x1b[2Je b").size());
}

TEST(Line, AReaderFindsLinesHoweverTheInputIsCut) {
  std::string text = "one\r\n\x1b[2Jtwo\n   \n\nthree", told;
  for (size_t piece = 1; piece < text.size(); ++piece) {
    std::vector<std::string> lines;
    LineReader reader;
    auto take = [&](const Line& line) { lines.push_back(line.text()); };
    for (size_t at = 0; at < text.size(); at += piece) reader.feed(std::string_view(text).substr(at, piece), take);
    reader.end(take);
    EXPECT_EQ(lines, (std::vector<std::string>{"one", "\\x1b[2Jtwo", "three"})) << piece;
  }
}

TEST(Line, OutputOfAProgramIsFoldedIntoOneLine) {
  EXPECT_EQ(folded("fatal: no\x1b[2J\n\nhint: try\r\n"), "fatal: no\\x1b[2J | hint: try");
  EXPECT_EQ(folded("\n \n"), "");
  EXPECT_EQ(folded("one\ntwo", 8), "one |…");
}

TEST(Line, AsciiJsonHasTheSameMeaning) {
  EXPECT_EQ(ascii_json("{\"a\": \"é\u202e🙂\x7f\"}\n"), "{\"a\": \"\\u00e9\\u202e\\ud83d\\ude42\\u007f\"}\n");
  EXPECT_EQ(ascii_json("\x1b[2J\xff"), "\\u001b[2J\\ufffd");
}

}  // namespace
}  // namespace bottle
