// Speaks rtnetlink(7) by hand, because the helper is a static program without other libraries. The parsers copy the
// kernel's bytes into an aligned buffer and check every length, because the tests and the fuzzer call the same
// functions with arbitrary bytes.

#include "inside/probes/routes.h"

#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cstring>
#include <functional>

#include "base/unique_fd.h"

namespace bottle::inside {
namespace {

using Visit = std::function<void(const nlmsghdr*)>;

// Calls `visit` for every message of an answer, and returns whether this was the last answer. Skips a message that is
// too short for its type.
Result<bool> visit_answer(std::string_view bytes, size_t body, const Visit& visit) {
  alignas(nlmsghdr) char buffer[32768];
  if (bytes.size() > sizeof buffer) return fail(Code::limit, "netlink's answer is too long");
  bytes.copy(buffer, bytes.size());
  // The length is signed because NLMSG_NEXT also subtracts the padding, which the last message may lack.
  auto left = static_cast<int>(bytes.size());
  for (auto* h = reinterpret_cast<nlmsghdr*>(buffer);
       left >= static_cast<int>(sizeof *h) && NLMSG_OK(h, static_cast<unsigned>(left)); h = NLMSG_NEXT(h, left)) {
    // This message ends a list. An answer that is not a list has no such message.
    if (h->nlmsg_type == NLMSG_DONE) return true;
    if (h->nlmsg_type == NLMSG_ERROR) {
      if (h->nlmsg_len < NLMSG_LENGTH(sizeof(nlmsgerr))) return fail(Code::protocol, "netlink's error is truncated");
      // An error of 0 is an acknowledgment.
      int error = static_cast<nlmsgerr*>(NLMSG_DATA(h))->error;
      // The kernel's error numbers are between -4095 and -1.
      if (error > 0 || error < -4095) return fail(Code::protocol, "netlink's error has no number");
      if (error) return fail_errno("netlink", -error);
      return true;
    }
    if (h->nlmsg_len >= NLMSG_LENGTH(body)) visit(h);
  }
  return false;
}

// Sends one request and reads every answer to it. Linux answers within the call; the time limit is for kernels that do
// not.
Result<> ask(nlmsghdr* request, const std::function<Result<bool>(std::string_view)>& take) {
  UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd) return fail_errno("opening netlink");
  timeval limit{0, 200000};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  if (::send(fd.get(), request, request->nlmsg_len, 0) < 0) return fail_errno("asking netlink");
  for (;;) {
    char buffer[32768];
    ssize_t n = ::recv(fd.get(), buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("reading netlink");
    if (n == 0) return fail(Code::protocol, "netlink closed the socket");
    bool last = TRY(take({buffer, static_cast<size_t>(n)}));
    // A list may come in several messages, and ends with NLMSG_DONE.
    if (last || !(request->nlmsg_flags & NLM_F_DUMP)) return {};
  }
}

}  // namespace

Result<bool> read_neighbors(std::string_view answer, in_addr address, Neighbor& state) {
  return visit_answer(answer, sizeof(ndmsg), [&](const nlmsghdr* h) {
    if (h->nlmsg_type != RTM_NEWNEIGH) return;
    auto* body = static_cast<const ndmsg*>(NLMSG_DATA(h));
    auto left = static_cast<int>(h->nlmsg_len - NLMSG_LENGTH(sizeof *body));
    // Attributes follow the body at the next multiple of four bytes.
    auto* a = reinterpret_cast<const rtattr*>(reinterpret_cast<const char*>(body) + NLMSG_ALIGN(sizeof *body));
    for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
      if (a->rta_type != NDA_DST || RTA_PAYLOAD(a) != sizeof address ||
          std::memcmp(RTA_DATA(a), &address, sizeof address) != 0)
        continue;
      // These are all states in which the kernel has a link-layer address. Even an old one means that something
      // answered once.
      bool resolved = body->ndm_state & (NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP);
      // The table may have entries for several interfaces. One that is resolved is enough.
      if (resolved) state = Neighbor::resolved;
      else if (state == Neighbor::absent) state = Neighbor::unresolved;
    }
  });
}

Result<bool> read_route(std::string_view answer, Route& route) {
  return visit_answer(answer, sizeof(rtmsg), [&](const nlmsghdr* h) {
    if (h->nlmsg_type != RTM_NEWROUTE) return;
    auto* body = static_cast<const rtmsg*>(NLMSG_DATA(h));
    // Routes of these three types are in the table to say that packets cannot go there.
    route.exists =
        body->rtm_type != RTN_UNREACHABLE && body->rtm_type != RTN_BLACKHOLE && body->rtm_type != RTN_PROHIBIT;
    auto left = static_cast<int>(h->nlmsg_len - NLMSG_LENGTH(sizeof *body));
    auto* a = reinterpret_cast<const rtattr*>(reinterpret_cast<const char*>(body) + NLMSG_ALIGN(sizeof *body));
    for (; RTA_OK(a, left); a = RTA_NEXT(a, left)) {
      if (a->rta_type != RTA_GATEWAY || RTA_PAYLOAD(a) != sizeof(in_addr)) continue;
      in_addr gateway;
      std::memcpy(&gateway, RTA_DATA(a), sizeof gateway);
      route.gateway = gateway;
    }
  });
}

Result<Neighbor> neighbor(in_addr address) {
  struct {
    nlmsghdr header;
    ndmsg body;
  } request{};
  request.header = {sizeof request, RTM_GETNEIGH, NLM_F_REQUEST | NLM_F_DUMP, 1, 0};
  request.body.ndm_family = AF_INET;
  Neighbor state = Neighbor::absent;
  TRY(ask(&request.header, [&](std::string_view answer) { return read_neighbors(answer, address, state); }));
  return state;
}

Result<Route> route_to(in_addr address) {
  struct {
    nlmsghdr header;
    rtmsg body;
    rtattr attribute;
    in_addr address;
  } request{};
  request.header = {sizeof request, RTM_GETROUTE, NLM_F_REQUEST, 1, 0};
  request.body.rtm_family = AF_INET;
  // The route is for this one address.
  request.body.rtm_dst_len = 32;
  request.attribute = {RTA_LENGTH(sizeof address), RTA_DST};
  request.address = address;
  Route route;
  auto asked = ask(&request.header, [&](std::string_view answer) { return read_route(answer, route); });
  if (asked) return route;
  if (asked.error().code == Code::unavailable) return Route{};  // ENETUNREACH: this network has no way out
  return std::unexpected(std::move(asked.error()));
}

}  // namespace bottle::inside
