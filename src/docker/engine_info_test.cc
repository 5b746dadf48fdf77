#include "docker/engine_info.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace bottle::docker {
namespace {

using Json = nlohmann::json;

// Shortened from Docker 28.
const Json kAnswer = Json::parse(R"({
  "ID": "3f2b4a0e-1c1d-4e6f-9a7b-000000000000",
  "Driver": "overlay2",
  "DriverStatus": [["Backing Filesystem", "extfs"], ["Supports d_type", "true"], ["userxattr", "false"]],
  "MemoryLimit": true, "SwapLimit": true, "CpuCfsPeriod": true, "CpuCfsQuota": true, "PidsLimit": true,
  "CgroupDriver": "systemd", "CgroupVersion": "2",
  "KernelVersion": "6.1.0-40-amd64", "OSType": "linux", "Architecture": "x86_64", "NCPU": 2,
  "DockerRootDir": "/var/lib/docker",
  "ServerVersion": "28.2.2",
  "Runtimes": {
    "io.containerd.runc.v2": {"path": "runc", "status": {"org.opencontainers.runtime-spec.features": "{}"}},
    "runc": {"path": "runc"},
    "runsc": {"path": "/usr/local/bin/runsc", "runtimeArgs": ["--overlay2=none"]}},
  "DefaultRuntime": "runsc",
  "SecurityOptions": ["name=apparmor", "name=seccomp,profile=builtin", "name=cgroupns"]})");

// Returns the answer with another value for one member.
Json with(const char* name, Json value) {
  Json answer = kAnswer;
  answer[name] = std::move(value);
  return answer;
}

TEST(EngineInfo, HoldsWhatAnEngineSays) {
  EngineInfo info = read_info(kAnswer);
  EXPECT_EQ(info.id, "3f2b4a0e-1c1d-4e6f-9a7b-000000000000");
  EXPECT_EQ(info.version, "28.2.2");
  EXPECT_EQ(info.architecture, "x86_64");
  EXPECT_EQ(info.kernel, "6.1.0-40-amd64");
  EXPECT_EQ(info.root_directory, "/var/lib/docker");
  EXPECT_EQ(info.storage_driver, "overlay2");
  EXPECT_EQ(info.backing_file_system, "extfs");
  EXPECT_EQ(info.cgroup_version, "2");
  EXPECT_EQ(info.cgroup_driver, "systemd");
  EXPECT_EQ(info.default_runtime, "runsc");
  EXPECT_EQ(info.runtime_names(), (std::vector<std::string>{"io.containerd.runc.v2", "runc", "runsc"}));
  EXPECT_EQ(info.runtimes["runsc"].path, "/usr/local/bin/runsc");
  EXPECT_FALSE(info.is_rootless);
  EXPECT_TRUE(info.has_seccomp);
  EXPECT_FALSE(info.remaps_users);
  EXPECT_TRUE(info.limits.memory && info.limits.cpus && info.limits.pids);
}

TEST(EngineInfo, AnIdentityIsThatOfAnEngineAndItsData) {
  EngineInfo info{.id = "6CXF:BQ4D", .data_id = "0a"}, same = info, other{.id = "6CXF", .data_id = "0a"};
  EXPECT_EQ(info.identity(), same.identity());
  EXPECT_TRUE(info.is_of(same.identity()) && info.is_of("6CXF:BQ4D")) << "an earlier version recorded only the id";
  same.data_id = "0b";
  EXPECT_NE(info.identity(), same.identity());
  EXPECT_TRUE(info.is_of(same.identity()));
  EXPECT_FALSE(other.is_of(info.identity()) || info.is_of(other.identity()) || info.is_of(""));
  EXPECT_TRUE(names_data(info.identity()));
  EXPECT_FALSE(names_data("6CXF:BQ4D") || names_data(""));
  EXPECT_EQ((EngineInfo{.data_id = "0a"}.identity()), "") << "it would not tell one engine from another";
  EXPECT_FALSE(EngineInfo{}.is_of(""));
}

TEST(EngineInfo, AnyChangeOfARuntimeShows) {
  Json other = kAnswer;
  other["Runtimes"]["runsc"]["runtimeArgs"] = {"--network=host"};
  EXPECT_NE(read_info(other).runtimes["runsc"].description, read_info(kAnswer).runtimes["runsc"].description);
  EXPECT_EQ(read_info(other).runtimes["runc"].description, read_info(kAnswer).runtimes["runc"].description);
}

// With either option, the operator's files belong to nobody in a container.
TEST(EngineInfo, UsersAreRemappedByRootlessEnginesAndByUsernsRemap) {
  for (const char* option : {"name=rootless", "name=userns"}) {
    EngineInfo info = read_info(with("SecurityOptions", {"name=seccomp,profile=builtin", option}));
    EXPECT_TRUE(info.remaps_users) << option;
    EXPECT_EQ(info.is_rootless, option == std::string("name=rootless")) << option;
  }
}

// Podman does not report all limits.
TEST(EngineInfo, OnlyAnEngineThatSaysSoHasNoLimit) {
  for (const Json& value : {Json(), Json("false"), Json(0), Json::array()})
    EXPECT_TRUE(read_info(with("MemoryLimit", value)).limits.memory) << value;
  EXPECT_FALSE(read_info(with("MemoryLimit", false)).limits.memory);
  EXPECT_FALSE(read_info(with("CpuCfsQuota", false)).limits.cpus);
  EXPECT_FALSE(read_info(with("PidsLimit", false)).limits.pids);
}

void expect_nothing(const EngineInfo& info, const Json& answer) {
  EXPECT_EQ(info.id + info.version + info.architecture + info.kernel + info.root_directory + info.storage_driver +
                info.backing_file_system + info.cgroup_version + info.cgroup_driver,
            "")
      << answer;
  EXPECT_EQ(info.default_runtime, "runc") << answer;
  EXPECT_TRUE(info.runtimes.empty()) << answer;
  EXPECT_FALSE(info.is_rootless || info.has_seccomp || info.remaps_users) << answer;
  EXPECT_TRUE(info.limits.memory && info.limits.cpus && info.limits.pids) << answer;
}

TEST(EngineInfo, AnAnswerOfAnotherShapeSaysNothing) {
  const std::vector<Json> values = {Json(), Json(1), Json(true), Json::array({1, Json::array()})};
  for (const Json& answer : values) expect_nothing(read_info(answer), answer);
  for (const Json& value : values) {
    Json answer = Json::object();
    for (const auto& [name, unused] : kAnswer.items()) answer[name] = value;
    expect_nothing(read_info(answer), answer);
  }
  for (const Json& rows : {Json({1, {"Backing Filesystem"}, {{"Backing Filesystem", "xfs"}}}),
                           Json{{"Backing Filesystem", 1}}, Json::array({Json::array({"Backing Filesystem", 1})})})
    EXPECT_EQ(read_info(with("DriverStatus", rows)).backing_file_system, "") << rows;
  EngineInfo info = read_info(with("Runtimes", {{"runc", 1}, {"\xff", {{"path", 1}}}}));
  EXPECT_EQ(info.runtime_names().size(), 2u);
  EXPECT_EQ(info.runtimes["runc"].path + info.runtimes["\xff"].path, "");
}

}  // namespace
}  // namespace bottle::docker
