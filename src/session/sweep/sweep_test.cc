// Checks what a sweep does because of a ledger.
#include "session/sweep/sweep.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <set>

#include "base/files/durable.h"
#include "base/files/file.h"
#include "base/files/unreadable_test.h"
#include "docker/client/http_engine.h"
#include "session/ledger/graves.h"
#include "session/ledger/scratch_test.h"

namespace {

// Called when this process looks at the open file with that inode.
std::function<void()> g_at_look;
std::atomic<ino_t> g_watched = 0;

}  // namespace

// Replaces the C library's fstat() in this program, to act as another process in the middle of a sweep.
extern "C" int fstat(int fd, struct stat* st) noexcept {
  int result = static_cast<int>(::syscall(SYS_fstat, fd, st));
  if (result == 0 && st->st_ino == g_watched) g_at_look();
  return result;
}

namespace bottle::session {
namespace {

TEST(Sweep, LeavesAStartInProgressAndRemovesOneThatDied) {
  Scratch scratch;
  const Directories& directories = scratch.directories;
  auto unfinished = [&](const std::string& name) { return directories.sessions + "/" + kUnfinished + name; };
  for (const char* name : {"silent", "living", "dead"}) ASSERT_TRUE(make_directories(unfinished(name)));
  Owner owner = Owner::self();
  ASSERT_TRUE(write_file_atomically(unfinished("living") + "/ledger", "{\"owner\":\"" + owner.to_label() + "\"}\n"));
  owner.process.start_time += "1";
  ASSERT_TRUE(write_file_atomically(unfinished("dead") + "/ledger", "{\"owner\":\"" + owner.to_label() + "\"}\n"));
  EXPECT_TRUE(find_orphans(directories).empty());
  EXPECT_EQ(::access(unfinished("silent").c_str(), F_OK), 0);
  EXPECT_EQ(::access(unfinished("living").c_str(), F_OK), 0);
  EXPECT_NE(::access(unfinished("dead").c_str(), F_OK), 0);
}

TEST(Sweep, ASessionWhoseThingsMayReappearLeavesAGrave) {
  Scratch scratch;
  const Directories& directories = scratch.directories;
  std::string directory = directories.sessions + "/x1";
  {
    Owner owner = Owner::self();
    owner.process.start_time += "1";
    auto ledger = Ledger::create(directory, owner);
    ASSERT_TRUE(ledger);
    ASSERT_TRUE(ledger->note({.engine = "/nonexistent/engine.sock"}));
    ASSERT_TRUE(ledger->will_make({{ThingKind::container, "bottle-x1-agent"}}));
  }
  ASSERT_TRUE(write_file_atomically(directory + "/info.json.new.17", "{}"));
  forget(directories, directory, {.receipt = {.session = "x1"}, .may_reappear = true}, std::nullopt);
  EXPECT_NE(::access(directory.c_str(), F_OK), 0);
  auto orphans = find_orphans(directories);
  ASSERT_EQ(orphans.size(), 1u);
  ASSERT_TRUE(orphans[0].view);
  EXPECT_EQ(orphans[0].view->things.size(), 1u);
  EXPECT_TRUE(sweep(directories, orphans, docker::connect).empty()) << "a silent engine says nothing new about a grave";
  EXPECT_EQ(find_orphans(directories).size(), 1u);
}

// The operator starts it again within the minute, and the engine still does not answer.
TEST(Sweep, EachSessionOfOneNameHasItsOwnGrave) {
  Scratch scratch;
  for (int i = 0; i < 3; ++i) {
    std::string directory = scratch.dead(
        "x1", {R"({"engine":"/nonexistent/engine.sock"})", kMakes, R"({"id":")" + std::to_string(i) + R"("})"});
    forget(scratch.directories, directory, {.receipt = {.session = "x1"}, .may_reappear = true}, std::nullopt);
  }
  std::set<std::string> ids;
  auto orphans = find_orphans(scratch.directories);
  for (const auto& orphan : orphans) {
    ASSERT_TRUE(orphan.view) << orphan.view.error().what;
    EXPECT_EQ(orphan.session, "x1");
    ids.insert(orphan.view->id);
  }
  EXPECT_EQ(ids, (std::set<std::string>{"0", "1", "2"})) << "what may still appear is in no ledger";
  EXPECT_EQ(graves_of(scratch.directories, "x1")->size(), 3u);
  EXPECT_TRUE(graves_of(scratch.directories, "x")->empty());
}

TEST(Sweep, ASessionThatCannotBeBuriedKeepsItsLedger) {
  Scratch scratch;
  std::string directory = scratch.dead("x1", {R"({"engine":"/nonexistent/engine.sock"})", kMakes});
  ASSERT_TRUE(write_file_atomically(graves_in(scratch.directories), "not a directory"));
  forget(scratch.directories, directory, {.receipt = {.session = "x1"}, .may_reappear = true}, std::nullopt);
  EXPECT_TRUE(read_ledger(scratch.directories, "x1"));
}

// Nobody may have looked since it was made.
TEST(Sweep, AGraveIsForgottenOnlyIfItsEngineWasSilentForAWeek) {
  Scratch scratch;
  std::string grave = scratch.dead("x1", {R"({"engine":"/nonexistent/engine.sock"})", kMakes}, "graves");
  auto age = [&](const std::string& file) {
    std::filesystem::last_write_time(grave + "/" + file,
                                     std::filesystem::file_time_type::clock::now() - std::chrono::days(8));
  };
  age("ledger");
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(sweep(scratch.directories, find_orphans(scratch.directories), docker::connect).empty());
    ASSERT_TRUE(std::filesystem::exists(grave + "/ledger"));
  }
  age("silent");
  EXPECT_TRUE(sweep(scratch.directories, find_orphans(scratch.directories), docker::connect).empty());
  EXPECT_FALSE(std::filesystem::exists(grave));
}

TEST(Sweep, ALedgerThatIsNotAcceptedIsReportedAndLeftAlone) {
  Scratch scratch;
  std::string forged = scratch.dead("x1", {R"({"make":[{"kind":"volume","name":"precious"}]})"}),
              grave = scratch.dead("x2", {R"({"make":[{"kind":"volume","name":"precious"}]})"}, "graves"),
              open = scratch.dead("x3", {kMakes});
  ::chmod(open.c_str(), 0777);
  std::filesystem::create_directory(scratch.path + "/other");
  ASSERT_TRUE(write_file_atomically(scratch.path + "/other/file", "text"));
  std::filesystem::create_symlink(scratch.path + "/other", scratch.directories.sessions + "/x4");
  ASSERT_TRUE(make_directories(scratch.directories.sessions + "/Not A Session"));
  auto orphans = find_orphans(scratch.directories);
  ASSERT_EQ(orphans.size(), 5u);
  for (const auto& orphan : orphans) EXPECT_FALSE(orphan.view) << orphan.session;
  auto swept = sweep(scratch.directories, orphans, docker::connect);
  ASSERT_EQ(swept.size(), 5u);
  for (const auto& one : swept) {
    EXPECT_FALSE(one.receipt.confirmed);
    EXPECT_EQ(one.receipt.left.size(), 1u);
  }
  for (const auto& path : {forged + "/ledger", grave + "/ledger", open + "/ledger", scratch.path + "/other/file",
                           scratch.directories.sessions + "/Not A Session"})
    EXPECT_TRUE(std::filesystem::exists(path)) << path;
}

TEST(Sweep, ADirectoryThatCannotBeReadIsReported) {
  Scratch scratch;
  std::string directory = scratch.dead("x1", {kMakes});
  ASSERT_TRUE(write_file_atomically(directory + "/info.json", "{}"));
  auto reported = without_listings([&] {
    auto orphans = find_orphans(scratch.directories);
    auto swept = sweep(scratch.directories, orphans, docker::connect);
    remove_session_directory(directory, std::nullopt);
    return orphans.size() == 1 && !orphans[0].view && swept.size() == 1 && !swept[0].receipt.confirmed &&
           swept[0].receipt.left == std::vector{"what is left of sessions is unknown: reading " +
                                                scratch.directories.sessions + ": Input/output error"};
  });
  if (!reported) GTEST_SKIP() << "this system cannot simulate an error of the disk";
  EXPECT_TRUE(*reported);
  EXPECT_EQ(::access((directory + "/ledger").c_str(), F_OK), 0)
      << "the ledger stays as long as anything else may be there";
  // A file in the place of the directory is not an empty list either.
  std::filesystem::rename(scratch.directories.sessions, scratch.path + "/moved");
  ASSERT_TRUE(write_file_atomically(scratch.directories.sessions, ""));
  EXPECT_EQ(find_orphans(scratch.directories).size(), 1u);
}

// Without the advice, an operator whose engine is gone for good has no way to end the session.
TEST(Sweep, AnEngineThatIsGoneComesWithAdviceAboutTheSession) {
  Scratch scratch;
  std::string directory = scratch.dead("x1", {R"({"engine":"/nonexistent/engine.sock"})", kMakes});
  auto swept = sweep(scratch.directories, find_orphans(scratch.directories), docker::connect);
  ASSERT_EQ(swept.size(), 1u);
  ASSERT_EQ(swept[0].receipt.left.size(), 1u);
  const std::string& left = swept[0].receipt.left[0];
  EXPECT_NE(left.find("install and start Docker"), std::string::npos) << left;
  EXPECT_NE(left.find("remove the session's directory, " + directory), std::string::npos) << left;
}

TEST(Sweep, RecordsThatTheOwnerWroteBeforeItDiedAreRead) {
  Scratch scratch;
  std::string directory = scratch.dead("x1", {R"({"engine":"/nonexistent/engine.sock"})"});
  auto orphans = find_orphans(scratch.directories);
  ASSERT_EQ(orphans.size(), 1u);
  ASSERT_TRUE(orphans[0].view);
  ASSERT_TRUE(orphans[0].view->things.empty());
  // The owner wrote this after its ledger was read and before it was found dead.
  scratch.dead("x1", {R"({"engine":"/nonexistent/engine.sock"})", kMakes});
  auto swept = sweep(scratch.directories, orphans, docker::connect);
  ASSERT_EQ(swept.size(), 1u);
  EXPECT_FALSE(swept[0].receipt.confirmed);
  EXPECT_EQ(::access((directory + "/ledger").c_str(), F_OK), 0) << "nothing knows of its things any more";
}

TEST(Sweep, ANewSessionWithTheNameOfADeadOneIsLeftAlone) {
  Scratch scratch;
  std::string directory = scratch.dead("x1", {});
  auto orphans = find_orphans(scratch.directories);
  ASSERT_EQ(orphans.size(), 1u);
  // Another process swept the dead session, and a start took its name.
  std::filesystem::remove_all(directory);
  ASSERT_TRUE(Ledger::create(directory, Owner::self()));
  EXPECT_TRUE(sweep(scratch.directories, orphans, docker::connect).empty());
  EXPECT_EQ(::access((directory + "/ledger").c_str(), F_OK), 0);
}

TEST(Sweep, ASessionThatAnotherCommandSweepsIsReported) {
  Scratch scratch;
  std::string directory = scratch.dead("x1", {R"({"engine":"/nonexistent/engine.sock"})", kMakes});
  auto held = LedgerFile::take(directory, Deadline::in_ms(0));
  ASSERT_TRUE(held);
  auto swept =
      sweep(scratch.directories, find_orphans(scratch.directories), docker::connect, std::chrono::milliseconds(50));
  ASSERT_EQ(swept.size(), 1u) << "nothing seems to be left";
  EXPECT_FALSE(swept[0].receipt.confirmed);
  EXPECT_EQ(swept[0].receipt.left,
            std::vector<std::string>{
                "session x1: another command is bringing its work home; run `bottle cleanup` again later"});
}

TEST(Sweep, ASessionWhoseLedgerCannotBeLockedIsReported) {
  Scratch scratch;
  std::string directory = scratch.dead("x1", {R"({"engine":"/nonexistent/engine.sock"})", kMakes});
  auto reported = with_failing(SYS_flock, ENOLCK, [&] {
    auto swept = sweep(scratch.directories, find_orphans(scratch.directories), docker::connect);
    auto adopted = Ledger::adopt(directory, Owner::self());
    auto made = Ledger::create(scratch.directories.sessions + "/x2", Owner::self());
    return swept.size() == 1 && !swept[0].receipt.confirmed &&
           swept[0].receipt.left == std::vector{"session x1: locking " + directory + "/ledger: No locks available"} &&
           !adopted && adopted.error().code != Code::conflict && !made;
  });
  if (!reported) GTEST_SKIP() << "this system cannot inject errors";
  EXPECT_TRUE(*reported);
  EXPECT_EQ(::access((directory + "/ledger").c_str(), F_OK), 0);
}

// Its owner was killed between the removal of the ledger and that of the directory.
TEST(Sweep, ADirectoryWithoutALedgerIsRemovedButNotASessionThatGotItsNameMeanwhile) {
  Scratch scratch;
  std::string directory = scratch.directories.sessions + "/x1", other = scratch.path + "/other";
  ASSERT_TRUE(make_directories(directory + "/clone/deep"));
  ASSERT_TRUE(make_directories(other));
  ASSERT_TRUE(write_file_atomically(other + "/file", "text"));
  ASSERT_TRUE(write_file_atomically(directory + "/clone/file", "text"));
  std::filesystem::create_directory_symlink(other, directory + "/clone/link");
  EXPECT_TRUE(find_orphans(scratch.directories).empty());
  EXPECT_FALSE(std::filesystem::exists(directory));
  EXPECT_TRUE(std::filesystem::exists(other + "/file"));

  // After the sweep has found no ledger, another process removes the directory, and a session gets its name.
  ASSERT_TRUE(make_directories(directory + "/clone"));
  struct stat old{};
  ASSERT_EQ(::stat(directory.c_str(), &old), 0);
  g_watched = old.st_ino;
  int looks = 0;
  std::optional<Ledger> ledger;
  g_at_look = [&] {
    if (++looks != 2) return;
    std::filesystem::remove_all(directory);
    auto made = Ledger::create(directory, Owner::self());
    if (made) ledger = std::move(*made);
  };
  EXPECT_TRUE(find_orphans(scratch.directories).empty());
  g_watched = 0;
  ASSERT_TRUE(ledger) << looks;
  EXPECT_TRUE(std::filesystem::exists(directory + "/ledger")) << "a session has lost its ledger";
}

TEST(Sweep, AGraveOfALivingOwnerIsNotSwept) {
  Scratch scratch;
  ASSERT_TRUE(write_grave(scratch.directories, "trial-1", "/nonexistent/engine.sock", "",
                          {{ThingKind::container, "bottle-trial-1-trial"}}));
  EXPECT_TRUE(read_grave(scratch.directories, "trial-1"));
  EXPECT_TRUE(find_orphans(scratch.directories).empty());
  remove_grave(scratch.directories, "trial-1");
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path + "/graves"));
}

}  // namespace
}  // namespace bottle::session
