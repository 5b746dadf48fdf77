// Keeps the clients' input until the agent reads it, so that the supervisor never waits for the agent.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bottle::session {

class AgentInput {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr size_t kMost = 1 << 20;       // bytes
  static constexpr size_t kMostEver = 16 << 20;  // more than is under way to a far side that says that its agent waits
  // What the agent must read in `patience`, in bytes. One that reads less could keep clients waiting for minutes, with
  // their requests to stop.
  static constexpr size_t kLeast = 64 << 10;

  explicit AgentInput(std::chrono::milliseconds patience) : patience_(patience) {}

  // Sends as much as the agent takes without blocking, and keeps the rest. `fd` is a socket to the agent's stdin. Drops
  // `bytes` if more than kMostEver would have to be kept.
  void add(int fd, std::string_view bytes, Time now);
  // Sends what is kept. If is_full() has been true for `patience` in which the agent took less than kLeast, it does not
  // read its input, so this drops what is kept. Call it often.
  void flush(int fd, Time now);

  bool empty() const { return kept_.empty(); }
  // Returns how many bytes were dropped because the agent did not read them.
  uint64_t dropped() const { return dropped_; }
  // Returns what to tell the operator about dropped input, or nothing: while the agent runs, once, and at the end, the
  // total if it has grown since then.
  enum class When { running, at_end };
  std::string news(When when);
  // Returns whether the caller must add nothing more for now, so that a client that sends much waits for the agent.
  bool is_full() const { return kept_.size() >= kMost; }
  // Returns whether the near side, which cannot be made to wait, must be told what is_full() returns: when that
  // changes, and every second while it is true.
  bool must_tell(Time now);

 private:
  std::chrono::milliseconds patience_;
  std::string kept_;
  uint64_t dropped_ = 0, told_dropped_ = 0;
  size_t sent_ = 0;                 // bytes since full_since_
  std::optional<Time> full_since_;  // begins again when the agent has read kLeast
  std::optional<Time> told_full_;
};

}  // namespace bottle::session
