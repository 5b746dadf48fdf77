// What speaks for and against another machine, by code: for `bottle remote check`, and before a secret goes there.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/finding.h"
#include "session/box/host_routes.h"
#include "wire/hello.h"

namespace bottle::remote {

using session::Finding, session::HostRoute;

// From a far side's hello. `local_routes`: the networks that this machine is in. `now_ms`: this machine's clock.
std::vector<Finding> judge(const wire::Hello& hello, const std::string& name,
                           const std::vector<HostRoute>& local_routes, int64_t now_ms);
// The same with this machine's own routes and clock.
std::vector<Finding> remote_findings(const wire::Hello& hello, const std::string& name);

// Whether a session may be there: Code::denied for a machine that may lead back to the operator (unless `allow_vpn`),
// Code::unavailable for what else would fail.
Result<> admit(const wire::Hello& hello, const std::string& name, bool allow_vpn);

}  // namespace bottle::remote
