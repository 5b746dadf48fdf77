// Checks the supervisor's end of a bottle's SSH_AUTH_SOCK against an ssh-agent of the test.
#include "session/credentials/ssh_agent_link.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <pthread.h>
#include <sys/socket.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <optional>
#include <thread>

#include "base/files/file.h"
#include "base/ids.h"
#include "base/os/descriptors.h"
#include "base/os/poller.h"
#include "base/text/base64.h"
#include "pki/seal.h"
#include "sshagent/wire.h"

namespace bottle::session {
namespace {

using namespace std::chrono_literals;

// Plays an ssh-agent without keys, for one connection at a time. If it does not answer, it waits until the client hangs
// up.
class StubAgent {
 public:
  explicit StubAgent(bool answers) : answers_(answers) {
    EXPECT_TRUE(make_directories(directory_));
    auto listener = listen_at(path(), 64);
    EXPECT_TRUE(listener) << listener.error().what;
    if (listener) listener_ = std::move(*listener);
    thread_ = std::thread([this] { serve(); });
  }
  ~StubAgent() {
    over_ = true;
    thread_.join();
    std::filesystem::remove_all(directory_);
  }
  std::string path() const { return directory_ + "/agent"; }
  int asked() const { return asked_; }

 private:
  void serve() {
    while (!over_) {
      if (!wait_readable(listener_.get(), 10)) continue;
      UniqueFd client = accept_connection(listener_.get());
      char request[5];
      if (::recv(client.get(), request, sizeof request, MSG_WAITALL) != sizeof request) continue;
      ++asked_;
      std::string answer;
      sshagent::put_string(answer, std::string("\x0c\0\0\0\0", 5));
      if (answers_) (void)::send(client.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
      while (!over_ && !wait_readable(client.get(), 10)) {
      }
    }
  }

  const bool answers_;
  std::string directory_ = std::filesystem::temp_directory_path() / ("ssh_agent_link_test-" + random_hex(6));
  UniqueFd listener_;
  std::atomic<bool> over_ = false;
  std::atomic<int> asked_ = 0;
  std::thread thread_;
};

int open_descriptors() {
  int count = 0;
  for (int fd = 0; fd < 1024; ++fd) count += ::fcntl(fd, F_GETFD) >= 0;
  return count;
}

// Waits for a condition that another thread makes true.
template <class Condition>
bool comes_true(const Condition& condition) {
  auto until = std::chrono::steady_clock::now() + 20s;
  while (!condition() && std::chrono::steady_clock::now() < until) std::this_thread::sleep_for(1ms);
  return condition();
}

class AgentLink : public ::testing::Test {
 protected:
  // Makes a link to the ssh-agent at `socket`.
  void make(const std::string& socket) {
    link.emplace(
        plan::Plan{},
        std::vector<wire::SshKey>{{.holder = wire::SshKey::Holder::other, .blob = "a key", .socket = socket}}, "",
        nullptr, [](const wire::Decision&) {}, [](const std::string&) { return false; });
  }
  void list() { link->take_request({1, sshagent::list_request()}, send); }
  void close() { link->take_request({1, std::nullopt}, send); }

  std::vector<std::string> answers;
  SshAgentLink::Send send = [this](const wire::AgentAnswer& answer) { answers.push_back(answer.answer.value_or("")); };
  std::optional<SshAgentLink> link;
};

// The agent decides how often it does this. Each time would cost the supervisor a thread's stack and a connection.
TEST_F(AgentLink, AConnectionThatTheBottleClosesBeforeTheAnswerLeavesNothingOpen) {
  for (bool answers_come : {false, true}) {
    StubAgent agent(answers_come);
    make(agent.path());
    int before = open_descriptors();
    for (int i = 1; i <= 20; ++i) {
      list();
      ASSERT_TRUE(comes_true([&] { return agent.asked() == i; }));
      close();
      ASSERT_TRUE(wait_readable(link->fd(), 20000)) << "the thread has ended";
      link->take_answers(send);
    }
    EXPECT_TRUE(comes_true([&] { return open_descriptors() <= before; }))
        << open_descriptors() << " descriptors are open, and there were " << before;
    EXPECT_TRUE(answers.empty());
    link.reset();
  }
}

TEST_F(AgentLink, ItsEndClosesConnectionsWhoseAnswersHaveNotCome) {
  StubAgent agent(false);
  int before = open_descriptors();
  make(agent.path());
  list();
  ASSERT_TRUE(comes_true([&] { return agent.asked() == 1; }));
  link.reset();
  EXPECT_TRUE(comes_true([&] { return open_descriptors() <= before; }));
}

// The supervisor must survive: without it, nothing limits what the agent writes.
TEST_F(AgentLink, ARequestIsRefusedIfNoThreadCanBeStarted) {
  StubAgent agent(true);
  make(agent.path());
  pthread_attr_t usual, huge;
  ASSERT_EQ(::pthread_getattr_default_np(&usual), 0);
  ASSERT_EQ(::pthread_attr_init(&huge), 0);
  ASSERT_EQ(::pthread_attr_setstacksize(&huge, size_t{1} << 46), 0);
  ASSERT_EQ(::pthread_setattr_default_np(&huge), 0);
  list();
  ASSERT_EQ(::pthread_setattr_default_np(&usual), 0);
  EXPECT_EQ(answers, std::vector<std::string>{sshagent::failure()});
  list();
  ASSERT_TRUE(wait_readable(link->fd(), 20000));
  link->take_answers(send);
  ASSERT_EQ(answers.size(), 2u);
  EXPECT_EQ(answers[1], std::string("\x0c\0\0\0\0", 5)) << "the next one is answered";
}

// Holds a key for one host, and lets a test say what the guard has reported and what the operator has denied.
class AgentLinkToHost : public ::testing::Test {
 protected:
  AgentLinkToHost() {
    for (const char* text : {"ssh-ed25519", "32 bytes of a host's public key."}) sshagent::put_string(host_key, text);
    request = sshagent::forged_bind_request(host_key, "a session");
    plan.ssh = {{.host = "git", .identity_file = "id", .known_host_key = "ssh-ed25519 " + base64(host_key)}};
    link.emplace(
        plan,
        std::vector<wire::SshKey>{
            {.holder = wire::SshKey::Holder::other, .file = "id", .blob = "a key", .socket = agent.path()}},
        "", nullptr, [this](const wire::Decision& decision) { reasons.push_back(decision.reason); },
        [this](const std::string& host) { return denied && host == "git"; });
  }
  // Asks for a bind on a new connection. Returns why it was refused, or an empty text if it went to the ssh-agent.
  std::string bind() {
    size_t before = reasons.size();
    int asked = agent.asked();
    link->take_request({++connection, request}, [](const wire::AgentAnswer&) {});
    if (reasons.size() > before) return reasons.back();
    EXPECT_TRUE(comes_true([&] { return agent.asked() > asked; }));
    link->take_request({connection, std::nullopt}, {});
    return "";
  }
  // Returns what a guard reports about a tunnel in which the server made the signature of `request`.
  wire::SshTunnel tunnel(uint32_t number) const {
    sshagent::Reader reader(std::string_view(request).substr(1));
    reader.string(), reader.string(), reader.string();
    std::string proof;
    for (std::string_view each : {std::string_view(host_key), reader.string()}) sshagent::put_string(proof, each);
    return {number, to_hex(pki::digest(proof))};
  }

  StubAgent agent{true};
  std::string host_key;
  plan::Plan plan;
  bool denied = false;
  uint32_t connection = 0;
  std::vector<std::string> reasons;
  std::optional<SshAgentLink> link;
  std::string request;
};

TEST_F(AgentLinkToHost, ABindNeedsATunnelOfTheGuard) {
  EXPECT_EQ(bind(), "") << "a guard of an earlier version reports no tunnels";
  link->require_tunnels();
  EXPECT_NE(bind(), "");
  link->take_tunnel({1, std::string(64, 'a')});
  EXPECT_NE(bind(), "") << "another connection";
  link->take_tunnel(tunnel(2));
  link->take_tunnel({1, std::nullopt});
  EXPECT_EQ(bind(), "");
  link->take_tunnel({2, std::nullopt});
  EXPECT_NE(bind(), "") << "it has ended";
  link->take_tunnel(tunnel(3));
  link->guard_is_gone();
  EXPECT_NE(bind(), "") << "it has ended with its guard";
}

TEST_F(AgentLinkToHost, ABindToADeniedHostIsRefusedUntilItIsAllowedAgain) {
  denied = true;
  EXPECT_EQ(bind(), "the host is denied");
  denied = false;
  EXPECT_EQ(bind(), "");
}

// A guard that was taken over must not fill the supervisor's memory.
TEST(OpenTunnels, TheOldestOfTooManyAreForgotten) {
  wire::OpenTunnels tunnels;
  for (uint32_t i = 0; i <= wire::OpenTunnels::kMost; ++i) tunnels.take({i, std::to_string(i)});
  EXPECT_FALSE(tunnels.has("0"));
  EXPECT_TRUE(tunnels.has("1") && tunnels.has(std::to_string(wire::OpenTunnels::kMost)));
}

}  // namespace
}  // namespace bottle::session
