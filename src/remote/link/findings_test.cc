#include "remote/link/findings.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "remote/link/checked_text.h"

namespace bottle::remote {

using session::Severity, session::parse_prefix;

namespace {

using nlohmann::json;

constexpr int64_t kNow = 1'800'000'000'000, kMinute = 60'000;
constexpr uint64_t kGigabyte = 1ull << 30;

const std::vector<HostRoute> kHere = {{"wlan0", *parse_prefix("192.168.1.0/24")},
                                      {"wlan0", *parse_prefix("fd00:1:2:3::/64")},
                                      {"eth0", *parse_prefix("203.0.113.0/24")},
                                      {"docker0", *parse_prefix("172.17.0.0/16")},
                                      {"br-lan", *parse_prefix("10.0.0.0/24")}};

// A machine with which everything is as it should be.
json healthy() {
  return {{"bottle", "far"},
          {"kernel", "6.1.0"},
          {"machine", "x86_64"},
          {"clock_ms", kNow},
          {"memory", 8 * kGigabyte},
          {"disk_free", 50 * kGigabyte},
          {"interfaces", {{{"name", "eth0"}, {"kind", "other"}}, {{"name", "docker0"}, {"kind", "bridge"}}}},
          {"routes",
           {{{"device", "eth0"}, {"to", "203.0.113.0/24"}},
            {{"device", "docker0"}, {"to", "172.17.0.0/16"}},
            {{"device", "eth0"}, {"to", "fd00:9::/64"}}}},
          {"engine",
           {{"version", "28.2.2"},
            {"api", "1.50"},
            {"rootless", false},
            {"cgroup", "2"},
            {"cgroup_driver", "systemd"},
            {"memory_limit", true},
            {"cpu_limit", true},
            {"pids_limit", true},
            {"seccomp", true},
            {"storage", "overlay2"}}}};
}

std::vector<Finding> judged(const json& hello) { return judge(far_words(hello.dump()), "me@far", kHere, kNow); }

TEST(Findings, NothingIsSaidAgainstAHealthyMachine) {
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
  std::function<void(json&)> harm;
  const char* code;
  Severity severity;
  const char* says;
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

class Faults : public ::testing::TestWithParam<Case> {};

// The one harm is found, with what to do, and nothing else is.
TEST_P(Faults, AreFound) {
  json hello = healthy();
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

auto engine(const char* key, json value) {
  return [=](json& hello) { hello["engine"][key] = value; };
}
auto route(const char* device, const char* to) {
  return [=](json& hello) { hello["routes"].push_back({{"device", device}, {"to", to}}); };
}
auto interface(const char* name, const char* kind) {
  return [=](json& hello) { hello["interfaces"].push_back({{"name", name}, {"kind", kind}}); };
}
auto clock(int64_t off) {
  return [=](json& hello) { hello["clock_ms"] = kNow + off; };
}

INSTANTIATE_TEST_SUITE_P(
    All, Faults,
    ::testing::Values(
        Case{"engine", [](json& h) { h["engine"] = {{"error", "no socket"}}; }, "engine", Severity::fail, "no socket"},
        Case{"memory_limit", engine("memory_limit", false), "limits", Severity::warn, "cannot limit memory,"},
        Case{"cpu_limit", engine("cpu_limit", false), "limits", Severity::warn, "cannot limit cpu,"},
        Case{"pids_limit", engine("pids_limit", false), "limits", Severity::warn, "cannot limit pids,"},
        Case{"limit_of_another_type", engine("pids_limit", "yes"), "limits", Severity::warn, "cannot limit pids,"},
        Case{"no_cgroup_driver", engine("cgroup_driver", "none"), "cgroup", Severity::warn, "cgroups"},
        Case{"cgroup_driver_of_another_type", engine("cgroup_driver", 7), "cgroup", Severity::warn, "cgroups"},
        Case{"no_seccomp", engine("seccomp", false), "seccomp", Severity::warn, "any system call"},
        Case{"vfs", engine("storage", "vfs"), "storage", Severity::warn, "full copy"},
        Case{"fuse_overlayfs", engine("storage", "fuse-overlayfs"), "storage", Severity::warn, "another process"},
        Case{"memory", [](json& h) { h["memory"] = 2 * kGigabyte - 1; }, "memory", Severity::warn,
             "an agent needs about 2 GB"},
        Case{"no_word_of_memory", [](json& h) { h.erase("memory"); }, "memory", Severity::warn, "0.0 GB"},
        Case{"disk", [](json& h) { h["disk_free"] = 5 * kGigabyte - 1; }, "disk", Severity::warn, "need about 5 GB"},
        Case{"clock_ahead", clock(24 * 60 * kMinute), "clock", Severity::fail, "off by 1440 minutes"},
        Case{"clock_behind", clock(-24 * 60 * kMinute), "clock", Severity::fail, "off by -1440 minutes"},
        Case{"clock_just_too_far", clock(5 * kMinute + 1), "clock", Severity::fail, "off by 5 minutes"},
        Case{"clock_of_no_time", [](json& h) { h["clock_ms"] = INT64_MIN; }, "clock", Severity::fail, "off by"},
        Case{"tun", interface("tun7", "tun"), "vpn", Severity::fail, "tun7 (tun)"},
        Case{"wireguard", interface("home", "wireguard"), "vpn", Severity::fail, "home (wireguard)"},
        Case{"named_as_a_vpn", interface("tailscale0", "vpn"), "vpn", Severity::fail, "tailscale0"},
        Case{"lan", route("eth1", "192.168.1.0/24"), "lan_route", Severity::fail, "192.168.1.0/24"},
        Case{"part_of_the_lan", route("eth1", "192.168.1.128/25"), "lan_route", Severity::fail,
             "your machine is in 192.168.1.0/24"},
        Case{"more_than_the_lan", route("eth1", "192.168.0.0/16"), "lan_route", Severity::fail,
             "your machine is in 192.168.1.0/24"},
        Case{"lan_behind_a_bridge", route("br-lan", "192.168.1.0/24"), "lan_route", Severity::fail, "through br-lan"},
        Case{"lan_by_a_bridge_here", route("br-ex", "10.0.0.0/24"), "lan_route", Severity::fail,
             "your machine is in 10.0.0.0/24"},
        Case{"lan_named_almost_as_an_engines", route("podman-lan", "10.0.0.0/24"), "lan_route", Severity::fail,
             "podman-lan"},
        Case{"ipv6_lan", route("eth0", "fd00:1:2:3::/64"), "lan_route", Severity::fail,
             "your machine is in fd00:1:2:3::/64"},
        Case{"ipv6_site", route("wan0", "fd00:1:2::/48"), "lan_route", Severity::fail,
             "your machine is in fd00:1:2:3::/64"}),
    [](const auto& info) { return info.param.name; });

TEST(Findings, WhatIsAsItShouldBeIsNoFault) {
  for (auto change :
       {std::function<void(json&)>([](json& h) { h["memory"] = 2 * kGigabyte; }),
        std::function<void(json&)>([](json& h) { h["disk_free"] = 5 * kGigabyte; }),
        std::function<void(json&)>(clock(5 * kMinute)), std::function<void(json&)>(clock(-5 * kMinute)),
        std::function<void(json&)>(engine("storage", "overlayfs")), std::function<void(json&)>(engine("cgroup", "1")),
        std::function<void(json&)>(route("br-0123456789ab", "192.168.1.0/24")),
        std::function<void(json&)>(route("bottle-egress", "10.0.0.0/24")),
        std::function<void(json&)>(route("eth0", "fd00:1:2:4::/64")),
        std::function<void(json&)>(route("eth0", "nonsense")),
        std::function<void(json&)>(interface("br-lan", "bridge"))}) {
    json hello = healthy();
    change(hello);
    for (const Finding& finding : judged(hello)) EXPECT_EQ(finding.severity, Severity::ok) << finding.what;
  }
}

TEST(Findings, WithoutAnEngineNothingIsSaidOfWhatItCan) {
  json hello = healthy();
  hello["engine"] = {{"error", "no socket"}};
  for (const Finding& finding : judged(hello))
    EXPECT_TRUE(finding.code != "limits" && finding.code != "seccomp" && finding.code != "storage" &&
                finding.code != "cgroup")
        << finding.code;
}

}  // namespace
}  // namespace bottle::remote
