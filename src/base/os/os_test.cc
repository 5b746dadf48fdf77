// Tests the interface to the operating system. The tests run with both implementations, Linux and POSIX.
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>
#include <vector>

#include "base/files/file.h"
#include "base/files/full_disk.h"
#include "base/files/unreadable_test.h"
#include "base/os/descriptors.h"
#include "base/os/event_queue.h"
#include "base/os/poller.h"
#include "base/os/process.h"
#include "base/os/process_handle.h"
#include "base/os/process_identity.h"
#include "base/os/signals.h"
#include "base/os/this_program.h"
#include "base/os/wakeup.h"

namespace bottle {
namespace {

bool closes_on_exec(int fd) { return ::fcntl(fd, F_GETFD) & FD_CLOEXEC; }

TEST(Descriptors, AreNotInherited) {
  auto pipe = make_pipe().value();
  auto pair = make_socket_pair(Waits::no).value();
  auto file = make_memory_file("test", "content").value();
  auto socket = open_socket(AF_UNIX, SOCK_STREAM);
  for (int fd : {pipe.read.get(), pipe.write.get(), pair.ours.get(), pair.theirs.get(), file.get(), socket.get()}) {
    ASSERT_GE(fd, 0);
    EXPECT_TRUE(closes_on_exec(fd));
  }
  EXPECT_EQ(read_all(file.get(), "the file", 100).value(), "content");
  EXPECT_FALSE(::fcntl(pipe.read.get(), F_GETFL) & O_NONBLOCK);
  EXPECT_TRUE(::fcntl(pair.ours.get(), F_GETFL) & O_NONBLOCK);
}

TEST(Descriptors, OfAcceptedConnectionsAreNotInherited) {
  auto listener = open_socket(AF_INET, SOCK_STREAM), client = open_socket(AF_INET, SOCK_STREAM);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(::bind(listener.get(), generic, size), 0);
  ASSERT_EQ(::listen(listener.get(), 1), 0);
  ASSERT_EQ(::getsockname(listener.get(), generic, &size), 0);
  ASSERT_EQ(::connect(client.get(), generic, size), 0);
  auto accepted = accept_connection(listener.get(), Waits::no);
  ASSERT_TRUE(accepted);
  EXPECT_TRUE(closes_on_exec(accepted.get()));
  EXPECT_TRUE(::fcntl(accepted.get(), F_GETFL) & O_NONBLOCK);
}

// The umask applies to everything that the process makes later, such as refs in the operator's repository.
TEST(Descriptors, ASocketIsPrivateAndTheUmaskStays) {
  char place[] = "/tmp/bottle-os-test.XXXXXX";
  std::string directory = ::mkdtemp(place), path = directory + "/socket";
  mode_t before = ::umask(0002);
  auto listener = listen_at(path, 1);
  mode_t after = ::umask(before);
  ASSERT_TRUE(listener) << listener.error().what;
  EXPECT_EQ(after, 0002u);
  struct stat st{};
  ASSERT_EQ(::lstat(path.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600u);
  std::filesystem::remove_all(directory);
}

TEST(Descriptors, ArePassedOverASocket) {
  auto pair = make_socket_pair().value();
  EXPECT_EQ(take_descriptor(pair.ours.get()).error().code, Code::unavailable);
  auto file = make_memory_file("test", "passed").value();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(pass_descriptor(pair.theirs.get(), file.get()));
  for (int i = 0; i < 3; ++i) {
    auto taken = take_descriptor(pair.ours.get());
    ASSERT_TRUE(taken && *taken);
    EXPECT_TRUE(closes_on_exec(taken->get()));
  }
  ASSERT_TRUE(write_all(pair.theirs.get(), "x"));
  EXPECT_FALSE(take_descriptor(pair.ours.get()).value()) << "a byte without a descriptor";
  pair.theirs.reset();
  EXPECT_EQ(take_descriptor(pair.ours.get()).error().code, Code::closed);
}

// On 64 bits, a message with two descriptors fits into the space for one.
TEST(Descriptors, AreClosedIfMoreThanOneArrives) {
  auto pair = make_socket_pair().value();
  auto pipe = make_pipe().value();
  int both[] = {pipe.write.get(), pipe.write.get()};
  alignas(cmsghdr) char ancillary[CMSG_SPACE(sizeof both)] = {};
  char byte = 0;
  iovec part{&byte, 1};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = ancillary;
  message.msg_controllen = sizeof ancillary;
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof both);
  std::memcpy(CMSG_DATA(head), both, sizeof both);
  ASSERT_EQ(::sendmsg(pair.theirs.get(), &message, 0), 1);
  EXPECT_FALSE(take_descriptor(pair.ours.get()).value());
  pipe.write.reset();
  EXPECT_TRUE(is_hung_up(pipe.read.get())) << "a descriptor is still open";
}

// Checks that a reader sees the end of a pipe although programs are started at the same time, so none of them inherited
// the other end.
TEST(Descriptors, AreNotInheritedByAProgramThatStartsAtTheSameTime) {
  std::atomic<bool> over = false;
  std::vector<Child> children;
  std::thread starter([&] {
    while (!over && children.size() < 40) {
      auto child = Child::spawn({.argv = {"sleep", "60"}}, Child::null(), Child::null(), Child::null());
      if (child) children.push_back(std::move(*child));
    }
  });
  int ended = 0;
  for (int i = 0; i < 2000; ++i) {
    auto pipe = make_pipe().value();
    pipe.write.reset();
    ended += wait_readable(pipe.read.get(), 20000);  // a program holds the other end until exec
  }
  over = true;
  starter.join();
  EXPECT_EQ(ended, 2000);
  for (auto& child : children) child.end(0);
}

TEST(IsInPath, LooksWhereProgramsAreFound) {
  EXPECT_TRUE(is_in_path("sh"));
  EXPECT_TRUE(is_in_path("/bin/sh"));
  EXPECT_FALSE(is_in_path("no-such-program"));
  EXPECT_FALSE(is_in_path("/bin/no-such-program"));
}

TEST(FreeBytes, AreThoseOfTheFileSystemThatWouldHoldThePath) {
  EXPECT_TRUE(free_bytes("/"));
  EXPECT_TRUE(free_bytes("/no-such-directory/below"));
  EXPECT_FALSE(free_bytes(""));
  EXPECT_FALSE(free_bytes("no-such-directory"));
}

TEST(Deadline, IsOverWhenItsTimeIsUp) {
  EXPECT_TRUE(Deadline::in_ms(0).is_over());
  EXPECT_TRUE(Deadline::in_ms(-1).is_over());
  EXPECT_EQ(Deadline::in_ms(-1).ms_left(), 0);
  auto later = Deadline::in(std::chrono::hours(1));
  EXPECT_FALSE(later.is_over());
  EXPECT_GT(later.ms_left(), 3'000'000);
  EXPECT_LE(later.ms_left(), 3'600'000);
  EXPECT_EQ(later.ms_left(100), 100);
  EXPECT_EQ(later.ms_left(0), 0);
  EXPECT_EQ(std::min(later, Deadline::in_ms(0)).ms_left(), 0);
}

TEST(Deadline, MayNeverBeOver) {
  auto never = Deadline::never();
  EXPECT_FALSE(never.is_over());
  EXPECT_EQ(never.ms_left(), -1);
  EXPECT_EQ(never.ms_left(100), 100);
  EXPECT_LT(Deadline::in(std::chrono::hours(1)), never);
}

TEST(Deadline, IsNotGivenUpAMillisecondEarly) {
  auto deadline = Deadline::in_ms(3);
  while (deadline.ms_left() > 0) continue;
  EXPECT_TRUE(deadline.is_over());
}

TEST(Poller, ReportsWhatHappened) {
  auto one = make_socket_pair(Waits::no).value(), two = make_socket_pair(Waits::no).value();
  Poller poller;
  poller.watch(one.ours.get());
  poller.watch(two.ours.get());
  poller.watch(-1);
  EXPECT_FALSE(poller.wait(0));
  ASSERT_TRUE(write_all(two.theirs.get(), "x"));
  EXPECT_TRUE(poller.wait(10000));
  EXPECT_FALSE(poller.readable(one.ours.get()));
  EXPECT_TRUE(poller.readable(two.ours.get()));
  EXPECT_FALSE(poller.writable(two.ours.get())) << "it was not asked";
  poller.watch_writable(two.ours.get());
  EXPECT_TRUE(poller.wait(10000));
  EXPECT_TRUE(poller.readable(two.ours.get()) && poller.writable(two.ours.get()));
  EXPECT_FALSE(is_hung_up(one.ours.get()));
  one.theirs.reset();
  EXPECT_TRUE(poller.wait(10000));
  EXPECT_TRUE(poller.readable(one.ours.get())) << "the end can be read";
  EXPECT_TRUE(is_hung_up(one.ours.get()));
}

TEST(Poller, AWaitEndsAtItsDeadlineEvenIfTheOtherSideNeverPauses) {
  auto pipe = *make_pipe();
  EXPECT_FALSE(wait_readable(pipe.read.get(), Deadline::in_ms(1)));
  EXPECT_TRUE(wait_writable(pipe.write.get(), Deadline::in_ms(60000)));
  ASSERT_EQ(::write(pipe.write.get(), "x", 1), 1);
  EXPECT_TRUE(wait_readable(pipe.read.get(), Deadline::in_ms(60000)));
  EXPECT_TRUE(wait_readable(pipe.read.get(), Deadline::never()));
  EXPECT_TRUE(wait_readable(pipe.read.get(), 0));
  EXPECT_FALSE(wait_readable(pipe.read.get(), Deadline::in_ms(0)));
  EXPECT_FALSE(wait_writable(pipe.write.get(), Deadline::in_ms(0)));
}

TEST(Poller, WakesWhenAProcessHasExited) {
  Child child = Child::spawn({.argv = {"cat"}}, Child::pipe(), Child::null(), Child::null()).value();
  EXPECT_FALSE(child.ended());
  child.close_in();
  for (int turn = 0; !child.ended(); ++turn) {
    ASSERT_LT(turn, 3000);
    Poller poller;
    poller.watch_exit(child.exit_fd());
    poller.wait(10000);
  }
}

TEST(Poller, IsWokenByAnotherThread) {
  Wakeup wakeup;
  std::thread other([&] { wakeup.wake(); });
  EXPECT_TRUE(wait_readable(wakeup.fd(), 60000));
  other.join();
  for (int i = 0; i < 200; ++i) wakeup.wake();
  wakeup.clear();
  EXPECT_FALSE(wait_readable(wakeup.fd(), 0));
}

TEST(Signals, ArriveEvenIfTheyWerePending) {
  sigset_t blocked, before;
  sigemptyset(&blocked);
  sigaddset(&blocked, SIGUSR1);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  ::raise(SIGUSR1);
  {
    Signals outer({SIGUSR1, SIGUSR2});
    EXPECT_TRUE(wait_readable(outer.fd(), 60000));
    EXPECT_EQ(outer.next(), SIGUSR1);
    EXPECT_EQ(outer.next(), std::nullopt);
    {
      Signals inner({SIGUSR2});
      ::raise(SIGUSR2);
      EXPECT_EQ(inner.next(), SIGUSR2);
    }
    ::raise(SIGUSR2);
    EXPECT_EQ(outer.next(), SIGUSR2);
    outer.wake();
    EXPECT_TRUE(wait_readable(outer.fd(), 0));
    EXPECT_EQ(outer.next(), std::nullopt);
    EXPECT_FALSE(wait_readable(outer.fd(), 0));
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

TEST(Children, EndWithTheirGroup) {
  std::string script = "(trap '' TERM; echo ready; exec sleep 1000) & exec cat";
  Child child = Child::spawn({.argv = {"/bin/sh", "-c", script}}, Child::pipe(), Child::pipe(), Child::null()).value();
  char text[8];
  ASSERT_EQ(::read(child.out(), text, sizeof text), 6);
  child.end(300);
  ASSERT_TRUE(wait_readable(child.out(), 60000)) << "a member that ignores SIGTERM still runs";
  EXPECT_EQ(::read(child.out(), text, sizeof text), 0);
}

TEST(Children, EndWithAProcessThatIsKilledIfItCouldStopThem) {
  auto pair = make_socket_pair().value();
  pid_t owner = ::fork();
  if (owner == 0) {
    std::stop_source stop;
    auto tell = [&](const Line& line) { (void)write_all(pair.theirs.get(), line.text()); };
    (void)run_in_lines({.argv = {"/bin/sh", "-c", "echo $$; exec sleep 1000"}}, tell, stop.get_token());
    ::_exit(1);
  }
  ASSERT_TRUE(wait_readable(pair.ours.get(), 60000));
  char text[32] = "";
  ASSERT_GT(::read(pair.ours.get(), text, sizeof text - 1), 0);
  auto program = ProcessIdentity::of(std::atoi(text));
  EXPECT_TRUE(program.alive());
  ::kill(owner, SIGKILL);
  ::waitpid(owner, nullptr, 0);
  auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (program.alive() && std::chrono::steady_clock::now() < until) ::usleep(10'000);
  EXPECT_FALSE(program.alive());
  if (program.alive()) ::kill(program.pid, SIGKILL);
}

TEST(Children, ThatCouldBeStoppedAreFoundInPathAndHaveNoInput) {
  std::stop_source stop;
  std::string said;
  auto tell = [&](const Line& line) { said += line.text() + "|"; };
  auto ran = run_in_lines({.argv = {"sh", "-c", "echo \"$1\"; cat; exit 7", "sh", "a  b"}}, tell, stop.get_token());
  ASSERT_TRUE(ran) << ran.error().what;
  EXPECT_EQ(*ran, 7);
  EXPECT_EQ(said, "a  b|");
  EXPECT_EQ(run_in_lines({.argv = {"no-such-program"}}, tell, stop.get_token()).error().code, Code::not_found);
}

// With SIGCHLD ignored, the system keeps no exit status.
TEST(Children, HaveEndedEvenIfSomethingElseReapedThem) {
  auto before = ::signal(SIGCHLD, SIG_IGN);
  Command command{.argv = {"/bin/sh", "-c", "echo said"}};
  EXPECT_EQ(capture(command, {.timeout_ms = 60000}).error().code, Code::internal);
  std::string line;
  EXPECT_FALSE(run_in_lines(command, [&](const Line& said) { line = said.text(); }));
  EXPECT_EQ(line, "said");
  ::signal(SIGCHLD, before);
}

TEST(ProcessIdentity, DistinguishesALivingProcessFromOthers) {
  auto self = ProcessIdentity::self();
  EXPECT_TRUE(self.alive());
  EXPECT_TRUE((ProcessIdentity{self.pid, self.start_time + "1", self.boot_id}.dead()));
  EXPECT_TRUE((ProcessIdentity{self.pid, self.start_time, self.boot_id + "1"}.dead()));
  EXPECT_EQ((ProcessIdentity{self.pid, "", self.boot_id}.life()), Life::unknown);
  EXPECT_EQ(self.start_time.find(':'), std::string::npos) << "a label separates its fields with colons";
  EXPECT_EQ(wait_until_settled(self.pid, self.start_time), Life::alive);
  EXPECT_EQ(wait_until_settled(self.pid, ""), Life::unknown);

  Child child = Child::spawn({.argv = {"cat"}}, Child::pipe(), Child::null(), Child::null()).value();
  auto other = ProcessIdentity::of(child.pid());
  EXPECT_TRUE(other.alive());
  auto handle = ProcessHandle::open(child.pid());
  ASSERT_TRUE(handle);
  handle->signal(SIGKILL);
  EXPECT_EQ(child.wait(60000).value(), 128 + SIGKILL);
  EXPECT_TRUE(other.dead());
  EXPECT_EQ(wait_until_settled(other.pid, other.start_time), Life::dead);
  EXPECT_EQ(ProcessHandle::open(other.pid).error().code, Code::not_found);
}

// The kernel closes the connections of a process before the process is gone, and others must not consider the process
// alive after that. Two files with much memory make the exit take long. One was opened before the connection and one
// after it, so the order in which the kernel closes them does not matter.
TEST(ProcessIdentity, AProcessThatIsExitingIsWaitedFor) {
  if (!can_be_far_side()) GTEST_SKIP() << "POSIX does not tell that a process is exiting";
  auto much_memory = [] {
    UniqueFd fd(::memfd_create("much", MFD_CLOEXEC));
    for (int i = 0; i < 64; ++i) EXPECT_TRUE(write_all(fd.get(), std::string(1 << 20, 'x')));
    return fd;
  };
  UniqueFd before = much_memory();
  auto pair = make_socket_pair().value();
  UniqueFd after = much_memory();
  pid_t child = ::fork();
  if (child == 0) {
    pair.ours.reset();
    (void)write_all(pair.theirs.get(), "r");
    for (;;) ::pause();
  }
  for (UniqueFd* each : {&before, &pair.theirs, &after}) each->reset();
  char byte = 0;
  ASSERT_EQ(::read(pair.ours.get(), &byte, 1), 1);
  auto start = process_start(child).value();
  ::kill(child, SIGTERM);
  EXPECT_EQ(::read(pair.ours.get(), &byte, 1), 0);
  EXPECT_EQ(wait_until_settled(child, start), Life::dead);
  ::waitpid(child, nullptr, 0);
}

TEST(ProcessIdentity, DoesNotTakeAnErrorForADeath) {
  Child child = Child::spawn({.argv = {"cat"}}, Child::pipe(), Child::null(), Child::null()).value();
  auto other = ProcessIdentity::of(child.pid());
  EXPECT_EQ(without_descriptors([&] { return other.life(); }), Life::unknown);
  EXPECT_EQ(without_descriptors([&] { return wait_until_settled(other.pid, other.start_time); }), Life::unknown);
  ::kill(child.pid(), SIGKILL);
  ASSERT_TRUE(child.wait(60000));
  EXPECT_EQ(without_descriptors([&] { return other.life(); }), Life::dead)
      << "its id is free, which needs no descriptor";
}

TEST(ProcessIdentity, DoesNotTakeAHiddenProcessForADeadOne) {
  auto parent = ProcessIdentity::self();
  constexpr int kCannot = 100;
  pid_t child = ::fork();
  if (child == 0) {
    // Another user does not see this process in a /proc with hidepid=2, and neither does ps(1).
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("proc", "/proc", "proc", 0, "hidepid=2") != 0 || ::setgid(65534) != 0 || ::setuid(65534) != 0)
      ::_exit(kCannot);
    ::_exit(static_cast<int>(parent.life()) * 10 + static_cast<int>(wait_until_settled(parent.pid, parent.start_time)));
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == kCannot) GTEST_SKIP() << "this user cannot mount a /proc";
  EXPECT_EQ(WEXITSTATUS(status), static_cast<int>(Life::unknown) * 11);
}

// Checks that a change is reported once, and again after the owner has run into EAGAIN.
TEST(EventQueue, ReportsEachChangeOnce) {
  auto pair = make_socket_pair(Waits::no).value();
  bool readable = false, writable = false;
  int tag = 0;
  EventQueue queue;
  queue.watch_edges(pair.ours.get(), &tag, &readable, &writable);
  auto bits_within = [&](int ms) {
    uint32_t bits = 0;
    for (const auto& event : queue.wait(ms)) {
      EXPECT_EQ(event.what, &tag);
      bits |= event.bits;
    }
    readable |= bits & (EventQueue::kIn | EventQueue::kHangUp);
    writable |= bits & (EventQueue::kOut | EventQueue::kHangUp);
    return bits;
  };
  EXPECT_EQ(bits_within(10000), EventQueue::kOut);
  EXPECT_EQ(bits_within(0), 0u);
  ASSERT_TRUE(write_all(pair.theirs.get(), "x"));
  EXPECT_TRUE(bits_within(10000) & EventQueue::kIn);
  EXPECT_EQ(bits_within(0), 0u) << "it was told";
  char byte;
  ASSERT_EQ(::recv(pair.ours.get(), &byte, 1, 0), 1);
  readable = false;
  EXPECT_EQ(bits_within(0), 0u);
  ::shutdown(pair.theirs.get(), SHUT_WR);
  EXPECT_TRUE(bits_within(10000) & EventQueue::kPeerEnded);
  pair.theirs.reset();
  EXPECT_TRUE(bits_within(10000) & EventQueue::kHangUp);
  EXPECT_EQ(bits_within(0), 0u) << "a hang-up lasts, and is told once";
  queue.closing(pair.ours.get());
}

TEST(EventQueue, ReportsAStateForAsLongAsItLasts) {
  auto pair = make_socket_pair(Waits::no).value();
  int tag = 0;
  EventQueue queue;
  queue.watch(pair.ours.get(), &tag, EventQueue::kIn);
  EXPECT_TRUE(queue.wait(0).empty());
  ASSERT_TRUE(write_all(pair.theirs.get(), "x"));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(queue.wait(10000).size(), 1u);
  queue.watch(pair.ours.get(), &tag, 0);
  EXPECT_TRUE(queue.wait(0).empty());
  queue.watch(pair.ours.get(), &tag, EventQueue::kIn);
  EXPECT_EQ(queue.wait(10000).size(), 1u);
  queue.forget(pair.ours.get());
  EXPECT_TRUE(queue.wait(0).empty());
}

}  // namespace
}  // namespace bottle
