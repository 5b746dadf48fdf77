// `bottle provider test`: whether a provider keeps the contract of docs/providers.md. Anyone can run it on their own;
// it makes real machines, for some minutes, and destroys them.
#pragma once

#include <string>
#include <vector>

#include "machine/provider/provider.h"

namespace bottle::machine {

struct Check {
  std::string name;
  bool ok = false;
  std::string detail;  // what was found, or why not
  double seconds = 0;
};

struct ConformanceOptions {
  Places places;
  Environment environment;
  Limits limits;
  std::map<std::string, std::string> options;  // vms.<name>.options
  bool ssh = true;                             // a machine that can be signed in to is expected
  int gone_ms = 300000;                        // the longest from "deleting" to "gone"
  int boot_ms = 600000;                        // the longest until ssh-info knows, and until sshd answers
};

// Runs all checks, telling of each as it ends. Whatever happens, it destroys what it made; the last checks say whether
// that worked.
Result<std::vector<Check>> test_provider(const std::string& name, const ConformanceOptions& options,
                                         const std::function<void(const Check&)>& done, const Progress& progress);

}  // namespace bottle::machine
