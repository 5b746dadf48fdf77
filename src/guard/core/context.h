// Defines what all connections of the process share.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/os/splice.h"
#include "guard/audit/audit.h"
#include "guard/budget/budget.h"
#include "guard/core/config.h"
#include "guard/core/near_side_streams.h"
#include "guard/net/loop.h"
#include "guard/net/resolver.h"
#include "guard/net/stream.h"
#include "guard/net/tls.h"
#include "scan/dns/dns_name.h"

namespace bottle::guard {

// Lends pipes for splice(2) while data is in flight. An empty pipe goes back to the pool; one that still holds bytes
// must be destroyed.
class PipePool {
 public:
  PipeEnds take();  // returns a pipe without descriptors if none are available, or if the system cannot splice
  // Keeps at most 16 idle pipes, and closes the rest.
  void give_back(PipeEnds pipe);

 private:
  std::vector<PipeEnds> idle_;
};

// Beyond these limits, new connections wait for a moment and are then refused with this code. Existing connections
// have the limits of their streams.
inline constexpr size_t kMaxConnections = 12288, kEnoughHeld = kMostHeld / 4 * 3, kEnoughTls = kMostTls / 8 * 7;
inline constexpr std::string_view kTooMany = "too_many_connections";

struct AgentCall;

// Holds the state of the process. The Server owns it, and everything that uses it runs on the loop's thread. Members
// are destroyed in reverse order, so members that use the loop come after it.
struct Context {
  Loop loop;
  Audit audit;
  Resolver resolver{loop};
  PipePool pipes;
  NearSideStreams near_side{loop, audit};
  std::shared_ptr<const Config> config;
  Budget budget;
  std::unique_ptr<SessionCa> ca;
  size_t connections = 0;
  size_t most_connections = kMaxConnections;  // less if the process may not have enough descriptors for so many
  std::set<Waker*> wakers;                    // of all connections, because new rules apply to them too
  uint32_t next_id = 0;
  std::map<uint32_t, AgentCall*> agent_calls;  // open connections to the session's ssh-agent
  uint32_t next_agent_call = 1, next_ssh_tunnel = 1;
  std::map<std::pair<std::string, std::string>, uint64_t> reported;  // how often; see is_news()
  scan::NameHistory names;                                           // the hosts that requests went to

  // Returns whether there is room for another connection.
  bool has_room() const {
    return connections < most_connections && held_by_streams() < kEnoughHeld && tls_connections() < kEnoughTls;
  }
  // Returns whether a line of the record with this code and subject, of a kind that need not repeat, was not written
  // yet. Forgets everything when it has seen very many, because the agent can cause any number of subjects, and then
  // must not be able to suppress others.
  bool is_news(std::string_view code, std::string subject);
  // Counts something that is recorded each time at first, and then each time that the number has doubled. Returns the
  // number if this one is to be recorded, and 0 otherwise. Forgets everything as is_news() does.
  uint64_t number_of_news(std::string_view code, std::string subject);
  // Returns an id for a connection or a decision, which appears in the record: 8 hexadecimal digits that count up.
  std::string new_id();
};

}  // namespace bottle::guard
