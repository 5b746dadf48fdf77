// The write-ahead record of what a session creates: a thing's name is on disk before the thing exists, so that
// whoever comes after a crash knows what to remove. One JSON object a line; a torn last line is ignored.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/unique_fd.h"

namespace bottle::session {

struct Thing {
  std::string kind;  // container | network | ssh-agent (its socket's path)
  std::string name;
};

// Who owns a session: enough to tell a live owner from a process that got its number.
struct Owner {
  uint32_t uid = 0;
  int pid = 0;
  std::string start_time, boot_id;

  static Owner self();
  bool alive() const;
  std::string to_label() const;
  static Result<Owner> from_label(const std::string& label);
};

class Ledger {
 public:
  // Creates `directory` (mode 0700) and the ledger in it, with the owner as its first record.
  static Result<Ledger> create(const std::string& directory, const Owner& owner);

  // Takes over the ledger of a session whose owner died. Code::conflict if somebody lives in it.
  static Result<Ledger> adopt(const std::string& directory, const Owner& owner);

  // Appends and flushes to disk; returns only when the record would survive a power cut.
  Result<> will_make(const std::vector<Thing>& things);
  Result<> note(const nlohmann::json& record);

 private:
  explicit Ledger(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

struct LedgerView {
  Owner owner;
  std::vector<Thing> things;  // in the order in which they were to be made
  std::string engine;         // the engine's socket
  nlohmann::json remote;      // of a session on another machine: how to reach it; null otherwise
  nlohmann::json vm;          // same: the machine was made for it {"name", "provider", "wanted"}; null otherwise
  nlohmann::json plan;        // same: the plan
  std::string base;           // same: the commit that was sent
  bool running = false;       // the agent was let run
};
Result<LedgerView> read_ledger(const std::string& directory);

}  // namespace bottle::session
