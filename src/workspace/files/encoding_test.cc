#include "workspace/files/encoding.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/defer.h"
#include "base/ids.h"
#include "base/os/process.h"

namespace bottle::workspace {
namespace {

TEST(Encoding, ConvertsLikeGit) {
  EXPECT_EQ(to_utf8("UTF-16LE", std::string_view("a\0\xe4\0", 4)), "a\xc3\xa4");
  EXPECT_EQ(to_utf8("utf-16be", std::string_view("\0a\xd8\x3d\xde\0", 6)), "a\xf0\x9f\x98\x80");
  EXPECT_EQ(to_utf8("UTF-16", std::string_view("\xfe\xff\0a", 4)), "a");
  EXPECT_EQ(to_utf8("UTF-16", std::string_view("\0a", 2)), std::nullopt);  // without a byte order mark
  EXPECT_EQ(to_utf8("UTF-16LE", std::string_view("\xff\xfe"
                                                 "a\0",
                                                 4)),
            std::nullopt);  // with a byte order mark
  EXPECT_EQ(to_utf8("UTF-16LE-BOM", std::string_view("\xff\xfe"
                                                     "a\0",
                                                     4)),
            "a");
  EXPECT_EQ(to_utf8("UTF-16LE", std::string_view("\0\xd8"
                                                 "a\0",
                                                 4)),
            std::nullopt);
  EXPECT_EQ(to_utf8("UTF-32LE", std::string_view("\0\0\x11\0", 4)), std::nullopt);
  EXPECT_EQ(to_utf8("UTF-16LE", "a"), std::nullopt);
  EXPECT_EQ(to_utf8("ISO-8859-1", "\xe4"), "\xc3\xa4");
  EXPECT_EQ(to_utf8("ISO-2022-CN-EXT", "a"), std::nullopt);
}

// iconv(3) is what git converts with.
TEST(Encoding, ConvertsBackLikeGit) {
  const std::string text = "a \xc3\xa4 \xe4\xb8\xad \xf0\x9f\x98\x80\n", latin = "a \xc3\xa4\n";
  auto by_iconv = [](const std::string& name, const std::string& text) {
    auto ended = capture({.argv = {"iconv", "-f", "UTF-8", "-t", name}, .env = {}}, {.input = text, .timeout_ms = -1});
    return ended ? ended->out : ended.error().what;
  };
  for (const char* name : {"UTF-8", "UTF-16", "utf-16le", "UTF16BE", "UTF-32", "UTF-32LE", "UTF-32BE"}) {
    EXPECT_EQ(from_utf8(name, text), by_iconv(name, text)) << name;
    EXPECT_EQ(to_utf8(name, *from_utf8(name, text)), text) << name;
  }
  EXPECT_EQ(from_utf8("ISO-8859-1", latin), by_iconv("ISO-8859-1", latin));
  EXPECT_EQ(from_utf8("UTF-16BE-BOM", "a"), std::string("\xfe\xff\0a", 4));
  EXPECT_EQ(from_utf8("UTF-16LE-BOM", "a"), std::string("\xff\xfe"
                                                        "a\0",
                                                        4));
  EXPECT_EQ(from_utf8("latin1", text), std::nullopt);
  EXPECT_EQ(from_utf8("ISO-2022-CN-EXT", "a"), std::nullopt);
  // Not UTF-8: cut off, longer than necessary, a surrogate, too large, and a byte that begins nothing.
  for (const char* broken : {"\xe4\xb8", "\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff",
                             "\xe4"
                             "aa"})
    EXPECT_EQ(from_utf8("UTF-16LE", broken), std::nullopt) << testing::PrintToString(broken);
}

TEST(Encoding, AFileThatIsTooLargeStaysAsItIs) {
  namespace fs = std::filesystem;
  fs::path tree = fs::temp_directory_path() / ("bottle-encoding-" + random_hex(4));
  fs::create_directory(tree);
  Defer clean([&] { fs::remove_all(tree); });
  std::ofstream(tree / "app.rc").close();
  constexpr uintmax_t kLargest = 64 << 20;
  for (uintmax_t size : {kLargest, kLargest + 2}) {
    fs::resize_file(tree / "app.rc", size);
    size_t seen = 0;
    auto done = convert_file(tree, "app.rc", [&](std::string_view bytes) {
      seen = bytes.size();
      return size == kLargest ? std::nullopt : std::optional<std::string>("converted");
    });
    ASSERT_TRUE(done) << done.error().what;
    EXPECT_FALSE(*done) << size;
    EXPECT_EQ(seen, size == kLargest ? size : 0);
    EXPECT_EQ(fs::file_size(tree / "app.rc"), size);
  }
}

}  // namespace
}  // namespace bottle::workspace
