// The operator's workspace and a session on another machine: sent when it starts, brought home at checkpoints and when
// it has ended.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <optional>
#include <stop_token>
#include <string>

#include "remote/link/far_side.h"
#include "remote/near/deliver.h"
#include "remote/near/work_fetcher.h"
#include "wire/job.h"

namespace bottle::remote {

// Transfers run on threads of their own; nothing blocks but what says so. `job` must outlive it.
class Transfers {
 public:
  explicit Transfers(const Job& job) : job_(job) {}
  ~Transfers() { delivery_ends_.request_stop(); }  // and its thread is waited for

  // `begins_from`, from another thread: the commit that the work will begin from, before there is any.
  void send(FarSide side, std::function<void(const std::string& base)> begins_from);
  // Sent by another process, from this commit.
  void was_sent(std::string base) { base_ = std::move(base); }
  // What became of the sending, once; empty: nothing new.
  std::optional<Delivered> look_at_delivery();
  // Blocking: whether that is known within `patience`.
  bool await_delivery(std::chrono::seconds patience) const;
  // Blocking. It may wait there for a session that never began, or has ended while the connection was broken.
  void end_delivery();

  // The agent runs: the next checkpoint is due in a minute, or when it idles after it has said something.
  void has_begun() { last_checkpoint_ = Clock::now(); }
  void agent_spoke();
  // Begins a checkpoint when one is due; null: the machine cannot be reached now. What became of one, once: whether it
  // has brought something new.
  std::optional<Result<bool>> look_at_checkpoint(const FarSide* side);

  // For the end. Blocks while a checkpoint is under way.
  WorkFetcher& idle_fetcher();

 private:
  using Clock = std::chrono::steady_clock;
  WorkFetcher& fetcher() { return fetcher_ ? *fetcher_ : fetcher_.emplace(job_, base_); }

  const Job& job_;
  std::string base_;
  std::stop_source delivery_ends_;
  std::future<Delivered> delivery_;
  std::optional<WorkFetcher> fetcher_;
  std::future<Result<bool>> checkpoint_;  // after what its thread uses
  bool dirty_ = false;                    // the agent has said something since the last one
  Clock::time_point last_output_{}, last_checkpoint_ = Clock::now();
};

}  // namespace bottle::remote
