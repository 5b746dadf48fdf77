// Judges another machine, for `bottle remote check` and before a secret is sent to it. Each finding has a
// code.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/finding.h"
#include "session/box/host_routes.h"
#include "wire/start/hello.h"

namespace bottle::remote {

using session::HostRoute;

// Returns what the hello of a machine says about whether sessions work there. `now_ms` is this machine's clock.
std::vector<Finding> judge_fitness(const wire::Hello& hello, const std::string& name, int64_t now_ms);
// Returns how the machine may lead back to the operator's network, by its hello. With --allow-vpn, the operator accepts
// that. `local_routes` are the networks that this machine is in.
std::vector<Finding> judge_ways_back(const wire::Hello& hello, const std::string& name,
                                     const Result<std::vector<HostRoute>>& local_routes);
// Returns both, with this machine's own routes and clock.
std::vector<Finding> remote_findings(const wire::Hello& hello, const std::string& name);

// Checks whether a session may run on the machine. Fails with Code::denied if the machine may lead back to the operator
// (unless `allow_vpn`), and with Code::unavailable for everything else that would fail.
Result<> admit(const wire::Hello& hello, const std::string& name, bool allow_vpn);

}  // namespace bottle::remote
