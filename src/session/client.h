// The launcher's side of a session: shows what the supervisor sends, sends what the operator types.
#pragma once

#include <functional>
#include <string>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace bottle::session {

struct Ended {
  bool detached = false;    // the operator left; the session goes on
  int exit = 0;             // the agent's status
  nlohmann::json result;    // what came back, what was blocked, the receipt
};

struct ClientOptions {
  bool terminal = false;                                    // raw mode, resize, the detach key (Ctrl-P Ctrl-Q)
  bool forward_input = false;
  bool quiet = false;                                       // the agent's output is not for anyone
  std::function<void(const nlohmann::json& event)> on_event;
};

// Relays until the session ends or the operator detaches. Blocking. The terminal is restored on every way out.
// Code::closed if the supervisor died; the supervisor's own error if it refused.
Result<Ended> relay(int socket, const ClientOptions& options);

// The failure that a supervisor's frame tells of.
Error error_from(const std::string& bytes);

// Connects to a running session's supervisor.
Result<int> connect_to(const std::string& socket_path);

}  // namespace bottle::session
