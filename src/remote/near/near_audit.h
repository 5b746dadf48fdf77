// The decisions of the broker, which runs on this machine. Those of the far guard come home with the results.
#pragma once

#include <optional>
#include <string>

#include "session/console/clients.h"
#include "session/guard_link/audit_file.h"

namespace bottle::remote {

class NearAudit {
 public:
  // `path`: the file for the lines, created with the first of them. `clients` must outlive it.
  NearAudit(std::string path, session::Clients& clients) : path_(std::move(path)), clients_(clients) {}
  // Records it, and tells the clients of the first refusals.
  void add(wire::Decision decision);
  // To be called from time to time. Writes what could not be written before, and tells the clients of a change.
  // Returns why nothing more may be let through; empty: all is recorded.
  const std::string& look_at_disk();

 private:
  std::string path_;
  session::Clients& clients_;
  std::optional<session::AuditFile> file_;
  std::string full_;  // why nothing more can be recorded
  int told_ = 0;      // refusals that the clients heard of
};

}  // namespace bottle::remote
