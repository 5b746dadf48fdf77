#include "policy/credentials.h"

#include <gtest/gtest.h>

namespace bottle::policy {
namespace {

TEST(Credentials, AreRecognizedInEverySpellingOfTheirHeader) {
  for (const char* name : {"Authorization", "authorization", "Cookie", "X-Api-Key", "x_api_key", "API-Key", "apikey",
                           "X-Goog-Api-Key", "DD-APPLICATION-KEY", "Private-Token", "X-Shopify-Access-Token",
                           "X-Forwarded-Authorization", "X-Amz-Security-Token", "CF-Access-Client-Secret"})
    EXPECT_TRUE(presents_credentials(name)) << name;
}

TEST(Credentials, HeadersThatOnlyProtectOrDescribeARequestDoNotCount) {
  for (const char* name : {"X-CSRF-Token", "X-XSRF-TOKEN", "Idempotency-Key", "Sec-WebSocket-Key", "Accept", "Host", "",
                           "X-Continuation-Token", "Content-Type", "anthropic-version", "OpenAI-Organization", "X-Key"})
    EXPECT_FALSE(presents_credentials(name)) << name;
}

}  // namespace
}  // namespace bottle::policy
