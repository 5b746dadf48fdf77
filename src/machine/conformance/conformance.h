// Implements `bottle provider test`, which checks whether a provider keeps the contract of docs/providers.md.
// Operators can run it on their own providers. It makes real machines, runs for some minutes, and destroys the
// machines.
#pragma once

#include <string>
#include <vector>

#include "base/progress.h"
#include "machine/provider/provider.h"

namespace bottle::machine {

// Holds the outcome of one check, in a form that the command can print.
struct Check {
  std::string name;
  bool ok = false;
  std::string detail;  // what was found, or why the check failed
  double seconds = 0;
};

// Says where the provider is and how patient the checks are. Times are in milliseconds.
struct ConformanceOptions {
  Directories directories;
  std::string path_to_self;  // for the VM's reaper; if empty, there is none (tests only)
  Environment environment;
  Limits limits;                               // after a stop, the VM is destroyed, and no other check runs
  std::map<std::string, std::string> options;  // vms.<name>.options
  bool ssh = true;                             // whether to sign in to the machine
  int gone_ms = 300000;                        // the longest time from "deleting" to "gone"
  int boot_ms = 600000;                        // the longest time until ssh-info has an answer, and until sshd answers
};

// Runs all checks, and calls `done` as each ends. Always destroys what it made; the last checks report whether that
// worked.
Result<std::vector<Check>> test_provider(const std::string& name, const ConformanceOptions& options,
                                         const std::function<void(const Check&)>& done, const Progress& progress);

}  // namespace bottle::machine
