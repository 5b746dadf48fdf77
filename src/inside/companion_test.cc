#include "inside/companion.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "base/files/file.h"
#include "base/os/descriptors.h"
#include "base/os/poller.h"
#include "base/unix_address.h"
#include "inside/probes/exchange.h"
#include "inside/through_guard.h"

namespace bottle::inside {
namespace {

// The agent may use up all processes and threads of the container.
TEST(Companion, ContinuesIfThereCanBeNoMoreThreads) {
  char directory[] = "/tmp/inside-XXXXXX";
  ASSERT_TRUE(::mkdtemp(directory));
  std::string path = std::string(directory) + "/agent.sock";
  auto listener = open_agent_socket(path).value();
  auto limited = make_pipe().value();
  pid_t pid = ::fork();
  if (pid == 0) {
    limited.read.reset();
    rlimit one{1, 1};
    if (::geteuid() == 0 && ::setresuid(4711, 4711, 4711) != 0) ::_exit(1);
    if (::setrlimit(RLIMIT_NPROC, &one) != 0) ::_exit(2);
    // Root and some sandboxes have no such limit.
    pthread_t thread;
    if (::pthread_create(&thread, nullptr, [](void*) -> void* { return nullptr; }, nullptr) == 0) ::_exit(3);
    (void)write_all(limited.write.get(), "x");
    serve_agent_socket(std::move(listener), *parse_endpoint("127.0.0.1:9"));
  }
  listener.reset();
  limited.write.reset();
  char byte;
  if (::read(limited.read.get(), &byte, 1) != 1) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    std::filesystem::remove_all(directory);
    GTEST_SKIP() << "this system does not limit the threads of a user: status " << status;
  }
  sockaddr_un address = unix_address(path).value();
  for (int turn = 0; turn < 20; ++turn) {
    UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0) << turn;
    ASSERT_TRUE(wait_readable(client.get(), 60000)) << turn;
    EXPECT_EQ(::recv(client.get(), &byte, 1, 0), 0) << turn;
  }
  EXPECT_EQ(::kill(pid, SIGKILL), 0);
  int raw = 0;
  ::waitpid(pid, &raw, 0);
  EXPECT_TRUE(WIFSIGNALED(raw) && WTERMSIG(raw) == SIGKILL) << raw;
  std::filesystem::remove_all(directory);
}

// A reader that does not read must not stop the other direction.
TEST(ThroughGuard, EachDirectionIsCopiedAlone) {
  auto left = make_socket_pair().value(), right = make_socket_pair().value();
  // A socket counts as writable before all that the copier holds fits into it.
  int small = 8192;
  ASSERT_EQ(::setsockopt(right.theirs.get(), SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
  std::thread copier([&] {
    copy_both_ways(left.theirs.get(), left.theirs.get(), right.theirs.get(), right.theirs.get());
    left.theirs.reset();
    right.theirs.reset();
  });
  // Fills the way from left to right, until the copier takes no more.
  std::string much(1 << 16, 'x');
  ssize_t n;
  do {
    while ((n = ::send(left.ours.get(), much.data(), much.size(), MSG_DONTWAIT)) > 0) {
    }
  } while (wait_writable(left.ours.get(), 300));
  EXPECT_EQ(::send(right.ours.get(), "back", 4, 0), 4);
  bool arrived = wait_readable(left.ours.get(), 60000);
  EXPECT_TRUE(arrived);
  ::shutdown(left.ours.get(), SHUT_WR);
  ::shutdown(right.ours.get(), SHUT_WR);
  std::thread reader([&] {
    char bytes[65536];
    while (::read(right.ours.get(), bytes, sizeof bytes) > 0) {
    }
  });
  char bytes[65536];
  while (::read(left.ours.get(), bytes, sizeof bytes) > 0) {
  }
  copier.join();
  reader.join();
}

}  // namespace
}  // namespace bottle::inside
