// The way to a session's supervisor, also where that has died and the session lives on another machine.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/directories.h"
#include "base/error.h"

namespace bottle::app {

struct JoinOptions {
  bool interactive = false;  // ssh may ask
  bool stop = false;         // the session is to end
  std::function<void(const std::string&)> say = [](const std::string&) {};
};

// A connection to the session's supervisor. A session on another machine whose supervisor here is dead gets a new one
// first, and with it what stays on this machine: secrets, ssh keys and services are found and asked for anew; those
// that cannot be had stay away, and `say` tells. Code::not_found: no such session, or nobody owns it and it was one of
// this machine.
Result<int> join(const std::string& session, const JoinOptions& options);

// Sessions on other machines whose supervisor here is dead; not those whose VM was still being made
// (app/place/rescue.h).
std::vector<std::string> unattended(const session::Directories& directories);

}  // namespace bottle::app
