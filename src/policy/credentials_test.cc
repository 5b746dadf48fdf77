#include "policy/credentials.h"

#include <gtest/gtest.h>

namespace bottle::policy {
namespace {

TEST(Credentials, AreRecognizedInEverySpellingOfTheirHeader) {
  for (const char* name : {"Authorization",
                           "authorization",
                           "Cookie",
                           "X-Api-Key",
                           "x_api_key",
                           "API-Key",
                           "apikey",
                           "X-Goog-Api-Key",
                           "DD-APPLICATION-KEY",
                           "Private-Token",
                           "X-Shopify-Access-Token",
                           "X-Forwarded-Authorization",
                           "X-Amz-Security-Token",
                           "CF-Access-Client-Secret",
                           "Access-Token",
                           "Auth-Token",
                           "Api-Token",
                           "Access-Key",
                           "Secret-Key",
                           "Auth-Key",
                           "Client-Secret",
                           "Private-Key",
                           "Authentication",
                           "Circle-Token",
                           "Fastly-Key",
                           "X-Plex-Token",
                           "X-Postmark-Server-Token",
                           "X-TrackerToken",
                           "X-Tableau-Auth",
                           "X-Forwarded-User",
                           "X-Webauth-User"})
    EXPECT_TRUE(presents_credentials(name)) << name;
}

TEST(Credentials, HeadersThatOnlyProtectOrDescribeARequestDoNotCount) {
  for (const char* name : {"X-CSRF-Token", "X-XSRF-TOKEN", "Idempotency-Key", "Sec-WebSocket-Key", "Accept", "Host", "",
                           "X-Continuation-Token", "Content-Type", "anthropic-version", "OpenAI-Organization", "X-Key"})
    EXPECT_FALSE(presents_credentials(name)) << name;
}

TEST(Credentials, ANameIsListedOnlyAsAWhole) {
  for (const char* name : {"Authorization", "cookie", "X-Vault-Token", "api_key"})
    EXPECT_TRUE(is_listed_credential(name)) << name;
  for (const char* name : {"DD-API-KEY", "any-text-Api-Key", "X-Request-Id"})
    EXPECT_FALSE(is_listed_credential(name)) << name;
}

}  // namespace
}  // namespace bottle::policy
