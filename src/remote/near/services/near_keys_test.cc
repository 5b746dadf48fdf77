// Tests what the near side checks before its ssh-agents answer the far guard.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/ids.h"
#include "base/text/base64.h"
#include "pki/seal.h"
#include "remote/near/services/near_services.h"
#include "sshagent/wire.h"

namespace bottle::remote {
namespace {

// The rules reach the keys even if there is no broker. A far side that reports its tunnels makes them necessary.
TEST(NearKeys, AreForHostsThatAreNotDeniedAndForTunnelsOfTheFarGuard) {
  Job job;
  std::string host_key;
  for (const char* text : {"ssh-ed25519", "32 bytes of a host's public key."}) sshagent::put_string(host_key, text);
  job.plan.ssh = {{.host = "git",
                   .identity_file = "id",
                   .hostname = "git.example.org",
                   .known_host_key = "ssh-ed25519 " + base64(host_key)}};
  job.ssh_keys = {{.holder = wire::SshKey::Holder::other, .file = "id", .blob = "a key", .socket = "/nonexistent"}};
  Job there = job;
  std::vector<wire::Decision> audit;
  auto made = NearServices::make(
      job, there, "/nonexistent", [](const wire::ToFarGuard&) {},
      [&](const wire::Decision& decision) { audit.push_back(decision); });
  ASSERT_TRUE(made) << made.error().what;
  NearServices& services = **made;
  auto take = [&](const nlohmann::json& line) { services.take(line.dump()); };
  // Returns why a bind to the host fails; there is no ssh-agent that could confirm it.
  auto why = [&, number = 0]() mutable {
    size_t before = audit.size();
    std::string request = sshagent::forged_bind_request(host_key, "a session");
    take({{"type", "ssh-agent"}, {"connection", ++number}, {"request", base64(request)}});
    for (int i = 0; i < 100 && audit.size() == before; ++i) {
      Poller poller;
      services.add_to(poller, false);
      poller.wait(200);
      services.handle(poller, false);
    }
    return audit.size() == before ? "nothing" : audit.back().reason;
  };
  EXPECT_NE(why().find("did not confirm"), std::string::npos) << "a far side of an earlier version";
  services.change_policy({"1", wire::PolicyChange::Deny{"git"}});
  EXPECT_EQ(why(), "the host is denied");
  services.change_policy({"2", wire::PolicyChange::Allow{{.host = "git"}}});
  EXPECT_NE(why().find("did not confirm"), std::string::npos);
  take({{"type", "relay"}});
  take({{"type", "ssh-tunnels"}});
  EXPECT_NE(why().find("no connection"), std::string::npos);
  const std::string request = sshagent::forged_bind_request(host_key, "a session");
  sshagent::Reader reader(std::string_view(request).substr(1));
  reader.string(), reader.string(), reader.string();
  std::string proof;
  for (std::string_view each : {std::string_view(host_key), reader.string()}) sshagent::put_string(proof, each);
  take({{"type", "ssh-tunnel"}, {"tunnel", 7}, {"exchange", to_hex(pki::digest(proof))}});
  EXPECT_NE(why().find("did not confirm"), std::string::npos);
  take({{"type", "ssh-tunnel"}, {"tunnel", 7}});
  EXPECT_NE(why().find("no connection"), std::string::npos);
}

}  // namespace
}  // namespace bottle::remote
