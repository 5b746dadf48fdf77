// Opens ledgers for writing.
#pragma once

#include <optional>
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

// Removes everything in a session's directory but the ledger, which must stay as long as anything else does. Returns
// false if the directory cannot be read, because then something else may be in it.
bool remove_all_but_ledger(const std::string& directory);

// Removes the directory of a session that is confirmed gone. Removes the ledger last, because the next sweep tries
// again as long as the ledger exists. If this process has the directory's ledger open, pass it as `ledger`. It is
// closed before the directory is removed, because NFS keeps the directory of an open file. Nothing else in the
// directory may be open.
void remove_session_directory(const std::string& directory, std::optional<LedgerFile> ledger);

}  // namespace bottle::session
