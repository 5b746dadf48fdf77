// Lists everything that exists at all providers or is recorded on this machine, for `bottle vm list`, `cleanup` and
// the sweep at every start.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "machine/destroy.h"
#include "machine/record.h"

namespace bottle::machine {

// Says to whom a thing belongs, which decides what a sweep and `bottle cleanup` may do with it.
enum class Belongs {
  to_others,
  to_me,        // made by this user on this machine
  to_my_sweep,  // the same, but its owner is dead (it may be held), it has expired, or its record is lost
};

// Describes one machine, or something that a machine left behind, with all that is known about it.
struct Found {
  std::string provider;
  Listed listed;  // from the provider; only id and name if the provider does not list the VM
  std::map<std::string, std::string> options;  // the options with which its provider was asked
  std::optional<Record> record;                // its record on this machine
  bool at_provider = false;
  Belongs belongs = Belongs::to_others;
  bool reaper = false;  // whether it has a living reaper

  // Returns the name, or the id if the provider has no names.
  const std::string& name() const { return listed.name.empty() ? listed.id : listed.name; }
  // Return whether this user made it, and whether a sweep may destroy it.
  bool mine() const { return belongs != Belongs::to_others; }
  bool orphan() const { return belongs == Belongs::to_my_sweep; }
};

// Holds everything that was found, and what could not be asked or read. With anything in `silent` or `unread`, the
// inventory is not complete.
struct Inventory {
  std::vector<Found> all;
  std::map<std::string, std::string> silent;  // providers that could not be asked, and why
  // VMs whose records could not be read, and why. Nothing without a record is then an orphan, because it may belong to
  // one of these, which may be in use or hold work.
  std::map<std::string, std::string> unread;
};

// Says which provider to ask and with which options, such as a region or a profile. One provider may be asked several
// times.
struct Ask {
  std::string provider;
  std::map<std::string, std::string> options;
  bool required = true;  // false if a provider that is not set up need not be reported
};

// Asks all providers at the same time, including those of the records, with the options of each record. Fails if the
// records cannot be listed: VMs in use would look like lost ones.
Result<Inventory> take_inventory(const Directories& directories, const Environment& environment, std::vector<Ask> ask,
                                 const Limits& limits, const Progress& progress);

// Returns whether the VM of a record no longer has an owner or has expired by this machine's clock. If its reaper
// lives, only the reaper decides about the time.
bool orphaned(const Record& record, const Directories& directories);

// Returns whether an orphan of the inventory is still one. In the meantime, its reaper may have destroyed it, another
// process may have taken it over, or there may be a record that cannot be read.
bool still_orphan(const Found& found, const Directories& directories);

// Destroys an orphan through its record if there is one, otherwise by id and name.
Result<Destroyed> destroy_found(const Found& found, const Directories& directories, const DestroyOptions& options,
                                const Progress& progress);

}  // namespace bottle::machine
