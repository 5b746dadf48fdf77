#include "wire/frames/frames.h"

#include <gtest/gtest.h>
#include <unistd.h>

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

TEST(Frames, AreReadFromADescriptorUntilItsEnd) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  FrameReader reader;
  std::string wire = encode(FrameType::output, "one") + encode(FrameType::output, "two") + encode(FrameType::stop, "");
  ASSERT_EQ(::write(ends[1], wire.data(), wire.size() - 1), static_cast<ssize_t>(wire.size() - 1));
  auto frames = reader.read(ends[0]);
  ASSERT_TRUE(frames);
  ASSERT_EQ(frames->size(), 2u) << "the third one is not complete";
  EXPECT_EQ(frames->at(1).bytes, "two");
  ASSERT_EQ(::write(ends[1], wire.data() + wire.size() - 1, 1), 1);
  frames = reader.read(ends[0]);
  ASSERT_TRUE(frames);
  ASSERT_EQ(frames->size(), 1u);
  EXPECT_EQ(frames->at(0).type, FrameType::stop);
  std::string too_long("o\xff\xff\xff\xff", 5);
  ASSERT_EQ(::write(ends[1], too_long.data(), too_long.size()), 5);
  EXPECT_EQ(reader.read(ends[0]).error().code, Code::limit);
  ::close(ends[1]);
  EXPECT_EQ(FrameReader().read(ends[0]).error().code, Code::closed);
  ::close(ends[0]);
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
