// "Allow this" while the agent works: the running guard gets a new configuration, which holds from the next request on.
#pragma once

#include <deque>
#include <functional>
#include <string>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "wire/event.h"
#include "wire/request.h"

namespace bottle::session {

// The `allow` list of a guard's configuration after a request: `allow` adds a rule (and takes back a denial of the same
// pattern), `deny` removes the rules of that pattern and forbids what it matches. Pure. Code::invalid for what the
// guard would not take.
Result<nlohmann::json> changed_rules(nlohmann::json allow, const wire::PolicyChange& change);

class LivePolicy {
 public:
  using Tell = std::function<void(const wire::Event& event)>;
  using Send = std::function<Result<>(const nlohmann::json& configure)>;

  // `message` is the `configure` that the next guard would get too; both callbacks outlive this.
  LivePolicy(nlohmann::json& message, Send send, Tell tell)
      : message_(message), send_(std::move(send)), tell_(std::move(tell)) {}

  // A request of an operator's. What becomes of it is told to everyone as PolicyChanged.
  void request(const wire::PolicyChange& change);

  // Another near side has come, whose broker has a root of its own (PEM; empty or known: nothing changes). Also where
  // the guard is dead: for the next.
  void trust(const std::string& root);

  // Why nothing more may be let through, since it could not be recorded, or empty. Where the guard was told otherwise
  // it is told, and everyone hears RecordFull or RecordBack. Also where the guard is
  // dead: for the next. To be called often: a change that the guard refuses takes back what came after it.
  void set_unrecorded(const std::string& why);

  // Tells the guard about its machine's networks (texts_of()), if they have changed. If the guard is dead, the next one
  // gets them. To be called often.
  void set_host_networks(const nlohmann::json& networks);

  // The guard's answers, in the order of the requests.
  void accepted();
  bool refused(const std::string& what);  // false: no operator asked for it
  void guard_is_gone();

 private:
  struct Change {
    std::string id, what;  // what: empty where nobody asked
    nlohmann::json before;
  };
  void tell(const std::string& id, bool ok, const std::string& what) { tell_(wire::PolicyChanged{id, ok, what}); }

  nlohmann::json& message_;
  Send send_;
  Tell tell_;
  std::deque<Change> pending_;
};

}  // namespace bottle::session
