#include "session/credentials/session_agent.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "base/files/file.h"
#include "base/ids.h"
#include "base/os/descriptors.h"
#include "base/os/poller.h"
#include "base/os/this_program.h"
#include "base/unix_address.h"
#include "session/credentials/agent_client.h"

namespace bottle::session {
namespace {

// Starts a process that listens at `path` under the command name `name`.
pid_t listen_as(const std::string& path, const std::string& name) {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address = *unix_address(path);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(::listen(fd.get(), 8), 0);
  pid_t child = ::fork();
  if (child == 0) {
    ::listen(fd.get(), 8);  // SO_PEERCRED reports the last process that called it
    ::execl("/bin/sleep", name.c_str(), "1000", nullptr);
    ::_exit(127);
  }
  auto runs = [&] {
    auto argv = read_file("/proc/" + std::to_string(child) + "/cmdline");
    return argv && argv->starts_with(name + '\0' + "1000");
  };
  for (int tries = 0; tries < 6000 && !runs(); ++tries) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_TRUE(runs());
  return child;
}

TEST(SshAgent, AnotherProgramOnItsSocketIsNotSignaled) {
  if (!can_be_far_side()) GTEST_SKIP() << "POSIX does not tell who listens, so nothing is signaled";
  std::string directory = std::filesystem::temp_directory_path() / ("session_agent_test-" + random_hex(6)),
              socket = directory + "/ssh-agent";
  ASSERT_TRUE(make_directories(directory));
  pid_t child = listen_as(socket, "ssh-agent");
  auto ended = end_agent(socket);
  ASSERT_FALSE(ended);
  EXPECT_EQ(ended.error().code, Code::conflict) << ended.error().what;
  EXPECT_EQ(::waitpid(child, nullptr, WNOHANG), 0) << "it lives";
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(end_agent(socket)) << "nobody listens any more";
  EXPECT_FALSE(std::filesystem::exists(socket));
  EXPECT_TRUE(end_agent(socket)) << "a second call changes nothing";
  std::filesystem::remove_all(directory);
}

// Such an ssh-agent must not hold a connection of the bottle, or the start of a session, for longer than it may.
TEST(SshAgent, AnAnswerThatComesByteByByteIsNotWaitedForLongerThanAllowed) {
  std::string directory = std::filesystem::temp_directory_path() / ("session_agent_test-" + random_hex(6));
  ASSERT_TRUE(make_directories(directory));
  auto listener = listen_at(directory + "/slow", 1);
  ASSERT_TRUE(listener) << listener.error().what;
  std::thread slow([&] {
    UniqueFd client = accept_connection(listener->get());
    char request[13];
    (void)::recv(client.get(), request, sizeof request, MSG_WAITALL);
    std::string answer("\0\0\1\0", 4);
    answer += std::string(100, 'x');
    // The client is readable once it hangs up.
    for (size_t at = 0; at < answer.size() && !wait_readable(client.get(), 20); ++at)
      (void)::send(client.get(), &answer[at], 1, MSG_NOSIGNAL);
  });
  auto client = AgentClient::connect(directory + "/slow", 200);
  ASSERT_TRUE(client) << client.error().what;
  auto answer = client->exchange("a request");
  client = fail(Code::closed, "");
  slow.join();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Code::timed_out) << answer.error().what;
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace bottle::session
