// Transfers the operator's workspace of a session on another machine. It is sent when the session starts, and
// brought home at checkpoints and at the end.
#pragma once

#include <chrono>
#include <functional>
#include <future>
#include <optional>
#include <stop_token>
#include <string>

#include "remote/link/far_side.h"
#include "remote/near/transfers/deliver.h"
#include "remote/near/transfers/work_fetcher.h"
#include "wire/start/job.h"

namespace bottle::remote {

// Runs transfers in separate threads. No function blocks unless its comment says so. `job` must outlive this object.
class Transfers {
 public:
  // `checkpoint_every` is the time between two checkpoints.
  explicit Transfers(const Job& job, std::chrono::seconds checkpoint_every = std::chrono::seconds(60))
      : job_(job), checkpoint_every_(checkpoint_every) {}
  // The destructor then waits for the threads.
  ~Transfers() {
    delivery_ends_.request_stop();
    checkpoints_end_.request_stop();
  }

  // Begins to send the workspace. `begins_from` is called from another thread with the commit that the work will begin
  // from, before there is any work.
  void send(FarSide side, std::function<Result<>(const std::string& base)> begins_from);
  // Notes that another process sent the workspace, with this base commit.
  void was_sent(std::string base) { base_ = std::move(base); }
  // Returns the outcome of the delivery once, and an empty value if there is nothing new.
  std::optional<Delivered> poll_delivery();
  // Waits for the outcome of the delivery. Returns false if it is not known within `patience`. Blocks.
  bool await_delivery(std::chrono::seconds patience) const;
  // Stops the delivery. It may be waiting for a session that never began, or that ended while the connection was
  // broken. Blocks.
  void end_delivery();

  // has_begun() notes that the agent runs. The next checkpoint is then due in a minute, or earlier, when the agent is
  // idle after some output, which agent_spoke() reports.
  void has_begun() { last_checkpoint_ = Clock::now(); }
  void agent_spoke();
  // Begins a checkpoint when one is due. `side` is null if the machine cannot be reached now. Returns the outcome of a
  // checkpoint once: whether it brought something new.
  std::optional<Result<bool>> poll_checkpoint(const FarSide* side);

  // Returns the fetcher, for the end of the session. Ends a checkpoint that is under way, because a hostile machine can
  // make it take a day, and over a slow connection it would bring only what the last fetch brings as well. Blocks until
  // the part of the checkpoint that has arrived is sorted.
  WorkFetcher& idle_fetcher();

 private:
  using Clock = std::chrono::steady_clock;
  WorkFetcher& fetcher() { return fetcher_ ? *fetcher_ : fetcher_.emplace(job_, base_); }

  const Job& job_;
  std::chrono::seconds checkpoint_every_;
  std::string base_;
  std::stop_source delivery_ends_, checkpoints_end_;
  std::future<Delivered> delivery_;
  std::optional<WorkFetcher> fetcher_;
  std::future<Result<bool>> checkpoint_;  // declared after everything that its thread uses
  bool dirty_ = false;                    // there was output since the last checkpoint
  Clock::time_point last_output_{}, last_checkpoint_ = Clock::now();
};

}  // namespace bottle::remote
