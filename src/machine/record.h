// What is remembered of a VM from before it is made until it is confirmed gone: `vms/NAME/vm.json`, mode 0600 in a
// directory of 0700. Enough to destroy it after everything else was lost. No secret is in it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/os/process_identity.h"
#include "base/unique_fd.h"
#include "machine/provider/provider.h"

namespace bottle::machine {

struct Record {
  VmRequest vm;
  std::string provider;
  ProcessIdentity owner;  // who made it and must live; a kept VM has none
  bool keep = false;      // outlives its owner, until its time is up: it was made so
  bool held = false;      // the same, for what is on it could not be fetched yet
  int64_t made = 0;       // seconds since 1970, on this machine's clock
  int64_t until = 0;      // when its time is up
  std::string cost_per_hour;
  ProcessIdentity hook;  // the `create` that runs or ran

  bool creating() const { return vm.id.empty(); }  // `create` never told us that it was done
};

Result<> save(const Record& record, const Places& places);
// Code::not_found; Code::denied where another may have written it; Code::protocol where it is not such a record.
Result<Record> load(const std::string& name, const Places& places);
std::vector<std::string> recorded(const Places& places);

bool is_recorded(const std::string& name, const Places& places);

// This process is its owner from now on, and holds it as long as it lives.
Result<> take_over(const std::string& name, const Places& places);

// It outlives its owner until its time is up: what is on it could not be fetched yet.
Result<> hold(const std::string& name, const Places& places);

// Removes the VM's directory, the record last.
void forget(const std::string& name, const Places& places);

// Removes the directory of a VM that was never recorded: whoever made it died before anything else could be.
void forget_unborn(const std::string& name, const Places& places);

// Whether its owner is dead, and it was not made to outlive that.
bool ownerless(const Record& record);
// That, without anything that it holds, or its time is up: then the VM should not be.
bool abandoned(const Record& record, int64_t now);
int64_t now_seconds();

// The lock of a VM. Its `create` hook has it as its stdin: so it is held as long as that hook lives, whoever called it,
// and nobody destroys a VM while another is making it. Code::timed_out; Code::not_found where the VM's directory is no
// more.
Result<UniqueFd> lock_vm(const std::string& name, const Places& places, int timeout_ms);

}  // namespace bottle::machine
