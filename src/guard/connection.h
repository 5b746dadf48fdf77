// One client: from its first byte to its end. CONNECT (blind, inspected, SSH), plain http:// requests, the health
// answer.
#pragma once

#include <string>

#include "guard/core/context.h"
#include "guard/core/dialer.h"
#include "guard/core/stream.h"
#include "guard/core/task.h"

namespace bottle::guard {

struct Connection {
  Connection(Context& shared, int fd);
  ~Connection();

  Context& context;
  std::shared_ptr<const Config> config;
  Waker waker{context.loop};
  Stream client, upstream;  // after waker: their Sources point to it
  std::string id;

  // Where requests go: set by CONNECT, or by each absolute-form request.
  policy::Host host;
  uint16_t port = 0;
  bool tunneled = false;       // a CONNECT came first: requests are for its host, in origin form
  bool tls = false;            // and come in TLS that we ended
  policy::Host upstream_host;  // whom `upstream` is connected to
  uint16_t upstream_port = 0;
  bool upstream_used = false;   // it has had a request already
  bool through_parent = false;  // it is a tunnel through a parent proxy

  // Takes the rules that hold now. What is connected by the old ones is not used again.
  void refresh();
  int64_t now() const { return context.loop.now(); }
  // Until an event or `deadline`.
  Waker::Wait wait(int64_t deadline);
  // Lets the others have their turn, and what was recorded be written.
  Waker::Wait turn();
  void audit(std::string_view action, std::string_view kind, std::string_view code, std::string_view reason,
             std::string_view method = {}, std::string_view path = {}, bool totals = false);
  // Queues a small answer of our own, with the code in the reason phrase: many programs print nothing else. Statuses
  // other than 400 and 403 are failures rather than decisions.
  void answer(int status, std::string_view code, bool close);
};

// What to tell the operator of a server that wants what only the agent could show.
inline constexpr std::string_view kAsksForCertificate =
    "; it asks for a client certificate, which only a client in a blind tunnel can show (a rule without inspect, "
    "methods "
    "and paths, and no secret for this host)";

// The record is what makes the guard's word worth something, so traffic waits for it, and stops with it.
//
// Before a client is asked for more: waits while the reader of the record does not keep up. False: the client left.
Task<bool> room_in_record(Connection& connection);
// Before anything is sent upstream: waits until what was decided so far is with the kernel, where it outlives this
// process. False: it cannot be written, or the client left.
Task<bool> recorded(Connection& connection);
// Why nothing more may be let through, since it could not be recorded. Empty: it can.
std::string_view cannot_record(const Connection& connection);

// Serves an accepted socket; owns it and frees itself.
Detached serve(Context& context, int fd);

// connect.cc: a CONNECT to `target`, whose head has been taken off the client's stream. `named_alike`: Host names the
// same host. TLS in the tunnel is passed or inspected, HTTP is served as http:// requests are.
Task<bool> serve_connect(Connection& connection, std::string target, bool named_alike);

// requests.cc: requests on an established client stream until it ends.
Task<bool> serve_requests(Connection& connection);

// Writes what is queued, ends the client's stream, and reads on for a moment so that the answer is not lost to a reset.
Task<bool> finish(Connection& connection);

}  // namespace bottle::guard
