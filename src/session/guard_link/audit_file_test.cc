#include "session/guard_link/audit_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "base/json_lines.h"

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

TEST_F(Audit, ItsLastLineSaysThatTheRestWasDropped) {
  json line = {{"time", "2026-01-01T00:00:00.000Z"}, {"action", "deny"}, {"host", "\xc3\xa9.example.org"}};
  AuditFile audit(path, 4000);
  for (int i = 0; i < 1000; ++i) audit.add(line);
  EXPECT_LE(std::filesystem::file_size(path), 4000u);
  EXPECT_GT(std::filesystem::file_size(path), 3000u);
  json last = json::parse(last_line());
  EXPECT_EQ(last["action"], "dropped");
  EXPECT_EQ(last["time"], line["time"]);

  // The near side of a remote session has the same limit, and takes all of it.
  auto kept = JsonLines::create(path + ".near", 4000, 1000);
  ASSERT_TRUE(kept);
  EXPECT_TRUE(kept->feed(*read_file(path)));
  ::unlink((path + ".near").c_str());
}

TEST_F(Audit, WhatIsThereCounts) {
  for (int i = 0; i < 3; ++i) {
    AuditFile audit(path, 2000);
    for (int k = 0; k < 10; ++k) audit.add({{"action", "deny"}, {"path", std::string(100, 'x')}});
  }
  // A last line for each that opened it, at most.
  EXPECT_LE(std::filesystem::file_size(path), 2000u + 2 * 512);
  EXPECT_EQ(json::parse(last_line())["action"], "dropped");
}

}  // namespace
}  // namespace bottle::session
