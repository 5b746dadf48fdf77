#include <gtest/gtest.h>

#include <set>

#include "base/text/base64.h"
#include "sshagent/filter.h"
#include "sshagent/wire.h"

namespace bottle::sshagent {
namespace {

const std::string kFailed = "\x05", kDone = "\x06";

std::string strings(std::initializer_list<std::string_view> list) {
  std::string out;
  for (auto each : list) put_string(out, each);
  return out;
}

std::string bind_request(std::string_view host_key, std::string_view session, bool forwarding = false) {
  return std::string(1, 27) + strings({"session-bind@openssh.com", host_key, session, "signature"}) +
         std::string(1, forwarding ? 1 : 0);
}

std::string login(std::string_view session, std::string_view user, std::string_view key, std::string_view host_key = "",
                  std::string_view service = "ssh-connection") {
  std::string data = strings({session}) + std::string(1, 50) +
                     strings({user, service, host_key.empty() ? "publickey" : "publickey-hostbound-v00@openssh.com"}) +
                     std::string(1, 1) + strings({"ssh-ed25519", key});
  if (!host_key.empty()) put_string(data, host_key);
  return data;
}

std::string sign_request(std::string_view key, std::string_view data, uint32_t flags = 0) {
  std::string out = std::string(1, 13) + strings({key, data});
  put_number(out, flags);
  return out;
}

std::string list_of(std::initializer_list<std::pair<std::string_view, std::string_view>> keys) {
  std::string out(1, 12);
  put_number(out, static_cast<uint32_t>(keys.size()));
  for (auto [blob, comment] : keys) out += strings({blob, comment});
  return out;
}

class FilterTest : public testing::Test {
 protected:
  std::vector<Key> keys_ = {
      {"K1", "git.example.org", {{"git.example.org", "H1", "git"}, {"second.example.org", "H2", ""}}},
      {"K2", "other", {{"other.example.org", "H3", ""}}}};
  Filter filter_{keys_};
  std::string reason_;

  void bind(std::string_view host_key = "H1", std::string_view session = "S") {
    ASSERT_TRUE(filter_.request(bind_request(host_key, session)).pass);
    ASSERT_EQ(filter_.answer(kDone, reason_), kDone);
  }
  bool refused(const std::string& message) {
    auto verdict = filter_.request(message);
    return !verdict.pass && verdict.answer == kFailed && !verdict.reason.empty();
  }
};

TEST_F(FilterTest, AListNamesOnlyTheSessionsKeys) {
  ASSERT_TRUE(filter_.request("\x0b").pass);
  EXPECT_EQ(filter_.answer(list_of({{"K0", "/home/me/.ssh/id_work"}, {"K1", "/home/me/.ssh/id_git"}}), reason_),
            list_of({{"K1", "git.example.org"}}));
  bind("H3");
  ASSERT_TRUE(filter_.request("\x0b").pass);
  EXPECT_EQ(filter_.answer(list_of({{"K1", ""}, {"K2", ""}}), reason_), list_of({{"K2", "other"}}))
      << "once bound, only what is for that host";
}

TEST_F(FilterTest, ALoginToABoundHostIsSigned) {
  bind();
  auto verdict = filter_.request(sign_request("K1", login("S", "git", "K1", "H1")));
  ASSERT_TRUE(verdict.pass) << verdict.reason;
  EXPECT_EQ(verdict.host, "git.example.org");
  std::string signature = std::string(1, 14) + strings({"signature"});
  EXPECT_EQ(filter_.answer(signature, reason_), signature);
  EXPECT_TRUE(filter_.request(sign_request("K1", login("S", "git", "K1"), 4)).pass) << "the older form, and SHA-512";
}

TEST_F(FilterTest, OtherDataIsNotSigned) {
  EXPECT_TRUE(refused(sign_request("K1", login("S", "git", "K1", "H1")))) << "not bound";
  ASSERT_TRUE(filter_.request(bind_request("H1", "S")).pass);
  EXPECT_EQ(filter_.answer(kFailed, reason_), kFailed);
  EXPECT_TRUE(refused(sign_request("K1", login("S", "git", "K1", "H1")))) << "the agent did not confirm the bind";
  bind();
  EXPECT_TRUE(refused(sign_request("K0", login("S", "git", "K0", "H1")))) << "another key";
  EXPECT_TRUE(refused(sign_request("K2", login("S", "git", "K2", "H1")))) << "a key for another host";
  EXPECT_TRUE(refused(sign_request("K1", login("S", "root", "K1", "H1")))) << "another user";
  EXPECT_TRUE(refused(sign_request("K1", login("T", "git", "K1", "H1")))) << "another session";
  EXPECT_TRUE(refused(sign_request("K1", login("S", "git", "K2", "H1")))) << "it names another key";
  EXPECT_TRUE(refused(sign_request("K1", login("S", "git", "K1", "H2")))) << "it names another host";
  EXPECT_TRUE(refused(sign_request("K1", login("S", "git", "K1", "H1", "ssh-userauth")))) << "another service";
  EXPECT_TRUE(refused(sign_request("K1", login("S", "git", "K1", "H1") + "x"))) << "more than a login";
  EXPECT_TRUE(refused(sign_request("K1", "SSHSIG" + strings({"git", "", "sha512", "hash"})))) << "a signed commit";
  EXPECT_TRUE(refused(sign_request("K1", login("S", "git", "K1", "H1"), 1))) << "unknown flags";
  EXPECT_TRUE(refused(sign_request("K1", login("S", "git", "K1", "H1")) + "x"));
  EXPECT_TRUE(filter_.request(sign_request("K1", login("S", "git", "K1", "H1"))).pass) << "and it still works";
}

TEST_F(FilterTest, ABindIsForOneKnownHost) {
  EXPECT_TRUE(refused(bind_request("H9", "S")));
  EXPECT_TRUE(refused(bind_request("H1", "S", true)));
  EXPECT_TRUE(refused(bind_request("H1", "")));
  bind();
  EXPECT_TRUE(refused(bind_request("H2", "S2"))) << "a second host, which could hide the first";
}

// The ssh-agent would confirm the bind: the server's signature is genuine, but somebody else made the connection.
TEST_F(FilterTest, ALoginNeedsAnOpenConnectionWithTheSignature) {
  std::set<std::pair<std::string, std::string>> open = {{"H3", "signature"}, {"H1", "another"}};
  Filter filter(keys_, {.is_connected = [&](auto key, auto signature) {
                  return open.contains({std::string(key), std::string(signature)});
                }});
  auto unconnected = filter.request(bind_request("H1", "S"));
  EXPECT_FALSE(unconnected.pass);
  EXPECT_EQ(unconnected.host, "git.example.org");
  open.insert({"H1", "signature"});
  ASSERT_TRUE(filter.request(bind_request("H1", "S")).pass);
  ASSERT_EQ(filter.answer(kDone, reason_), kDone);
  const std::string sign = sign_request("K1", login("S", "git", "K1", "H1"));
  ASSERT_TRUE(filter.request(sign).pass);
  (void)filter.answer(kFailed, reason_);
  open.erase({"H1", "signature"});
  EXPECT_FALSE(filter.request(sign).pass) << "the connection has ended";
}

TEST_F(FilterTest, ADeniedHostGetsNoBindAndNoSignature) {
  std::string denied = "git.example.org";
  Filter filter(keys_, {.is_denied = [&](const Destination& to) { return to.name == denied; }});
  EXPECT_EQ(filter.request(bind_request("H1", "S")).reason, "the host is denied");
  EXPECT_TRUE(Filter(keys_, {.is_denied = [&](const Destination& to) { return to.name == denied; }})
                  .request(bind_request("H2", "S"))
                  .pass)
      << "another host";
  denied.clear();
  ASSERT_TRUE(filter.request(bind_request("H1", "S")).pass);
  ASSERT_EQ(filter.answer(kDone, reason_), kDone);
  denied = "git.example.org";
  EXPECT_FALSE(filter.request(sign_request("K1", login("S", "git", "K1", "H1"))).pass) << "denied since the bind";
}

TEST_F(FilterTest, TheAgentIsNeverChangedOrFlooded) {
  for (int type = 0; type < 256; ++type) {
    if (type == 11) continue;
    EXPECT_TRUE(refused(std::string(1, static_cast<char>(type)))) << type;
    EXPECT_TRUE(refused(std::string(1, static_cast<char>(type)) + strings({"x", "y"}))) << type;
  }
  EXPECT_TRUE(refused(""));
  EXPECT_TRUE(refused(std::string(1, 11) + std::string(kMostMessage, 'x')));
  EXPECT_TRUE(refused(std::string(1, 27) + strings({"query"})));
  ASSERT_TRUE(filter_.request("\x0b").pass);
  EXPECT_TRUE(refused("\x0b")) << "one at a time";
  EXPECT_EQ(filter_.answer(list_of({{"K1", ""}}) + "x", reason_), kFailed) << "a broken answer";
  EXPECT_EQ(filter_.answer(kDone, reason_), kFailed) << "an answer to nothing";
}

TEST(Wire, ReadsKeyLines) {
  std::string blob = strings({"ssh-ed25519", "32 bytes"});
  EXPECT_EQ(blob_of("ssh-ed25519 " + base64(blob) + " me@here\n"), blob);
  EXPECT_EQ(blob_of("ssh-rsa " + base64(blob)), "") << "the blob is of another type";
  EXPECT_EQ(blob_of("ssh-ed25519"), "");
}

}  // namespace
}  // namespace bottle::sshagent
