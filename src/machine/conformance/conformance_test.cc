#include "machine/conformance/conformance.h"

#include <chrono>
#include <future>
#include <regex>
#include <thread>

#include "machine/machine_test.h"

namespace bottle::machine {
namespace {

TEST_F(Machine, StoppedConformanceTestsDestroyTheirVm) {
  good();
  // The machine exists, but create has not ended.
  hook("create", R"sh(echo "id|$BOTTLE_SESSION|$BOTTLE_OWNER|running" >"$CLOUD/$BOTTLE_VM_NAME"
: >"$CLOUD/../creating"; exec sleep 300)sh");
  std::stop_source stop;
  ConformanceOptions options;
  options.directories = directories_;
  options.environment = environment_;
  options.limits = limits_;
  options.limits.stop = stop.get_token();
  auto checks = std::async(std::launch::async, [&] { return test_provider("fake", options, {}, {}); });
  auto its_hook = [&] {
    for (const auto& name : recorded(directories_).value_or(std::vector<std::string>()))
      if (auto record = load(name, directories_)) return record->hook.alive();
    return false;
  };
  (void)wait_for([&] { return std::filesystem::exists(root_ / "creating") && its_hook(); });
  EXPECT_TRUE(its_hook()) << "if this process is killed, the reaper must end it";
  stop.request_stop();
  auto done = checks.get();
  ASSERT_TRUE(done && !done->empty());
  EXPECT_TRUE(done->back().ok) << done->back().detail;
  EXPECT_LT(done->size(), 10u) << "no check runs after the stop";
  EXPECT_TRUE(std::filesystem::is_empty(cloud()));
  EXPECT_TRUE(recorded(directories_)->empty());
}

class Conformance : public Machine {
 protected:
  Conformance() {
    options_.ssh = false;
    options_.boot_ms = 2000;  // a good provider needs no second try
  }
  // Returns the checks that failed.
  std::string run() {
    options_.directories = directories_;
    options_.environment = environment_;
    options_.limits = limits_;
    auto checks = test_provider("fake", options_, {}, {});
    if (!checks) return "error: " + checks.error().what;
    EXPECT_GT(checks->size(), 15u);
    std::string failed;
    for (const auto& check : *checks)
      if (!check.ok) failed += check.name + ": " + check.detail + "\n";
    return failed;
  }

  ConformanceOptions options_;
};

TEST_F(Conformance, TheConformanceTestsAcceptGoodProvidersAndFindFaults) {
  good();
  options_.gone_ms = 50;
  EXPECT_EQ(run(), "");
  EXPECT_TRUE(std::filesystem::is_empty(cloud()));

  hook("create",
       R"sh(n=$(date +%N); echo "$n|$BOTTLE_SESSION|$BOTTLE_OWNER|running" >"$CLOUD/$BOTTLE_VM_NAME"
echo "{\"id\": \"id-$BOTTLE_VM_NAME-$n\"}")sh");
  EXPECT_NE(run().find("create again prints the same id"), std::string::npos);
  std::filesystem::remove_all(cloud());
  std::filesystem::create_directories(cloud());
  good();
  hook("list", "echo '{\"machines\": []}'");
  EXPECT_NE(run().find("list shows the VM"), std::string::npos);
  good();
  hook("destroy", "[ -e $CLOUD/$BOTTLE_VM_NAME ] || exit 1; rm $CLOUD/$BOTTLE_VM_NAME; echo '{\"status\":\"gone\"}'");
  EXPECT_NE(run().find("destroy again"), std::string::npos);
  good();
  hook("destroy", "[ -e \"$BOTTLE_USER_DATA\" ] || exit 1; rm -f $CLOUD/$BOTTLE_VM_NAME; echo '{\"status\":\"gone\"}'");
  EXPECT_NE(run().find("destroy: "), std::string::npos) << "a session's user-data is gone by then";
  std::filesystem::remove_all(cloud());
  std::filesystem::create_directories(cloud());
  for (const char* one : {"create", "status", "destroy"}) {
    good();
    auto whole = read_file(directories_.config + "/providers/fake/" + one);
    ASSERT_TRUE(whole);
    // Without its lines about the owner, the hook goes by the name alone.
    hook(one, std::regex_replace(*whole, std::regex("\n[^\n]*BOTTLE_OWNER\\|[^\n]*"), ""));
    EXPECT_NE(run().find("another owner's calls"), std::string::npos) << one;
  }
  std::filesystem::remove_all(cloud());
  std::filesystem::create_directories(cloud());
  good();
  hook("put-secret", "printf '{\"fetch\": \"echo %s\"}' \"$(cat)\"");
  EXPECT_NE(run().find("put-secret answers"), std::string::npos);
  hook("put-secret", "echo set it up >&2; exit 78");
  EXPECT_EQ(run(), "") << "only for those who want it";
}

// The check may be killed while a faulty create makes a VM for another owner.
TEST_F(Conformance, TheRecordNamesTheOtherOwnerBeforeItCanHaveAVm) {
  good();
  std::string create = *read_file(directories_.config + "/providers/fake/create");
  hook("create", R"sh(f="$CLOUD/$BOTTLE_VM_NAME"
if [ -e "$f" ] && ! grep -q "|$BOTTLE_OWNER|" "$f"; then
  echo "2||$BOTTLE_OWNER|running" >"$f-2"; : >"$CLOUD/../second"; exec sleep 1000
fi
)sh" + create);
  std::string destroy = *read_file(directories_.config + "/providers/fake/destroy");
  hook("destroy", R"sh(s="$CLOUD/$BOTTLE_VM_NAME-2"
if grep -qs "|$BOTTLE_OWNER|" "$s"; then rm "$s"; fi
)sh" + destroy);
  pid_t child = ::fork();
  if (child == 0) {
    (void)run();
    ::_exit(0);
  }
  auto its_hook = [&] {
    for (const auto& name : recorded(directories_).value_or(std::vector<std::string>()))
      if (auto record = load(name, directories_)) return record->hook.alive();
    return false;
  };
  (void)wait_for([&] { return std::filesystem::exists(root_ / "second") && its_hook(); });
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(std::ranges::distance(std::filesystem::directory_iterator(cloud())), 2);
  auto names = recorded(directories_);
  ASSERT_TRUE(names && names->size() == 1);
  auto gone = destroy_vm(names->front(), "fake", directories_, destroying(), {});
  ASSERT_TRUE(gone) << gone.error().what;
  EXPECT_TRUE(gone->confirmed);
  EXPECT_TRUE(std::filesystem::is_empty(cloud()));
}

// A provider may make a VM for another owner although it must not.
TEST_F(Conformance, TheConformanceTestsDestroyWhatTheyMakeForAnotherOwner) {
  good();
  std::string create = *read_file(directories_.config + "/providers/fake/create");
  std::string destroy = *read_file(directories_.config + "/providers/fake/destroy");
  auto for_others = [&](const std::string& does) {
    hook("create", R"sh(f="$CLOUD/$BOTTLE_VM_NAME"
if [ -e "$f" ] && ! grep -q "|$BOTTLE_OWNER|" "$f"; then )sh" +
                       does + "; fi\n" + create);
    return run();
  };
  EXPECT_EQ(for_others("exit 1"), "");
  for (const char* status : {"73", "77", "78"})
    EXPECT_NE(for_others(std::string("exit ") + status).find("another owner's calls"), std::string::npos)
        << status << " proves nothing";

  // The second machine is destroyed by name, and only by the second call.
  hook("destroy", R"sh(s="$CLOUD/$BOTTLE_VM_NAME-2"
if grep -qs "|$BOTTLE_OWNER|" "$s"; then
  [ -e "$CLOUD/../tried" ] || { : >"$CLOUD/../tried"; exit 1; }
  rm "$s"
fi
)sh" + destroy);
  for (const char* end : {"exit 1", "echo '{\"id\": \"second\"}'; exit 0"}) {
    std::filesystem::remove(root_ / "tried");
    std::string failed = for_others(std::string(R"(echo "2||$BOTTLE_OWNER|running" >"$f-2"; )") + end);
    EXPECT_EQ(failed.find("another owner's calls") != std::string::npos, std::string(end) != "exit 1") << failed;
    EXPECT_TRUE(std::filesystem::is_empty(cloud())) << end;
    std::filesystem::remove_all(cloud());
    std::filesystem::create_directories(cloud());
  }
}

}  // namespace
}  // namespace bottle::machine
