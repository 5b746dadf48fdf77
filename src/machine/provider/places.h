// Says where providers and the records of VMs are on the operator's disk.
#pragma once

#include <map>
#include <string>

namespace bottle::machine {

using Environment = std::map<std::string, std::string>;

// Holds the directories of machines and providers. None of them needs to exist.
struct Places {
  std::string config;  // $XDG_CONFIG_HOME/bottle: the operator's providers/NAME
  std::string cache;   // $XDG_CACHE_HOME/bottle: the unpacked providers of this program
  std::string
      vms;  // $XDG_STATE_HOME/bottle/vms/NAME: record, keys and the provider's state, until the VM is confirmed gone

  // Derives the places from variables, with the usual defaults below $HOME. directory() returns where everything about
  // one VM is; check the name with valid_vm_name() first.
  static Places from(const Environment& environment);
  std::string directory(const std::string& vm) const { return vms + "/" + vm; }
};

// Returns whether a name is [a-z0-9-]{1,40} and does not begin with a dash. Everything that becomes a path or a label
// is checked with it.
bool valid_vm_name(const std::string& name);

// Returns the label of everything that this user makes on this machine. It does not reveal who the user is.
std::string owner_label(const Places& places);

}  // namespace bottle::machine
