#include "session/audit/audit_chain.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <random>

#include "base/files/file.h"
#include "session/audit/audit_file.h"

namespace bottle::session {
namespace {

using Kind = AuditFault::Kind;
using Lines = std::vector<std::string>;

// Holds the lines of a complete record, and its seal.
struct Record {
  Lines lines;
  wire::AuditSeal seal;
};

Record record(int count) {
  Record made;
  AuditChain chain;
  for (int i = 0; i <= count; ++i) {
    wire::Decision decision{.time = "2026-01-01T00:00:00.000Z",
                            .action = i == count ? wire::DecisionAction::end
                                      : i % 2    ? wire::DecisionAction::deny
                                                 : wire::DecisionAction::allow,
                            .kind = wire::DecisionKind::http,
                            .host = "h" + std::to_string(i) + ".example.org"};
    std::string line = chain.next(decision);
    chain.add(line);
    made.lines.push_back(line.substr(0, line.size() - 1));
  }
  made.seal = {"egress.jsonl", chain.lines(), chain.head()};
  return made;
}

AuditReport check(const Lines& lines, const wire::AuditSeal* seal = nullptr, bool may_be_open = false) {
  AuditCheck check;
  for (const auto& line : lines) check.feed(line);
  return check.finish(seal, may_be_open);
}

std::string texts(const AuditReport& report) {
  std::string all;
  for (const auto& fault : report.faults) all += (all.empty() ? "" : "; ") + describe(fault);
  return all;
}

std::string faults(const Lines& lines, const wire::AuditSeal* seal = nullptr) { return texts(check(lines, seal)); }

std::string with(std::string line, const std::string& old, const std::string& text) {
  return line.replace(line.find(old), old.size(), text);
}

TEST(AuditChain, AnIntactRecordHasNoFault) {
  auto made = record(8);
  auto report = check(made.lines, &made.seal);
  EXPECT_EQ(texts(report), "");
  EXPECT_TRUE(report.closed);
  EXPECT_EQ(report.lines, 9u);
  EXPECT_EQ(report.head, made.seal.head);
  made.lines.pop_back();
  EXPECT_EQ(texts(check(made.lines, nullptr, true)), "");
}

TEST(AuditChain, EditedLinesAreNamed) {
  const auto made = record(8);
  for (size_t i = 0; i < 9; ++i) {
    auto lines = made.lines;
    lines[i] = with(lines[i], "example.org", "example.com");
    EXPECT_EQ(faults(lines, &made.seal), "line " + std::to_string(i + 1) + " has changed since it was written");
    lines[i] = "{}";
    EXPECT_NE(faults(lines, &made.seal).find("line " + std::to_string(i + 1)), std::string::npos) << faults(lines);
  }
  auto lines = made.lines;
  lines[3] = with(lines[3], "\"trail\":\"4 ", "\"trail\":\"7 ");
  EXPECT_EQ(faults(lines, &made.seal), "line 4 has changed since it was written");
}

TEST(AuditChain, CutLinesAreNamed) {
  const auto made = record(8);
  auto without = [&](size_t from, size_t count) {
    auto lines = made.lines;
    lines.erase(lines.begin() + static_cast<long>(from), lines.begin() + static_cast<long>(from + count));
    return lines;
  };
  EXPECT_EQ(faults(without(0, 1)), "1 line is missing before line 1");
  EXPECT_EQ(faults(without(3, 2)), "2 lines are missing before line 4");
  EXPECT_EQ(faults(without(7, 1)), "1 line is missing before line 8");
  EXPECT_EQ(faults(without(6, 3), &made.seal), "the end of the record is missing (3 lines)");
  EXPECT_EQ(faults(without(6, 3)), "the end of the record is missing");
  EXPECT_EQ(faults({}, &made.seal), "the end of the record is missing (9 lines)");
}

TEST(AuditChain, MovedAndRepeatedLinesAreNamed) {
  const auto made = record(8);
  auto lines = made.lines;
  std::swap(lines[2], lines[3]);
  EXPECT_EQ(faults(lines, &made.seal), "line 4 is out of order");
  lines = made.lines;
  lines.insert(lines.begin() + 4, lines[3]);
  EXPECT_EQ(faults(lines, &made.seal), "line 5 appears twice");
  lines = made.lines;
  lines.insert(lines.begin() + 7, lines[0]);
  EXPECT_EQ(faults(lines, &made.seal), "line 8 appears twice");
  lines = made.lines;
  std::swap(lines[4], lines[8]);
  EXPECT_NE(faults(lines, &made.seal).find("is out of order"), std::string::npos) << faults(lines);
}

TEST(AuditChain, AddedLinesAreNamed) {
  const auto made = record(8);
  auto lines = made.lines;
  lines.insert(lines.begin() + 2, R"({"action":"allow","host":"","kind":"","time":""})");
  EXPECT_EQ(faults(lines, &made.seal), "line 3 does not belong to this record");
  lines = made.lines;
  lines.insert(lines.begin() + 2, "not json");
  EXPECT_EQ(faults(lines, &made.seal), "line 3 does not belong to this record");
  // The hashes and numbers of the added lines are right, but the record had ended.
  lines = made.lines;
  for (int i = 0; i < 2; ++i) {
    std::string more = AuditChain::after(lines.back()).next({.action = wire::DecisionAction::allow});
    lines.push_back(more.substr(0, more.size() - 1));
  }
  EXPECT_EQ(faults(lines), "2 lines from line 10 on were added after the end of the record");
  // In a record that was rewritten from the first line on, only the head is wrong.
  auto other = record(8);
  auto seal = made.seal;
  seal.head[0] = seal.head[0] == '0' ? '1' : '0';
  EXPECT_EQ(faults(other.lines, &seal), "line 9 has changed since it was written");
}

// If the disk was full, a record may be sealed without having an end.
TEST(AuditChain, LinesAfterTheSealAreFound) {
  const auto made = record(8);
  auto before_end = AuditChain::after(made.lines[7]);
  wire::AuditSeal seal{"egress.jsonl", before_end.lines(), before_end.head()};
  EXPECT_EQ(faults({made.lines.begin(), made.lines.end() - 1}, &seal), "");
  EXPECT_EQ(faults(made.lines, &seal), "line 9 was added after the end of the record");
}

// Checks that every random change of the text is found. The seed is fixed, so that a failure can be repeated.
TEST(AuditChain, EveryMutationIsFound) {
  std::mt19937 random(20260101);
  const auto made = record(12);
  auto below = [&](size_t most) { return std::uniform_int_distribution<size_t>(0, most - 1)(random); };
  for (int round = 0; round < 1'500; ++round) {
    auto lines = made.lines;
    for (size_t changes = 1 + below(3); changes > 0 && !lines.empty(); --changes) {
      size_t at = below(lines.size()), other = below(lines.size());
      switch (below(5)) {
        case 0:
          lines[at][below(lines[at].size())] ^= static_cast<char>(1 << below(7));
          break;
        case 1:
          lines.erase(lines.begin() + static_cast<long>(at));
          break;
        case 2:
          lines.insert(lines.begin() + static_cast<long>(at), std::string(lines[other]));
          break;
        case 3:
          std::swap(lines[at], lines[other]);
          break;
        default:
          lines.resize(at);
      }
      std::erase(lines, "");
    }
    auto report = check(lines, &made.seal);
    EXPECT_EQ(report.faults.empty(), lines == made.lines) << "round " << round;
  }
}

TEST(AuditChain, AGuardCannotEndTheRecordOrPlaceItsLines) {
  std::string path = ::testing::TempDir() + "/audit_chain_hostile." + std::to_string(::getpid());
  AuditFile audit(path);
  audit.add({.action = wire::DecisionAction::allow, .host = "a.example.org"});
  audit.add({.action = wire::DecisionAction::end});
  audit.add({.action = wire::DecisionAction::deny, .host = "b.example.org", .trail = "9 " + std::string(64, '0')});
  audit.add({.action = wire::DecisionAction::allow, .host = "c.example.org"});
  auto seal = audit.close();
  Lines lines;
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  EXPECT_EQ(texts(check(lines, &seal)), "");
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_NE(lines[1].find("unreadable"), std::string::npos) << lines[1];
  EXPECT_NE(lines[2].find("unreadable"), std::string::npos) << lines[2];
  ::unlink(path.c_str());
}

TEST(AuditChain, AFileIsContinuedAfterItsProcessDied) {
  std::string path = ::testing::TempDir() + "/audit_chain." + std::to_string(::getpid());
  auto lines_there = [&] {
    Lines lines;
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);) lines.push_back(line);
    return lines;
  };
  for (int i = 0; i < 3; ++i) {
    AuditFile audit(path);
    audit.add({.action = wire::DecisionAction::allow, .host = "a.example.org"});
    audit.add({.action = wire::DecisionAction::deny, .host = "\xc3\xa9.example.org"});
    // Writes the part of a line that a process leaves if it dies during a write.
    std::ofstream(path, std::ios::app) << R"({"action":"al)";
  }
  auto seal = AuditFile(path).close();
  EXPECT_EQ(texts(check(lines_there(), &seal)), "");
  EXPECT_EQ(seal.lines, 7u);
  EXPECT_EQ(AuditFile(path).close().head, seal.head) << "a second end";
  auto found = seal_as_found(path);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->head, seal.head);
  EXPECT_EQ(found->lines, seal.lines);
  ::unlink(path.c_str());
}

}  // namespace
}  // namespace bottle::session
