// Implements the supervisor's side of the gate in front of the agent (ARCHITECTURE.md, "The gate").
#pragma once

#include <stop_token>
#include <string>

#include "docker/engine.h"
#include "wire/gate/gate.h"

namespace bottle::session {

// Returns the usual cause of a failed probe and what to do about it, for the first one that failed. The names in the
// report are untrusted, so an unknown one gets general advice.
std::string remedy_for(const wire::Report& report);

// Owns the stream of the agent's container until the agent runs. Call ask(), await_report(), open() and then
// take_attached(). Only one thread may use it at a time.
class Gate {
 public:
  Gate(docker::Attached attached, bool terminal) : attached_(std::move(attached)), terminal_(terminal) {}

  // Requests the self-test. Do not call it before the guard serves, because the helper's first packet to a neighbor
  // that does not exist yet costs a second.
  Result<> ask();

  // Returns the helper's report. There is exactly one, before any other output. Blocks. Fails with Code::closed, and
  // with what the container printed, if the container ended first. A stop ends the wait with Code::canceled.
  Result<wire::Report> await_report(int timeout_ms, const std::stop_token& stop = {});
  // Opens the gate. After this, the agent runs. The caller must have claimed the gate (launch_control.h). Fails if
  // the container has ended, or with Code::invalid if `go` cannot be sent unchanged, for example because a text is
  // not UTF-8.
  Result<> open(const wire::Go& go);

  std::string take_early() { return std::move(early_); }  // demultiplexed stdout that followed the report
  // Returns the stream. Call it after take_early().
  docker::Attached take_attached() { return std::move(attached_); }

 private:
  docker::Attached attached_;
  bool terminal_;
  std::string early_;
};

}  // namespace bottle::session
