// A checkpoint costs the remote machine a full read of the workspace. So there is one a minute, and one when the
// agent pauses after some output, because a person would look at its work then.
#include "remote/near/transfers/transfers.h"

#include "base/future.h"

namespace bottle::remote {
namespace {

using namespace std::chrono_literals;

constexpr auto kIdle = 10s;  // after output, a checkpoint is due when there was no more output for this long

}  // namespace

void Transfers::send(FarSide side, std::function<Result<>(const std::string&)> begins_from) {
  delivery_ = std::async(std::launch::async, [this, side = std::move(side), begins_from = std::move(begins_from)] {
    return deliver(job_, side, begins_from, delivery_ends_.get_token());
  });
}

std::optional<Delivered> Transfers::poll_delivery() {
  if (!is_ready(delivery_)) return std::nullopt;
  auto delivered = delivery_.get();
  base_ = delivered.base;
  return delivered;
}

bool Transfers::await_delivery(std::chrono::seconds patience) const {
  return !delivery_.valid() || delivery_.wait_for(patience) == std::future_status::ready;
}

void Transfers::end_delivery() {
  delivery_ends_.request_stop();
  if (delivery_.valid()) base_ = delivery_.get().base;
}

void Transfers::agent_spoke() {
  last_output_ = Clock::now();
  dirty_ = true;
}

std::optional<Result<bool>> Transfers::poll_checkpoint(const FarSide* side) {
  auto now = Clock::now();
  if (checkpoint_.valid()) {
    if (!is_ready(checkpoint_)) return std::nullopt;
    last_checkpoint_ = now;
    return checkpoint_.get();
  }
  if (!side || job_.plan.workspace_mode == manifest::WorkspaceMode::none) return std::nullopt;
  bool idle = dirty_ && now - last_output_ > kIdle && now - last_checkpoint_ > 2 * kIdle;
  if (now - last_checkpoint_ < checkpoint_every_ && !idle) return std::nullopt;
  // The flag is reset before the checkpoint begins, so that output in the meantime leads to another one.
  dirty_ = false;
  checkpoint_ = std::async(std::launch::async,
                           [fetcher = &fetcher(), side = *side, stop = checkpoints_end_.get_token()]() mutable {
                             return fetcher->checkpoint(side, stop);
                           });
  return std::nullopt;
}

WorkFetcher& Transfers::idle_fetcher() {
  // The fetcher is not safe for use by two threads, and a checkpoint may be using it.
  checkpoints_end_.request_stop();
  if (checkpoint_.valid()) checkpoint_.wait();
  return fetcher();
}

}  // namespace bottle::remote
