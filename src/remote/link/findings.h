// Judges another machine, for `bottle remote check` and before a secret is sent to it.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/finding.h"
#include "session/box/host_routes.h"
#include "wire/start/hello.h"

namespace bottle::remote {

using session::HostRoute;

// Returns whether sessions can work on a machine, according to its hello. `now_ms` is this machine's clock.
std::vector<Finding> judge_fitness(const wire::Hello& hello, const std::string& name, int64_t now_ms);
// Returns how the machine may lead back to the operator's network, according to its hello. The operator can accept
// these findings with --allow-vpn. `local_routes` are the routes to the networks that this machine is in.
std::vector<Finding> judge_ways_back(const wire::Hello& hello, const std::string& name,
                                     const Result<std::vector<HostRoute>>& local_routes);
// Returns the findings of both, with this machine's own routes and clock.
std::vector<Finding> remote_findings(const wire::Hello& hello, const std::string& name);

// Checks whether a session may run on the machine. Fails with Code::denied if the machine may lead back to the operator
// (unless `allow_vpn`), and with Code::unavailable if a session would fail on it for any other reason.
Result<> admit(const wire::Hello& hello, const std::string& name, bool allow_vpn);

}  // namespace bottle::remote
