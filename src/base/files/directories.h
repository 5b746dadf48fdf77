// Names the places on the operator's disk that `bottle` uses.
#pragma once

#include <map>
#include <string>

namespace bottle {

// Holds absolute paths without a slash at the end. The directories and files need not exist.
struct Directories {
  std::string config;    // $XDG_CONFIG_HOME/bottle: the policy
  std::string sessions;  // $XDG_STATE_HOME/bottle/sessions/<id>: ledger, socket; removed with the session
  std::string results;   // $XDG_STATE_HOME/bottle/results/<id>: patch, audit, receipt; kept for the operator
  std::string home;      // $HOME, or "/" if it is not set
  std::string cache;     // $XDG_CACHE_HOME/bottle: may be deleted at any time
  std::string vms;       // $XDG_STATE_HOME/bottle/vms/<name>: record, keys, provider's state; kept until the VM is gone
  std::string runtimes;  // $XDG_STATE_HOME/bottle/runtimes.json: which runtimes passed their trial

  // Return the directory of a session, that of its results, and that of a VM.
  std::string session(const std::string& name) const { return sessions + "/" + name; }
  std::string results_of(const std::string& name) const { return results + "/" + name; }
  std::string vm(const std::string& name) const { return vms + "/" + name; }

  // Derives the places from variables (XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_CACHE_HOME and HOME). Does not access the
  // disk.
  static Directories from(const std::map<std::string, std::string>& environment);
};

}  // namespace bottle
