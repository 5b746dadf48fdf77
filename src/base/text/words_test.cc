#include "base/text/words.h"

#include <gtest/gtest.h>

#include <cstdint>

#include "base/text/parse.h"
#include "base/text/path_parts.h"

namespace bottle {
namespace {

TEST(Words, AreTrimmedAtTheirEnds) {
  EXPECT_EQ(trimmed(" \ta b\t"), "a b");
  EXPECT_EQ(trimmed("a\n"), "a\n") << "only what is named is blank";
  EXPECT_EQ(trimmed(" \n a", "\n "), "a");
  EXPECT_EQ(trimmed_end(" a\r\n", "\r\n"), " a");
  for (const char* blank : {"", " ", "\t \t"}) EXPECT_EQ(trimmed(blank), "") << blank;
}

TEST(Words, AreJoined) {
  using Words = std::vector<std::string>;  // line.h has a joined() for lines
  EXPECT_EQ(joined(Words{}), "");
  EXPECT_EQ(joined(Words{"a"}), "a");
  EXPECT_EQ(joined({"a", "b", "c"}, " | "), "a | b | c");
}

TEST(Number, IsTheWholeText) {
  EXPECT_EQ(number_in<int>("12"), 12);
  EXPECT_EQ(number_in<int>("-12"), -12);
  EXPECT_EQ(number_in<int>("0012"), 12);
  for (const char* text : {"", " ", "12x", "x12", " 12", "12 ", "12\n", "+12", "--12", "-", "1.2", "0x12", "12e3"})
    EXPECT_FALSE(number_in<int>(text)) << text;
  EXPECT_FALSE(number_in<int>(std::string_view("12\0", 3)));
}

TEST(Number, FitsIntoItsType) {
  EXPECT_EQ(number_in<uint16_t>("65535"), 65535);
  EXPECT_FALSE(number_in<uint16_t>("65536"));
  EXPECT_FALSE(number_in<uint16_t>("-1"));
  EXPECT_FALSE(number_in<uint16_t>("-0"));
  EXPECT_EQ(number_in<uint64_t>("18446744073709551615"), UINT64_MAX);
  EXPECT_FALSE(number_in<uint64_t>("18446744073709551616"));
  EXPECT_EQ(number_in<int64_t>("-9223372036854775808"), INT64_MIN);
  EXPECT_FALSE(number_in<int64_t>("9223372036854775808"));
}

TEST(Number, MayHaveAnotherBase) {
  EXPECT_EQ(number_in<uint8_t>("fF", 16), 255);
  EXPECT_FALSE(number_in<uint8_t>("100", 16));
  EXPECT_FALSE(number_in<uint8_t>("fg", 16));
  EXPECT_EQ(number_in<int>("644", 8), 0644);
  EXPECT_FALSE(number_in<int>("648", 8));
}

TEST(Words, OnlyAsciiHasUpperAndLowerCase) {
  EXPECT_EQ(upper("a-z\xc3\xa9{"), "A-Z\xc3\xa9{");
  EXPECT_EQ(lower("A-Z\xc3\x89["), "a-z\xc3\x89[");
}

TEST(PathParts, AreWhatIsBeforeAndAfterTheLastSlash) {
  struct Case {
    const char *path, *parent, *name;
  };
  for (auto [path, parent, name] : {Case{"/a/b/c", "/a/b", "c"},
                                    {"a/b", "a", "b"},
                                    {"/a", "/", "a"},
                                    {"a", "", "a"},
                                    {"a/", "a", ""},
                                    {"", "", ""},
                                    {"/", "/", ""}}) {
    EXPECT_EQ(parent_of(path), parent) << path;
    EXPECT_EQ(name_in(path), name) << path;
  }
}

std::vector<std::string> all_of(const Records& records) {
  std::vector<std::string> all;
  for (std::string_view record : records) all.emplace_back(record);
  return all;
}

TEST(Records, EndWithTheirCharacter) {
  using All = std::vector<std::string>;
  EXPECT_EQ(all_of(each_record("", ';')), All());
  EXPECT_EQ(all_of(each_record("a;bc;", ';')), (All{"a", "bc"}));
  EXPECT_EQ(all_of(each_record(";;a;", ';')), (All{"", "", "a"}));
  EXPECT_EQ(all_of(each_record("a;cut off", ';')), All{"a"}) << "it does not end";
  EXPECT_EQ(all_of(each_record("cut off", ';')), All());
  EXPECT_EQ(all_of(each_record(std::string_view("a\0b\n\0", 5), '\0')), (All{"a", "b\n"}));
}

TEST(Records, TheLastLineNeedsNoEnd) {
  using All = std::vector<std::string>;
  EXPECT_EQ(all_of(each_line("")), All());
  EXPECT_EQ(all_of(each_line("\n")), All{""});
  EXPECT_EQ(all_of(each_line("a\n\nb\n")), (All{"a", "", "b"}));
  EXPECT_EQ(all_of(each_line("a\nb")), (All{"a", "b"}));
}

}  // namespace
}  // namespace bottle
