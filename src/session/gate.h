// This file is the supervisor's side of the gate in front of the agent (ARCHITECTURE.md, "The gate").
#pragma once

#include <stop_token>
#include <string>

#include "docker/engine.h"
#include "docker/tar/tar.h"
#include "session/box/network.h"
#include "wire/gate.h"
#include "wire/start/job.h"

namespace bottle::session {

class Gate {
 public:
  Gate(docker::Attached attached, bool terminal) : attached_(std::move(attached)), terminal_(terminal) {}

  // Asks for the self-test. Must not be called before the guard serves, because the helper's first packet to a neighbor
  // that does not exist yet costs a second.
  Result<> ask();

  // Returns the helper's report. There is exactly one, before any other output. Blocks. Fails with Code::closed, and
  // with what the container printed, if the container ended first. A stop ends the wait with Code::canceled.
  Result<wire::Report> await_report(int timeout_ms, const std::stop_token& stop = {});
  Result<> open(const wire::Go& go);

  std::string take_early() { return std::move(early_); }  // demultiplexed stdout that followed the report
  docker::Attached take_attached() { return std::move(attached_); }

 private:
  docker::Attached attached_;
  bool terminal_;
  std::string early_;
};

wire::Go go_message(const Job& job, const Values& values, const std::string& ca, const Subnet& subnet);

// These functions write the agent's settings and the skills, under home/agent.
Result<> put_home(docker::TarWriter& tar, const Job& job);
Result<> put_skills(docker::TarWriter& tar, const plan::Plan& plan);

}  // namespace bottle::session
