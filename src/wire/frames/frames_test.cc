#include "wire/frames/frames.h"

#include <gtest/gtest.h>

namespace bottle::wire {
namespace {

TEST(Frames, ArriveWholeHoweverTheInputIsCut) {
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

TEST(Frames, JsonFramesHaveASmallerLimitThanOutput) {
  FrameReader reader(1000);
  reader.feed(encode(FrameType::output, std::string(2000, 'o')) + encode(FrameType::event, std::string(1000, ' ')) +
              encode(FrameType::event, std::string(1001, ' ')));
  EXPECT_EQ(reader.next()->bytes.size(), 2000u);
  EXPECT_EQ(reader.next()->bytes.size(), 1000u);
  EXPECT_EQ(reader.next().error().code, Code::limit);
}

}  // namespace
}  // namespace bottle::wire
