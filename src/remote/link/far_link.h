// Keeps the connection to a session on another machine, and reconnects when it breaks. It reports what happened; its
// user decides what to do.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "remote/link/far_side.h"
#include "remote/link/link_state.h"
#include "session/console/outbox.h"
#include "wire/frames/frames.h"

namespace bottle::remote {

using wire::Frame, wire::FrameReader, wire::FrameType;

// Holds the connection of one session, pings the other side, and reconnects in a separate thread. All calls come from
// the thread of the near side's loop.
class FarLink {
 public:
  // These report what happened to the connection.
  struct HelloRead {
    std::optional<wire::Hello> hello;  // empty if the machine's answer was not a hello
  };
  struct FrameCame {
    Frame frame;  // hostile
  };
  struct Lost {
    Error why;
  };
  struct Failed {  // one attempt to reconnect
    Error why;
  };
  struct Back {};
  using News = std::variant<HelloRead, FrameCame, Lost, Failed, Back>;

  // `read_on` is how long to keep reading from another side that reads nothing.
  explicit FarLink(std::chrono::milliseconds read_on = std::chrono::seconds(2)) : read_on_(read_on) {}

  // Uses the connection with which a start began. If its hello has not been read yet, the hello is the first news, and
  // the connection is lost if it does not come within `patience`.
  void use(FarSide side, Channel channel, std::chrono::seconds patience = std::chrono::seconds(60));
  // Connects again, immediately the first time, and after increasingly long waits from then on. Works in a separate
  // thread. read_news() reports the outcome as Back or Failed. If the machine cannot be reached, `find` may
  // say in that thread where it is now; side() then has its new address.
  void reconnect(const MachineAddress& address, std::function<std::optional<MachineAddress>()> find = {});

  // Returns whether there is a connection.
  bool is_up() const { return is_connected(state_); }
  // Returns whether send() keeps what it gets.
  bool takes_frames() const { return may_send(state_); }
  // Returns whether an attempt to reconnect is under way.
  bool is_coming() const { return state_ == LinkState::connecting; }
  // Returns how many attempts there were since the last connection that lasted.
  int attempts() const { return attempts_; }
  // Returns the descriptor to poll for reading, or -1 without a connection.
  int fd() const { return channel_ ? channel_->out.get() : -1; }
  // Returns the machine if it was ever reached, or null. Its connections may be dead.
  FarSide* side() { return side_ ? &*side_ : nullptr; }

  // Sends a frame, or keeps it until the other side reads. Never blocks. Drops it if there is no connection. If the
  // connection breaks, or the other side reads nothing for half a minute or leaves more than 16 MB unread, a later
  // read_news() says so, after everything that came over it.
  void send(FrameType type, std::string_view bytes);
  // Returns whether so much is kept that only what cannot wait should be sent.
  bool is_behind() const { return outbox_.size() > kBehind; }
  // Returns the descriptor to poll for writing, or -1 if nothing is kept. read_news() must follow.
  int fd_behind() const { return channel_ && !outbox_.empty() ? channel_->in.get() : -1; }
  // Returns what happened since the last call. `readable` says whether poll found fd() readable.
  std::vector<News> read_news(bool readable);
  // Pings the other side, and gives up the connection if there is no answer. Call it once per turn of the loop while
  // the agent runs.
  void keep_alive();
  // Gives up the connection, and what is kept for it. Reports no news. The far side notices the end of its input.
  void close() { note(LinkEvent::closed); }

 private:
  using Clock = std::chrono::steady_clock;
  // Limit of a frame, in bytes. Reading it as JSON takes a hundred times as much memory.
  static constexpr size_t kLongestFrame = 1 << 20;
  static constexpr size_t kBehind = 1 << 20;  // bytes
  // The limit of what is kept, in bytes. The other side can cause many frames, and may not read the answers.
  static constexpr size_t kMostKept = 16 << 20;
  void note(LinkEvent event);
  void ping();
  void give_up_sending();
  void lose(const std::string& why);
  void flush();
  void read(std::vector<News>& news);
  void take_attempt(std::vector<News>& news);

  std::chrono::milliseconds read_on_;
  LinkState state_ = LinkState::down;  // only note() changes it
  std::optional<FarSide> side_;
  std::optional<Channel> channel_;  // set if is_connected(state_)
  FrameReader frames_{kLongestFrame};
  session::Outbox outbox_;
  Clock::time_point read_{};         // when the other side last read something from outbox_, or outbox_ was empty
  std::string greeting_;             // the part of the hello that has arrived so far
  std::chrono::seconds patience_{};  // how long to wait for the hello
  Clock::time_point stopped_reading_at_{};  // for the state `deaf`
  std::string broken_;                      // why the connection broke
  std::future<Result<std::pair<FarSide, Channel>>> attempt_;
  bool silent_ = false;  // the connection was given up because nothing came over it
  int attempts_ = 0;
  double last_turn_ = 0;
  Clock::time_point since_{}, heard_{}, pinged_{};
  Clock::time_point moved_{};  // when the connection last took something that had waited
};

// Returns whether a connection counts as dead. `heard` is when something last came over it, and `moved` when it last
// took something that had waited. Exposed for tests.
bool is_dead(std::chrono::steady_clock::time_point heard, std::chrono::steady_clock::time_point moved,
             std::chrono::steady_clock::time_point now);

}  // namespace bottle::remote
