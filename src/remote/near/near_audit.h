// Records the decisions of the broker, which runs on this machine. The far guard's decisions come home with
// the results.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "session/audit/audit_file.h"
#include "session/console/clients.h"

namespace bottle::remote {

// Writes the broker's record, which is beside the far guard's in the session's results. The record survives the near
// side, and another near side continues it.
class NearAudit {
 public:
  // `path` is the file for the lines, which is created with the first line. `clients` must outlive this object.
  NearAudit(std::string path, session::Clients& clients) : path_(std::move(path)), clients_(clients) {}
  // Records a decision. Tells the clients about the first refusals.
  void add(wire::Decision decision);
  // Writes what could not be written before, and tells the clients about a change. Call it from time to time. Returns
  // the reason why nothing more may be let through, or an empty string if everything is recorded.
  const std::string& retry_disk();
  // Closes the record, if there is one. `known` contains the seals of an earlier result of the session. If this object
  // has written nothing and that result says how the record ended, leaves the file unchanged. Returns the record's
  // seal, or nothing if there is no record.
  std::vector<wire::AuditSeal> close(std::vector<wire::AuditSeal> known);

 private:
  std::string path_;
  session::Clients& clients_;
  std::optional<session::AuditFile> file_;
  std::string full_;  // why nothing more can be recorded
  int told_ = 0;      // number of refusals that the clients were told about
};

}  // namespace bottle::remote
