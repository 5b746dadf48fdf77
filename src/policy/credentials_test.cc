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
                           "X-Webauth-User",
                           "Ocp-Apim-Subscription-Key",
                           "X-Functions-Key",
                           "X-RapidAPI-Key",
                           "CF-Access-Jwt-Assertion",
                           "X-Parse-Session-Token",
                           "X-Hasura-Admin-Secret",
                           "aeg-sas-key",
                           "X-Sentry-Auth"})
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

TEST(Credentials, InWebSocketProtocolsAreRemoved) {
  const std::string random = "a1B2c3D4e5F6g7H8";
  for (const std::string& each :
       {std::string("openai-insecure-api-key.mine"), std::string("OpenAI-Insecure-API-Key.mine"),
        std::string("base64url.bearer.authorization.k8s.io.bWluZQ"), "v1.token.websocket.jupyter.org." + random,
        "header-" + random, random, "other." + random, std::string(65, 'x')}) {
    EXPECT_EQ(protocols_without_credentials(each), "") << each;
    EXPECT_EQ(protocols_without_credentials("realtime, " + each + " ,\tx"), "realtime, x") << each;
  }
}

TEST(Credentials, WebSocketProtocolsWithoutOnePass) {
  for (const char* each :
       {"", "graphql-transport-ws", "graphql-ws", "v12.stomp, v11.stomp", "wamp.2.json", "ocpp2.0.1", "mqttv3.1",
        "v5.channel.k8s.io", "SPDY/3.1+portforward.k8s.io", "v1.kernel.websocket.jupyter.org", "actioncable-v1-json",
        "aws-appsync-event-ws", "realtime, openai-beta.realtime-v1", "notificationserver.openmobilealliance.org",
        "protobuf.reliable.webpubsub.azure.v1", "MBWS.huawei.com", "vite-hmr", "token"})
    EXPECT_EQ(protocols_without_credentials(each), std::nullopt) << each;
}

}  // namespace
}  // namespace bottle::policy
