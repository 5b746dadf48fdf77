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
    link.emplace(plan::Plan{},
                 std::vector<wire::SshKey>{{.holder = wire::SshKey::Holder::other, .blob = "a key", .socket = socket}},
                 "", nullptr, [](const wire::Decision&) {});
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

}  // namespace
}  // namespace bottle::session
