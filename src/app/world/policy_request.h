// Changes to a running session's policy, and to the operator's file.
#pragma once

#include <string>

#include "base/error.h"
#include "manifest/manifest.h"
#include "wire/request.h"

namespace bottle::app {

// Puts the request to the session's supervisor and waits for the guard's answer (20 s). What
// happened, in words.
Result<std::string> change_policy(const std::string& session, wire::PolicyChange change);

// "example.org" or "example.org:8443" with methods and paths. Code::invalid for what is no host pattern and port.
Result<manifest::AllowRule> rule_from(const std::string& host, const std::vector<std::string>& methods,
                                      const std::vector<std::string>& paths);

// Writes the rule into the bottle's egress.allow, in whichever of the operator's files defines it. That file's path.
// An error's `todo` is what to write by hand.
Result<std::string> save_rule(const std::string& bottle, const manifest::AllowRule& rule);

}  // namespace bottle::app
