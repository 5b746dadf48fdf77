#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>

#include "base/defer.h"
#include "base/error.h"
#include "base/files/directories.h"
#include "base/files/file.h"
#include "base/files/full_disk.h"
#include "base/ids.h"
#include "base/keyed_hash.h"
#include "base/os/descriptors.h"
#include "base/os/hardening.h"
#include "base/os/process.h"
#include "base/os/this_program.h"
#include "base/stream.h"
#include "base/text/colliding_texts_test.h"
#include "base/timestamp.h"
#include "base/units.h"

namespace bottle {
namespace {

Result<int> half(int n) {
  if (n % 2) return fail(Code::invalid, "odd");
  return n / 2;
}
Result<int> quarter(int n) { return TRY(half(TRY(half(n)))); }

TEST(Result, TryPassesValuesAndErrors) {
  EXPECT_EQ(quarter(8).value(), 2);
  EXPECT_EQ(quarter(6).error().what, "odd");
}

TEST(Error, DuringPrefixesTheAction) {
  EXPECT_EQ((Error{Code::invalid, "odd"}.during("halving 3").what), "halving 3: odd");
}

TEST(Result, DuringPrefixesOnlyAnError) {
  EXPECT_EQ(during("halving 8", half(8)).value(), 4);
  auto failed = during("halving 3", half(3));
  EXPECT_EQ(failed.error().what, "halving 3: odd");
  EXPECT_EQ(failed.error().code, Code::invalid);
  EXPECT_TRUE(during("doing nothing", Result<>()));
}

// What a remote machine or a program says may contain the words of any error.
TEST(Error, AFullDiskIsKnownByItsCodeAndNotByItsWords) {
  for (int number : {ENOSPC, EDQUOT}) {
    Result<> failed = fail_errno("writing", number);
    EXPECT_EQ(failed.error().code, Code::no_space);
    failed.error().what += "; keeping the file failed too";
    EXPECT_FALSE(check_room(failed)) << "words that follow hid it";
    EXPECT_TRUE(check_room(Result<>(fail(Code::limit, fail_errno("writing", number).error().what))));
  }
  for (int number : {EMFILE, ENFILE, ENOMEM}) EXPECT_EQ(fail_errno("opening", number).error().code, Code::limit);
  EXPECT_EQ(to_string(Code::no_space), "no_space");
}

TEST(Result, ThenContinuesOnlyWithAValue) {
  EXPECT_EQ(then(half(8), half).value(), 2);
  EXPECT_EQ(then(half(6), half).error().what, "odd");
  int calls = 0;
  auto counted = [&]() -> Result<int> { return ++calls; };
  EXPECT_EQ(then(Result<>(fail(Code::closed, "first")), counted).error().what, "first");
  EXPECT_EQ(calls, 0) << "it continued after an error";
  EXPECT_EQ(then(Result<>(), counted).value(), 1);
  Result<std::unique_ptr<int>> owned = std::make_unique<int>(7);
  EXPECT_EQ(then(owned, [](const auto& number) { return Result<int>(*number); }).value(), 7);
  EXPECT_TRUE(*owned) << "the first result's value was taken";
}

TEST(Hexadecimal, HasTwoDigitsForEachByte) {
  EXPECT_EQ(to_hex(""), "");
  EXPECT_EQ(to_hex(std::string_view("\0\x0f\xa5\xff", 4)), "000fa5ff");
}

TEST(Fingerprint, IsTheSameHoweverTheInputIsCut) {
  std::string text = "what is here, in pieces of any length";
  for (size_t piece = 1; piece < 20; ++piece) {
    Fingerprint fingerprint;
    for (size_t at = 0; at < text.size(); at += piece) fingerprint.feed(std::string_view(text).substr(at, piece));
    EXPECT_EQ(fingerprint.text(), content_hash(text)) << piece;
  }
  std::set<std::string> names = {content_hash("")};
  for (size_t length = 1; length <= 64; ++length)
    for (char c : {'\0', '\1', '\x80'})
      names.insert(content_hash(std::string(length, 'a') + c)),
          names.insert(content_hash(c + std::string(length, 'a')));
  EXPECT_EQ(names.size(), 1u + 64 * 6);
}

TEST(File, WriteIsAtomicAndReadIsBounded) {
  std::string path = ::testing::TempDir() + "/bottle-" + random_hex(4);
  ASSERT_TRUE(write_file_atomically(path, "hello"));
  EXPECT_EQ(read_file(path).value(), "hello");
  EXPECT_EQ(read_file(path, 2).error().code, Code::limit);
  ::unlink(path.c_str());
  EXPECT_EQ(read_file(path).error().code, Code::not_found);
}

TEST(File, ReadsAPieceAlthoughSignalsArrive) {
  static std::atomic<int> handled = 0;
  struct sigaction action{}, before{};
  action.sa_handler = [](int) { ++handled; };  // without SA_RESTART, so a read that waits fails with EINTR
  ASSERT_EQ(::sigaction(SIGUSR1, &action, &before), 0);
  Defer restore([&] { ::sigaction(SIGUSR1, &before, nullptr); });
  auto ends = make_pipe().value();
  std::thread other([reader = ::pthread_self(), &ends] {
    for (int sent = 1; sent <= 50; ++sent) {
      ::pthread_kill(reader, SIGUSR1);
      while (handled < sent) std::this_thread::yield();
    }
    EXPECT_TRUE(write_all(ends.write.get(), "piece"));
    ends.write.reset();
  });
  Source source = source_of(ends.read.get(), "reading the pipe");
  char buffer[8];
  auto first = source(buffer, sizeof buffer);
  other.join();
  ASSERT_TRUE(first) << first.error().what;
  EXPECT_EQ(std::string_view(buffer, *first), "piece");
  EXPECT_EQ(source(buffer, sizeof buffer).value(), 0u) << "the pipe has ended";
  EXPECT_EQ(read_some(-1, buffer, "reading nothing").error().what, "reading nothing: Bad file descriptor");
}

TEST(Stream, SourcesAndSinksOfTextsKeepTheOrder) {
  std::string text = "abcdefg", copy;
  Sink sink = sink_to(copy);
  Source source = source_of(text);
  char buffer[3];
  for (size_t n; (n = source(buffer, sizeof buffer).value()) > 0;) EXPECT_TRUE(sink({buffer, n}));
  EXPECT_EQ(copy, text);
}

Captured sh(const std::string& line, CaptureOptions options = {}) {
  Command command;
  command.argv = {"/bin/sh", "-c", line};
  auto done = capture(command, options);
  EXPECT_TRUE(done) << done.error().what;
  return done.value_or(Captured{});
}

TEST(Process, ReturnsOutputAndExitStatus) {
  auto done = sh("cat; echo oops >&2; exit 3", {.input = std::string(300000, 'x')});
  EXPECT_EQ(done.status, 3);
  EXPECT_EQ(done.out.size(), 300000u);
  EXPECT_EQ(done.err, "oops\n");
  EXPECT_EQ(sh("kill -9 $$").status, 128 + 9);
}

TEST(Process, DoesNotWaitForAGrandchildThatHoldsTheStreams) {
  auto said = sh("sleep 1000 & echo $!").out;
  int pid = std::atoi(said.c_str());
  ASSERT_GT(pid, 0) << said;
  EXPECT_EQ(::kill(pid, SIGKILL), 0) << "it has ended";
}

TEST(Process, LimitsTimeAndOutput) {
  Command command;
  command.argv = {"/bin/sh", "-c", "sleep 20; echo never"};
  EXPECT_EQ(capture(command, {.timeout_ms = 200}).error().code, Code::timed_out);
  command.argv = {"/bin/sh", "-c", "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done"};
  EXPECT_EQ(capture(command, {.limit = 1 << 20}).error().code, Code::limit);
  command.argv = {"/no/such/program"};
  EXPECT_EQ(capture(command).error().code, Code::not_found);
}

TEST(Process, LimitsMemoryAndFileSizeOfAChildAndItsChildren) {
  Command command{.argv = {"/bin/sh", "-c", "ulimit -d; ulimit -f; sh -c 'ulimit -d; ulimit -f'"},
                  .most_memory = 64 << 20,
                  .most_written = 1 << 20};
  // `ulimit` counts in units of 1024 and of 512 bytes.
  EXPECT_EQ(capture(command, {.timeout_ms = 60000}).value().out, "65536\n2048\n65536\n2048\n");
  command.most_written = 0;
  EXPECT_TRUE(capture(command).value().out.starts_with("65536\n")) << "the limit on data alone";
  command.argv = {"/no/such/program"};
  EXPECT_EQ(capture(command).error().code, Code::not_found);
  command.argv = {"/bin/sh", "-c", "exit 127"};
  EXPECT_EQ(capture(command).value().status, 127);
  command.argv = {"/"};
  EXPECT_TRUE(capture(command).value().err.starts_with(Command::kShellFailed));
}

TEST(Process, GivesTheChildTheRequestedEnvironment) {
  Command command;
  command.argv = {"/usr/bin/env"};
  command.env = {{"ONLY", "this"}};
  command.clean_env = true;
  EXPECT_EQ(capture(command).value().out, "ONLY=this\n");
}

TEST(Directories, ARelativeXdgPathIsIgnored) {
  auto d = Directories::from({{"HOME", "/home/me"}, {"XDG_STATE_HOME", "state"}, {"XDG_CONFIG_HOME", "/etc/me"}});
  EXPECT_EQ(d.sessions, "/home/me/.local/state/bottle/sessions");
  EXPECT_EQ(d.vms, "/home/me/.local/state/bottle/vms");
  EXPECT_EQ(d.config, "/etc/me/bottle");
}

TEST(CoreDump, IsForbiddenAfterTheCall) {
  if (!can_be_far_side()) GTEST_SKIP() << "POSIX has only the soft limit";
  pid_t child = ::fork();
  if (child == 0) {
    forbid_core_dumps();
    rlimit limit{};
    ::_exit(::prctl(PR_GET_DUMPABLE) == 0 && ::getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_cur == 0 ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(Units, BinarySizesAreThoseOfMemory) {
  constexpr uint64_t kGiB = 1ull << 30;
  EXPECT_EQ(binary_size(20 * kGiB), "20 GiB");
  EXPECT_EQ(binary_size(kGiB + kGiB / 2), "1.5 GiB");
  EXPECT_EQ(binary_size(300 << 20), "300 MiB");
}

TEST(Units, DecimalSizesAreThoseOfDisks) {
  EXPECT_EQ(decimal_size(1'250'000'000), "1.2 GB");
  EXPECT_EQ(decimal_size(999'999'999), "999 MB");
  EXPECT_EQ(decimal_size(12'345), "12 KB");
}

TEST(Timestamp, IsReadWithAnyNumberOfDecimals) {
  auto time = parse_timestamp("2026-11-28T12:00:00.5Z");
  ASSERT_TRUE(time);
  EXPECT_EQ(time->tv_sec, 1795867200);
  EXPECT_EQ(time->tv_nsec, 500'000'000);
  EXPECT_EQ(parse_timestamp("2026-11-28T12:00:00.123456789Z")->tv_nsec, 123'456'789);
  EXPECT_EQ(parse_timestamp("2026-11-28T12:00:00Z")->tv_nsec, 0);
  EXPECT_TRUE(parse_timestamp(timestamp()));
  EXPECT_FALSE(parse_timestamp("yesterday"));
  EXPECT_FALSE(parse_timestamp(""));
}

// A hash table of such texts would take quadratic time, and a set of their hashes would mistake one text for another.
TEST(KeyedHash, DistinguishesTextsThatAnAttackerMade) {
  auto texts = colliding_texts(12);
  if (std::hash<std::string>()(texts[0]) != std::hash<std::string>()(texts[1])) GTEST_SKIP() << "another std::hash";
  std::set<uint64_t> plain, keyed;
  for (const auto& text : texts) {
    plain.insert(std::hash<std::string>()(text));
    keyed.insert(keyed_hash(text));
  }
  EXPECT_EQ(plain.size(), 1u);
  EXPECT_EQ(keyed.size(), texts.size());
}

}  // namespace
}  // namespace bottle
