// Runs two endless loops that must survive a guard that dies and comes back, and an agent that opens any number of
// connections. The watch keeps one connection open instead of polling, so it notices immediately if the guard is
// killed, and costs nothing while the guard lives.

#include "inside/companion.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <ctime>
#include <system_error>
#include <thread>

#include "base/files/file.h"
#include "base/unix_address.h"
#include "inside/through_guard.h"

namespace bottle::inside {
namespace {

using namespace std::chrono_literals;

constexpr int kMostAgentConnections = 16;

std::string utc_now() {
  char text[32];
  std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

// A guard that is killed closes its end of the connection. If its whole container vanishes, nothing may arrive, so the
// kernel's keepalive must detect it.
void notice_silence(int fd) {
  // After 5 s of silence come three probes, 2 s apart, so the end is noticed after about 11 s.
  int one = 1, idle = 5, interval = 2, count = 3;
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof one);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
}

}  // namespace

// The agent can use up the threads, so a failure is expected here, and its exception must not end PID 1.
bool start_thread(std::move_only_function<void()> work) {
  try {
    std::thread(std::move(work)).detach();
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

void watch_guard(sockaddr_in guard, const std::string& path) {
  std::string down_since;
  // The self-test has just reached the guard.
  (void)write_file_atomically(path, "up\n", 0644);
  for (;;) {
    std::string early;
    if (auto fd = through_guard(guard, "GET /alive HTTP/1.1\r\nHost: guard\r\n\r\n", 200, early)) {
      // The agent may have seen connections fail, so the file says when that was.
      if (!down_since.empty())
        (void)write_file_atomically(path, "up\nThe guard was down from " + down_since + " to " + utc_now() + ".\n",
                                    0644);
      down_since.clear();
      notice_silence(fd->get());
      char buffer[64];
      // The guard sends nothing on this connection. The loop waits for its end.
      for (ssize_t n; (n = ::recv(fd->get(), buffer, sizeof buffer, 0)) > 0 || (n < 0 && errno == EINTR);) {
      }
    }
    // The guard may only have closed a connection that was idle for long. The next attempt shows whether it still
    // answers.
    std::string unused;
    if (auto again = through_guard(guard, "GET / HTTP/1.1\r\nHost: guard\r\n\r\n", 200, unused)) {
      // The pause keeps this loop from spinning if the guard closes each connection immediately.
      std::this_thread::sleep_for(50ms);
      continue;
    }
    if (down_since.empty()) {
      down_since = utc_now();
      (void)write_file_atomically(path,
                                  "down\nThe guard, the only way out of this bottle, died at " + down_since +
                                      ". It is restarting; until then, every connection fails. Wait and try again.\n",
                                  0644);
    }
    // A guard that restarts is back within about a second.
    std::this_thread::sleep_for(300ms);
  }
}

Result<UniqueFd> open_agent_socket(const std::string& path) {
  sockaddr_un address = TRY(unix_address(path));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno("creating the agent's socket");
  // bind(2) fails if the path exists, for example in an image made from a container.
  ::unlink(path.c_str());
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return fail_errno("binding " + path);
  // This comes before listen(2), so nothing could connect with the mode that the umask left.
  if (::chmod(path.c_str(), 0600) != 0) return fail_errno("setting the mode of " + path);
  if (::listen(fd.get(), 8) != 0) return fail_errno("listening on " + path);
  return fd;
}

// Each connection gets a thread that copies until both sides have ended. The guard and the supervisor decide which
// requests are allowed.
void serve_agent_socket(UniqueFd listener, sockaddr_in guard) {
  // The threads are detached and end by themselves, so only their number is kept.
  static std::atomic<int> open = 0;
  for (;;) {
    UniqueFd client(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client) {
      std::this_thread::sleep_for(20ms);  // no descriptors are left, or the client disconnected
      continue;
    }
    // Closes the connection. Each one needs a thread, whose memory is that of the agent's container.
    if (open >= kMostAgentConnections) continue;
    ++open;
    bool started = start_thread([client = std::move(client), guard] {
      std::string early;
      auto fd = through_guard(
          guard, "GET /ssh-agent HTTP/1.1\r\nHost: guard\r\nConnection: upgrade\r\nUpgrade: ssh-agent\r\n\r\n", 101,
          early);
      if (fd && write_all(client.get(), early)) copy_both_ways(client.get(), client.get(), fd->get(), fd->get());
      --open;
    });
    if (!started) --open;
  }
}

}  // namespace bottle::inside
