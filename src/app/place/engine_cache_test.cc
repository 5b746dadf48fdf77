#include "app/place/engine_cache.h"

#include "app/commands/command_test.h"

namespace bottle::app {
namespace {

using nlohmann::json;

json info() {
  return {{"ID", "AAAA"},
          {"ServerVersion", "20.10.24"},
          {"KernelVersion", "6.1.0"},
          {"Architecture", "x86_64"},
          {"DefaultRuntime", "runc"},
          {"Runtimes", {{"runc", {{"path", "runc"}}}}},
          {"SecurityOptions", {"name=seccomp,profile=default"}},
          {"Driver", "overlay2"},
          {"DockerRootDir", "/var/lib/docker"},
          {"DriverStatus",
           json::array({json::array({"Backing Filesystem", "extfs"}), json::array({"Data Space Used", "1 GB"})})},
          {"Containers", 3},
          {"SystemTime", "2026-01-01T00:00:00Z"}};
}

TEST(FactsOfAnEngine, StayTheSameWhileItWorks) {
  json later = info();
  later["Containers"] = 4;
  later["SystemTime"] = "2026-01-01T00:00:01Z";
  later["DriverStatus"][1][1] = "2 GB";
  EXPECT_EQ(facts_of(later), facts_of(info()));
}

TEST(FactsOfAnEngine, DifferIfAPlanMayDiffer) {
  for (const char* name : {"ID", "ServerVersion", "KernelVersion", "Architecture", "DefaultRuntime", "Runtimes",
                           "SecurityOptions", "Driver", "DockerRootDir", "DriverStatus"}) {
    json other = info();
    other.erase(name);
    EXPECT_NE(facts_of(other), facts_of(info())) << name;
  }
  json other = info();
  other["DriverStatus"][0][1] = "xfs";
  EXPECT_NE(facts_of(other), facts_of(info()));
}

class EngineCache : public Commands {};

TEST_F(EngineCache, RemembersTheFactsOfEachEngine) {
  EXPECT_EQ(recall_engine("/run/a.sock"), std::nullopt);
  remember_engine("/run/a.sock", facts_of(info()));
  EXPECT_EQ(recall_engine("/run/a.sock"), facts_of(info()));
  EXPECT_EQ(recall_engine("/run/b.sock"), std::nullopt);
  json other = info();
  other["DefaultRuntime"] = "runsc";
  remember_engine("/run/a.sock", facts_of(other));
  EXPECT_EQ(recall_engine("/run/a.sock"), facts_of(other));
}

}  // namespace
}  // namespace bottle::app
