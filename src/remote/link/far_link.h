// The connection to a session on another machine, made again when it breaks. It says what happened; what follows from
// that is for whoever holds it.
#pragma once

#include <chrono>
#include <future>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "remote/link/far_side.h"
#include "wire/frames.h"

namespace bottle::remote {

using session::Frame, session::FrameReader, session::FrameType;

class FarLink {
 public:
  struct News {
    enum class Kind { hello, frame, lost, failed, back } kind;  // failed: to make it again, once
    Frame frame{};
    std::optional<wire::Hello> hello{};  // of hello; nothing: its answer was not one
    Error error{};                       // of lost and failed
  };

  // The connection that a start begins with. Without a hello, that is the first news, within `patience`.
  void use(FarSide side, Channel channel, std::chrono::seconds patience = std::chrono::seconds(60));
  // Connects (again): at once at first, then ever more slowly. On a thread of its own, told by `back` or `failed`.
  void reconnect(const Far& far);

  bool is_up() const { return channel_.has_value(); }
  bool is_coming() const { return reconnecting_.valid(); }
  int attempts() const { return attempts_; }
  int fd() const { return channel_ ? channel_->out.get() : -1; }
  // The machine, where it was reached once; its connections may be dead.
  FarSide* side() { return side_ ? &*side_ : nullptr; }

  // Lost where there is no connection; one that breaks is news at the next look(), after what had come over it.
  void send(FrameType type, std::string_view bytes);
  // What happened since. `readable`: poll says that fd() is.
  std::vector<News> look(bool readable);
  // Asks whether the other side is there, and gives the connection up if it does not answer. Once a turn, while the
  // agent runs.
  void keep_alive();
  void close() { channel_.reset(); }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr size_t kLongestWords =
      1 << 20;  // of what it says, which is read as JSON: that takes a hundred times as much memory
  void lose(const std::string& why);
  void read(std::vector<News>& news);

  std::optional<FarSide> side_;
  std::optional<Channel> channel_;
  FrameReader frames_{kLongestWords};
  std::string greeting_;  // the hello as far as it has come
  bool greeted_ = false;
  std::chrono::seconds patience_{};  // for it
  Clock::time_point deaf_{};         // since when the other side takes nothing more; what it said before is still read
  std::optional<std::string> broken_;  // why, not told yet
  std::future<Result<std::pair<FarSide, Channel>>> reconnecting_;
  int attempts_ = 0;
  double last_turn_ = 0;
  Clock::time_point since_{}, heard_{}, pinged_{};
};

}  // namespace bottle::remote
