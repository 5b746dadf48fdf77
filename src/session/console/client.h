// Implements the launcher's side of a session. It shows the supervisor's output and sends the operator's input.
#pragma once

#include <signal.h>

#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "base/error.h"
#include "base/os/signals.h"
#include "wire/event.h"
#include "wire/result.h"

namespace bottle::session {

// The signals that a launcher handles while it starts or watches a session.
inline constexpr std::initializer_list<int> kLauncherSignals = {SIGWINCH, SIGINT, SIGTERM, SIGHUP};

// Says that the operator left the session, which continues.
struct Detached {};
// Says how follow() ended: the operator detached, or the session ended with this result.
using Ended = std::variant<Detached, wire::SessionResult>;

// Carries keystrokes and the screen instead of the socket's frames. mosh implements it.
class Typing {
 public:
  virtual ~Typing() = default;  // restores the terminal
  virtual int fd() const = 0;   // takes keystrokes, returns the screen, and closes when it is over
  // Tells the other end the new size of the terminal, in characters.
  virtual void resize(int rows, int cols) = 0;
};

// Returns what carries the keystrokes, or null if that is not possible.
using BeginTyping = std::function<std::unique_ptr<Typing>()>;

// Says how a launcher takes part in a session. All callbacks run on the thread of follow().
struct ClientOptions {
  // Where the operator's input comes from. With `terminal`, it comes from a terminal in raw mode, with resizing and the
  // detach key (Ctrl-P Ctrl-Q). With `detach_key`, the agent reads no input; only that key is read.
  enum class Input { none, forwarded, terminal, detach_key } input = Input::none;
  bool quiet = false;  // do not show the agent's output
  std::function<void(const wire::Event& event)> on_event;
  // follow() calls it once the agent runs. If it returns null, or if the object ends before the session does, the
  // socket's own frames are used. Blocks.
  BeginTyping begin_typing;
  // Set if the agent does not run yet. Input is then kept until it runs, and Ctrl-C stops the session.
  bool starting = false;
  const Signals* signals = nullptr;  // if null, follow() takes kLauncherSignals itself; a signal stops the session
  std::function<void(int signal)> on_stop;  // called when a signal, or Ctrl-C before the agent runs, stops the session
  // Judges the hello of another machine while the session starts on it. Unless this succeeds, no value is sent to that
  // machine, and so no agent runs on it.
  std::function<Result<>(const std::optional<wire::Hello>& hello)> on_hello;
  std::function<void(std::string_view bytes)> on_diagnostic;  // gets the agent's stderr; if empty, our stderr gets it
};

// Passes input and output on until the session ends or the operator detaches. Blocks. Always restores the terminal.
// Fails with Code::closed if the supervisor died, and with the supervisor's own error if it refused.
Result<Ended> follow(int socket, const ClientOptions& options);

// Waits until the supervisor has ended. Call this once it has sent the last frame of its session. As long as the
// supervisor runs, `bottle cleanup` removes nothing of the session. Blocks for at most `patience`, because the
// supervisor may wait for another client.
void await_end(int socket, std::chrono::milliseconds patience = std::chrono::seconds(5));

// Connects to the supervisor of a running session. Returns the socket, which the caller must close. Blocks only while
// the supervisor has many connections to accept.
Result<UniqueFd> connect_to(const std::string& socket_path);

}  // namespace bottle::session
