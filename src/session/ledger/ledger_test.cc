// Checks which contents of a ledger are accepted.
#include "session/ledger/ledger.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>

#include <nlohmann/json.hpp>

#include "base/files/file.h"
#include "base/files/unreadable_test.h"
#include "session/ledger/info.h"
#include "session/ledger/scratch_test.h"

namespace {

std::atomic<ino_t> g_flushed_last = 0;

}  // namespace

// Replaces the C library's fsync() in this program, to note what was flushed last.
extern "C" int fsync(int fd) {
  struct stat st{};
  if (::fstat(fd, &st) == 0) g_flushed_last = st.st_ino;
  return static_cast<int>(::syscall(SYS_fsync, fd));
}

namespace bottle::session {
namespace {

TEST(Ledger, IgnoresAnIncompleteLastLineAndKeepsTheOrder) {
  Scratch scratch;
  std::string dir = scratch.directories.sessions + "/x1";
  {
    auto ledger = Ledger::create(dir, Owner::self());
    ASSERT_TRUE(ledger) << ledger.error().what;
    ASSERT_TRUE(ledger->will_make({{ThingKind::network, "bottle-x1"}, {ThingKind::container, "bottle-x1-agent"}}));
    ASSERT_TRUE(ledger->note({.engine = "/run/d.sock"}));
  }
  std::string text = *read_file(dir + "/ledger");
  ASSERT_TRUE(write_file_atomically(dir + "/ledger", text + "{\"make\":[{\"ki"));
  auto view = read_ledger(scratch.directories, "x1");
  ASSERT_TRUE(view);
  ASSERT_EQ(view->things.size(), 2u);
  EXPECT_EQ(view->things[0].name, "bottle-x1");
  EXPECT_EQ(view->engine, "/run/d.sock");
  EXPECT_FALSE(view->owner.is_gone());
  EXPECT_FALSE(Ledger::create(dir, Owner::self()));  // a session has only one ledger
}

TEST(Result, SurvivesAPowerFailureOnceItIsWritten) {
  Scratch scratch;
  EXPECT_EQ(read_result(scratch.path).error().code, Code::not_found);
  wire::SessionResult early{.session = "x1", .what = "the first"}, full{.session = "x1", .exit = 3};
  ASSERT_TRUE(write_result(scratch.path, early));
  struct stat directory{};
  ASSERT_EQ(::stat(scratch.path.c_str(), &directory), 0);
  EXPECT_EQ(g_flushed_last, directory.st_ino) << "the file's name was not flushed";
  auto failing = with_failing(SYS_fsync, EIO, [&] { return write_result(scratch.path, full).has_value(); });
  if (!failing) GTEST_SKIP() << "this system cannot inject errors";
  EXPECT_FALSE(*failing);
  EXPECT_EQ(read_result(scratch.path)->what, "the first");
  ASSERT_TRUE(write_result(scratch.path, full));
  EXPECT_EQ(read_result(scratch.path)->exit, 3);
}

TEST(Ledger, ARecordAfterAnIncompleteLineIsRead) {
  Scratch scratch;
  std::string dir = scratch.dead("x1", {kMakes});
  auto break_off = [&] { ASSERT_TRUE(write_file_atomically(dir + "/ledger", *read_file(dir + "/ledger") + "{\"ru")); };
  break_off();
  ASSERT_TRUE(read_ledger(scratch.directories, "x1")->owner.is_gone());
  auto ledger = Ledger::adopt(dir, Owner::self());
  ASSERT_TRUE(ledger);
  EXPECT_FALSE(read_ledger(scratch.directories, "x1")->owner.is_gone()) << "it has a new owner";
  // A full disk took a part of a record, and then had room again.
  {
    UniqueFd fd(::open((dir + "/ledger").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
    ASSERT_TRUE(write_all(fd.get(), "{\"ho"));
  }
  ASSERT_TRUE(ledger->note({.ended = 7}));
  auto view = read_ledger(scratch.directories, "x1");
  ASSERT_TRUE(view);
  EXPECT_EQ(view->exit, 7);
  EXPECT_EQ(view->things.size(), 2u);
}

// Another version of bottle may have started a session whose work is still on another machine. These records are fixed
// files, because the golden ones change with the code.
TEST(Ledger, OfAnotherVersionLeadsToTheWork) {
  Scratch scratch;
  for (const auto& [file, unknown] :
       {std::pair("remote-before-disk-limits", ""), {"remote-from-later-version", "plan.secrets[0].until"}}) {
    auto kept = read_file(std::string("src/session/ledger/corpus/ledger/") + file);
    ASSERT_TRUE(kept) << file;
    scratch.dead("x1", {kept->substr(kept->find('\n') + 1)});
    auto view = read_ledger(scratch.directories, "x1");
    ASSERT_TRUE(view) << file << ": " << view.error().what;
    EXPECT_TRUE(view->machine && view->may_have_run() && view->plan) << file;
    EXPECT_EQ(view->id, "00ff") << file;
    EXPECT_EQ(view->plan->workspace_mode, manifest::WorkspaceMode::clone) << file;
    EXPECT_EQ(view->unknown_in_plan, unknown) << file;
  }
}

// It may be the only record of work on another machine.
TEST(Ledger, OfARemoteSessionThatCannotBeReadShouldNotBeRemoved) {
  Scratch scratch;
  for (const std::string remote : {"", R"({"remote":{"host":1}})"}) {
    scratch.dead("x1", {R"({"running":"maybe"})", remote});
    auto view = read_ledger(scratch.directories, "x1");
    ASSERT_FALSE(view);
    EXPECT_NE(view.error().todo.find("use that version"), std::string::npos) << view.error().todo;
    EXPECT_EQ(view.error().todo.find("remove the directory") != std::string::npos, remote.empty()) << view.error().todo;
  }
}

// An earlier version noted only `running`, also when the machine had said that the agent runs. What may be left of such
// a session must not count as nothing.
TEST(Ledger, SaysThatTheAgentRanUnlessItIsNotKnown) {
  using Ran = LedgerView::Ran;
  auto ran_after = [](const std::vector<std::string>& records) {
    Scratch scratch;
    scratch.dead("x1", records);
    auto view = read_ledger(scratch.directories, "x1");
    EXPECT_TRUE(view) << view.error().what;
    return view ? view->ran : Ran::no;
  };
  const std::string perhaps = R"({"running":true,"ran":false})", yes = R"({"running":true,"ran":true})",
                    never = R"({"running":false,"ran":false})", earlier = R"({"running":true})";
  EXPECT_EQ(ran_after({earlier, earlier}), Ran::yes);
  EXPECT_EQ(ran_after({perhaps}), Ran::perhaps);
  EXPECT_EQ(ran_after({perhaps, yes}), Ran::yes);
  EXPECT_EQ(ran_after({yes, perhaps}), Ran::yes);
  EXPECT_EQ(ran_after({perhaps, never}), Ran::no);
  EXPECT_EQ(ran_after({perhaps, never, perhaps}), Ran::perhaps);
}

TEST(Ledger, RecordsTheWorkUntilItIsHome) {
  Scratch scratch;
  std::string dir = scratch.directories.sessions + "/x1";
  auto ledger = Ledger::create(dir, Owner::self());
  ASSERT_TRUE(ledger);
  ASSERT_TRUE(ledger->will_ask(77));
  ASSERT_TRUE(ledger->will_hold(Work{"/src", "/workspace", std::string(40, 'a'), scratch.directories.results + "/x1"}));
  auto view = read_ledger(scratch.directories, "x1");
  EXPECT_EQ(view->create_connections, std::vector<uint64_t>{77});
  ASSERT_TRUE(view->work);
  EXPECT_EQ(view->work->base, std::string(40, 'a'));
  EXPECT_EQ(view->work->results, scratch.directories.results + "/x1");
  ASSERT_TRUE(ledger->note({.ended = 7}));
  ASSERT_TRUE(ledger->note({.home = true}));
  view = read_ledger(scratch.directories, "x1");
  EXPECT_FALSE(view->work);
  EXPECT_EQ(view->exit, 7);
}

TEST(Ledger, MayNameOnlyWhatASessionOfItsNameMakes) {
  Scratch scratch;
  std::string directory = scratch.directories.sessions + "/x1", results = scratch.directories.results + "/x1";
  auto reads = [&](const std::string& record) {
    scratch.dead("x1", {record});
    auto view = read_ledger(scratch.directories, "x1");
    EXPECT_TRUE(view || view.error().code == Code::denied) << view.error().what;
    return view.has_value();
  };
  auto thing = [](const std::string& kind, const std::string& name) {
    return nlohmann::json{{"make", {{{"kind", kind}, {"name", name}}}}}.dump();
  };
  auto work = [&](const std::string& source, const std::string& to, const std::string& base = "") {
    return nlohmann::json{{"work", {{"source", source}, {"workdir", "/workspace"}, {"base", base}, {"results", to}}}}
        .dump();
  };
  for (const auto& good :
       {std::string(kMakes), thing("volume", "bottle-x1-home"), thing("container", "bottle-x1-trial"),
        thing("container", "bottle-x1-build"), thing("image", "bottle-unfinished:x1"),
        thing("ssh-agent", directory + "/ssh-agent"), work("/src", results),
        work("/src/.hidden", results, std::string(40, 'a')), std::string(R"({"engine":"/run/d.sock"})"),
        std::string(R"({"unknown":["to","this","version"]})"), std::string("torn {")})
    EXPECT_TRUE(reads(good)) << good;
  for (const auto& bad : {thing("volume", "precious"),
                          thing("volume", "bottle-x2-home"),
                          thing("volume", "bottle-x1-agent"),
                          thing("container", "bottle-x1-home"),
                          thing("container", "bottle-x1"),
                          thing("network", "bottle-egress"),
                          thing("container", "bottle-x1-agent/../../precious"),
                          thing("ssh-agent", directory + "/../ssh-agent"),
                          thing("ssh-agent", "/run/user/0/gnupg/S.gpg-agent.ssh"),
                          thing("image", "bottle-x1"),
                          thing("image", "bottle-unfinished:x2"),
                          thing("container", "bottle-unfinished:x1"),
                          thing("", ""),
                          thing("pod", "bottle-x1"),
                          work("/src", "/etc"),
                          work("/src", results + "/../.."),
                          work("src", results),
                          work("/a/../etc", results),
                          work("/src", results, "HEAD"),
                          work("/src", results, "--upload-pack=x"),
                          std::string(R"({"engine":"run/d.sock"})"),
                          std::string(R"({"engine":7})"),
                          std::string(R"({"make":[7]})"),
                          std::string(R"({"make":{"kind":"volume"}})"),
                          std::string(R"({"make":[{"kind":7,"name":[]}]})"),
                          std::string(R"({"work":7})"),
                          std::string(R"({"work":{"far":7}})"),
                          std::string(R"({"vm":{"name":"../x"}})"),
                          std::string(R"({"vm":{"name":7}})"),
                          std::string(R"({"remote":{"host":[]}})"),
                          std::string(R"({"remote":7})"),
                          std::string(R"({"home":7})"),
                          std::string(R"({"owner":"0:0:0:0"})"),
                          std::string(R"({"owner":7})"),
                          "{\"owner\":\"" + std::to_string(::getuid() + 1) + ":77:1:boot\"}"})
    EXPECT_FALSE(reads(bad)) << bad;
}

TEST(Ledger, IsRefusedIfOthersCanHaveWrittenIt) {
  Scratch scratch;
  std::string directory = scratch.dead("x1", {kMakes});
  auto code = [&](const std::string& session = "x1") {
    auto view = read_ledger(scratch.directories, session);
    return view ? Code::internal : view.error().code;
  };
  ASSERT_EQ(code(), Code::internal);
  for (const std::string& path : {directory + "/ledger", directory, scratch.directories.sessions, scratch.path}) {
    struct stat st{};
    ASSERT_EQ(::stat(path.c_str(), &st), 0);
    ::chmod(path.c_str(), st.st_mode | 0002);
    EXPECT_EQ(code(), Code::denied) << path;
    ::chmod(path.c_str(), st.st_mode);
  }
  std::filesystem::rename(directory, scratch.path + "/elsewhere");
  std::filesystem::create_symlink(scratch.path + "/elsewhere", directory);
  EXPECT_EQ(code(), Code::denied) << "a link is not the session's directory";
  EXPECT_EQ(code("../elsewhere"), Code::invalid);
  EXPECT_EQ(code(".."), Code::invalid);
  EXPECT_EQ(code("x2"), Code::not_found);
}

}  // namespace
}  // namespace bottle::session
