// Where things are on the operator's disk.
#pragma once

#include <map>
#include <string>

namespace bottle::session {

struct Directories {
  std::string config;    // $XDG_CONFIG_HOME/bottle: the policy
  std::string sessions;  // $XDG_STATE_HOME/bottle/sessions/<id>: ledger, socket; gone when the session is
  std::string results;   // $XDG_STATE_HOME/bottle/results/<id>: patch, audit, receipt; kept for the operator
  std::string home;
  std::string cache;     // $XDG_CACHE_HOME/bottle: may go at any time
  std::string runtimes;  // $XDG_STATE_HOME/bottle/runtimes.json: which of them passed their trial

  static Directories from(const std::map<std::string, std::string>& environment);
};

}  // namespace bottle::session
