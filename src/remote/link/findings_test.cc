#include "remote/link/findings.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>

namespace bottle::remote {

using session::parse_prefix;
using wire::InterfaceKind;

namespace {

using Change = std::function<void(wire::Hello&)>;

constexpr int64_t kNow = 1'800'000'000'000, kMinute = 60'000;
constexpr uint64_t kGigabyte = 1'000'000'000;

const std::vector<HostRoute> kHere = {{"wlan0", *parse_prefix("192.168.1.0/24")},
                                      {"wlan0", *parse_prefix("fd00:1:2:3::/64")},
                                      {"eth0", *parse_prefix("203.0.113.0/24")},
                                      {"docker0", *parse_prefix("172.17.0.0/16")},
                                      {"br-lan", *parse_prefix("10.0.0.0/24")}};

// Describes a machine without a fault.
wire::Hello healthy() {
  wire::Hello hello;
  hello.kernel = "6.1.0";
  hello.machine = "x86_64";
  hello.clock_ms = kNow;
  hello.memory = 8 * kGigabyte;
  hello.disk_free = 50 * kGigabyte;
  hello.interfaces = {{"eth0", InterfaceKind::other}, {"docker0", InterfaceKind::bridge}};
  hello.routes = {{"eth0", "203.0.113.0/24"}, {"docker0", "172.17.0.0/16"}, {"eth0", "fd00:9::/64"}};
  hello.engine = wire::EngineHello{.api = "1.50",
                                   .version = "28.2.2",
                                   .cgroup = "2",
                                   .cgroup_driver = "systemd",
                                   .storage = "overlay2",
                                   .memory_limit = true,
                                   .cpu_limit = true,
                                   .pids_limit = true,
                                   .seccomp = true};
  return hello;
}

std::vector<Finding> judged(const wire::Hello& hello) {
  auto all = judge_fitness(hello, "me@far", kNow);
  for (const Finding& finding : judge_ways_back(hello, "me@far", kHere)) all.push_back(finding);
  return all;
}

TEST(Findings, AHealthyMachineHasNoFault) {
  std::vector<std::string> codes;
  for (const Finding& finding : judged(healthy())) {
    EXPECT_EQ(finding.severity, Severity::ok) << finding.what;
    EXPECT_EQ(finding.todo, "");
    codes.push_back(finding.code);
  }
  EXPECT_EQ(codes, (std::vector<std::string>{"engine", "limits", "cgroup", "seccomp", "storage", "memory", "disk",
                                             "clock", "kernel"}));
}

struct Case {
  const char* name;
  Change harm;
  const char* code;
  Severity severity;
  const char* says;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class Faults : public ::testing::TestWithParam<Case> {};

// Each test gives the machine one fault. judge() must find that fault, say what to do, and find nothing else.
TEST_P(Faults, AreFound) {
  wire::Hello hello = healthy();
  GetParam().harm(hello);
  auto all = judged(hello);
  std::erase_if(all, [](const Finding& finding) { return finding.severity == Severity::ok; });
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].code, GetParam().code);
  EXPECT_EQ(all[0].severity, GetParam().severity);
  EXPECT_NE(all[0].what.find(GetParam().says), std::string::npos) << all[0].what;
  EXPECT_NE(all[0].what.find("me@far"), std::string::npos) << all[0].what;
  bool can_be_mended = all[0].code != "memory" && all[0].code != "disk";
  EXPECT_EQ(all[0].todo.empty(), !can_be_mended) << all[0].todo;
}

template <class Value>
auto engine(Value wire::EngineHello::* field, Value value) {
  return [=](wire::Hello& hello) { (*hello.engine).*field = value; };
}
auto storage(const char* driver) { return engine<std::string>(&wire::EngineHello::storage, driver); }
auto route(const char* device, const char* to) {
  return [=](wire::Hello& hello) { hello.routes.push_back({device, to}); };
}
auto interface(const char* name, InterfaceKind kind) {
  return [=](wire::Hello& hello) { hello.interfaces.push_back({name, kind}); };
}
auto clock(int64_t off) {
  return [=](wire::Hello& hello) { hello.clock_ms = kNow + off; };
}
auto memory(uint64_t bytes) {
  return [=](wire::Hello& hello) { hello.memory = bytes; };
}
auto disk(uint64_t bytes) {
  return [=](wire::Hello& hello) { hello.disk_free = bytes; };
}
void no_engine(wire::Hello& hello) { hello.engine = fail(Code::unavailable, "no socket"); }

INSTANTIATE_TEST_SUITE_P(
    All, Faults,
    ::testing::Values(
        Case{"engine", no_engine, "engine", Severity::fail, "no socket"},
        Case{"an_engine_of_others",
             [](wire::Hello& h) { h.engine = fail(Code::denied, "connecting to /s: Operation not permitted"); },
             "engine", Severity::fail, "that you may not use"},
        Case{"an_engine_that_says_permission_denied",
             [](wire::Hello& h) { h.engine = fail(Code::unavailable, "listing images: Permission denied"); }, "engine",
             Severity::fail, "no container engine on"},
        Case{"memory_limit", engine(&wire::EngineHello::memory_limit, false), "limits", Severity::warn,
             "cannot limit memory,"},
        Case{"cpu_limit", engine(&wire::EngineHello::cpu_limit, false), "limits", Severity::warn, "cannot limit cpus,"},
        Case{"pids_limit", engine(&wire::EngineHello::pids_limit, false), "limits", Severity::warn,
             "cannot limit pids,"},
        Case{"no_cgroup_driver", engine<std::string>(&wire::EngineHello::cgroup_driver, "none"), "cgroup",
             Severity::warn, "cgroups"},
        Case{"cgroup_driver_not_said", engine<std::string>(&wire::EngineHello::cgroup_driver, ""), "cgroup",
             Severity::warn, "cgroups"},
        Case{"no_seccomp", engine(&wire::EngineHello::seccomp, false), "seccomp", Severity::warn, "any system call"},
        Case{"vfs", storage("vfs"), "storage", Severity::warn, "full copy"},
        Case{"fuse_overlayfs", storage("fuse-overlayfs"), "storage", Severity::warn, "another process"},
        Case{"memory", memory(2 * kGigabyte - 1), "memory", Severity::warn, "an agent needs about 2 GB"},
        Case{"disk", disk(5 * kGigabyte - 1), "disk", Severity::warn, "need about 5 GB"},
        Case{"clock_ahead", clock(24 * 60 * kMinute), "clock", Severity::fail, "off by 1440 minutes"},
        Case{"clock_behind", clock(-24 * 60 * kMinute), "clock", Severity::fail, "off by -1440 minutes"},
        Case{"clock_just_too_far", clock(5 * kMinute + 1), "clock", Severity::fail, "off by 5 minutes"},
        Case{"clock_of_no_time", [](wire::Hello& h) { h.clock_ms = INT64_MIN; }, "clock", Severity::fail, "off by"},
        Case{"tun", interface("tun7", InterfaceKind::tun), "vpn", Severity::fail, "tun7 (tun)"},
        Case{"wireguard", interface("home", InterfaceKind::wireguard), "vpn", Severity::fail, "home (wireguard)"},
        Case{"overlay", interface("vx1", InterfaceKind::overlay), "vpn", Severity::fail, "vx1 (overlay)"},
        Case{"ppp", interface("ppp0", InterfaceKind::ppp), "vpn", Severity::fail, "ppp0 (ppp)"},
        Case{"named_as_a_vpn", interface("tailscale0", InterfaceKind::vpn), "vpn", Severity::fail, "tailscale0"},
        Case{"lan", route("eth1", "192.168.1.0/24"), "lan_route", Severity::fail, "192.168.1.0/24"},
        Case{"part_of_the_lan", route("eth1", "192.168.1.128/25"), "lan_route", Severity::fail,
             "overlaps your own network 192.168.1.0/24"},
        Case{"more_than_the_lan", route("eth1", "192.168.0.0/16"), "lan_route", Severity::fail,
             "overlaps your own network 192.168.1.0/24"},
        Case{"lan_behind_a_bridge", route("br-lan", "192.168.1.0/24"), "lan_route", Severity::fail, "through br-lan"},
        Case{"lan_by_a_bridge_here", route("br-ex", "10.0.0.0/24"), "lan_route", Severity::fail,
             "overlaps your own network 10.0.0.0/24"},
        Case{"lan_named_almost_as_an_engines", route("podman-lan", "10.0.0.0/24"), "lan_route", Severity::fail,
             "podman-lan"},
        Case{"ipv6_lan", route("eth0", "fd00:1:2:3::/64"), "lan_route", Severity::fail,
             "overlaps your own network fd00:1:2:3::/64"},
        Case{"ipv6_site", route("wan0", "fd00:1:2::/48"), "lan_route", Severity::fail,
             "overlaps your own network fd00:1:2:3::/64"}),
    [](const auto& info) { return info.param.name; });

TEST(Findings, HarmlessPropertiesAreNoFaults) {
  for (auto change : {Change(memory(2 * kGigabyte)), Change(disk(5 * kGigabyte)), Change(clock(5 * kMinute)),
                      Change(clock(-5 * kMinute)), Change(storage("overlayfs")),
                      Change(engine<std::string>(&wire::EngineHello::cgroup, "1")),
                      Change(route("br-0123456789ab", "192.168.1.0/24")), Change(route("bottle-egress", "10.0.0.0/24")),
                      Change(route("eth0", "fd00:1:2:4::/64")), Change(route("eth0", "nonsense")),
                      Change(interface("br-lan", InterfaceKind::bridge))}) {
    wire::Hello hello = healthy();
    change(hello);
    for (const Finding& finding : judged(hello)) EXPECT_EQ(finding.severity, Severity::ok) << finding.what;
  }
}

TEST(Findings, WithoutAnEngineItsFeaturesAreNotJudged) {
  wire::Hello hello = healthy();
  no_engine(hello);
  for (const Finding& finding : judged(hello))
    EXPECT_TRUE(finding.code != "limits" && finding.code != "seccomp" && finding.code != "storage" &&
                finding.code != "cgroup")
        << finding.code;
}

TEST(Findings, WithoutRoutesHereTheMachineMayBeInTheOperatorsNetwork) {
  auto all = judge_ways_back(healthy(), "me@far", fail(Code::denied, "no netlink"));
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].code, "lan_route");
  EXPECT_EQ(all[0].severity, Severity::fail);
  EXPECT_NE(all[0].what.find("no netlink"), std::string::npos) << all[0].what;
}

TEST(Findings, TheOperatorCanAcceptOnlyTheWaysBack) {
  wire::Hello hello = healthy();
  hello.clock_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  interface("tun7", InterfaceKind::tun)(hello);
  auto refused = admit(hello, "me@far", false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::denied) << refused.error().what;
  EXPECT_TRUE(admit(hello, "me@far", true));
  no_engine(hello);
  for (bool allow_vpn : {false, true}) {
    auto unfit = admit(hello, "me@far", allow_vpn);
    ASSERT_FALSE(unfit);
    EXPECT_EQ(unfit.error().code, Code::unavailable) << unfit.error().what;
  }
}

}  // namespace
}  // namespace bottle::remote
