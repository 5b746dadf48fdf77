// Formats what `bottle vm` and `bottle cleanup` show about VMs, as rows and as JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "app/output/output.h"
#include "base/error.h"
#include "machine/inventory.h"
#include "machine/vm.h"

namespace bottle::app {

// Describes one row of `bottle vm list`. An empty text means that the fact is not known.
struct VmRow {
  std::string name, id, provider, kind, state, session, owner, cost_per_hour;
  bool mine = false, reaper = false, keep = false;
  std::optional<int64_t> age, ends_in;  // in seconds; `ends_in` is negative when the VM has expired
};
// Returns the row of a VM at the present time. `asked` says whether its provider answered.
VmRow row_of(const machine::Found& found, bool asked);
// Returns the row with null for a time that is not known.
nlohmann::json to_json(const VmRow& row);

// Returns the description of a VM that was just made, as `bottle vm create --json` prints it.
nlohmann::json to_json(const machine::Vm& vm);

// Returns the receipt of a destruction. `name` is used if the VM could not be destroyed.
nlohmann::json receipt_of(const Result<machine::Destroyed>& gone, const std::string& name);
// Returns the entry of a VM that would be destroyed.
nlohmann::json entry_of(const machine::Found& found, const std::string& name);
// Returns the receipt of a VM that is kept because its work could not be fetched, with the reason.
nlohmann::json receipt_of_held(const machine::Found& found, const std::string& name, const std::string& why);

// Prints how destroying a VM ended (not with --json). Returns whether the provider confirmed it.
bool report_destroyed(const Result<machine::Destroyed>& gone, const std::string& name, const Output& output);
// Reports the providers that did not answer and the records that cannot be read. Returns whether there are none.
bool report_gaps(const machine::Inventory& inventory);

}  // namespace bottle::app
