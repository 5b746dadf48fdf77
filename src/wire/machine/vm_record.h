// Defines what this machine keeps about VMs: the record of each VM (machine/record.h), and the record of what was baked
// for later VMs. Both stay on disk, and later versions of bottle must still be able to read them. Fields are therefore
// added but never changed.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "wire/codec/codec.h"

namespace bottle::wire {

// Holds a ProcessIdentity (base/os/process_identity.h).
struct ProcessRecord {
  int pid = 0;
  std::string start, boot;
};
void fields(Object& o, ProcessRecord& process);

// Holds the record of one VM. `machine` converts it to a machine::Record, which explains the fields.
struct VmRecord {
  static constexpr const char* kName = "record of a VM";
  static constexpr size_t kMost = 1 << 20;
  std::string name, id, session, owner, provider;
  std::string second_owner;
  uint64_t cpus = 0, memory_mb = 0, disk_gb = 0;     // 0 means the provider's default
  uint64_t ttl = 0, idle = 0;                        // in seconds
  std::string user_data, ssh_public_key, state_dir;  // paths
  std::map<std::string, std::string> options;
  ProcessRecord owner_process, hook;
  bool keep = false, held = false;
  int64_t made = 0, until = 0;  // in seconds since 1970
  std::string cost_per_hour;
};
// Ignores unknown keys, which a later version may have written.
void fields(Object& o, VmRecord& vm);

// Describes what `bottle vm bake` made for the VMs of one provider with the same options.
struct BakedRecord {
  static constexpr const char* kName = "record of a baked image";
  static constexpr size_t kMost = 64 << 10;
  std::string image;                      // the provider's name for it
  std::string program, roots;             // content hashes
  std::vector<std::string> agent_images;  // image_identity() of each
  int64_t made = 0;                       // in seconds since 1970
};
// Ignores unknown keys. Every key except the image may be missing.
void fields(Object& o, BakedRecord& baked);

}  // namespace bottle::wire
