// A provider of machines: a folder of hooks, found and called. The contract is docs/providers.md.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "machine/provider/answers.h"
#include "machine/provider/hook.h"
#include "machine/provider/places.h"

namespace bottle::machine {

// Times in milliseconds.
struct Limits {
  int create = 600000, other = 60000;        // one call of a hook
  int retry = 300000;                        // how long "try again" is answered with trying again
  int backoff = 1000, backoff_most = 15000;  // the first pause, doubled up to the last
};

// One VM, as its hooks are told of it. 0: the provider's default.
struct VmRequest {
  std::string name, id, session, owner;
  int cpus = 0, memory_mb = 0, disk_gb = 0;
  int64_t ttl = 0, idle = 0;                         // seconds
  std::string user_data, ssh_public_key, state_dir;  // paths
  std::map<std::string, std::string> options;

  Environment environment(Environment base) const;
};

class Provider {
 public:
  // The operator's own folder counts before one that this program carries. Code::not_found with the names there are;
  // Code::denied where others may write into it. `environment`: all that the hooks will see besides BOTTLE_*.
  static Result<Provider> find(const std::string& name, const Places& places, const Environment& environment,
                               const Limits& limits = {});

  // All names: the operator's, and those carried.
  static std::vector<std::string> names(const Places& places);

  const std::string& name() const { return name_; }
  const std::string& directory() const { return directory_; }
  const Limits& limits() const { return limits_; }

  // Each retries "try again" with growing pauses until Limits::retry has passed; `lock`, if not -1, becomes the hook's
  // stdin (see lock.h). Answers are checked: a hook that prints another thing than the contract's is Code::protocol.
  Result<Created> create(const VmRequest& vm, const Progress& progress, int lock = -1,
                         const std::function<void(int pid)>& started = {}) const;
  Result<Where> ssh_info(const VmRequest& vm, const Progress& progress) const;  // no retry: unavailable while not known
  Result<std::string> status(const VmRequest& vm,
                             const Progress& progress) const;  // pending running stopped deleting gone
  Result<std::string> destroy(const VmRequest& vm, const Progress& progress) const;  // deleting gone
  Result<std::vector<Listed>> list(const std::string& owner, const std::map<std::string, std::string>& options,
                                   const Progress& progress) const;

  // Gives the value to the platform's own store: text for `sh` on the VM that prints it.
  Result<> can_put_secrets() const;  // Code::not_found: this provider has no such hook
  Result<std::string> put_secret(const VmRequest& vm, const std::string& name, const std::string& value,
                                 const Progress& progress) const;

  // Keeps the disk of a VM that has been sealed (machine/vm_side.sh): a value for options.image. `before`: the one it
  // replaces, may go.
  Result<std::string> bake(const VmRequest& vm, const std::string& before, const Progress& progress) const;

  // The hook as it is, once: for hooks that not every provider has, and for the conformance tests.
  Result<nlohmann::json> call(const std::string& hook, const Environment& environment, const Progress& progress,
                              int timeout_ms, int lock = -1, const std::function<void(int pid)>& started = {}) const;
  bool has(const std::string& hook) const;
  Environment environment(const VmRequest& vm) const { return vm.environment(environment_); }

 private:
  Result<nlohmann::json> patiently(const std::string& hook, const VmRequest& vm, const Progress& progress,
                                   int timeout_ms, int lock = -1,
                                   const std::function<void(int pid)>& started = {}) const;

  std::string name_, directory_;
  Environment environment_;
  Limits limits_;
};

}  // namespace bottle::machine
