// What the guard on this machine decided for a session on another one. What the far guard decided comes with the work.
#pragma once

#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "session/console/clients.h"
#include "session/guard_link/audit_file.h"

namespace bottle::remote {

class NearAudit {
 public:
  // `path`: the file that gets the lines, made with the first of them. `clients` must outlive it.
  NearAudit(std::string path, session::Clients& clients) : path_(std::move(path)), clients_(clients) {}
  // Records the line, and tells the clients of the first refusals.
  void add(nlohmann::json line);
  // To be called from time to time: writes what the disk did not take before. Why nothing more may be let through, or
  // empty; a change is told to the clients.
  const std::string& look_at_disk();

 private:
  std::string path_;
  session::Clients& clients_;
  std::optional<session::AuditFile> file_;
  std::string full_;  // why it takes no more
  int told_ = 0;
};

}  // namespace bottle::remote
