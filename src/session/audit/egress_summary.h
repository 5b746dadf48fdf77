// Summarizes the audit: what a session reached, what it was refused, and which rule would have allowed each refused
// request.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "manifest/manifest.h"
#include "session/console/clients.h"
#include "wire/guard/decision.h"
#include "wire/result.h"

namespace bottle::session {

// Summarizes a running session. watch() feeds it and puts its lists into the session's result.
class EgressSummary {
 public:
  // Adds a line of the audit. Tells the clients about a refusal that is new, about a secret that was on its way to
  // the model, and about an answer that gives orders to the agent. Memory is bounded, because the agent chooses the
  // names.
  void add(const wire::Decision& decision, Clients& clients);

  // Returns the hosts that were refused. If there are too many, returns those that were refused most often; the number
  // of such a host may then be too low. Each has the rule of egress.allow that would have allowed it, if such a rule
  // was missing.
  std::vector<wire::DeniedHost> denied() const;

  // Returns the secrets that were on their way to the model, and what happened to each.
  std::vector<wire::SecretNotice> secrets() const;

  // Returns rules, for record mode, for the hosts that were reached and that `rules`, without a final "*", does not
  // cover.
  std::vector<std::string> recorded(const std::vector<manifest::AllowRule>& rules) const;

 private:
  struct Denied {
    uint64_t rank = 0;      // never less than how often it was refused
    uint64_t too_high = 0;  // how much `rank` may exceed that
    std::string allow;
  };
  using DeniedKey = std::pair<std::string, std::string>;  // host[:port] and code
  Denied& denied_entry(const DeniedKey& key);
  std::map<DeniedKey, Denied> denied_;
  std::set<std::string> reached_;
  size_t injections_ = 0;                                               // number of answers that were reported
  std::map<std::pair<std::string, std::string>, std::string> secrets_;  // from name and code to host
};

}  // namespace bottle::session
