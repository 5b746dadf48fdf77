#include "transfer/delta.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <random>

#include "base/files/file.h"

namespace bottle::transfer {
namespace {

namespace fs = std::filesystem;

struct Delta : ::testing::Test {
  std::string directory = fs::temp_directory_path() / ("delta_test." + std::to_string(::getpid())), wire;
  ~Delta() override { fs::remove_all(directory); }

  KeptPieces write(const std::string& archive, std::optional<KeptPieces> before) {
    wire.clear();
    DeltaWriter writer([&](std::string_view bytes) -> Result<> { return wire += bytes, Result<>(); }, "ab12",
                       std::move(before));
    EXPECT_TRUE(writer.begin("/workspace"));
    for (size_t at = 0; at < archive.size(); at += 100000)
      EXPECT_TRUE(writer.data(std::string_view(archive).substr(at, 100000)));
    EXPECT_TRUE(writer.end_archive());
    return **writer.finish();
  }
  // Applies the delta and returns the archive as the far session gets it.
  Result<std::string> apply() {
    UniqueFd in(::memfd_create("wire", MFD_CLOEXEC)), out(::memfd_create("delivery", MFD_CLOEXEC));
    TRY(write_all(in.get(), wire));
    ::lseek(in.get(), 0, SEEK_SET);
    TRY(apply_delta(in.get(), directory, [&]() -> Result<DeliveryWriter> {
      return DeliveryWriter([&](std::string_view bytes) { return write_all(out.get(), bytes); });
    }));
    ::lseek(out.get(), 0, SEEK_SET);
    std::string archive;
    TRY(read_delivery(
        out.get(),
        [&](const std::string& to, const Source& source) -> Result<> {
          EXPECT_EQ(to, "/workspace");
          char buffer[5000];
          for (size_t n; (n = TRY(source(buffer, sizeof buffer))) > 0;) archive.append(buffer, n);
          return {};
        },
        1000));
    return archive;
  }
  static std::string noise(size_t size, unsigned seed) {
    std::mt19937 random(seed);
    std::string text(size, '\0');
    for (char& c : text) c = static_cast<char>(random());
    return text;
  }
};

TEST_F(Delta, KeptPiecesAreNotSentAgain) {
  std::string archive = noise(3 << 20, 1);
  auto before = write(archive, std::nullopt);
  EXPECT_GT(wire.size(), archive.size());
  EXPECT_EQ(*apply(), archive);
  std::string kept = *read_file(directory + "/ab12");
  EXPECT_EQ(kept.size(), archive.size());
  EXPECT_EQ(kept.find(archive.substr(1000, 16)), std::string::npos) << "readable";

  archive.insert(1000, "a line that moves all the others");
  archive.erase(2 << 20, 7);
  auto after = write(archive, kept_from_bytes(to_bytes(before)));
  EXPECT_LT(wire.size(), 200u << 10);
  EXPECT_EQ(*apply(), archive);
  write(archive, after);
  EXPECT_LT(wire.size(), 10u << 10);
  EXPECT_EQ(*apply(), archive);
}

TEST_F(Delta, TextIsCompressed) {
  std::string archive;
  for (int i = 0; archive.size() < (1 << 20); ++i) archive += "line " + std::to_string(i) + "\n";
  write(archive, std::nullopt);
  EXPECT_LT(wire.size(), archive.size() / 2);
  EXPECT_EQ(*apply(), archive);
}

TEST_F(Delta, DifferentKeptBytesAreDetectedBeforeAnythingIsWritten) {
  auto before = write(noise(1 << 20, 2), std::nullopt);
  ASSERT_TRUE(apply());
  auto refused = [&](const char* why) {
    write(noise(1 << 20, 2), before);
    auto applied = apply();
    ASSERT_FALSE(applied) << why;
    EXPECT_EQ(applied.error().code, Code::conflict) << why;
  };
  std::string kept = *read_file(directory + "/ab12");
  kept[77] ^= 1;
  ASSERT_TRUE(write_file_atomically(directory + "/ab12", kept));
  refused("changed");
  fs::remove(directory + "/ab12");
  refused("gone");
}

TEST_F(Delta, ATruncatedStreamIsAnError) {
  write(noise(200000, 3), std::nullopt);
  std::string whole = wire;
  for (size_t size : {0ul, 1ul, 30ul, 200ul, whole.size() / 2, whole.size() - 1}) {
    wire = whole.substr(0, size);
    EXPECT_FALSE(apply()) << size;
  }
  EXPECT_FALSE(fs::exists(directory + "/ab12"));
  EXPECT_TRUE(fs::is_empty(directory));
}

TEST_F(Delta, TheNextDeliveryRemovesWhatABrokenOneLeft) {
  fs::create_directories(directory);
  ASSERT_TRUE(write_file_atomically(directory + "/ab12.part-1", "of one that was killed"));
  ASSERT_TRUE(write_file_atomically(directory + "/cd34.part-2", "of one that goes on"));
  UniqueFd writer(::open((directory + "/cd34.part-2").c_str(), O_RDONLY | O_CLOEXEC));
  ASSERT_EQ(::flock(writer.get(), LOCK_EX | LOCK_NB), 0);
  std::string archive = noise(200000, 5);
  write(archive, std::nullopt);
  wire.resize(wire.size() / 2);
  EXPECT_FALSE(apply());
  EXPECT_FALSE(fs::exists(directory + "/ab12.part-1"));
  EXPECT_TRUE(fs::exists(directory + "/cd34.part-2"));
  writer.reset();
  write(archive, std::nullopt);
  EXPECT_EQ(*apply(), archive);
  EXPECT_TRUE(fs::exists(directory + "/ab12"));
  EXPECT_FALSE(fs::exists(directory + "/cd34.part-2"));
}

TEST_F(Delta, NothingIsKeptOfADeliveryThatIsTooLarge) {
  auto finished = [](size_t size) {
    DeltaWriter writer([](std::string_view) -> Result<> { return {}; }, "ab12", std::nullopt, 100000);
    EXPECT_TRUE(writer.begin("/workspace"));
    EXPECT_TRUE(writer.data(noise(size, 6)));
    EXPECT_TRUE(writer.end_archive());
    return writer.finish().value().has_value();
  };
  EXPECT_TRUE(finished(100000));
  EXPECT_FALSE(finished(100001));
}

TEST_F(Delta, TheContentDecidesWherePiecesEnd) {
  std::string text = noise(300000, 4);
  size_t first = piece_of(text, true);
  EXPECT_GE(first, 4096u);
  EXPECT_LE(first, 65536u);
  EXPECT_EQ(piece_of(std::string_view(text).substr(0, 100), false), 0u);
  EXPECT_EQ(piece_of(std::string_view(text).substr(0, 100), true), 100u);
  EXPECT_EQ(piece_of(std::string(1 << 20, '\0'), false), 65536u);
}

}  // namespace
}  // namespace bottle::transfer
