// Manages the connections to one host that the requests of one client share, because the client or the server
// speaks HTTP/2. The client's tunnel owns the connections: all its requests go to the host of the CONNECT, and requests
// of other tunnels never use them.
#pragma once

#include <memory>
#include <optional>
#include <set>
#include <vector>

#include "guard/connection/connection.h"
#include "guard/core/client_error.h"
#include "guard/h2/session.h"

namespace bottle::guard {

// Says whether a request may use a connection of HTTP/1.1 that has carried others.
enum class Kept : uint8_t { usable, unusable };

// Owns the connections of one tunnel to its host. The requests of the tunnel share this object; it runs on the loop's
// thread. Each HTTP/2 connection runs in a separate coroutine, which ends by itself after close().
class Upstreams : public std::enable_shared_from_this<Upstreams> {
 public:
  explicit Upstreams(Context& context) : context_(context) {}
  ~Upstreams() { close(); }
  Upstreams(const Upstreams&) = delete;
  Upstreams& operator=(const Upstreams&) = delete;

  // Connects c.upstream, or returns why not: with a stream of an HTTP/2 connection if the server speaks HTTP/2,
  // otherwise with a separate connection. Sets c.reached.used if the connection has carried another request. A request
  // that must not be sent twice gets a new HTTP/1.1 connection, because the server may close a kept one at that moment,
  // and the guard cannot leave it to the client of a stream to decide about a retry.
  Task<std::optional<ClientError>> connect(Connection& c, Kept kept);
  // Takes c.upstream back after a request, if another request can use it.
  void give_back(Connection& c);
  // Ends all connections once the requests on them are done.
  void close();
  uint64_t received() const { return received_; }

 private:
  struct Shared;
  struct Idle {
    std::unique_ptr<Source> source;
    Ssl ssl;
  };
  // These are the steps of connect() and of the coroutines (upstreams.cc).
  static void record_fault(Context& context, const Shared& shared);
  static Detached carry(Context& context, std::shared_ptr<Shared> shared);
  static void use(Shared& shared, Connection& c);
  bool take_shared(Connection& c);
  bool take_idle(Connection& c);
  void share(Connection& c);
  void adopt_rules(const Connection& c);
  void drop_ended();
  void wake_waiting();

  Context& context_;
  std::vector<std::shared_ptr<Shared>> shared_;
  std::vector<Idle> idle_;
  std::shared_ptr<const Config> config_;  // the configuration under which the connections were made
  std::set<Waker*> waiting_;              // those that wait until a new connection shows what the server accepts
  bool dialing_ = false, http1_only_ = false, closed_ = false;
  uint64_t received_ = 0;  // bytes from the server
};

}  // namespace bottle::guard
