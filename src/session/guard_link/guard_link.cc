#include "session/guard_link/guard_link.h"

#include <poll.h>
#include <unistd.h>

#include <chrono>

#include "base/file.h"
#include "plan/provider.h"

namespace bottle::session {

Result<> GuardLink::send(const nlohmann::json& message) {
  return write_all(fd(), message.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

Result<std::vector<nlohmann::json>> GuardLink::read() {
  char buffer[65536];
  std::string bytes = attached_.take_early();
  if (bytes.empty()) {
    ssize_t n = ::read(fd(), buffer, sizeof buffer);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) return std::vector<nlohmann::json>{};
    if (n <= 0) return fail(Code::closed, "the guard closed its control channel");
    bytes.assign(buffer, static_cast<size_t>(n));
  }
  constexpr size_t kLongestLine = 1 << 20;
  if (partial_.size() > kLongestLine) return fail(Code::limit, "the guard wrote a line without end");
  std::string complaint;
  TRY(demux_.feed(bytes,
                  [&](int stream, std::string_view chunk) { (stream == 1 ? partial_ : complaint).append(chunk); }));
  std::vector<nlohmann::json> lines;
  size_t start = 0;
  for (size_t end; (end = partial_.find('\n', start)) != std::string::npos; start = end + 1) {
    auto line = nlohmann::json::parse(partial_.begin() + static_cast<long>(start),
                                      partial_.begin() + static_cast<long>(end), nullptr, false);
    if (line.is_object()) lines.push_back(std::move(line));
  }
  partial_.erase(0, start);
  if (!complaint.empty()) lines.push_back({{"type", "error"}, {"what", complaint}});
  return lines;
}

Result<nlohmann::json> GuardLink::await_ready(int timeout_ms) {
  auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  for (;;) {
    auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    pollfd p{fd(), POLLIN, 0};
    if (left <= 0 || ::poll(&p, 1, static_cast<int>(left)) == 0)
      return fail(Code::timed_out, "the guard was not ready within " + std::to_string(timeout_ms) + " ms");
    for (auto& line : TRY(read())) {
      if (line.value("type", "") == "ready") return line;
      if (line.value("type", "") == "error")
        return fail(Code::invalid, "the guard refused its configuration: " + line.value("what", ""));
    }
  }
}

nlohmann::json lan_rule(const manifest::LanRoute& route) {
  return {{"host", route.name},
          {"ports", {route.tls ? 443 : 80}},
          {"methods", route.methods},
          {"paths", route.paths},
          {"inspect", true}};
}

nlohmann::json texts_of(const std::vector<policy::Prefix>& networks) {
  nlohmann::json texts = nlohmann::json::array();
  for (const auto& network : networks) texts.push_back(to_string(network));
  return texts;
}

nlohmann::json guard_config(const plan::Plan& plan, const GuardSettings& settings) {
  using nlohmann::json;
  json allow = json::array();
  for (const auto& rule : plan.egress.allow)
    allow.push_back({{"host", rule.host},
                     {"ports", rule.ports},
                     {"methods", rule.methods},
                     {"paths", rule.paths},
                     {"inspect", rule.inspect}});
  json lan = json::array(), relay = json::array(), secrets = json::array();
  for (const auto& route : plan.egress.lan) {
    if (!settings.far) {
      lan.push_back({{"name", route.name},
                     {"to", route.to},
                     {"methods", route.methods},
                     {"paths", route.paths},
                     {"tls", route.tls}});
      continue;
    }
    allow.push_back(lan_rule(route));
    relay.push_back(route.name);
  }
  for (const auto& secret : plan.secrets) {
    if (settings.tunnel) {
      secrets.push_back({{"name", secret.name},
                         {"relayed", true},
                         {"placeholder", secret.placeholder},
                         {"hosts", secret.hosts},
                         {"header", secret.header},
                         {"in", secret.in},
                         {"beside", secret.beside}});
      for (const auto& host : secret.hosts) relay.push_back(host);
      continue;
    }
    auto value = settings.secrets.find(secret.name);
    if (value == settings.secrets.end()) continue;
    secrets.push_back({{"name", secret.name},
                       {"value", value->second},
                       {"placeholder", secret.placeholder},
                       {"hosts", secret.hosts},
                       {"header", secret.header},
                       {"in", secret.in},
                       {"beside", secret.beside}});
  }
  if (settings.relay_all) relay = json::array({"*"});
  json ssh = json::array();
  for (const auto& host : plan.ssh)
    ssh.push_back({{"host", host.hostname.empty() ? host.host : host.hostname},
                   {"port", host.port},
                   {"key", host.known_host_key}});
  return {{"listen", json::array({settings.guard_ip + ":3128"})},
          {"dns", settings.guard_ip + ":53"},
          {"names", {{"guard", settings.guard_ip}}},
          {"egress",
           {{"allow", allow},
            {"lan", lan},
            {"on_secret", plan.egress.on_secret},
            {"hosts", plan.egress.hosts},
            {"parent_proxy", plan.egress.parent_proxy},
            {"extra_ca", settings.extra_ca},
            {"resolver", plan.egress.resolver.empty() ? "127.0.0.11:53" : plan.egress.resolver}}},
          {"ca_bundle", settings.ca_bundle},
          {"secrets", secrets},
          {"host_networks", texts_of(settings.host_networks)},
          {"models", plan::model_hosts(plan)},
          {"relay", relay},
          {"ssh", ssh}};
}

}  // namespace bottle::session
