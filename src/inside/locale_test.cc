#include "inside/locale.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>

namespace bottle::inside {
namespace {

TEST(Locale, IsFoundLikeTheCLibraryFindsIt) {
  char name[] = "/tmp/inside_locale_XXXXXX";
  std::string root = ::mkdtemp(name);
  EXPECT_FALSE(has_locale(root + "/absent", "de_DE.UTF-8"));
  std::filesystem::create_directories(root + "/C.utf8");
  std::ofstream(root + "/C.utf8/LC_CTYPE") << "x";
  EXPECT_TRUE(has_locale(root, "C.UTF-8"));
  EXPECT_FALSE(has_locale(root, "de_DE.UTF-8"));
  // Writes the head of an archive whose names begin at offset 28.
  const uint32_t head[] = {0xde020109, 0, 0, 0, 0, 28, 30};
  std::ofstream archive(root + "/locale-archive", std::ios::binary);
  archive.write(reinterpret_cast<const char*>(head), sizeof head);
  archive << std::string("de_DE.utf8\0en_DK\0nl_NL@euro\0\0\0", 30);
  archive.close();
  for (const char* has : {"de_DE.UTF-8", "de_DE.utf8", "en_DK", "nl_NL@euro"})
    EXPECT_TRUE(has_locale(root, has)) << has;
  for (const char* has_not : {"de_DE", "DE.utf8", "fr_FR.UTF-8", "", "../C.utf8", "nl_NL"})
    EXPECT_FALSE(has_locale(root, has_not)) << has_not;
  std::ofstream(root + "/locale-archive") << "short";
  EXPECT_FALSE(has_locale(root, "en_DK"));
  std::filesystem::remove_all(root);
}

}  // namespace
}  // namespace bottle::inside
