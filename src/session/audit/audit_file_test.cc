#include "session/audit/audit_file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>

#include "base/files/file.h"
#include "base/text/json_lines.h"

namespace bottle::session {
namespace {

using nlohmann::json;

struct Audit : ::testing::Test {
  std::string path = ::testing::TempDir() + "/audit_file." + std::to_string(::getpid());
  ~Audit() override { ::unlink(path.c_str()); }
  std::string last_line() {
    std::string text = *read_file(path);
    return text.substr(text.rfind('\n', text.size() - 2) + 1);
  }
};

constexpr uint64_t kSmall = 32'000;

wire::Decision refusal(int number) {
  return {.time = "2026-01-01T00:00:00.000Z",
          .action = wire::DecisionAction::deny,
          .host = "\xc3\xa9.example.org",
          .path = "/" + std::to_string(number)};
}
wire::Decision allowed(int number) {
  return {
      .time = "2026-01-01T00:00:00.000Z", .action = wire::DecisionAction::allow, .path = "/" + std::to_string(number)};
}

TEST_F(Audit, RefusalsHaveALimitedSpaceAndALineSaysWhenItIsUsedUp) {
  AuditFile audit(path, kSmall);
  for (int i = 0; i < 10'000; ++i) audit.add(refusal(i));
  EXPECT_LE(std::filesystem::file_size(path), kSmall / 4 + 1024);
  EXPECT_GT(std::filesystem::file_size(path), kSmall / 5);
  json last = json::parse(last_line());
  EXPECT_EQ(last["action"], "dropped");
  EXPECT_EQ(last["time"], "2026-01-01T00:00:00.000Z");
  EXPECT_EQ(audit.full(), "");
  // All of the space for what is let through is still left.
  int written = 0;
  for (; audit.full().empty(); ++written) audit.add(allowed(written));
  EXPECT_GT(written, 100);
  EXPECT_EQ(json::parse(last_line())["path"], "/" + std::to_string(written - 1));
  // There is space for a few more decisions that were under way.
  for (int i = 0; i < 5; ++i) audit.add(allowed(++written));
  EXPECT_EQ(json::parse(last_line())["path"], "/" + std::to_string(written));
  // A guard that ignores the limit does not fill the disk.
  for (int i = 0; i < 10'000; ++i) audit.add(allowed(i));
  EXPECT_LE(std::filesystem::file_size(path), kSmall);
  EXPECT_EQ(json::parse(last_line())["action"], "dropped");

  // The near side of a remote session has the same limit, and it accepts the whole file.
  auto kept = JsonLines::create(path + ".near", kSmall, 1000);
  ASSERT_TRUE(kept);
  EXPECT_TRUE(kept->feed(*read_file(path)));
  ::unlink((path + ".near").c_str());
}

TEST_F(Audit, ExistingLinesCountTowardTheLimit) {
  for (int i = 0; i < 30; ++i) {
    AuditFile audit(path, kSmall);
    for (int k = 0; k < 10; ++k) {
      audit.add(refusal(k));
      if (audit.full().empty()) audit.add(allowed(k));
    }
  }
  // Each process that opens the file adds at most one last line.
  EXPECT_LE(std::filesystem::file_size(path), kSmall + 30 * 1024);
}

// Limits files to `size` bytes while it exists, like a disk that is full.
struct FullDisk {
  explicit FullDisk(uint64_t size) {
    ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &before);
    rlimit limit{size, before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FullDisk() { ::setrlimit(RLIMIT_FSIZE, &before); }
  rlimit before{};
};

TEST_F(Audit, AFullDiskStopsTheTrafficAndLosesNothing) {
  AuditFile audit(path, kSmall);
  audit.add(allowed(0));
  std::string first = *read_file(path), why;
  {
    FullDisk full(first.size() + 20);  // part of a line would fit
    audit.add(allowed(1));
    why = audit.full();
    audit.add(refusal(2));
    audit.add(allowed(3));
    audit.retry();
  }
  EXPECT_NE(why, "");
  EXPECT_NE(audit.full(), "");
  EXPECT_EQ(*read_file(path), first) << "no part of a line";
  EXPECT_GT(audit.kept(), 0u);
  audit.retry();
  EXPECT_EQ(audit.full(), "");
  EXPECT_EQ(audit.kept(), 0u);
  std::string text = *read_file(path);
  EXPECT_NE(text.find("\"/1\""), text.npos);
  EXPECT_NE(text.find("\"/3\""), text.npos);
  EXPECT_NE(json::parse(last_line())["reason"].get<std::string>().find("1 refusals"), std::string::npos);
}

TEST_F(Audit, AFileThatCannotBeMadeStopsTheTraffic) {
  AuditFile audit(path + ".missing/egress.jsonl");
  EXPECT_NE(audit.full(), "");
  audit.add(allowed(1));
  std::filesystem::create_directory(path + ".missing");
  audit.retry();
  EXPECT_EQ(audit.full(), "");
  EXPECT_NE(read_file(path + ".missing/egress.jsonl")->find("\"/1\""), std::string::npos);
  std::filesystem::remove_all(path + ".missing");
}

}  // namespace
}  // namespace bottle::session
