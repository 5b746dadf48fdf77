// Opens ledgers for writing.
#pragma once

#include <string>

#include "base/error.h"
#include "base/os/deadline.h"
#include "base/unique_fd.h"
#include "wire/ledger.h"

namespace bottle::session {

// The open ledger of one session. Appends whole lines, and first ends a line that a crash or a full disk has left
// incomplete: a reader would skip it together with the record after it. Several threads may append at the same time.
class LedgerFile {
 public:
  // Whether a record must survive a power failure before the caller goes on.
  enum class Flush { yes, no };

  // Makes a new ledger in a directory, and locks it.
  static Result<LedgerFile> create(const std::string& directory);
  // Opens and locks the ledger that a directory has. Fails with Code::not_found if it has none, with Code::timed_out if
  // another process still has the lock, and if it cannot be opened for writing or locked.
  static Result<LedgerFile> take(const std::string& directory, Deadline deadline);
  // Opens it without a lock, because its owner or a sweep may have that.
  static Result<LedgerFile> open_unlocked(const std::string& directory);

  Result<> append(const wire::LedgerRecord& record, Flush flush);
  // Returns whether an error came from append(), perhaps because the disk is full, and not from an engine whose request
  // was to be recorded.
  static bool caused(const Error& error);

 private:
  explicit LedgerFile(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

}  // namespace bottle::session
