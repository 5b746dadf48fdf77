// Two kinds of threads meet here. The session's thread alone uses the clients: it runs serve(), reads their frames
// and sends them events. The launch's threads only put the steps to show into a list, and wake that thread. Clients
// therefore needs no lock.
//
// One mutex protects the decision between a stop and the opening of the gate: request_stop() fails once the gate is
// claimed, and claim_gate() fails once a stop was requested. The agent can therefore never start after the clients
// were told that the session was stopped before it ran.
#include "session/launch_control.h"

#include <atomic>
#include <chrono>
#include <future>

#include "base/os/poller.h"
#include "session/console/stop_signal.h"

namespace bottle::session {
namespace {

using wire::Frame, wire::FrameType, wire::Values;
using namespace std::chrono_literals;

constexpr auto kValuesPatience = 120s;
constexpr int kLookMs = 200;            // how often to check for a stop, in case a signal arrives just before the wait
constexpr size_t kMostEarly = 4 << 20;  // in bytes; input beyond that is dropped

constexpr const char* kStopped = "stopped before the agent ran";
constexpr const char* kLauncherGone = "the launcher exited before the agent ran";

}  // namespace

LaunchControl::LaunchControl(Clients& clients, Values values, bool more) : clients_(clients) {
  if (more) first_ = std::move(values);
  else values_ = std::move(values);
}

Result<> LaunchControl::serve(const std::function<Result<>()>& work) {
  std::atomic<bool> over = false;  // set before the wake-up, unlike a future
  auto done = std::async(std::launch::async, [&] {
    auto result = work();
    over = true;
    wake();
    return result;
  });
  while (!over) listen_once();
  auto result = done.get();
  show_steps();
  // If the launch was stopped, its errors are consequences of the stop.
  if (auto stopped = check(); !stopped) return stopped;
  return result;
}

// Serves the clients for one turn: until a frame comes, a thread wakes this one, or kLookMs have passed.
void LaunchControl::listen_once() {
  Poller poller;
  poller.watch(wakeup_.fd());
  clients_.add_to(poller);
  poller.wait(kLookMs);
  wakeup_.clear();
  show_steps();
  clients_.handle(poller, [this](const Frame& frame) { take(frame); });
  if (stop_was_signaled()) (void)request_stop(kStopped);
  if (clients_.launcher_is_gone()) (void)request_stop(kLauncherGone);
}

void LaunchControl::take(const Frame& frame) {
  if (frame.type == FrameType::values) return take_values(frame);
  // A stop that comes after the claim is kept like any other frame, because the agent may run: watch() handles it.
  if (frame.type == FrameType::stop && request_stop(kStopped)) return;
  if (early_bytes_ + frame.bytes.size() > kMostEarly) return;
  early_bytes_ += frame.bytes.size();
  early_.push_back(frame);
}

// Adds the values of a frame. Keeps values that have already arrived, such as a token that came another way.
void LaunchControl::take_values(const Frame& frame) {
  auto came = wire::decode<Values>(frame.bytes, wire::From::ours);
  std::scoped_lock lock(mutex_);
  if (values_) return;
  if (!came) {
    // Keeps the error as the outcome, so that await_values() returns it immediately instead of waiting for values
    // that do not come.
    values_ = std::unexpected(std::move(came.error()));
  } else {
    first_.env.merge(came->env);
    first_.secrets.merge(came->secrets);
    first_.known.merge(came->known);
    values_ = std::move(first_);
  }
  values_came_.notify_all();
}

bool LaunchControl::request_stop(const char* why) {
  {
    std::scoped_lock lock(mutex_);
    if (state_ == LaunchState::stopped) return true;
    state_ = after(state_, LaunchEvent::stop);
    if (state_ != LaunchState::stopped) return false;
    why_stopped_ = why;
    values_came_.notify_all();
  }
  // The mutex must be free here, because request_stop() runs the callbacks of everything that waits for the token.
  clients_.event(wire::Step{"stopping"});
  stop_.request_stop();
  return true;
}

void LaunchControl::show(const std::string& step) {
  {
    std::scoped_lock lock(mutex_);
    steps_.push_back(step);
  }
  wake();
}

void LaunchControl::show_steps() {
  std::vector<std::string> steps;
  {
    std::scoped_lock lock(mutex_);
    steps.swap(steps_);
  }
  for (auto& step : steps) clients_.event(wire::Step{std::move(step)});
}

void LaunchControl::wake() const { wakeup_.wake(); }

Result<> LaunchControl::check() const {
  std::scoped_lock lock(mutex_);
  return not_stopped();
}

// The caller holds the mutex.
Result<> LaunchControl::not_stopped() const {
  if (state_ == LaunchState::stopped) return fail(Code::canceled, why_stopped_);
  return {};
}

Result<Values> LaunchControl::await_values() {
  std::unique_lock lock(mutex_);
  bool came =
      values_came_.wait_for(lock, kValuesPatience, [this] { return values_ || state_ == LaunchState::stopped; });
  TRY(not_stopped());
  if (!came) return fail(Code::timed_out, "the secrets for the session did not arrive");
  return *values_;
}

Result<> LaunchControl::claim_gate() {
  std::scoped_lock lock(mutex_);
  state_ = after(state_, LaunchEvent::claim);
  return not_stopped();
}

}  // namespace bottle::session
