#include "remote/near/near_audit.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/files/file.h"

namespace bottle::remote {
namespace {

class NearAuditTest : public ::testing::Test {
 protected:
  ~NearAuditTest() override { ::unlink(path.c_str()); }

  // Records two decisions as a near side does, and returns the seal.
  wire::AuditSeal leave_record() {
    NearAudit audit(path, clients);
    for (const char* host : {"a.example.org", "b.example.org"})
      audit.add({.action = wire::DecisionAction::allow, .host = host});
    return audit.close({}).at(0);
  }

  std::string path = ::testing::TempDir() + "/egress-near.jsonl";
  session::Clients clients{UniqueFd()};
};

// A near side whose removal was not confirmed leaves a result. The next near side finds its record.
TEST_F(NearAuditTest, ARecordWithASealInItsResultIsNotSealedAgain) {
  auto seal = leave_record();
  std::string whole = *read_file(path), cut = whole.substr(0, whole.find('\n') + 1);
  ASSERT_TRUE(write_file_atomically(path, cut));
  auto seals = NearAudit(path, clients).close({{"egress.jsonl", 1, std::string(64, '0')}, seal});
  ASSERT_EQ(seals.size(), 1u);
  EXPECT_EQ(seals[0].file, "egress-near.jsonl");
  EXPECT_EQ(seals[0].head, seal.head) << "a cut record looks whole";
  EXPECT_EQ(*read_file(path), cut);
}

TEST_F(NearAuditTest, ARecordWithoutASealIsEnded) {
  EXPECT_TRUE(NearAudit(path, clients).close({}).empty()) << "there is no record";
  auto seal = leave_record();
  std::string whole = *read_file(path), open = whole.substr(0, whole.rfind('\n', whole.size() - 2) + 1);
  ASSERT_TRUE(write_file_atomically(path, open));
  auto seals = NearAudit(path, clients).close({{"egress.jsonl", 1, std::string(64, '0')}});
  ASSERT_EQ(seals.size(), 1u);
  EXPECT_EQ(seals[0].lines, seal.lines);
  EXPECT_NE(read_file(path)->find("\"action\":\"end\""), std::string::npos);
}

}  // namespace
}  // namespace bottle::remote
