// Tests providers that hang, give false answers, print garbage or fail halfway.
#include "machine/machine_test.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <future>
#include <regex>
#include <thread>

#include "base/files/unreadable_test.h"
#include "machine/provider/carried.h"

namespace bottle::machine {
namespace {

using nlohmann::json;

TEST_F(Machine, AProviderThatKeepsTheContractWorks) {
  good();
  auto provider = fake();
  ASSERT_TRUE(provider) << provider.error().what;
  std::vector<std::string> said;
  auto created = provider->create(request(), [&](const std::string& line) { said.push_back(line); });
  ASSERT_TRUE(created) << created.error().what;
  EXPECT_EQ(created->id, "id-vm-1");
  EXPECT_EQ(created->cost_per_hour, "0.005 USD");
  EXPECT_EQ(said, std::vector<std::string>{"making it"});
  auto all = provider->list(request().owner, {}, {});
  ASSERT_TRUE(all) << all.error().what;
  ASSERT_EQ(all->size(), 1u);
  EXPECT_EQ(all->front().session, "s1");
}

TEST_F(Machine, ExitStatusesBecomeCodes) {
  good();
  struct Case {
    const char* script;
    Code code;
  };
  for (const Case& c : {Case{"echo no quota >&2; exit 73", Code::limit},
                        {"exit 77", Code::denied},
                        {"echo install it >&2; exit 78", Code::invalid},
                        {"exit 1", Code::internal},
                        {"kill -9 $$", Code::internal},
                        {"echo hello", Code::protocol},
                        {"", Code::protocol},
                        {"echo '{\"id\":\"a\"} {\"id\":\"b\"}'", Code::protocol},
                        {"echo '[1]'", Code::protocol},
                        {"echo '{\"id\":\"a\",\"id\":\"b\"}'", Code::protocol},
                        {"echo '{\"id\":7}'", Code::protocol},
                        {"echo '{\"id\":\"\"}'", Code::protocol},
                        {"printf '{\"id\":\"a\\\\u001b[2J\"}'", Code::protocol},
                        {"printf '{\"id\":\"\\377\"}'", Code::protocol},
                        {"printf '{\"id\":\"a\\302\\233b\"}'", Code::protocol},
                        {"echo '{\"id\":\"a\",\"cost_per_hour\":\"\\u009b31m\"}'", Code::protocol},
                        {"exec head -c 2000000 /dev/zero", Code::limit},
                        {"exec yes", Code::limit}}) {
    hook("create", c.script);
    auto created = fake()->create(request(), {});
    ASSERT_FALSE(created) << c.script;
    EXPECT_EQ(created.error().code, c.code) << c.script << ": " << created.error().what;
  }
}

TEST_F(Machine, AHangingHookIsEndedWithItsChildren) {
  good();
  hook("create", "echo thinking >&2; sleep 1000 & echo $! >$CLOUD/../pid; wait");
  // On a busy machine, the hook may get no further within the first limits.
  int pid = 0;
  for (limits_.create = 100; pid == 0 && limits_.create < 100'000; limits_.create *= 3) {
    auto created = fake()->create(request(), {});
    ASSERT_FALSE(created);
    EXPECT_EQ(created.error().code, Code::timed_out);
    pid = std::atoi(read_file((root_ / "pid").string()).value_or("").c_str());
    if (pid) EXPECT_NE(created.error().what.find("thinking"), std::string::npos) << created.error().what;
  }
  ASSERT_GT(pid, 0);
  for (int i = 0; i < 1000 && !process_start(pid).value().empty(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(process_start(pid).value(), "") << "the hook's child lives";
}

TEST_F(Machine, ProcessesLeftByAHookDoNotDelayItsAnswer) {
  good();
  hook("create", "sleep 1000 & echo $! >$CLOUD/../pid; echo '{\"id\":\"a\"}'");
  ASSERT_TRUE(fake()->create(request(), {}));
  int pid = std::atoi(read_file((root_ / "pid").string()).value_or("").c_str());
  ASSERT_GT(pid, 1);
  EXPECT_EQ(::kill(pid, SIGKILL), 0) << "it has ended";
}

TEST_F(Machine, AHookThatSaysTryAgainIsCalledAgain) {
  good();
  hook("create",
       "n=$(cat $CLOUD/../n 2>/dev/null || echo 0); n=$((n+1)); echo $n >$CLOUD/../n; [ $n -gt 3 ] || exit 75; echo "
       "'{\"id\":\"fourth\"}'");
  auto created = fake()->create(request(), {});
  ASSERT_TRUE(created) << created.error().what;
  EXPECT_EQ(created->id, "fourth");
  hook("status", "exit 75");
  limits_.retry = 200;
  auto status = fake()->status(request(), {});
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, Code::unavailable);
}

TEST_F(Machine, OutputOfAHookHasNoEffectOnTheTerminal) {
  good();
  hook("create", "printf 'a\\033[2Jb\\302\\233c\\377d\\n' >&2; exit 1");
  std::string line;
  auto created = fake()->create(request(), [&](const std::string& said) { line = said; });
  EXPECT_EQ(line, "a\\x1b[2Jb\\u{9b}c\\xffd");
  EXPECT_EQ(created.error().what.find('\033'), std::string::npos);
}

TEST_F(Machine, AnAddressThatSshWouldReadAsAnOptionIsRefused) {
  for (const char* answer :
       {R"sh({"host":"-oProxyCommand=id"})sh", R"sh({"host":"a b"})sh", R"sh({"host":"h","user":"-l"})sh",
        R"sh({"host":"h","port":0})sh", R"sh({"host":"h","port":70000})sh", R"sh({"host":"h","port":"22"})sh",
        R"sh({"host":"h:22x"})sh", R"sh({"host":"u@h"})sh", R"sh({})sh"})
    EXPECT_FALSE(read_where(json::parse(answer))) << answer;
  EXPECT_EQ(read_where(json::parse(R"sh({"host":"2001:db8::1"})sh"))->host, "2001:db8::1");
}

TEST_F(Machine, HooksThatOthersMayWriteToAreRefused) {
  good();
  ::chmod((directories_.config + "/providers/fake/create").c_str(), 0777);
  auto created = fake()->create(request(), {});
  ASSERT_FALSE(created);
  EXPECT_EQ(created.error().code, Code::denied);
  EXPECT_FALSE(Provider::find("../fake", directories_, environment_));
  EXPECT_EQ(Provider::find("nothere", directories_, environment_).error().code, Code::not_found);
}

TEST_F(Machine, AnOwnProviderThatCannotBeReachedIsNotReplacedByACarriedOne) {
  ASSERT_TRUE(make_directories(directories_.config + "/providers"));
  ASSERT_TRUE(Provider::find("qemu", directories_, environment_));
  std::filesystem::create_symlink("absent", directories_.config + "/providers/qemu");
  EXPECT_FALSE(Provider::find("qemu", directories_, environment_));
}

TEST_F(Machine, TheCarriedProvidersAreUnpackedAndRepaired) {
  auto names = carried_providers();
  ASSERT_TRUE(std::ranges::find(names, "qemu") != names.end());
  auto qemu = Provider::find("qemu", directories_, environment_);
  ASSERT_TRUE(qemu) << qemu.error().what;
  std::string create = qemu->directory() + "/create";
  std::string before = *read_file(create);
  ASSERT_TRUE(write_file_atomically(create, "#!/bin/sh\nid\n", 0755));
  ASSERT_TRUE(Provider::find("qemu", directories_, environment_));
  EXPECT_EQ(*read_file(create), before) << "what was changed in the cache is not run";
}

// Python looks for a module beside the program, or in the directories that the program adds, before its own ones.
TEST_F(Machine, AModuleBesideACarriedHookIsNotLoaded) {
  namespace fs = std::filesystem;
  std::string mark = (root_ / "mark").string(), module = "open('" + mark + "', 'w')\n", bin = (root_ / "bin").string();
  // The hooks of aws run this instead of the installed tool, which is slow and may contact the cloud.
  ASSERT_TRUE(make_directories(bin));
  ASSERT_TRUE(write_file_atomically(
      bin + "/aws", "#!/bin/sh\necho '{\"Reservations\": [], \"Volumes\": [], \"SecurityGroups\": []}'\n", 0755));
  environment_["PATH"] = bin + ":" + environment_["PATH"];
  for (const char* name : {"qemu", "aws"}) {
    auto provider = Provider::find(name, directories_, environment_);
    ASSERT_TRUE(provider) << provider.error().what;
    std::string own = provider->directory(), lib = own + "/../lib", outside = (root_ / "outside").string();
    fs::create_directories(outside);
    for (const std::string& directory : {own, lib}) {
      ASSERT_TRUE(write_file_atomically(directory + "/json.py", module, 0644));
      ASSERT_TRUE(make_directories(directory + "/hashlib", 0755));
      ASSERT_TRUE(write_file_atomically(directory + "/hashlib/__init__.py", module, 0644));
    }
    ASSERT_TRUE(write_file_atomically(outside + "/kept", ""));
    fs::create_directory_symlink(outside, own + "/datetime");
    std::string writing = own + "/create.new.123";
    ASSERT_TRUE(write_file_atomically(writing, "another process writes this"));
    // This provider was found before, so its directory is not checked again. The hooks of qemu need no lib.
    if (std::string_view(name) == "qemu") (void)provider->list("o", {}, {});
    EXPECT_FALSE(fs::exists(mark)) << name << " loads what is beside it";
    provider = Provider::find(name, directories_, environment_);
    ASSERT_TRUE(provider) << provider.error().what;
    EXPECT_TRUE(provider->list("o", {}, {})) << name;
    EXPECT_FALSE(fs::exists(mark)) << name;
    for (const std::string& directory : {own, lib})
      for (const char* foreign : {"/json.py", "/hashlib", "/datetime"})
        EXPECT_FALSE(fs::exists(fs::symlink_status(directory + foreign))) << directory + foreign;
    EXPECT_TRUE(fs::exists(writing));
    EXPECT_TRUE(fs::exists(outside + "/kept"));
  }
}

TEST_F(Machine, AStoppedHookEndsAndIsNotCalledAgain) {
  good();
  std::stop_source stop;
  limits_.stop = stop.get_token();
  hook("status", ": >\"$CLOUD/../asked\"; exit 75");
  auto status = std::async(std::launch::async, [&] { return fake()->status(request(), {}); });
  auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!std::filesystem::exists(root_ / "asked") && std::chrono::steady_clock::now() < until)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  stop.request_stop();
  EXPECT_EQ(status.get().error().code, Code::canceled);
}

// A user whose pipes already hold much gets pipes that hold little (pipe(7), /proc/sys/fs/pipe-user-pages-soft).
TEST_F(Machine, ASecretMayBeLargerThanAPipe) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become a user with many pipes";
  good();
  hook("put-secret", "printf '{\"fetch\": \"%s bytes\"}' $(wc -c)");
  ASSERT_EQ(::system(("chown -R 4711 " + root_.string()).c_str()), 0);
  std::string result = (root_ / "result").string();
  pid_t child = ::fork();
  if (child == 0) {
    rlimit many{65536, 65536};
    ::setrlimit(RLIMIT_NOFILE, &many);
    if (::setresuid(4711, 4711, 4711) != 0) ::_exit(1);
    // A pipe that cannot be as large as usual shows that the allowance is used up.
    for (int ends[2], size = 1 << 16; size == 1 << 16; size = ::fcntl(ends[0], F_GETPIPE_SZ))
      if (::pipe2(ends, O_CLOEXEC) != 0) ::_exit(2);
    ::alarm(120);
    auto put = fake()->put_secret(request(), "token", std::string(32 << 10, 'x'), {});
    (void)write_file_atomically(result, put ? *put : put.error().what);
    ::_exit(0);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "it waits forever";
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(read_file(result).value_or(""), "32768 bytes");
}

TEST_F(Machine, AVmIsAbandonedOnlyIfItsOwnerIsDeadOrItsTimeIsUp) {
  Record record;
  record.until = 1000;
  record.owner = ProcessIdentity::self();
  EXPECT_FALSE(abandoned(record, 999));
  EXPECT_FALSE(without_descriptors([&] { return abandoned(record, 999); })) << "this process lives";
  EXPECT_TRUE(abandoned(record, 1000)) << "it has expired";
  record.owner.start_time = "1";
  EXPECT_TRUE(abandoned(record, 10)) << "another process has the number";
  for (bool* why : {&record.keep, &record.held}) {
    *why = true;
    EXPECT_FALSE(abandoned(record, 10));
    EXPECT_TRUE(abandoned(record, 1000));
    *why = false;
  }
}

// Its maker may be killed at any time, and a VM that is not ready has no use.
TEST_F(Machine, AVmThatIsToBeKeptIsNotKeptBeforeItIsReady) {
  good();
  VmSpec wanted = spec();
  wanted.keep = true;
  auto vm = prepare_vm(wanted);
  auto is_abandoned_if_its_maker_dies = [&] {
    auto record = load("vm-1", directories_);
    if (record) record->owner.start_time = "1";
    return record && abandoned(*record, now_seconds());
  };
  ASSERT_TRUE(vm);
  EXPECT_TRUE(is_abandoned_if_its_maker_dies()) << "nothing has been made";
  ASSERT_TRUE(create_vm(*vm, wanted, {}));
  EXPECT_TRUE(is_abandoned_if_its_maker_dies()) << "it boots";
  ASSERT_TRUE(keep_vm(*vm, wanted));
  EXPECT_FALSE(is_abandoned_if_its_maker_dies()) << "it is ready";
  EXPECT_EQ(load("vm-1", directories_)->vm.id, "id-vm-1");
  forget("vm-1", directories_);
  EXPECT_FALSE(keep_vm(*vm, wanted)) << "somebody has destroyed it";
  EXPECT_FALSE(is_recorded("vm-1", directories_));
}

}  // namespace
}  // namespace bottle::machine
