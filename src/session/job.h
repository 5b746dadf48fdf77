// What the launcher hands to the supervisor: the plan and the values that belong to it. It travels over a socketpair.
#pragma once

#include <string>

#include "plan/plan.h"
#include "session/ssh_keys.h"
#include "session/state.h"
#include "session/values.h"

namespace bottle::session {

struct Job {
  plan::Plan plan;
  Values values;
  std::vector<SshKey> ssh_keys;
  std::string engine;               // the engine's socket
  std::string ca_bundle, extra_ca;  // PEM
  Directories directories;
  std::string path_to_self;
};

nlohmann::json to_json(const Job& job);
Result<Job> job_from_json(const std::string& text);

}  // namespace bottle::session
