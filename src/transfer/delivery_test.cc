#include "transfer/delivery.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "base/files/file.h"

namespace bottle::transfer {
namespace {

using namespace std::chrono_literals;

// Sends `begin`, and then `bytes` after every `pause` until the reader closes. Returns how many bytes were taken.
Result<size_t> taken_of(const std::string& begin, const std::string& bytes, std::chrono::milliseconds pause,
                        const Bounds& bounds) {
  int ends[2];
  EXPECT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd out(ends[0]), in(ends[1]);
  std::jthread sender([&](std::stop_token stop) {
    if (!write_all(in.get(), begin)) return;
    while (!stop.stop_requested() && write_all(in.get(), bytes)) std::this_thread::sleep_for(pause);
  });
  size_t count = 0;
  auto read = read_delivery(
      out.get(),
      [&](const std::string&, const Source& source) -> Result<> {
        char buffer[5000];
        for (size_t n; (n = TRY(source(buffer, sizeof buffer))) > 0;) count += n;
        return {};
      },
      5000, [] { return false; }, bounds);
  sender.request_stop();
  out.reset();  // EPIPE
  if (!read) return std::unexpected(read.error());
  return count;
}

TEST(Delivery, HasALimitForItsSize) {
  ::signal(SIGPIPE, SIG_IGN);
  std::string chunk("\0\0\x20\0", 4);
  chunk.append(0x2000, 'x');
  auto taken = taken_of("{\"to\":\"a\"}\n", chunk, 0ms, {.most = 1 << 20});
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Code::limit);
  // Empty archives count as well.
  taken = taken_of("", std::string("{\"to\":\"a\"}\n\0\0\0\0", 15), 0ms, {.most = 1 << 16});
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Code::limit);
}

TEST(Delivery, ASenderThatSendsAlmostNothingIsCutOff) {
  ::signal(SIGPIPE, SIG_IGN);
  for (const char* begin : {"", "{\"to\":\"a\"}\n"}) {  // in the header, and within an archive
    std::string bytes = *begin ? std::string("\0\0\0\1x", 5) : " ";
    auto taken = taken_of(begin, bytes, 10ms, {.least = 1000, .window = 100ms});
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code, Code::timed_out) << taken.error().what;
    taken = taken_of(begin, bytes, 10ms, {.longest = 100ms});
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code, Code::timed_out) << taken.error().what;
  }
}

TEST(Delivery, ADeliveryThatTakesTooLongToProcessIsCutOff) {
  ::signal(SIGPIPE, SIG_IGN);
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd out(ends[0]), in(ends[1]);
  std::string archives;
  for (int i = 0; i < 100; ++i) archives += std::string("{\"to\":\"a\"}\n\0\0\0\0", 15);
  ASSERT_TRUE(write_all(in.get(), archives));
  int sorted = 0;
  auto read = read_delivery(
      out.get(),
      [&](const std::string&, const Source&) -> Result<> {
        std::this_thread::sleep_for(20ms);
        ++sorted;
        return {};
      },
      5000, [] { return false; }, {.longest = 10s, .whole = 100ms});
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::timed_out);
  EXPECT_LT(sorted, 10);
}

TEST(Delivery, ASlowSenderThatContinuesIsWaitedFor) {
  ::signal(SIGPIPE, SIG_IGN);
  std::string whole = "{\"to\":\"a\"}\n";
  for (int i = 0; i < 20; ++i) whole += std::string("\0\0\0\x64", 4) + std::string(100, 'x');
  whole += std::string("\0\0\0\0", 4) + "{\"end\":true}\n";
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd out(ends[0]), in(ends[1]);
  std::jthread sender([&] {
    for (size_t at = 0; at < whole.size(); at += 100) {
      (void)write_all(in.get(), std::string_view(whole).substr(at, 100));
      std::this_thread::sleep_for(10ms);
    }
  });
  // The time that we spend between its bytes does not count.
  size_t count = 0;
  auto read = read_delivery(
      out.get(),
      [&](const std::string&, const Source& source) -> Result<> {
        char buffer[50];
        for (size_t n; (n = TRY(source(buffer, sizeof buffer))) > 0; count += n)
          if (count == 0) std::this_thread::sleep_for(450ms);
        return {};
      },
      5000, [] { return false; }, {.most = whole.size(), .least = 50, .window = 400ms, .longest = 60s});
  EXPECT_TRUE(read) << read.error().what;
  EXPECT_EQ(count, 2000u);
}

// An agent can make a file of any size from a hole.
TEST(Delivery, HolesTakeAlmostNothingOnTheWay) {
  std::string wire;
  DeliveryWriter writer(sink_to(wire));
  ASSERT_TRUE(writer.begin("a"));
  std::string sent =
      "head" + std::string(10'000'000, '\0') + "middle" + std::string(4096, '\0') + "tail" + std::string(5000, '\0');
  for (size_t at = 0; at < sent.size(); at += 32 << 10)
    ASSERT_TRUE(writer.data(std::string_view(sent).substr(at, 32 << 10)));
  ASSERT_TRUE(writer.end_archive() && writer.finish());
  EXPECT_LT(wire.size(), 20000u);
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd out(ends[0]), in(ends[1]);
  ASSERT_TRUE(write_all(in.get(), wire));
  in.reset();
  std::string came;
  auto read = read_delivery(
      out.get(),
      [&](const std::string&, const Source& source) -> Result<> {
        char buffer[5000];
        for (size_t n; (n = TRY(source(buffer, sizeof buffer))) > 0;) came.append(buffer, n);
        return {};
      },
      5000, [] { return false; }, {.most = 20000, .least = 1 << 20});
  ASSERT_TRUE(read) << read.error().what;
  EXPECT_TRUE(came == sent);
}

TEST(Delivery, AllZerosTogetherHaveALimit) {
  (void)::signal(SIGPIPE, SIG_IGN);
  auto taken = taken_of("{\"to\":\"a\"}\n", std::string("\x80\x10\0\0", 4), 1ms, {.most_zeros = 10 << 20});
  ASSERT_FALSE(taken);
  EXPECT_EQ(taken.error().code, Code::limit);
}

TEST(Delivery, ARunOfZerosHasALimit) {
  for (const char* length : {"\x80\x10\0\1", "\x80\0\0\0", "\xff\xff\xff\xff"}) {
    auto taken = taken_of("{\"to\":\"a\"}\n" + std::string(length, 4), "", 1ms, {});
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().code, Code::protocol);
  }
}

}  // namespace
}  // namespace bottle::transfer
