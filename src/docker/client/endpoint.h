// Finds the engine that the operator uses.
#pragma once

#include <map>
#include <string>

#include "base/error.h"
#include "docker/engine.h"

namespace bottle::docker {

// Chooses DOCKER_HOST, or else the current Docker context, or else the first of Docker's usual sockets (of root,
// rootless, Desktop) that accepts a connection. If none does, chooses one that exists, so that connect() can say what
// is wrong. Fails with Code::unavailable if there is none; the message says so if there is only Podman.
Result<Endpoint> find_endpoint(const std::map<std::string, std::string>& environment);

}  // namespace bottle::docker
