#include "session/near/findings.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <set>

#include "session/names.h"
#include "workspace/paths.h"

namespace bottle::session {
namespace {

using nlohmann::json;

constexpr uint64_t kGigabyte = 1ull << 30;
constexpr int64_t kClockTolerance = 5 * 60 * 1000;

// What a network of an operator's is numbered from. An address of the public internet is everybody's.
bool is_private(const Prefix& prefix) {
  static const auto kPrivate = [] {
    std::vector<Prefix> all;
    for (const char* text : {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7"}) all.push_back(*parse_prefix(text));
    return all;
  }();
  return std::ranges::any_of(kPrivate, [&](const Prefix& range) { return range.overlaps({prefix.address, range.bits}); });
}

// Whether that may be a LAN's; an engine's own bridges lead nowhere else.
bool may_be_a_lan(const std::string& device, const Prefix& to) { return is_private(to) && !is_engine_bridge(device) && device != kEgressNetwork; }

std::string text_of(const json& object, const char* key) {
  return object.is_object() && object.contains(key) && object[key].is_string() ? workspace::printable(object[key].get<std::string>()) : "";
}

}  // namespace

std::vector<Finding> judge(const json& hello, const std::string& name, const std::vector<HostRoute>& local_routes, int64_t now_ms) {
  std::vector<Finding> all;
  auto add = [&](const char* code, Severity severity, const std::string& what, const std::string& todo = "") { all.push_back({code, severity, what, todo}); };

  json engine = hello.value("engine", json::object());
  if (std::string error = text_of(engine, "error"); !error.empty()) add("engine", Severity::fail, "no container engine on " + name + ": " + error, "bottle remote setup " + name);
  else add("engine", Severity::ok, "Docker Engine " + text_of(engine, "version") + ", API " + text_of(engine, "api"));
  if (engine.is_object() && engine.contains("rootless") && engine["rootless"] == true) add("rootless", Severity::ok, "the engine runs without root");

  auto number = [&](const char* key) { return hello.contains(key) && hello[key].is_number_unsigned() ? hello[key].get<uint64_t>() : 0; };
  auto gigabytes = [](uint64_t bytes) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f GB", static_cast<double>(bytes) / static_cast<double>(kGigabyte));
    return std::string(text);
  };
  uint64_t memory = number("memory"), disk = number("disk_free");
  add("memory", memory < 2 * kGigabyte ? Severity::warn : Severity::ok, name + " has " + gigabytes(memory) + " of memory" + (memory < 2 * kGigabyte ? ": an agent wants 2 GB" : ""));
  add("disk", disk < 5 * kGigabyte ? Severity::warn : Severity::ok, name + " has " + gigabytes(disk) + " of free disk" + (disk < 5 * kGigabyte ? ": images and work want 5 GB" : ""));

  int64_t off = hello.contains("clock_ms") && hello["clock_ms"].is_number_integer() ? hello["clock_ms"].get<int64_t>() - now_ms : 0;
  if (off > kClockTolerance || off < -kClockTolerance)
    add("clock", Severity::fail, "the clock of " + name + " is off by " + std::to_string(off / 60000) + " minutes: certificates will not be valid there", "set it: sudo timedatectl set-ntp true");
  else add("clock", Severity::ok, "the clocks agree");
  add("kernel", Severity::ok, "Linux " + text_of(hello, "kernel") + " on " + text_of(hello, "machine"));

  // A machine that the agent may take must not be a way back to the operator.
  for (const auto& interface : hello.value("interfaces", json::array())) {
    std::string kind = text_of(interface, "kind"), device = text_of(interface, "name");
    static const std::set<std::string> kSuspect = {"tun", "wireguard", "overlay", "ppp", "vpn"};
    if (kSuspect.contains(kind))
      add("vpn", Severity::fail, name + " has the interface " + device + " (" + kind + "): an agent that escapes there could follow it", "use another machine, or say --allow-vpn");
  }
  for (const auto& far : hello.value("routes", json::array())) {
    auto there = parse_prefix(text_of(far, "to"));
    std::string device = text_of(far, "device");
    if (!there || !may_be_a_lan(device, *there)) continue;
    for (const auto& here : local_routes)
      if (may_be_a_lan(here.device, here.to) && here.to.overlaps(*there))
        add("lan_route", Severity::fail, name + " has a route to " + to_string(*there) + " by " + device + ", and you are in " + to_string(here.to) + ": it may be your own network",
            "use a machine outside of your network, or say --allow-vpn");
  }
  return all;
}

std::vector<Finding> remote_findings(const json& hello, const std::string& name) {
  auto now = std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  return judge(hello, name, host_routes(), now);
}

Result<> admit(const json& hello, const std::string& name, bool allow_vpn) {
  for (const auto& finding : remote_findings(hello, name)) {
    bool pivot = finding.code == "vpn" || finding.code == "lan_route";
    if (finding.severity == Severity::fail && !(pivot && allow_vpn)) return fail(pivot ? Code::denied : Code::unavailable, finding.what, finding.todo);
  }
  return {};
}

}  // namespace bottle::session
