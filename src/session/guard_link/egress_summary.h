// What a session reached and was refused, counted from the audit, with the rule that would have allowed it.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "manifest/manifest.h"
#include "session/console/clients.h"

namespace bottle::session {

class EgressSummary {
 public:
  // A line of the audit. A refusal that is new is told to the clients, and so is a secret on its way to the model.
  // Bounded: the agent chooses the names.
  void add(const nlohmann::json& line, Clients& clients);

  // [{"host":"a.example.org:8443","code":…,"count":…,"allow":"{host: a.example.org, ports: [8443]}"}…]; "allow" only
  // where a rule of egress.allow is what was missing.
  nlohmann::json denied() const;

  // Secrets that were on their way to the model, by what became of them: [{"secret":…,"code":…,"host":…}…].
  nlohmann::json secrets() const;

  // For record mode: rules for the hosts that were reached and that `rules`, but for a final "*", do not cover.
  nlohmann::json recorded(const std::vector<manifest::AllowRule>& rules) const;

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
