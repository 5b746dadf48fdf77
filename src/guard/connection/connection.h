// Defines what the code that serves one client shares: its streams, its destination and its audit lines.
#pragma once

#include <cstdint>
#include <string>

#include "guard/core/client_error.h"
#include "guard/core/context.h"
#include "guard/core/dialer.h"
#include "guard/net/stream.h"
#include "guard/net/task.h"

namespace bottle::guard {

class Upstreams;

// Says what an answer of the guard tells the client about the connection.
enum class After : uint8_t { close, keep };

// Holds the state of one client. It lives in the frame of the coroutine that serves the client, as long as the client
// is connected. For HTTP/2, each stream has one.
struct Connection {
  Connection(Context& shared, int fd);
  // The source must be opened with this connection's Waker.
  Connection(Context& shared, std::unique_ptr<Source> source);
  ~Connection();

  Context& context;
  std::shared_ptr<const Config> config;
  Waker waker{context.loop};
  Stream client, upstream;  // declared after `waker`, because their Sources point to it
  std::string id;

  // The destination of requests. CONNECT sets it, and so does each absolute-form request.
  policy::Host host;
  uint16_t port = 0;
  bool tunneled = false;  // a CONNECT came first: requests go to its host, in origin form
  bool tls = false;       // the requests come in TLS that the guard terminates
  // Says where `upstream` leads.
  struct Reached {
    policy::Host host;
    uint16_t port = 0;
    bool used = false;            // it has already carried a request
    bool through_parent = false;  // it is a tunnel through a parent proxy
  } reached;
  // The path of the current request with asterisks in place of credentials, if it contains any. The audit shows this.
  std::string masked_path;
  std::shared_ptr<Upstreams> upstreams;  // provides `upstream` if requests share connections to the host

  // Adopts the current rules. Connections made under the old rules are not reused.
  void refresh();
  int64_t now() const { return context.loop.now(); }
  // Waits for an event, or until `deadline`.
  Waker::Wait wait(int64_t deadline);
  // Lets other connections run, and lets the audit lines be written.
  Waker::Wait turn();
  // Records a decision about this connection or its current request. Fills in the id, the host, the port and the byte
  // counts of `line`, and overwrites the values of secrets in its texts. The texts need to live only during the call.
  void audit(AuditLine line);
  // Records an error in a connection or request of this kind.
  void audit(Kind kind, const ClientError& error);
  // Queues a small answer from the guard itself.
  void answer(int status, std::string_view code, After after);
};

// Returns a small answer from the guard itself. The code is in the reason phrase, because many programs print nothing
// else.
std::string answer_of_guard(int status, std::string_view code, std::string_view id, After after);

// Tells the operator about a server that asks for something that only the agent could present.
inline constexpr std::string_view kAsksForCertificate =
    "; the server asks for a client certificate, which the agent can send only through a blind tunnel (use a rule "
    "without inspect, methods and paths, and bind no secret to this host)";

// Traffic waits for the record, and stops when the record stops, because without a record, the operator could not see
// what the guard let through.
//
// Waits while the reader of the record does not keep up. Call it before reading more from a client. Returns false if
// the client left.
Task<bool> room_in_record(Connection& connection);
// Waits until the kernel has all audit lines so far. Call it before sending anything upstream. They then outlive this
// process. Returns false if they cannot be written or the client left.
Task<bool> recorded(Connection& connection);
// Returns why nothing more may be let through, because it could not be recorded. Returns an empty string if recording
// works.
std::string_view cannot_record(const Connection& connection);

// Writes what is queued and ends the client's stream. Then reads for a moment longer, so that no reset discards the
// answer.
Task<void> finish(Connection& connection);

// Records the error, answers with it, and finishes the connection.
Task<void> refuse(Connection& connection, Kind kind, ClientError error);

}  // namespace bottle::guard
