// Destroying a VM, until the provider itself says that nothing is left.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "machine/record.h"

namespace bottle::machine {

// For the receipt.
struct Destroyed {
  std::string name, provider, id;
  bool confirmed = false;
  std::string confirmed_by;  // what said so
  int calls = 0;             // of the `destroy` hook
  double seconds = 0;
  int64_t made = 0, at = 0;       // when it was made, and confirmed gone (seconds since 1970)
  std::vector<std::string> left;  // what is still there, or could not be asked
};
nlohmann::json to_json(const Destroyed& destroyed);

struct DestroyOptions {
  Limits limits;
  int patience_ms = 300000;  // for all of it
  int settle_ms = 5000;      // after a `create` that was cut short: how long until it is looked at once more
  Environment environment;   // for the hooks
};

// Destroys the VM `name` and everything the provider lists for it, from what is recorded in places.vms, or by its name
// alone where nothing is. "Gone" is believed when a later `status` says it, and `list` has nothing of it. Then the VM's
// directory is removed, keys and all. Idempotent: a VM that was never made, or is gone, is confirmed gone.
// An error only where nothing could be asked; otherwise Destroyed::confirmed says how it ended. Blocking.
Result<Destroyed> destroy_vm(const std::string& name, const std::string& provider, const Places& places,
                             const DestroyOptions& options, const Progress& progress);

// What is on the VM could not be fetched: it is held (hold()), unless its provider says that nothing can be fetched
// from it any more. One that starts, is moved or repaired ("pending"), or of which nothing can be learned now, may be
// there again. Whether it is held.
bool hold_unless_ended(const std::string& name, const Places& places, const DestroyOptions& options);

}  // namespace bottle::machine
