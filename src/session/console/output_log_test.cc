#include "session/console/output_log.h"

#include <gtest/gtest.h>

#include "base/files/file.h"
#include "session/ledger/scratch_test.h"

namespace bottle::session {
namespace {

using wire::FrameType;

TEST(OutputLog, CanBeSavedAndLoaded) {
  Scratch scratch;
  std::string path = scratch.path + "/output";
  OutputLog log(100);
  for (int i = 0; i < 6; ++i)
    log.append(i % 2 ? FrameType::diagnostic : FrameType::output, std::string(30, static_cast<char>('a' + i)));
  ASSERT_TRUE(log.save(path));
  auto loaded = OutputLog::load(path);
  ASSERT_TRUE(loaded) << loaded.error().what;
  for (std::optional<uint64_t> from : {std::optional<uint64_t>(0), {125}, {180}, {999}, {}})
    EXPECT_EQ(loaded->answer({.from = from}), log.answer({.from = from})) << from.value_or(1);
  EXPECT_NE(log.answer({.from = 0}).find("\"missed\":90"), std::string::npos) << log.answer({.from = 0});
  for (const char* text : {"", "nonsense", "p\0\0\0"}) {
    ASSERT_TRUE(write_file_atomically(path, text));
    EXPECT_FALSE(OutputLog::load(path)) << text;
  }
}

}  // namespace
}  // namespace bottle::session
