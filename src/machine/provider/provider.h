// Finds a provider of VMs, which is a folder of hooks, and calls its hooks. docs/providers.md is the
// contract.
#pragma once

#include <cstdint>
#include <stop_token>
#include <string>
#include <vector>

#include "base/error.h"
#include "machine/provider/answers.h"
#include "machine/provider/hook.h"
#include "machine/provider/owner_label.h"
#include "manifest/manifest.h"

namespace bottle::machine {

// Says how long hooks may take, in milliseconds.
struct Limits {
  int create = 600000, other = 60000;        // for one call of a hook
  int retry = 300000;                        // how long a hook that says "try again" is called again
  int backoff = 1000, backoff_most = 15000;  // the first pause, which doubles each time up to the longest
  std::stop_token stop = {};                 // when requested, ends every hook and every wait with Code::canceled
};

// Waits between two attempts. Fails with Code::canceled on a stop.
Result<> pause(const Limits& limits, int milliseconds);

// Describes one VM to its hooks. 0 means the provider's default.
struct VmRequest {
  std::string name, id, session, owner;
  manifest::Vm wanted;                               // with default times if the manifest has none
  std::string user_data, ssh_public_key, state_dir;  // paths

  // Return the amounts in the units of the hooks' variables, rounded up to whole processors and gigabytes.
  int64_t cpus() const, memory_mb() const, disk_gb() const;
  // Returns `base` with the variables BOTTLE_*, which describe this VM (docs/providers.md).
  Environment environment(Environment base) const;
};

// Stands for a complete folder of hooks, which has all hooks that every provider needs. Functions block as long as
// their hooks do, and may be called from several threads.
class Provider {
 public:
  // Finds a provider. The operator's own folder takes precedence over a provider that this program carries. Fails with
  // Code::not_found, which lists the names that exist, and with Code::denied if other users may write to the folder.
  // `environment` is everything that the hooks will see besides BOTTLE_*.
  static Result<Provider> find(const std::string& name, const Directories& directories, const Environment& environment,
                               const Limits& limits = {});

  // Returns the names of the operator's providers and of those that this program carries.
  static Result<std::vector<std::string>> names(const Directories& directories);

  // Return the name, the folder of the hooks, and the time limits that find() was given.
  const std::string& name() const { return name_; }
  const std::string& directory() const { return directory_; }
  const Limits& limits() const { return limits_; }

  // These functions call a hook. If it says "try again", they retry with growing pauses until Limits::retry has passed.
  // `lock`, if not -1, becomes the hook's stdin (see lock_vm()). The answers are checked: if a hook prints something
  // that does not keep the contract, they fail with Code::protocol.
  Result<Created> create(const VmRequest& vm, const Progress& progress, int lock = -1,
                         const std::function<void(int pid)>& started = {}) const;
  Result<Where> ssh_info(const VmRequest& vm, const Progress& progress) const;  // not retried; unavailable until known
  // Returns pending, running, stopped, deleting or gone.
  Result<std::string> status(const VmRequest& vm, const Progress& progress) const;
  Result<std::string> destroy(const VmRequest& vm, const Progress& progress) const;  // deleting or gone
  Result<std::vector<Listed>> list(const std::string& owner, const std::map<std::string, std::string>& options,
                                   const Progress& progress) const;

  // can_put_secrets() fails if this provider cannot do it. put_secret() gives the value to the platform's own store,
  // and returns a command for `sh` on the VM that prints it.
  Result<> can_put_secrets() const;  // Code::not_found if there is no such hook
  Result<std::string> put_secret(const VmRequest& vm, const std::string& name, const std::string& value,
                                 const Progress& progress) const;

  // Keeps the disk of a VM that has been sealed (machine/vm_side.sh). Returns a value for options.image. `before` is
  // the one that it replaces, and may be removed. `lock` and `started` are as for create().
  Result<std::string> bake(const VmRequest& vm, const std::string& before, const Progress& progress, int lock = -1,
                           const std::function<void(int pid)>& started = {}) const;

  // Calls a hook once and returns its answer unchecked. Used for hooks that not every provider has, and for the
  // conformance tests.
  Result<nlohmann::json> call(const std::string& hook, const Environment& environment, const Progress& progress,
                              int timeout_ms, int lock = -1, const std::function<void(int pid)>& started = {},
                              const std::string& input = {}) const;
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
