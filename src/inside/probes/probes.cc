// Each probe tries, from where the agent will run, something that must fail, and passes only if it failed in the
// right way. A probe that could not try counts as failed, because it proves nothing. The hard part is silence: a
// packet that gets no answer looks like one whose answer is late. Fixed waits would have to be long, so class Silence
// uses the guard's answers to decide how long is enough. The groups of probes run at the same time, so all waits
// together take about as long as the longest one.

#include "inside/probes/probes.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <sched.h>
#include <sys/klog.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <sstream>
#include <system_error>
#include <thread>

#include "base/files/file.h"
#include "base/ids.h"
#include "base/text/words.h"
#include "inside/probes/calls.h"
#include "inside/probes/exchange.h"
#include "inside/probes/routes.h"

namespace bottle::inside {
namespace {

using std::chrono::milliseconds;

// How long to wait for each kind of answer, in milliseconds. The times are generous: a neighbor on a local bridge
// answers ARP, and the host answers a SYN, within the sender's own system call. Only the guard's answers shorten them
// (Silence).
constexpr int kNeighborWait = 50, kConnectWait = 120, kDnsWait = 250;
constexpr int kMargin = 5;
// The guard does answer a forbidden CONNECT, on a busy machine only after seconds.
constexpr int kConnectDenyWait = 10000;

sockaddr_in endpoint(in_addr address, uint16_t port) {
  sockaddr_in out{};
  out.sin_family = AF_INET;
  out.sin_port = htons(port);
  out.sin_addr = address;
  return out;
}

std::string text_of(in_addr address) {
  char text[INET_ADDRSTRLEN] = "";
  ::inet_ntop(AF_INET, &address, text, sizeof text);
  return text;
}

// Asks until the guard answers, because its container may have started a moment later than this one.
Probe guard_answers(const Surroundings& w, Deadline deadline) {
  std::string last = "it was not tried";
  do {
    auto status = http_status(w.guard, "GET / HTTP/1.0\r\n\r\n", std::min(deadline, Deadline::in_ms(3000)));
    if (status && *status == 200) return {"guard", true, "answers at " + to_string(w.guard)};
    last = status ? "answered with status " + std::to_string(*status) : status.error().what;
    std::this_thread::sleep_for(milliseconds(5));
  } while (!deadline.is_over());
  return {"guard", false, "the guard at " + to_string(w.guard) + " does not answer: " + last};
}

// Asks for a host that no policy allows (RFC 6761 reserves `.invalid`). Only a refusal by the guard itself shows that
// it checks.
Probe forbidden_connect(const Surroundings& w) {
  auto status = http_status(
      w.guard, "CONNECT not-allowed.bottle.invalid:443 HTTP/1.1\r\nHost: not-allowed.bottle.invalid:443\r\n\r\n",
      Deadline::in_ms(kConnectDenyWait));
  if (!status)
    return {"forbidden_connect", false, "the guard did not answer a forbidden CONNECT: " + status.error().what};
  return {"forbidden_connect", *status == 403, "the guard answered " + std::to_string(*status)};
}

// Asks for a random name that only the guard answers.
Probe outside_dns(const Surroundings& w, const sockaddr_in& server, bool tcp) {
  std::string name = std::string("dns_") + (tcp ? "tcp" : "udp") + "_" + to_string(server);
  auto answer = ask_dns(server, random_hex(8) + std::string(wire::kProbeDomain), tcp, Deadline::in_ms(kDnsWait));
  if (!answer && answer.error().code == Code::protocol)
    return {name, false, "the answer is unreadable: " + answer.error().what};
  if (!answer) return {name, true, answer.error().what};
  return judge_dns(name, *answer, w.guard.sin_addr);
}

// Decides how long to wait until a missing answer means that nothing is there. Packets between neighbors of a bridge
// go in order through one queue of the sending CPU, so this thread stays on one CPU. Once the guard has answered two
// packets that were sent later, everything sent earlier has been answered or never will be. A margin is added to
// that. Without the guard's answers, the whole time is waited.
class Silence {
 public:
  explicit Silence(const Surroundings& w) : guard_(w.guard) {
    cpu_set_t one;
    CPU_ZERO(&one);
    int cpu = ::sched_getcpu();
    if (cpu < 0 || cpu >= CPU_SETSIZE || w.gvisor) return;  // gVisor's network works differently
    CPU_SET(cpu, &one);
    // Without this, the thread could move, and its packets would take another queue.
    ordered_ = ::sched_setaffinity(0, sizeof one, &one) == 0;
  }

  void await(int most_ms) const {
    Deadline deadline = Deadline::in_ms(most_ms);
    if (ordered_ && answers(deadline) && answers(deadline)) deadline = std::min(deadline, Deadline::in_ms(kMargin));
    std::this_thread::sleep_for(milliseconds(deadline.ms_left()));
  }

 private:
  bool answers(Deadline deadline) const {
    // Each question is a new connection, whose first packet goes the same way as the packets of the probes.
    return has_answered(guard_, deadline);  // the kernel answers before the program does
  }

  sockaddr_in guard_;
  bool ordered_ = false;
};

// Tries the gateway first. Sends to an address behind the gateway only if the gateway's neighbor entry does not
// resolve, so that no probe ever leaves the bridge.
Probe unreachable(const Surroundings& w) {
  const char* name = "unreachable";
  Silence silence(w);
  UniqueFd poke(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!poke) return {name, false, "cannot create a socket to probe with"};
  // Port 9 discards. The packet only makes the kernel resolve the gateway's link-layer address.
  sockaddr_in discard = endpoint(w.gateway, 9);
  ::sendto(poke.get(), "", 1, MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&discard), sizeof discard);
  silence.await(kNeighborWait);
  auto state = neighbor(w.gateway);
  if (!state && !w.gvisor) return {name, false, "the kernel's neighbor table cannot be read: " + state.error().what};
  if (state && *state == Neighbor::resolved)
    return {name, false, "something answers at the gateway " + text_of(w.gateway)};

  // These addresses are for documentation (RFC 5737), so no machine on the internet has them. The ports below are
  // those of ssh, of a web server and of an engine's API.
  std::vector<sockaddr_in> targets = {*parse_address("198.51.100.1", 80), *parse_address("203.0.113.1", 53)};
  for (uint16_t port : {22, 80, 2375}) {
    targets.push_back(endpoint(w.gateway, port));
    for (in_addr host : w.hosts) targets.push_back(endpoint(host, port));
  }
  std::vector<UniqueFd> attempts;
  std::vector<int> errors;
  for (const auto& target : targets) {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return {name, false, "cannot create a socket to probe with"};
    // All connections are attempted at the same time, so the wait is the same for one and for all.
    int done = ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&target), sizeof target);
    errors.push_back(done == 0 || errno == EINPROGRESS ? 0 : errno);
    attempts.push_back(std::move(fd));
  }
  silence.await(kConnectWait);
  std::string reached;
  for (size_t i = 0; i < targets.size(); ++i) {
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    bool connected = ::getpeername(attempts[i].get(), reinterpret_cast<sockaddr*>(&peer), &size) == 0;
    int error = errors[i];
    size = sizeof error;
    if (!error && ::getsockopt(attempts[i].get(), SOL_SOCKET, SO_ERROR, &error, &size) !=
                      0)  // 0 while the connection is in progress
      return {name, false, "the state of the connections cannot be read"};
    // A refusal is an answer too, so something is there.
    if (!connected && error != ECONNREFUSED && error != ECONNRESET) continue;
    reached += (reached.empty() ? "" : ", ") + to_string(targets[i]) + (connected ? "" : " (refused)");
  }
  if (!reached.empty()) return {name, false, "these answered: " + reached};
  if (state) {
    state = neighbor(w.gateway);  // the answer may have been slow
    if (!state || *state == Neighbor::resolved)
      return {name, false, "something answers at the gateway " + text_of(w.gateway) + ", late"};
  }
  return {name, true,
          std::to_string(targets.size()) + " connections to the gateway, the host and documentation addresses failed" +
              (state ? "; the gateway does not resolve" : "; this kernel has no neighbor table to read")};
}

// Asks the kernel for a route, and sends no packets.
Probe no_route(const Surroundings& w, const char* name, const char* address) {
  in_addr target{};
  ::inet_pton(AF_INET, address, &target);
  auto route = route_to(target);
  if (!route && w.gvisor)
    return {name, true, "this kernel does not answer route lookups; only the connections of 'unreachable' were tried"};
  if (!route) return {name, false, "the route lookup failed: " + route.error().what};
  if (!route->exists) return {name, true, "no route"};
  // The kernel would look for the address on the link, where a neighbor might answer for it (proxy ARP).
  if (!route->gateway) return {name, false, std::string(address) + " counts as directly connected"};
  // A default route may exist. It must lead to the address at which no machine answers, which `unreachable` tests.
  return {name, route->gateway->s_addr == w.gateway.s_addr, "through " + text_of(*route->gateway)};
}

// Expects loopback and one interface. A second interface would be a second way out. Loopback does not count, because
// nothing but this container is behind it.
Probe interfaces() {
  ifaddrs* list = nullptr;
  if (::getifaddrs(&list) != 0) return {"interfaces", false, "the interfaces cannot be listed"};
  std::string legs;
  int count = 0;
  for (auto* i = list; i; i = i->ifa_next)
    // An interface without an IPv4 address leads nowhere, and judge_ipv6() looks at the others.
    if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET && !(i->ifa_flags & IFF_LOOPBACK)) {
      legs += (count++ ? ", " : "") + std::string(i->ifa_name) + " " +
              text_of(reinterpret_cast<sockaddr_in*>(i->ifa_addr)->sin_addr);
    }
  ::freeifaddrs(list);
  return {"interfaces", count == 1, count ? legs : "no network"};
}

// A mounted socket of an engine would give full control over the host.
Probe engine_socket() {
  for (const char* path :
       {"/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/run/podman/podman.sock"}) {
    struct stat st{};
    if (::stat(path, &st) == 0) return {"engine_socket", false, std::string(path) + " exists"};
  }
  return {"engine_socket", true, "none"};
}

// Returns the value of a line in /proc/self/status, such as "CapEff:\t0000000000000000".
std::string_view field(std::string_view status, std::string_view name) {
  std::string key = "\n" + std::string(name) + ":";
  size_t at = status.find(key);
  if (at == std::string_view::npos) return {};
  status.remove_prefix(at + key.size());
  status = status.substr(0, status.find('\n'));
  while (!status.empty() && (status.front() == ' ' || status.front() == '\t')) status.remove_prefix(1);
  return status;
}

// Runs all of `works` at the same time and waits for them. Returns false if the container may have no more threads; the
// rest of them was then not run.
bool run_together(const std::vector<std::function<void()>>& works) {
  std::vector<std::thread> threads;
  bool all = true;
  try {
    for (const auto& work : works) threads.emplace_back(work);
  } catch (const std::system_error&) {
    all = false;
  }
  for (auto& thread : threads) thread.join();
  return all;
}

// gVisor writes this into the log that dmesg(1) reads. On Linux, a container may not read the log at all.
bool kernel_says_gvisor() {
  char log[16384];
  int n = ::klogctl(3 /* SYSLOG_ACTION_READ_ALL */, log, sizeof log);
  return n > 0 && std::string_view(log, static_cast<size_t>(n)).find("Starting gVisor") != std::string_view::npos;
}

}  // namespace

// Every other server would say that the name does not exist: resolvers know that `.invalid` has no names (RFC 6761),
// and so does the public root. Data could then leave inside of names. An engine that passes no questions on from this
// network refuses, or says that it failed.
Probe judge_dns(const std::string& name, const DnsAnswer& answer, in_addr guard) {
  constexpr int kServerFailure = 2, kRefused = 5;
  if (answer.rcode == 0 && answer.address && answer.address->s_addr == guard.s_addr)
    return {name, true, "the guard answered"};
  std::string detail = "rcode " + std::to_string(answer.rcode) + ", " + std::to_string(answer.answers) + " answers";
  if (answer.from_public_root) return {name, false, detail + ", from the public root, so the question went outside"};
  if (answer.answers == 0 && (answer.rcode == kServerFailure || answer.rcode == kRefused)) return {name, true, detail};
  return {name, false, detail + ", but not from the guard, so another server got the question"};
}

// All five sets of capabilities must be empty, or an exec could bring one back.
Probe judge_privileges(std::string_view status, bool gvisor) {
  std::string wrong;
  auto complain = [&](const std::string& what) { wrong += (wrong.empty() ? "" : ", ") + what; };
  for (const char* name : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
    auto value = field(status, name);
    // gVisor's /proc does not have this line.
    bool absent = value.empty() && gvisor && (name == std::string_view("CapAmb"));
    if (!absent && (value.empty() || value.find_first_not_of('0') != std::string_view::npos))
      complain(std::string(name) + "=" + std::string(value));
  }
  auto privileges = field(status, "NoNewPrivs");
  bool no_new = privileges == "1" || (privileges.empty() && gvisor && ::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
  if (!no_new) complain("NoNewPrivs=" + std::string(privileges));
  auto seccomp = field(status, "Seccomp");
  // The value 2 means that a filter is installed (proc(5)).
  if (seccomp != "2" && !gvisor) complain("Seccomp=" + std::string(seccomp));
  if (!wrong.empty()) return {"privileges", false, wrong};
  return {"privileges", true, gvisor && seccomp != "2" ? "none; gVisor filters system calls itself" : "none"};
}

Probe judge_ipv6(std::string_view addresses, std::string_view routes) {
  for (std::string_view line : each_line(addresses))
    // Every address but ::1 is wrong, even a link-local one: a neighbor could be reached by it.
    if (!line.empty() && !line.starts_with("00000000000000000000000000000001 "))
      return {"ipv6", false, "it has an address: " + std::string(line)};
  for (std::string_view line : each_line(routes)) {
    // The kernel's own "unreachable default" route is on lo. The first fields are the destination and the length of its
    // prefix, 0 bits.
    bool by_default = line.starts_with("00000000000000000000000000000000 00 ");
    size_t last = line.find_last_not_of(" \t");
    if (by_default && (last == line.npos || !line.substr(0, last + 1).ends_with(" lo")))
      return {"ipv6", false, "it has a default route: " + std::string(line)};
  }
  return {"ipv6", true, "no address, no default route"};
}

Result<Surroundings> surroundings(const SurroundingsText& text) {
  Surroundings w;
  auto at = parse_endpoint(text.guard);
  if (!at) return fail(Code::invalid, "BOTTLE_GUARD is not ip:port");
  w.guard = *at;
  auto gate = parse_address(text.gateway, 0);
  if (!gate) return fail(Code::invalid, "BOTTLE_GATEWAY is not an address");
  w.gateway = gate->sin_addr;
  std::istringstream list(text.hosts);
  for (std::string item; std::getline(list, item, ',');) {
    if (item.empty()) continue;
    auto host = parse_address(item, 0);
    if (!host) return fail(Code::invalid, "BOTTLE_PROBE_HOSTS contains something that is not an address");
    w.hosts.push_back(host->sin_addr);
  }
  // Each address costs three sockets.
  if (w.hosts.size() > 32) return fail(Code::limit, "BOTTLE_PROBE_HOSTS is too long");
  // A runtime may have any name in the engine's configuration, so the kernel's own log counts too.
  w.gvisor = text.runtime == "runsc" || kernel_says_gvisor();
  return w;
}

// The guard may not serve yet when this function begins. Only the first group waits for it, and the other groups use
// the time.
std::vector<Probe> run_probes(const Surroundings& w, int guard_wait_ms) {
  sockaddr_in embedded = *parse_address("127.0.0.11", 53), guard_dns = endpoint(w.guard.sin_addr, 53);
  auto whole = [](const char* path) { return read_file(path).value_or(""); };
  Deadline guard_deadline = Deadline::in_ms(guard_wait_ms);
  bool threads_suffice_for_guard = true;
  std::vector<std::function<std::vector<Probe>()>> groups;
  // Probes that need the guard wait for it. Before it answers, a refused CONNECT or a refused name means nothing.
  groups.push_back([&] {
    Probe guard = guard_answers(w, guard_deadline);
    if (!guard.ok) return std::vector{guard};
    std::vector<Probe> out(6);
    out[0] = guard;
    threads_suffice_for_guard = run_together(
        {[&] { out[1] = forbidden_connect(w); }, [&] { out[2] = outside_dns(w, embedded, false); },
         [&] { out[3] = outside_dns(w, embedded, true); }, [&] { out[4] = outside_dns(w, guard_dns, false); },
         [&] { out[5] = outside_dns(w, guard_dns, true); }});
    std::erase_if(out, [](const Probe& probe) { return probe.name.empty(); });  // these were not run
    return out;
  });
  groups.push_back([&] { return std::vector{unreachable(w)}; });
  groups.push_back([&] { return try_forbidden_calls(w.gvisor); });
  groups.push_back([&] {
    auto status = read_file("/proc/self/status");
    return std::vector{no_route(w, "metadata", "169.254.169.254"),
                       no_route(w, "raw_address", "8.8.8.8"),
                       interfaces(),
                       engine_socket(),
                       judge_ipv6(whole("/proc/net/if_inet6"), whole("/proc/net/ipv6_route")),
                       judge_privileges(status.value_or(""), w.gvisor)};
  });
  std::vector<std::vector<Probe>> results(groups.size());
  // All groups start together, because most of their time is spent waiting.
  std::vector<std::function<void()>> works;
  for (size_t i = 0; i < groups.size(); ++i) works.emplace_back([&, i] { results[i] = groups[i](); });
  std::vector<Probe> out;
  if (!run_together(works) || !threads_suffice_for_guard)
    out.push_back({std::string(wire::kThreadsProbe), false,
                   "the container may not have the 10 processes and threads that the self-test needs at once"});
  for (auto& r : results) out.insert(out.end(), r.begin(), r.end());
  return out;
}

}  // namespace bottle::inside
