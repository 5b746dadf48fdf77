// Applies the policy of a session as its guard would, without a session.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/error.h"
#include "guard/core/judge.h"
#include "manifest/manifest.h"
#include "plan/plan.h"
#include "wire/guard/decision.h"

namespace bottle::app {

// Says where the policy comes from: an agent of the manifest, or the file of a guard that runs alone.
struct PolicySource {
  std::string agent, config;
};

// Says what a guard does with a connection: refuses it, passes it on to an ssh host that the policy names, inspects it,
// or passes it on as a blind tunnel. A `plain` request uses http://.
enum class Way : uint8_t { refused, ssh, inspected, blind, plain };
// Returns the word for a way in the output of `bottle egress test`.
std::string word_of(Way way);

// Holds a compiled policy. Its functions are pure after load().
class CandidatePolicy {
 public:
  // Fails if neither or both are named, and the manifest has more than one agent. Uses no network and asks no
  // questions.
  static Result<CandidatePolicy> load(const PolicySource& source);
  // Compiles the policy of a plan.
  static Result<CandidatePolicy> of(const plan::Plan& plan);
  static Result<CandidatePolicy> make(const manifest::Egress& egress, const wire::GuardConfig& config);

  // Describes what a guard would decide about one request or tunnel.
  struct Verdict {
    bool allowed = false;
    std::string code, reason;
    Way way = Way::refused;
    std::string rule;  // the rule that allows it or comes closest, as the manifest has it; empty if there is none
    std::string preset;
    bool judges_requests = false;  // for a tunnel: whether the rules name methods or paths for the requests in it
  };
  // Judges a request for `url`, such as "https://host[:port]/path?query" or "http://…". Fails with Code::invalid for
  // any other text.
  Result<Verdict> judge(const std::string& method, const std::string& url) const;

  // Says how a recorded decision would change under this policy. Decisions that do not follow from the rules do not
  // change.
  enum class Change : uint8_t { none, refused, allowed, unjudged };
  struct Replayed {
    Change change = Change::none;
    Verdict verdict;
  };
  // Judges a decision of a record, which a remote machine may have written.
  Replayed replay(const wire::Decision& decision) const;

 private:
  Verdict verdict_of(const policy::Decision& decision, Way way) const;
  policy::Decision unless_name_carries(policy::Decision decision, const policy::Host& host, uint16_t port) const;
  Verdict judge_connect(const policy::Host& host, uint16_t port) const;
  Verdict judge_request(const policy::Host& host, uint16_t port, bool tls, std::string_view method,
                        std::string_view target) const;

  manifest::Egress egress_;
  std::shared_ptr<guard::Config> config_;
};

// Fails if the guard would refuse the policy, which a session finds out only after its containers are made, or if other
// users can change a skill.
Result<> check_plan(const plan::Plan& plan);

}  // namespace bottle::app
