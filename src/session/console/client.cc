// One loop serves the socket, the signals, the keyboard and, with mosh, the pseudo-terminal that takes the place of
// the socket for keystrokes and the screen. The terminal is in raw mode from the beginning, so that input during the
// start reaches the agent unchanged. Until the agent runs, the input is only kept. The loop searches it for Ctrl-C,
// because in raw mode, the terminal driver does not turn Ctrl-C into a signal.
//
// The socket decides how the session ends, even if mosh carries the terminal: mosh also ends when only its own
// connection is lost. When mosh ends, the loop waits three seconds for the end of the session, and then continues
// with the socket.
#include "session/console/client.h"

#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <optional>

#include "base/files/file.h"
#include "base/os/poller.h"
#include "base/os/signals.h"
#include "base/unique_fd.h"
#include "base/unix_address.h"
#include "session/console/detach_key.h"
#include "session/console/outbox.h"
#include "session/console/terminal.h"
#include "wire/codec/failure.h"
#include "wire/frames/frames.h"
#include "wire/request.h"

namespace bottle::session {
namespace {

using wire::FrameReader, wire::FrameType, wire::send_frame;

// The most bytes that wait for a supervisor that does not read, which happens while the agent reads slowly.
constexpr size_t kMostQueued = 256 << 10;
// The most input that is kept until the agent runs.
constexpr size_t kMostHeld = 64 << 10;
constexpr char kCtrlC = 3;

class Follower {
 public:
  Follower(int socket, const ClientOptions& options) : socket_(socket), options_(options) {}

  Result<Ended> run() {
    std::optional<Signals> own;
    if (!options_.signals) own.emplace(kLauncherSignals, Signals::Nohup::respected);
    const Signals& signals = own ? *own : *options_.signals;
    if (has_terminal()) raw_.emplace(0, takes_input() ? RawTerminal::Raw::all : RawTerminal::Raw::keys);
    if (!options_.starting) agent_runs();
    bool input_open = options_.input != ClientOptions::Input::none;
    for (;;) {
      // Input from the time of the start reaches the agent now. It may contain the detach key.
      if (running_ && !held_.empty() && !pass_on(std::exchange(held_, {}))) return detach();
      Poller poller;
      poller.watch(socket_, !outbox_.empty());
      poller.watch(signals.fd());
      // A pipe is not read before the agent runs, or while the supervisor does not take more, because it can hold its
      // data back itself. A terminal is always read, because its input may contain the detach key.
      if (input_open && (has_terminal() || (running_ && !is_full()))) poller.watch(0);
      if (typing_) poller.watch(typing_->fd());
      poller.wait(timeout_ms());
      // If Ctrl-Q did not follow in time, the Ctrl-P is for the agent.
      if (auto held = detach_.release(Clock::now()); !held.empty()) send_input(held);
      if (typing_ && poller.readable(typing_->fd())) take_screen();
      if (come_back_at_ && Clock::now() > *come_back_at_) come_back();
      if (poller.readable(signals.fd())) on_signals(signals);
      if (poller.readable(0) && input_open && !take_input(input_open)) return detach();
      if (poller.writable(socket_)) flush();
      if (running_ && outbox_.empty()) lost_ = 0;
      if (poller.readable(socket_)) {
        auto ended = take_frames();
        if (!ended || *ended) {
          leave_terminal();
          if (!ended) return std::unexpected(ended.error());
          return **ended;
        }
      }
    }
  }

 private:
  using Clock = std::chrono::steady_clock;

  bool has_terminal() const { return options_.input == ClientOptions::Input::terminal || !takes_input(); }
  // Returns whether the agent takes the operator's input, if there is any.
  bool takes_input() const { return options_.input != ClientOptions::Input::detach_key; }

  // Gives the terminal back, so that bottle and then the shell can use it.
  void leave_terminal() {
    typing_.reset();
    restore_screen();
    raw_.reset();
  }

  // Makes what bottle writes next visible, whatever the agent wrote last.
  void restore_screen() {
    bool is_asked = raw_ && screen_.may_be_answered();
    if (std::string end = screen_.restoration(); !end.empty()) (void)write_all(1, end);
    if (is_asked) drop_answers(0);
  }

  // Shows the agent's output.
  void show(std::string_view bytes) {
    (void)write_all(1, bytes);
    if (shows_screen_) screen_.wrote(bytes);
  }

  // These send a frame once the supervisor takes it; post_first() sends it before the input that waits. If the
  // connection is gone, reading from it ends the loop.
  void post(FrameType type, std::string_view bytes) {
    outbox_.add(type, bytes);
    flush();
  }
  void post_first(FrameType type) {
    outbox_.add_first(type, "");
    flush();
  }
  void flush() {
    if (!outbox_.flush(socket_)) outbox_ = Outbox();
  }

  // Returns whether so much waits for the supervisor that no more input may be added.
  bool is_full() const { return outbox_.size() >= kMostQueued; }

  void warn(const std::string& text) {
    if (options_.on_event) options_.on_event(wire::Warning{text});
  }

  // Tells the operator how much input the agent will not get.
  void tell_lost() {
    if (lost_ == 0 || !running_) return;
    warn(std::to_string(lost_) + " bytes of your input were dropped, because the agent does not read it fast enough");
    lost_ = 0;
  }

  // Drops input that the supervisor has no room for. All later input is dropped as well until nothing waits: a long
  // paste that is cut off does less harm than one with holes, and the operator is told once.
  void drop(size_t size) {
    if (lost_ == 0)
      warn("the agent does not read your input fast enough; more input is dropped until it has read the rest");
    lost_ += size;
  }

  // Leaves the session, which continues.
  Detached detach() {
    lost_ += outbox_.size();  // the supervisor gets no more of the input
    post_first(FrameType::detach);
    leave_terminal();
    tell_lost();
    return Detached{};
  }

  // Begins to pass on the operator's input.
  void agent_runs() {
    running_ = true;
    tell_lost();
    if (has_terminal()) send_size();
    begin_typing();
  }

  void begin_typing() {
    if (options_.begin_typing && !typing_) typing_ = options_.begin_typing();
  }

  // Copies mosh's output to the terminal, until mosh ends.
  void take_screen() {
    char buffer[65536];
    ssize_t n = ::read(typing_->fd(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) return;
    if (n > 0) return (void)write_all(1, {buffer, static_cast<size_t>(n)});
    typing_.reset();
    // Either the session has ended and its result is on its way, or only the mosh connection has ended and the socket
    // is used instead.
    if (!ending_) come_back_at_ = Clock::now() + std::chrono::seconds(3);
  }

  // Continues with the socket after mosh has ended.
  void come_back() {
    come_back_at_.reset();
    if (ending_) return;
    if (options_.on_event) options_.on_event(wire::TypingEnded{});
    // Without a position, the answer is the last screen, which replaces mosh's.
    post(FrameType::attach, wire::encode(wire::Attach{}));
    send_size();
  }

  // Tells the agent's terminal its size, over mosh or over the socket.
  void send_size() {
    Size size = terminal_size(0);
    if (typing_) return typing_->resize(size.rows, size.cols);
    post(FrameType::resize,
         wire::encode(wire::Resize{static_cast<uint16_t>(size.rows), static_cast<uint16_t>(size.cols)}));
  }

  // Handles the signals that have arrived. While the terminal is in raw mode, Ctrl-C is not among them.
  void on_signals(const Signals& signals) {
    while (auto number = signals.next()) {
      if (*number == SIGWINCH) {
        if (has_terminal() && running_) send_size();
      } else if (*number == SIGHUP && has_terminal()) {
        // The terminal is gone, and the session goes on without it. The supervisor closes the connection, which ends
        // the loop.
        post_first(FrameType::detach);
      } else {
        stop(*number);
      }
    }
  }

  void stop(int signal) {
    if (options_.on_stop) options_.on_stop(signal);
    post_first(FrameType::stop);
  }

  // Returns false if the operator typed the detach key.
  bool take_input(bool& open) {
    char buffer[16384];
    ssize_t n = ::read(0, buffer, sizeof buffer);
    if (n <= 0) {
      // The end of the input is not the end of the session: the agent may still work.
      if (n == 0 || errno != EINTR) open = false;
      return true;
    }
    std::string bytes(buffer, static_cast<size_t>(n));
    if (running_) return pass_on(std::move(bytes));
    // The terminal is in raw mode, so its driver does not turn the key into a signal.
    if (bytes.find(kCtrlC) != std::string::npos) stop(SIGINT);
    else if (lost_ == 0 && held_.size() + bytes.size() <= kMostHeld) held_ += bytes;
    else lost_ += bytes.size();
    return true;
  }

  // Returns false if the operator typed the detach key.
  bool pass_on(std::string bytes) {
    if (has_terminal() && detach_.take(bytes, Clock::now())) return false;
    if (!bytes.empty()) send_input(bytes);
    return true;
  }

  void send_input(const std::string& bytes) {
    if (!takes_input()) return;
    if (typing_) (void)write_all(typing_->fd(), bytes);
    else if (has_terminal() && (lost_ > 0 || is_full())) drop(bytes.size());
    else post(FrameType::input, bytes);
  }

  int timeout_ms() const {
    int wait = come_back_at_ ? 100 : -1;
    int held = detach_.wait_ms(Clock::now());
    return held < 0 ? wait : wait < 0 ? held : std::min(wait, held);
  }

  // Handles the supervisor's frames. Returns how the session ended, or nothing if it continues.
  Result<std::optional<Ended>> take_frames() {
    auto frames = reader_.read(socket_);
    if (!frames)
      return fail(Code::closed, "the session's supervisor closed the connection",
                  "run `bottle cleanup` to remove what it left");
    for (const auto& frame : *frames) {
      switch (frame.type) {
        case FrameType::output:
          // While mosh shows the screen, the same output also comes over the socket.
          if (!options_.quiet && !typing_ && !come_back_at_) show(frame.bytes);
          break;
        case FrameType::diagnostic:
          if (options_.on_diagnostic) options_.on_diagnostic(frame.bytes);
          else if (!options_.quiet) (void)write_all(2, frame.bytes);
          break;
        case FrameType::event:
          // Skips unknown events, which a supervisor of another version may send.
          if (auto event = wire::decode<wire::Event>(frame.bytes, wire::From::ours)) TRY(take_event(*event));
          break;
        case FrameType::failure:
          return std::unexpected(TRY(wire::decode<Error>(frame.bytes, wire::From::ours)));
        case FrameType::result:
          return TRY(wire::decode<wire::SessionResult>(frame.bytes, wire::From::ours));
        case FrameType::input:
          break;  // for a near side; this client simply waits
        default:
          return fail(Code::protocol, "the supervisor sent an unknown frame");
      }
    }
    return std::nullopt;
  }

  // Handles an event. Fails if it is the hello of a machine that is refused, which ends follow().
  Result<> take_event(const wire::Event& event) {
    if (const auto* came = std::get_if<wire::HelloCame>(&event)) {
      if (options_.on_hello) TRY(options_.on_hello(came->hello));
      post(FrameType::values, "");  // if the session has just ended, its last frames say why
      return {};
    }
    bool collecting = std::holds_alternative<wire::Collecting>(event);
    if (collecting) ending_ = true;
    if (collecting && !typing_) restore_screen();
    // Nothing else is written over mosh's screen. mosh itself reports the state of the connection.
    if (options_.on_event && (!typing_ || collecting)) options_.on_event(event);
    if (std::holds_alternative<wire::AgentRuns>(event) && !running_) agent_runs();
    return {};
  }

  int socket_;
  const ClientOptions& options_;
  std::optional<RawTerminal> raw_;
  const bool shows_screen_ = ::isatty(1) != 0;
  AgentScreen screen_;
  FrameReader reader_;
  Outbox outbox_;
  size_t lost_ = 0;  // bytes of input that were dropped; while it is not 0, all later input is dropped too
  DetachKey detach_;
  bool running_ = false;  // the agent runs
  std::string held_;      // input from before the agent ran
  std::unique_ptr<Typing> typing_;
  std::optional<Clock::time_point> come_back_at_;  // set when the mosh connection has ended
  bool ending_ = false;                            // the session is about to end too
};

}  // namespace

Result<Ended> follow(int socket, const ClientOptions& options) { return Follower(socket, options).run(); }

void await_end(int socket, std::chrono::milliseconds patience) {
  auto deadline = Deadline::in(patience);
  for (char rest[65536]; wait_readable(socket, deadline);) {
    ssize_t n = ::read(socket, rest, sizeof rest);
    if (n == 0 || (n < 0 && errno != EINTR)) return;
  }
}

Result<UniqueFd> connect_to(const std::string& path) {
  sockaddr_un address = TRY(unix_address(path));
  UniqueFd fd = open_socket(AF_UNIX, SOCK_STREAM);
  if (!fd) return fail_errno("making a socket");
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return fail_errno("connecting to " + path);
  return fd;
}

}  // namespace bottle::session
