#include "session/box/network.h"

#include <gtest/gtest.h>

namespace bottle::session {
namespace {

using nlohmann::json;

TEST(EgressNetwork, IsUsedOnlyWithTheExpectedSettings) {
  json good = {{"Driver", "bridge"},
               {"EnableIPv6", false},
               {"IPAM", {{"Config", json::array({{{"Subnet", "10.231.0.0/24"}, {"Gateway", "10.231.0.1"}}})}}},
               {"Options", {{"com.docker.network.bridge.enable_icc", "false"}}}};
  EXPECT_EQ(*egress_gateway(good), "10.231.0.1");
  auto with = [&](const char* where, const json& value) {
    json changed = good;
    changed[json::json_pointer(where)] = value;
    return egress_gateway(changed).has_value();
  };
  EXPECT_TRUE(with("/Name", "bottle-egress"));
  EXPECT_FALSE(with("/Driver", "macvlan"));
  EXPECT_FALSE(with("/EnableIPv6", true));
  EXPECT_FALSE(with("/Options", nullptr));
  EXPECT_FALSE(with("/Options/com.docker.network.bridge.enable_icc", "true"));
  EXPECT_FALSE(with("/Options/com.docker.network.bridge.enable_icc", false));
  EXPECT_FALSE(with("/IPAM", nullptr));
  EXPECT_FALSE(with("/IPAM/Config", nullptr));
  EXPECT_FALSE(with("/IPAM/Config", json::array({7, json::object()})));
  EXPECT_FALSE(egress_gateway(json::array()));
}

}  // namespace
}  // namespace bottle::session
