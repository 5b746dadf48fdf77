// Changes the policy of a running session, and the operator's file.
#pragma once

#include <string>

#include "base/error.h"
#include "manifest/manifest.h"
#include "wire/request.h"

namespace bottle::app {

// Sends the request to the session's supervisor and waits for the guard's answer (at most 20 s). Returns a description
// of what happened.
Result<std::string> change_policy(const std::string& session, wire::PolicyChange change);

// Reads limits such as "requests=200", "bytes_up=10m", "cost=20" or "tokens=none", which removes one. Fails with
// Code::invalid.
Result<wire::LimitChange> limit_change(const std::vector<std::string>& words);

// Makes a rule from "example.org" or "example.org:8443" with methods and paths. Fails with Code::invalid if it is not a
// host pattern with an optional port.
Result<manifest::AllowRule> rule_from(const std::string& host, const std::vector<std::string>& methods,
                                      const std::vector<std::string>& paths);

// Returns what to do before rules can be saved for a bottle that is built in, or an empty string for one that a file
// defines. The built-in agents and their bottle exist only without a manifest.
std::string about_built_in(const std::string& bottle);

// Holds the path of one of the operator's files, and whether it was changed. It is unchanged if it already says the
// same.
struct Saved {
  std::string path;
  bool changed = false;
};

// Writes the rule into the bottle's egress.allow, in the operator's file that defines the bottle. The `todo` of an
// error says what to write by hand.
Result<Saved> save_rule(const std::string& bottle, const manifest::AllowRule& rule);

// Writes limits such as "requests=200" into the bottle's egress.limit, or with a host into `limit` of its rule, as
// save_rule() does. The words must be valid for limit_change() and remove no limit.
Result<Saved> save_limits(const std::string& bottle, const std::string& host, const std::vector<std::string>& words);

}  // namespace bottle::app
