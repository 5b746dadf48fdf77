// Defines what the program on a new VM (machine/vm_side.sh) prints over ssh, one message per line.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "wire/codec/codec.h"

namespace bottle::wire {

// Holds the host key that the VM made for itself. The reader must check that the text is a key.
struct NewHostKey {
  static constexpr const char* kName = "VM's new host key";
  static constexpr size_t kMost = 64 << 10;
  std::string key;  // "ssh-ed25519 AAAA…"
};
void fields(Object& o, NewHostKey& key);

// Says that the VM's sshd now uses that key.
struct HostKeyInUse {
  static constexpr const char* kName = "VM's answer to its new host key";
  static constexpr size_t kMost = 64 << 10;
  bool rotated = true;
};
void fields(Object& o, HostKeyInUse& answer);

// Tells the state of the VM's container engine, which the VM asks until it answers or the time is up.
struct EngineState {
  static constexpr const char* kName = "VM's answer about its engine";
  static constexpr size_t kMost = 64 << 10;
  std::string engine;                   // the version of the engine that answers, "missing" or "silent"
  std::optional<uint64_t> uptime = {};  // in seconds since the VM started
};
void fields(Object& o, EngineState& state);

// Says that the VM's disk is ready to become that of other VMs. The VM writes nothing to it any more.
struct DiskSealed {
  static constexpr const char* kName = "VM's answer to the sealing of its disk";
  static constexpr size_t kMost = 64 << 10;
  bool sealed = true;
};
void fields(Object& o, DiskSealed& answer);

}  // namespace bottle::wire
