// This name server answers for the names of the bottle and forwards nothing, so that no query can carry data out. It
// also answers over TCP, for resolvers that use only that.
//
// A client over TCP has ten seconds, and 64 clients may be connected: the service needs little, and the agent must not
// be able to use up the guard's descriptors with it.
#include "guard/dns_server.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/os/descriptors.h"
#include "guard/net/socket_address.h"
#include "guard/net/stream.h"
#include "guard/net/task.h"
#include "guard/protocol/dns.h"
#include "wire/gate/gate.h"

namespace bottle::guard {

Result<UniqueFd> open_listener(const policy::Endpoint& at, int type) {
  SocketAddress address(at);
  UniqueFd fd = open_socket(address.family(), type, Waits::no);
  if (!fd) return fail_errno("opening a socket for " + to_string(at));
  int one = 1;
  setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (type == SOCK_STREAM) {
    bound_buffers(fd.get());
    // Accepted sockets inherit this. Accepting is deferred until the request has arrived, so that the first read finds
    // it and a silent client costs nothing.
    setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    defer_accepting(fd.get());
  }
  if (::bind(fd.get(), address.get(), address.size()) != 0) return fail_errno("binding " + to_string(at));
  if (type == SOCK_STREAM && ::listen(fd.get(), 1024) != 0) return fail_errno("listening on " + to_string(at));
  return fd;
}

bool is_full(int error) { return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM; }

Result<DnsServer::Sockets> DnsServer::open_new(const policy::Endpoint& at) const {
  Sockets sockets;
  if (at_ == at) return sockets;
  sockets.udp = TRY(open_listener(at, SOCK_DGRAM));
  sockets.tcp = TRY(open_listener(at, SOCK_STREAM));
  return sockets;
}

void DnsServer::listen_on(const policy::Endpoint& at, Sockets sockets) {
  if (!sockets.udp) return;
  udp_.open(sockets.udp.release(), nullptr);
  tcp_.open(sockets.tcp.release(), nullptr);
  udp_.on_event = [this](uint32_t) { read_udp(); };
  tcp_.on_event = [this](uint32_t) { accept_tcp(); };
  udp_.watch();
  tcp_.watch();
  at_ = at;
  pause_until_ = 0;
}

int DnsServer::turn() {
  if (pause_until_ == 0) return -1;
  if (int64_t left = pause_until_ - context_.loop.now(); left > 0) return static_cast<int>(left);
  pause_until_ = 0;
  context_.loop.events().watch(tcp_.fd(), &tcp_, EventQueue::kIn);
  return -1;
}

const policy::Address* DnsServer::address_of(const std::string& name) const {
  if (name.ends_with(wire::kProbeDomain)) return &at_->address;
  auto found = context_.config->names.find(name);
  return found == context_.config->names.end() ? nullptr : &found->second;
}

std::string DnsServer::answer(std::string_view bytes) {
  DnsQuery query;
  // Anything else gets no answer, not even an error, because answering a forged response could start a loop between
  // two servers.
  if (parse_dns_query(bytes, query) != Parse::ok) return {};
  const policy::Address* address = address_of(query.name);
  if (!address) {
    // The guard forwards no query, so a name cannot carry a secret out. But it could carry one into the record.
    std::string name = context_.config->recordable(query.name), id = context_.new_id();
    context_.audit.write({.id = id,
                          .action = Action::deny,
                          .kind = Kind::dns,
                          .host = name,
                          .code = "nxdomain",
                          .reason = "this is not a name of the bottle"});
  }
  return dns_answer(bytes, query, address);
}

void DnsServer::read_udp() {
  // The rest of the queue waits for the next turn, so that a flood of queries does not stop everything else.
  for (int i = 0; i < 64; ++i) {
    sockaddr_storage from;
    socklen_t size = sizeof from;
    ssize_t n = recvfrom(udp_.fd(), scratch, 4096, 0, reinterpret_cast<sockaddr*>(&from), &size);
    if (n < 0) return;
    std::string reply = answer({scratch, static_cast<size_t>(n)});
    if (!reply.empty())
      sendto(udp_.fd(), reply.data(), reply.size(), MSG_NOSIGNAL, reinterpret_cast<sockaddr*>(&from), size);
  }
}

Detached serve_dns(DnsServer& server, int fd) {
  ++server.clients_;
  {
    Waker waker(server.context_.loop);
    Stream stream;
    stream.source = std::make_unique<Source>();
    stream.source->open(fd, &waker);
    stream.source->watch();
    int64_t deadline = server.context_.loop.now() + 10 * 1000;
    auto turn = DnsTurn::waits;
    auto answer = [&](std::string_view query) { return server.answer(query); };
    while ((!stream.eof || turn == DnsTurn::more || !stream.flushed()) && !stream.failed &&
           server.context_.loop.now() < deadline) {
      // A client that reads no answers gets no more of them.
      bool reads = stream.unsent() < 4096, progress = reads && turn == DnsTurn::waits && stream.fill();
      if (reads) turn = answer_dns_queries(stream.in, stream.out, answer);
      stream.failed |= turn == DnsTurn::refused;
      progress |= (reads && turn == DnsTurn::more) | stream.flush();
      if (progress) waker.wake();  // lets the others have their turn
      co_await waker.wait(deadline);
    }
  }
  --server.clients_;
}

void DnsServer::accept_tcp() {
  while (true) {
    UniqueFd fd = accept_connection(tcp_.fd(), Waits::no);
    if (!fd && is_full(errno)) {
      pause_until_ = context_.loop.now() + kAcceptPause;
      context_.loop.events().watch(tcp_.fd(), &tcp_, 0u);
    }
    if (!fd) return;
    if (clients_ < 64) serve_dns(*this, fd.release());
  }
}

}  // namespace bottle::guard
