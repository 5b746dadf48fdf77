// What there is at all providers, beside what is remembered here: for `bottle vm list`, `cleanup` and the sweep at
// every start.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "machine/destroy.h"
#include "machine/record.h"

namespace bottle::machine {

struct Found {
  std::string provider;
  Listed listed;  // as the provider tells it; only id and name where it does not know of it (any more)
  std::map<std::string, std::string> options;  // with which its provider was asked
  std::optional<Record> record;                // what is remembered of it here
  bool at_provider = false;
  bool mine = false;  // made by this user on this machine
  bool orphan =
      false;  // mine, and nobody's any more: its owner is dead (it may be held), its time is up, or its record is lost
  bool reaper = false;  // a reaper watches over it
};

struct Inventory {
  std::vector<Found> all;
  std::map<std::string, std::string> silent;  // providers that could not be asked, and why
};

// Whom to ask, with the options each is asked with (a region, a profile): one provider may be asked several times.
struct Ask {
  std::string provider;
  std::map<std::string, std::string> options;
  bool required = true;  // false: that it is not set up here is no news
};

// Asks all at once. Those of the records are asked too, with the options of each.
Inventory take_inventory(const Places& places, const Environment& environment, std::vector<Ask> ask,
                         const Limits& limits, const Progress& progress);

// Whether the VM of a record is nobody's any more, as far as this machine's clock can tell: a reaper that lives knows
// better when its time is up.
bool orphaned(const Record& record, const Places& places);

// Whether an orphan of the inventory still is one: its reaper may have destroyed it meanwhile, or somebody taken it
// over.
bool still_orphan(const Found& found, const Places& places);

// Destroys an orphan by what was found of it: through its record where there is one, else by id and name.
Result<Destroyed> destroy_found(const Found& found, const Places& places, const DestroyOptions& options,
                                const Progress& progress);

}  // namespace bottle::machine
