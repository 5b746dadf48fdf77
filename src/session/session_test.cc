#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/ids.h"
#include "session/frames.h"
#include "session/ledger.h"

namespace bottle::session {
namespace {

TEST(Ledger, SurvivesATornLastLineAndKeepsOrder) {
  std::string dir = ::testing::TempDir() + "/ledger-" + random_hex(4);
  {
    auto ledger = Ledger::create(dir, Owner::self());
    ASSERT_TRUE(ledger) << ledger.error().what;
    ASSERT_TRUE(ledger->will_make({{"network", "a"}, {"container", "b"}}));
    ASSERT_TRUE(ledger->note({{"engine", "/run/d.sock"}}));
  }
  std::string text = *read_file(dir + "/ledger");
  ASSERT_TRUE(write_file_atomically(dir + "/ledger", text + "{\"make\":[{\"ki"));
  auto view = read_ledger(dir);
  ASSERT_TRUE(view);
  ASSERT_EQ(view->things.size(), 2u);
  EXPECT_EQ(view->things[0].name, "a");
  EXPECT_EQ(view->engine, "/run/d.sock");
  EXPECT_TRUE(view->owner.alive());
  EXPECT_FALSE(Ledger::create(dir, Owner::self()));  // one ledger a session
}

TEST(Owner, AReusedPidIsNotTheOwner) {
  Owner owner = Owner::self();
  owner.start_time += "1";
  EXPECT_FALSE(owner.alive());
  auto back = Owner::from_label(Owner::self().to_label());
  ASSERT_TRUE(back);
  EXPECT_TRUE(back->alive());
}

TEST(Frames, ArriveWholeHoweverTheyWereCut) {
  std::string wire = encode(FrameType::output, "hello") + encode(FrameType::result, "");
  FrameReader reader;
  int frames = 0;
  for (char c : wire) {
    reader.feed({&c, 1});
    while (auto frame = reader.next()) ++frames;
  }
  EXPECT_EQ(frames, 2);
  reader.feed(std::string("o\xff\xff\xff\xff", 5));
  EXPECT_EQ(reader.next().error().code, Code::limit);
}

}  // namespace
}  // namespace bottle::session
