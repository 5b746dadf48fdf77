// Tests how the records of a session's decisions are read.
#include "app/egress/decisions.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "app/commands/command_test.h"
#include "base/files/file.h"

namespace bottle::app {
namespace {

// Returns a line of a record. Lines with a larger number are later.
std::string line(int number, const char* side) {
  char text[160];
  std::snprintf(text, sizeof text, R"({"time":"2026-01-01T00:00:%02d.%03dZ","side":"%s","reason":"%0100d"})",
                number / 1000, number % 1000, side, 0);
  return text;
}

class DecisionsTest : public Commands {
 protected:
  void SetUp() override { std::filesystem::create_directories(results()); }
  std::string results() const { return home() + "/.local/state/bottle/results/done"; }
  std::string leave(const char* name, int first, int step, int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += line(first + i * step, name) + "\n";
    std::string path = results() + "/" + name;
    EXPECT_TRUE(write_file_atomically(path, text));
    return path;
  }
  std::vector<std::string> all() {
    std::vector<std::string> lines;
    EXPECT_TRUE(Decisions("done").each(false, [&](const std::string& each) { lines.push_back(each); }));
    return lines;
  }
};

TEST_F(DecisionsTest, two_records_are_merged_by_time) {
  leave("egress.jsonl", 0, 2, 3000);
  leave("egress-near.jsonl", 1, 6, 1000);
  auto lines = all();
  ASSERT_EQ(lines.size(), 4000u);
  EXPECT_TRUE(std::ranges::is_sorted(lines)) << "each begins with its time";
}

TEST_F(DecisionsTest, only_a_part_of_a_record_is_in_memory) {
  std::string path = leave("egress.jsonl", 0, 1, 10'000);
  size_t count = 0;
  EXPECT_TRUE(Decisions("done").each(false, [&](const std::string&) {
    if (count++ == 0) EXPECT_EQ(::truncate(path.c_str(), 0), 0);
  }));
  EXPECT_GT(count, 0u);
  EXPECT_LT(count, 1000u) << "the rest of the record was not there any more when it was to be read";
}

TEST_F(DecisionsTest, a_long_line_without_an_end_is_shortened) {
  std::string path = results() + "/egress.jsonl";
  ASSERT_TRUE(write_file_atomically(path, std::string(4 << 20, 'x')));
  Decisions decisions("done");
  ASSERT_TRUE(decisions.skip());
  std::ofstream(path, std::ios::app) << "\n" << line(1, "guard") << "\n";
  std::vector<std::string> lines;
  ASSERT_TRUE(decisions.each(false, [&](const std::string& each) { lines.push_back(each); }));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_LT(lines[0].size(), 1u << 20);
  EXPECT_EQ(lines[1], line(1, "guard"));
}

}  // namespace
}  // namespace bottle::app
