#include "session/box/host_routes.h"

#include <gtest/gtest.h>

#include "base/files/unreadable_test.h"

namespace bottle::session {
namespace {

std::vector<std::string> texts(const std::vector<HostRoute>& routes) {
  std::vector<std::string> out;
  for (const auto& route : routes) out.push_back(to_string(route.to) + " " + route.device);
  return out;
}

// The text is in the format of a little-endian kernel.
TEST(HostRoutes, AreReadFromTheKernelsLists) {
  std::string ipv4 =
      "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
      "eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
      "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
      "br-lan\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n";
  std::string none = " 00000000000000000000000000000000",
              end = none.substr(1) + " 00000100 00000001 00000000 00000001     ";
  std::string ipv6;
  for (const char* line : {"fd000001000200000000000000000000 40|eth0", "fe800000000000000000000000000000 40|eth0",
                           "fd000001000200000000000000000007 80|lo", "ff000000000000000000000000000000 08|eth0",
                           "00000000000000000000000000000000 00|eth0", "20010db8000000000000000000000000 20|eth1"}) {
    std::string text = line;
    ipv6 += text.substr(0, text.find('|')) + none + " 00 " + end + text.substr(text.find('|') + 1) + "\n";
  }
  EXPECT_EQ(texts(read_routes(ipv4, ipv6)), (std::vector<std::string>{"192.168.1.0/24 eth0", "10.0.0.0/8 br-lan",
                                                                      "fd00:1:2::/64 eth0", "2001:db8::/32 eth1"}));
  EXPECT_TRUE(read_routes("", "").empty());
}

TEST(HostNetworks, AreTheHostsAddressesAndItsNeighborNetworks) {
  auto of = [](const std::vector<const char*>& addresses, const std::vector<std::pair<const char*, bool>>& routes) {
    std::vector<Prefix> own;
    std::vector<HostRoute> known;
    for (const char* address : addresses) own.push_back(*parse_prefix(address));
    for (const auto& [to, on_link] : routes) known.push_back({"eth0", *parse_prefix(to), on_link});
    std::vector<std::string> texts;
    for (const auto& network : networks_of(own, known)) texts.push_back(to_string(network));
    return texts;
  };
  using Texts = std::vector<std::string>;
  EXPECT_EQ(of({"20.30.41.2/24", "2600:1:2:3::7/64"}, {}),
            (Texts{"20.30.41.0/24", "20.30.41.2/32", "2600:1:2:3::/64", "2600:1:2:3::7/128"}));
  EXPECT_EQ(of({"127.0.0.1/8", "192.168.1.7/24", "::1/128", "fe80::1/64", "fd00::1/64"}, {{"10.0.0.0/8", true}}),
            Texts{})
      << "the guard refuses those anyway";
  EXPECT_EQ(of({"20.30.41.2/32"}, {{"20.30.41.0/25", true}, {"20.30.42.0/24", false}}),
            (Texts{"20.30.41.0/25", "20.30.41.2/32"}))
      << "hosts behind a gateway are not neighbors";
  EXPECT_EQ(of({"20.30.41.2/32"}, {{"0.0.0.0/1", true}, {"128.0.0.0/1", true}, {"2000::/3", true}}),
            Texts{"20.30.41.2/32"})
      << "a tunnel is not a local network";
  EXPECT_EQ(of({"20.30.41.2/24"}, {{"20.30.41.0/24", true}}), (Texts{"20.30.41.0/24", "20.30.41.2/32"})) << "each once";
}

TEST(HostNetworks, RoutesWithoutAGatewayAreOnLink) {
  std::string ipv4 =
      "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
      "eth0\t00291E14\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
      "eth0\t002A1E14\t01291E14\t0003\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
  std::string zero(32, '0'), flags = " 00000100 00000001 00000000 00000001     eth0\n";
  std::string ipv6 = "26000001000200030000000000000000 40 " + zero + " 00 " + zero + flags +
                     "26000001000200040000000000000000 40 " + zero + " 00 fe800000000000000000000000000001" + flags;
  std::vector<std::string> on_link;
  for (const auto& route : read_routes(ipv4, ipv6))
    if (route.on_link) on_link.push_back(to_string(route.to));
  EXPECT_EQ(on_link, (std::vector<std::string>{"20.30.41.0/24", "2600:1:2:3::/64"}));
}

TEST(HostRoutes, AnErrorIsNotTheAbsenceOfRoutes) {
  EXPECT_TRUE(host_routes());
  EXPECT_TRUE(host_networks());
  EXPECT_FALSE(without_descriptors([] { return host_routes().has_value(); }));
  EXPECT_FALSE(without_descriptors([] { return host_networks().has_value(); }));
}

TEST(HostRoutes, PrefixesOverlapIfOneContainsTheOther) {
  auto overlap = [](const char* a, const char* b) { return parse_prefix(a)->overlaps(*parse_prefix(b)); };
  for (auto [a, b, expected] : {std::tuple{"10.0.0.0/8", "10.9.0.0/24", true},
                                {"10.0.0.0/9", "10.128.0.0/9", false},
                                {"192.168.1.0/24", "192.168.1.128/25", true},
                                {"192.168.0.0/23", "192.168.2.0/24", false},
                                {"fd00:1::/32", "fd00:1:2::/64", true},
                                {"fd00:1:2:3::/64", "fd00:1:2:4::/64", false},
                                {"fd00::/8", "10.0.0.0/8", false},
                                {"fc00::/7", "fd00::1/128", true}}) {
    EXPECT_EQ(overlap(a, b), expected) << a << " " << b;
    EXPECT_EQ(overlap(b, a), expected) << b << " " << a;
  }
  for (const char* text :
       {"", "10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "fd00::/129", "a/8"})
    EXPECT_FALSE(parse_prefix(text)) << text;
}

TEST(HostRoutes, OnlyBridgesOfAnEngineAreRecognized) {
  for (const char* device : {"docker0", "docker_gwbridge", "br-0123456789ab", "podman0", "podman12", "cni-podman0"})
    EXPECT_TRUE(is_engine_bridge(device)) << device;
  for (const char* device : {"br-lan", "br-ex", "br0", "br-0123456789abc", "br-0123456789aX", "docker1", "docker-lan",
                             "podman", "podman-lan", "vethlan", "bottle-lan", "eth0", ""})
    EXPECT_FALSE(is_engine_bridge(device)) << device;
}

}  // namespace
}  // namespace bottle::session
