// The launcher's side of a session: shows what the supervisor sends, sends what the operator types.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"
#include "wire/event.h"
#include "wire/result.h"

namespace bottle::session {

struct Ended {
  bool detached = false;  // the operator left; the session goes on
  int exit = 0;           // the agent's status
  wire::SessionResult result;
};

// What carries keystrokes and the screen instead of the socket's frames: mosh.
class Typing {
 public:
  virtual ~Typing() = default;  // gives the terminal back as it was
  virtual int fd() const = 0;   // a terminal's other end: what is typed goes in, the screen comes out, and it ends
  virtual void resize(int rows, int cols) = 0;
};

struct ClientOptions {
  bool terminal = false;  // raw mode, resize, the detach key (Ctrl-P Ctrl-Q)
  bool forward_input = false;
  bool quiet = false;  // the agent's output is not for anyone
  std::function<void(const wire::Event& event)> on_event;
  // Asked once the agent runs; null, or when it ends before the session: the socket's own frames. Blocking.
  std::function<std::unique_ptr<Typing>()> begin_typing;
  bool running = false;  // the agent runs already
  // What another machine says of itself, while the session begins there: nothing runs, and no value goes there, unless
  // this has no objection.
  std::function<Result<>(const std::optional<wire::Hello>& hello)> on_hello;
  std::function<void(std::string_view bytes)> on_diagnostic;  // the agent's stderr; without it: to ours
};

// Relays until the session ends or the operator detaches. Blocking. The terminal is restored on every way out.
// Code::closed if the supervisor died; the supervisor's own error if it refused.
Result<Ended> relay(int socket, const ClientOptions& options);

// Connects to a running session's supervisor.
Result<int> connect_to(const std::string& socket_path);

}  // namespace bottle::session
