#include "guard/audit/repeats.h"

#include <gtest/gtest.h>

namespace bottle::guard {
namespace {

struct Record {
  Repeats repeats;
  int64_t now = 1000;
  int written = 0;                 // lines
  std::map<std::string, int> sum;  // decisions per host
  std::string last;

  void deny(const std::string& host, uint16_t port = 443) {
    AuditLine line{
        .id = "7", .action = Action::deny, .kind = Kind::connect, .host = host, .port = port, .code = "not_allowed"};
    if (repeats.admit(line, "t" + std::to_string(now), now)) write(line);
  }
  void write(const AuditLine& line) {
    ++written;
    sum[std::string(line.host)] += static_cast<int>(line.count);
    last = std::string(line.host) + " " + std::to_string(line.count) + " " + std::string(line.first) + " " +
           std::string(line.time);
  }
  int due(bool all = false) {
    return repeats.due(now, [this](const AuditLine& line) { write(line); }, all);
  }
};

TEST(Repeats, rare_lines_are_written_unchanged) {
  Record record;
  for (int i = 0; i < Repeats::kAtOnce; ++i) record.deny("a");
  EXPECT_EQ(record.written, Repeats::kAtOnce);
  for (int i = 0; i < 100; ++i) {
    record.now += 1000 / Repeats::kASecond;
    record.due();
    record.deny("a");
  }
  EXPECT_EQ(record.written, Repeats::kAtOnce + 100) << "at this pace it goes on";
}

TEST(Repeats, further_lines_become_one_with_a_count_and_times) {
  Record record;
  for (int i = 0; i < Repeats::kAtOnce + 500; ++i, ++record.now) record.deny("a");
  int before = record.written;
  EXPECT_GT(before, Repeats::kAtOnce - 1);
  EXPECT_LT(before, Repeats::kAtOnce + 50);
  record.now = 3000;
  record.due();
  EXPECT_EQ(record.written, before + 1);
  EXPECT_EQ(record.sum["a"], Repeats::kAtOnce + 500);
  EXPECT_TRUE(record.last.ends_with(" t1699")) << record.last;
}

TEST(Repeats, a_flood_is_written_less_and_less_often_and_adds_up) {
  Record record;
  for (int i = 0; i < 600'000; ++i, ++record.now) {  // ten minutes
    record.deny("a", i % 2);
    record.due();
  }
  record.due(true);
  EXPECT_EQ(record.sum["a"], 600'000);
  EXPECT_LT(record.written, Repeats::kAtOnce + 50);
}

TEST(Repeats, endless_names_take_little_memory_and_few_lines) {
  Record record;
  for (int i = 0; i < 600'000; ++i, ++record.now) {
    record.deny("n" + std::to_string(i));
    record.due();
  }
  record.due(true);
  int all = 0;
  for (const auto& [host, count] : record.sum) all += count;
  EXPECT_EQ(all, 600'000);
  EXPECT_GT(record.sum["(others)"], 500'000);
  EXPECT_LT(record.written, 600 * Repeats::kASecond) << "in ten minutes";
}

TEST(Repeats, another_kind_is_written_during_a_flood) {
  Record record;
  for (int i = 0; i < 100'000; ++i) record.deny("a");
  int before = record.written;
  record.deny("b");
  EXPECT_EQ(record.written, before + 1) << "the first of a kind is written at once";
}

TEST(Repeats, ACountSaysWhatTheFirstRefusalLacked) {
  Repeats repeats;
  AuditLine line{
      .action = Action::deny, .kind = Kind::http, .host = "a", .code = "not_allowed", .lacks = policy::Lacks::path};
  EXPECT_FALSE(repeats.admit(line, "t", 1000, false));
  line.lacks = policy::Lacks::query;
  EXPECT_FALSE(repeats.admit(line, "t", 1000, false));
  std::optional<policy::Lacks> lacks;
  repeats.due(2000, [&](const AuditLine& each) { lacks = each.lacks; });
  EXPECT_EQ(lacks, policy::Lacks::path);
}

TEST(Repeats, without_room_everything_is_counted) {
  Repeats repeats;
  AuditLine line{.action = Action::deny, .kind = Kind::http, .host = "a", .code = "not_allowed"};
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(repeats.admit(line, "t", 1000, false));
  uint64_t count = 0;
  EXPECT_EQ(repeats.due(1500, [&](const AuditLine&) { ++count; }), 500);
  EXPECT_EQ(count, 0u);
  repeats.due(2000, [&](const AuditLine& each) { count = each.count; });
  EXPECT_EQ(count, 10u);
}

}  // namespace
}  // namespace bottle::guard
