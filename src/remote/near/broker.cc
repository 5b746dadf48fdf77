#include "remote/near/broker.h"

#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <set>

#include "base/file.h"
#include "session/box/images.h"
#include "session/guard_link/guard_link.h"

namespace bottle::remote {

using session::guard_config, session::guard_program, session::lan_rule;

namespace {

using nlohmann::json;

// Returns the narrower of two host patterns if one covers the other, or an empty string if neither does.
std::string narrower(const std::string& a, const std::string& b) {
  if (manifest::covers(a, b)) return b;
  return manifest::covers(b, a) ? a : "";
}

}  // namespace

json broker_config(const plan::Plan& plan, const BrokerSettings& settings) {
  json config = guard_config(plan, {.guard_ip = "127.0.0.1",
                                    .ca_bundle = settings.ca_bundle,
                                    .extra_ca = settings.extra_ca,
                                    .secrets = settings.secrets,
                                    .host_networks = settings.host_networks});
  std::set<std::string> bound;
  for (const auto& secret : plan.secrets)
    if (settings.secrets.contains(secret.name)) bound.insert(secret.hosts.begin(), secret.hosts.end());
  json allow = json::array(), hosts = json::object();
  if (settings.all) {
    allow = config["egress"]["allow"];
    hosts = config["egress"]["hosts"];
    bound.clear();
  }
  for (const auto& rule : plan.egress.allow)
    for (const auto& host : bound)
      if (std::string name = narrower(rule.host, host); !name.empty())
        allow.push_back({{"host", name},
                         {"ports", rule.ports},
                         {"methods", rule.methods},
                         {"paths", rule.paths},
                         {"inspect", true}});
  for (const auto& [name, to] : plan.egress.hosts)
    for (const auto& host : bound)
      if (manifest::covers(host, name)) hosts[name] = to;
  for (const auto& route : plan.egress.lan) {
    allow.push_back(lan_rule(route));
    hosts[route.name] = json::array({route.to});
  }
  config["egress"]["lan"] = json::array();
  config["listen"] = json::array();
  config["dns"] = "";
  config["names"] = json::object();
  if (!settings.all) config["ssh"] = json::array();
  config["egress"]["allow"] = allow;
  config["egress"]["hosts"] = hosts;
  config["egress"]["resolver"] = plan.egress.resolver;
  return config;
}

Result<std::unique_ptr<Broker>> Broker::start(const json& config, const pki::Root& root) {
  UniqueFd program(::memfd_create("guard", MFD_CLOEXEC));
  if (!program) return fail_errno("making a memory file");
  TRY(write_all(program.get(), guard_program()));
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("making a socket pair");
  UniqueFd ours(ends[0]), theirs(ends[1]);
  Command command;
  command.argv = {"/proc/self/fd/" + std::to_string(program.get()), "--connections-fd",
                  "2"};  // the guard gets connections over its stderr, which it does not use otherwise
  command.clean_env = true;
  Child child = TRY(Child::spawn(command, Child::pipe(), Child::pipe(), Child::from(theirs.get())));
  auto broker = std::unique_ptr<Broker>(new Broker(std::move(child), std::move(ours)));
  TRY(broker->configure(config));
  for (int turn = 0; turn < 100; ++turn) {
    pollfd p{broker->fd(), POLLIN, 0};
    if (::poll(&p, 1, 150) == 0) continue;
    for (const auto& line : TRY(broker->read())) {
      if (line.value("type", "") == "error")
        return fail(Code::invalid, "the broker refused its configuration: " + line.value("what", ""));
      if (line.value("type", "") != "ready") continue;
      TRY(write_all(broker->child_.in(),
                    json{{"type", "certificate"}, {"pem", TRY(root.certify(line.value("csr", "")))}}.dump() + "\n"));
      return broker;
    }
  }
  return fail(Code::timed_out, "the broker was not ready within 15 s");
}

Result<> Broker::configure(const json& config) {
  return write_all(
      child_.in(),
      json{{"type", "configure"}, {"config", config}}.dump(-1, ' ', false, json::error_handler_t::replace) + "\n");
}

Result<UniqueFd> Broker::connect() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0)
    return fail_errno("making a socket pair");
  UniqueFd ours(ends[0]), theirs(ends[1]);
  char byte = 0;
  iovec part{&byte, 1};
  alignas(cmsghdr) char ancillary[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = ancillary;
  message.msg_controllen = sizeof ancillary;
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof(int));
  int fd = theirs.get();
  ::memcpy(CMSG_DATA(head), &fd, sizeof fd);
  if (::sendmsg(hand_.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
    return fail_errno("passing a connection to the broker");
  return ours;
}

Result<std::vector<json>> Broker::read() {
  char buffer[65536];
  ssize_t n = ::read(fd(), buffer, sizeof buffer);
  if (n < 0 && (errno == EINTR || errno == EAGAIN)) return std::vector<json>{};
  if (n <= 0) return fail(Code::closed, "the broker exited");
  partial_.append(buffer, static_cast<size_t>(n));
  std::vector<json> lines;
  size_t start = 0;
  for (size_t end; (end = partial_.find('\n', start)) != std::string::npos; start = end + 1) {
    auto line = json::parse(partial_.begin() + static_cast<long>(start), partial_.begin() + static_cast<long>(end),
                            nullptr, false);
    if (line.is_object()) lines.push_back(std::move(line));
  }
  partial_.erase(0, start);
  return lines;
}

}  // namespace bottle::remote
