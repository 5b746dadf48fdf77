// Writes the decisions of a session to the operator's disk, one JSON object per line, each chained to the one before
// it (audit_chain.h). The agent can cause any number of decisions, so the file has a size limit, but it always has
// everything that was let through. Most of the space is reserved for that, so refusals cannot use it up, and while
// full() returns a reason, the guard must let nothing through.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "session/audit/audit_chain.h"

namespace bottle::session {

// Keeps the record of a running session. watch() makes it, and every decision of the guard and of the ssh-agent filter
// goes through it, on one thread.
class AuditFile {
 public:
  static constexpr uint64_t kMost = 256u << 20;  // in bytes; also the limit of what is fetched from another machine

  // Opens the file for appending, and continues the chain of its lines. Three quarters of `most` bytes are for what was
  // let through.
  explicit AuditFile(const std::string& path, uint64_t most = kMost);
  // Writes a decision. Blocks for as long as the disk needs. If the disk is full, keeps the decision in memory and
  // writes it later; refusals are only counted. If the space for refusals is used up, one last line says so.
  void add(const wire::Decision& decision);
  // Tries again to write what is kept. Call it from time to time while full() returns a reason.
  void retry();

  // Writes the last line, which says how many lines the record has. Writes nothing if the file is already closed or the
  // disk is full. Returns how the record ended.
  wire::AuditSeal close();

  // Returns the reason, for the operator, why nothing more may be let through, or an empty string if decisions can be
  // recorded. Returns a reason early enough to leave space for decisions that are already under way.
  std::string full() const;
  // Returns the number of lines in the record.
  uint64_t lines() const { return chain_.lines(); }
  // Returns the number of bytes that wait for the disk. Beyond kMostKept, the caller must read nothing more from the
  // guard.
  size_t kept() const { return kept_.size(); }
  static constexpr size_t kMostKept = 4 << 20;

 private:
  void continue_chain();
  bool put(const std::string& text);
  bool put_line(const wire::Decision& decision);
  void took(const std::string& text);
  void add_refusal(const wire::Decision& decision);

  std::string path_;
  UniqueFd fd_;
  uint64_t size_ = 0;  // size of the whole lines
  AuditChain chain_;   // chain of the lines in the file and in kept_
  bool closed_ = false;
  uint64_t left_traffic_ = 0, left_refusals_ = 0;
  uint64_t reserve_ = 0;  // part of left_traffic_ for what is under way when the rest is used up
  bool refusals_full_ = false, traffic_full_ = false;
  std::string kept_;
  uint64_t uncounted_ = 0;  // refusals that no line accounts for yet
  std::string trouble_;     // the disk's last error
};

// Returns how the record in a file ends, without writing to it. Returns nothing if the file cannot be read.
std::optional<wire::AuditSeal> seal_as_found(const std::string& path);

// Ends the record that a dead supervisor left in a file, unless its result already says how the record ended. `known`
// contains the seals of that result. If the result has the seal, leaves the file unchanged, so that later changes to
// it can be found. Returns the seals for the result.
std::vector<wire::AuditSeal> seals_after_death(const std::string& path, std::vector<wire::AuditSeal> known);

// Returns the entry for a guard's line that is not a valid decision. The guard may have let something through.
wire::Decision unreadable(const Error& why);

}  // namespace bottle::session
