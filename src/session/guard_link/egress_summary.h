// What a session reached and was refused, counted from the audit, with the rule that would have allowed it.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "manifest/manifest.h"
#include "session/console/clients.h"
#include "wire/decision.h"
#include "wire/result.h"

namespace bottle::session {

class EgressSummary {
 public:
  // A line of the audit. A refusal that is new is told to the clients, and so is a secret on its way to the model.
  // Bounded: the agent chooses the names.
  void add(const wire::Decision& decision, Clients& clients);

  // The hosts that were refused, or, of very many, those that were refused most often. With the rule that would have
  // allowed each, where a rule of egress.allow is what was missing.
  std::vector<wire::DeniedHost> denied() const;

  // Secrets that were on their way to the model, by what became of them.
  std::vector<wire::SecretNotice> secrets() const;

  // For record mode: rules for the hosts that were reached and that `rules`, but for a final "*", do not cover.
  std::vector<std::string> recorded(const std::vector<manifest::AllowRule>& rules) const;

 private:
  struct Denied {
    uint64_t count = 0;
    std::string allow;
  };
  std::map<std::pair<std::string, std::string>, Denied> denied_;  // host[:port], code
  std::set<std::string> reached_;
  std::map<std::pair<std::string, std::string>, std::string> secrets_;  // name, code → host
};

}  // namespace bottle::session
