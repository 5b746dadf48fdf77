// Tests which ssh-agent holds a key: the operator's own, if it can be relied on, or the session's.
#include "session/credentials/ssh_keys.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <thread>

#include "base/files/file.h"
#include "base/ids.h"
#include "base/os/descriptors.h"
#include "base/os/poller.h"
#include "base/os/process.h"
#include "session/credentials/agent_client.h"
#include "sshagent/wire.h"

namespace bottle::session {
namespace {

using namespace std::chrono_literals;
using Holder = wire::SshKey::Holder;

// Plays an ssh-agent that lists one key and answers everything else with SSH_AGENT_SUCCESS.
class YesAgent {
 public:
  YesAgent(const std::string& socket, const std::string& blob) {
    list_ = "\x0c";
    sshagent::put_number(list_, 1);
    sshagent::put_string(list_, blob);
    sshagent::put_string(list_, "a comment");
    auto listener = listen_at(socket, 64);
    EXPECT_TRUE(listener) << listener.error().what;
    if (listener) listener_ = std::move(*listener);
    thread_ = std::thread([this] { serve(); });
  }
  ~YesAgent() {
    over_ = true;
    thread_.join();
  }

 private:
  void serve() {
    while (!over_) {
      if (!wait_readable(listener_.get(), 10)) continue;
      UniqueFd client = accept_connection(listener_.get());
      char head[4];
      while (::recv(client.get(), head, sizeof head, MSG_WAITALL) == sizeof head) {
        std::string request(sshagent::Reader({head, sizeof head}).number(), '\0');
        if (::recv(client.get(), request.data(), request.size(), MSG_WAITALL) <= 0) break;
        std::string answer;
        sshagent::put_string(answer, request == sshagent::list_request() ? list_ : "\x06");
        (void)::send(client.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
      }
    }
  }

  std::string list_;
  UniqueFd listener_;
  std::atomic<bool> over_ = false;
  std::thread thread_;
};

class OperatorsAgent : public ::testing::Test {
 protected:
  OperatorsAgent() {
    ::signal(SIGPIPE, SIG_IGN);  // ssh-keygen does not read a passphrase if the key has none
    EXPECT_TRUE(make_directories(path));
    make_key("ed25519", key);
  }
  ~OperatorsAgent() override { std::filesystem::remove_all(path); }
  static void make_key(const std::string& type, const std::string& file) {
    Command command{.argv = {"ssh-keygen", "-q", "-t", type, "-N", "", "-f", file}};
    if (type == "rsa") command.argv.insert(command.argv.end(), {"-b", "2048"});  // takes a fraction of the time
    auto made = capture(command, {.timeout_ms = 60'000});
    ASSERT_TRUE(made && made->status == 0) << (made ? made->err : made.error().what);
  }
  Result<std::vector<wire::SshKey>> find() {
    return find_ssh_keys(
        plan, {{"SSH_AUTH_SOCK", socket}}, [](const std::string&) -> Result<std::string> { return ""; },
        [&](const std::string& line) { said += line; });
  }

  const std::string path = std::filesystem::temp_directory_path() / ("ssh_keys_test-" + random_hex(6)),
                    key = path + "/key", socket = path + "/agent";
  plan::Plan plan;
  std::string said;
};

// Such ssh-agents exist, because ssh works with them. With one, the agent could log in to any server with the key.
TEST_F(OperatorsAgent, OneThatConfirmsAWrongSignatureIsNotUsed) {
  make_key("ed25519", path + "/host");
  plan.ssh = {{.host = "git", .identity_file = key, .known_host_key = *read_file(path + "/host.pub")}};
  YesAgent agent(socket, sshagent::blob_of(*read_file(key + ".pub")));
  auto keys = find();
  ASSERT_TRUE(keys) << keys.error().what;
  ASSERT_EQ(keys->size(), 1u);
  EXPECT_EQ((*keys)[0].holder, Holder::session);
  EXPECT_NE(said.find(socket), std::string::npos) << said;
}

TEST_F(OperatorsAgent, OpenSshVerifiesSignaturesOfEachKindOfHost) {
  auto agent = Child::spawn({.argv = {"ssh-agent", "-D", "-a", socket}}, Child::null(), Child::null(), Child::null());
  ASSERT_TRUE(agent) << agent.error().what;
  for (auto until = std::chrono::steady_clock::now() + 20s; !list_agent_keys(socket);) {
    ASSERT_LT(std::chrono::steady_clock::now(), until);
    std::this_thread::sleep_for(2ms);
  }
  ASSERT_EQ(std::system(("SSH_AUTH_SOCK='" + socket + "' ssh-add -q '" + key + "'").c_str()), 0);
  for (const char* type : {"ed25519", "rsa", "ecdsa"}) {
    std::string host = path + "/host-" + type;
    make_key(type, host);
    plan.ssh.push_back({.host = type, .identity_file = key, .known_host_key = *read_file(host + ".pub")});
  }
  auto keys = find();
  ASSERT_TRUE(keys) << keys.error().what;
  ASSERT_EQ(keys->size(), 1u);
  EXPECT_EQ((*keys)[0].holder, Holder::other);
  EXPECT_EQ((*keys)[0].socket, socket);
  EXPECT_EQ(said, "");
  agent->end();
}

}  // namespace
}  // namespace bottle::session
