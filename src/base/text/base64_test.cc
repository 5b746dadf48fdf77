#include "base/text/base64.h"

#include <gtest/gtest.h>

namespace bottle {
namespace {

TEST(Base64, ReadsWhatItWrites) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("foob"), "Zm9vYg==");
  std::string all;
  for (int i = 0; i < 256; ++i) {
    all += static_cast<char>(i);
    EXPECT_EQ(from_base64(base64(all)), all);
  }
}

TEST(Base64, RefusesOtherText) {
  for (std::string bad : {"", "Zg=", "Z===", "Zg=a", "Z!==", "====", "Zm9v\n", " Zm9", "Zg==Zg==", "Zm9-", "Zm9_"})
    EXPECT_FALSE(from_base64(bad)) << bad;
}

}  // namespace
}  // namespace bottle
