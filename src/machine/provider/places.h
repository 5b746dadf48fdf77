// Where providers and the records of VMs are on the operator's disk.
#pragma once

#include <map>
#include <string>

namespace bottle::machine {

using Environment = std::map<std::string, std::string>;

struct Places {
  std::string config;  // $XDG_CONFIG_HOME/bottle: the operator's providers/NAME
  std::string cache;   // $XDG_CACHE_HOME/bottle: the providers this program carries, unpacked
  std::string
      vms;  // $XDG_STATE_HOME/bottle/vms/NAME: record, keys, the provider's own state; there until confirmed gone

  static Places from(const Environment& environment);
  std::string directory(const std::string& vm) const { return vms + "/" + vm; }
};

// A name of ours: [a-z0-9-]{1,40}, not beginning with a dash. Everything that becomes a path or a label is asked.
bool valid_vm_name(const std::string& name);

// The label of everything that this user on this machine makes: says "ours", and nothing about who that is.
std::string owner_label(const Places& places);

}  // namespace bottle::machine
