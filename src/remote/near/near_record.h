// The record of a session on another machine, in the session's directory on this one: how its machine is reached, and
// what `bottle list` shows.
#pragma once

#include <string>

#include "machine/record.h"
#include "wire/job.h"

namespace bottle::remote {

using session::Far, session::Job;

struct NearRecord {
  Far far;
  std::string vm_name;  // of the VM that was made for the session; empty: the machine was there before
  std::string directory;
};

// Where the records of VMs are.
machine::Places vm_places(const Job& job);

// Whether the session's VM was destroyed, for whatever reason. False if it never had one.
bool vm_is_gone(const Job& job, const NearRecord& record);

// What `bottle list` shows.
void write_info(const Job& job, const NearRecord& record, const char* state);

}  // namespace bottle::remote
