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
  bool tls = false;            // requests come in TLS that we ended
  policy::Host upstream_host;  // whom `upstream` is connected to
  uint16_t upstream_port = 0;

  // Takes the rules that hold now. What is connected by the old ones is not used again.
  void refresh();
  int64_t now() const { return context.loop.now(); }
  // Until an event or `deadline`.
  Waker::Wait wait(int64_t deadline);
  // Lets the others have their turn, and what was recorded be written.
  Waker::Wait turn();
  void audit(std::string_view action, std::string_view kind, std::string_view code, std::string_view reason,
             std::string_view method = {}, std::string_view path = {}, bool totals = false);
  // Queues a small answer of our own. Codes other than 403 are failures rather than decisions.
  void answer(int status, std::string_view code, bool close);
};

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

// exchange.cc: requests on an established client stream until it ends. `plain`: absolute-form http requests.
Task<bool> serve_requests(Connection& connection);

// Writes what is queued, ends the client's stream, and reads on for a moment so that the answer is not lost to a reset.
Task<bool> finish(Connection& connection);

}  // namespace bottle::guard
