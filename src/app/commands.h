// The commands, one function each. They return the program's exit status: the agent's own, or 125 for ours.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "plan/plan.h"

namespace bottle::app {

struct Output {
  bool json = false, quiet = false;
};

struct StartOptions {
  plan::Options plan;
  bool yes = false, dry_run = false;
  std::string workspace;  // directory; empty: the current one
  Output output;
};

int start(const StartOptions& options);
int attach(const std::string& session);
int list(const Output& output);
int stop(const std::string& session);
int logs(const std::string& session, bool egress);
int cleanup(bool dry_run, const Output& output);
int guard_run(const std::vector<std::string>& listen, const std::string& config, const std::string& ca_out, const std::string& upstream_ca,
              const std::string& resolver, const std::string& audit);
int image_build(const std::string& provider, const std::vector<std::string>& packages, const Output& output);
int engine_prepare();

// Prints "bottle: what" and what to do, and returns 125.
int report(const Error& error, bool json = false);

}  // namespace bottle::app
