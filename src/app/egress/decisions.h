// Reads the decisions of a session's guard, and those of the broker on this machine, while they are being written.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "session/ledger/files.h"

namespace bottle::app {

// Reads the decisions of one session's guards. The session may run, or may have ended.
class Decisions {
 public:
  explicit Decisions(const std::string& session);
  using Take = std::function<void(const std::string& line)>;
  // Passes each line to `take`, in chronological order. Holds only a small part of the record in memory, because it may
  // have hundreds of megabytes. With `follow`, waits for further lines as long as the session runs. The record of a
  // session on another machine comes home only at its end, so with `follow`, asks that machine for the latest decisions
  // of its guard until then. Stops when the reader of stdout has closed it.
  Result<> each(bool follow, const Take& take);
  // Skips the existing lines, so that each() passes only later ones.
  Result<> skip();
  // Returns whether there is a record. Call this after each().
  bool exist() const { return guard_.fd || near_.fd; }

 private:
  struct File {
    std::string path, rest = {};
    UniqueFd fd = {};
    std::deque<std::string> lines = {};  // that were read, but not passed on yet
    uint64_t skipped = 0;                // the number of lines that are still to be left out
    // refill() reads on until there is a line, and skip() goes to the present end of the file.
    Result<> refill();
    Result<> skip();
  };
  // pass_all() passes on all lines that exist now, and ask_other_machine() asks the other machine for more.
  // read_record_after_all() changes from asking to reading the record, once it is on this machine.
  Result<> pass_all(const Take& take);
  Result<> ask_other_machine();
  void read_record_after_all();
  std::string session_;
  File guard_, near_;
  bool asks_remote_ = false;             // asks the other machine for the guard's decisions
  std::optional<uint64_t> next_remote_;  // the number of its next decision
};

// The names of the files with the decisions of a session's guard, and with those of the broker on this machine.
inline constexpr const char* kRecords[] = {session::kAudit, session::kNearAudit};

// The argument that stands for a record on stdin.
inline constexpr std::string_view kStdin = "-";

// Returns whether an argument is the path of a record or kStdin, and not the name of a session.
bool is_record_path(const std::string& argument);

// Passes each line of a record, which is a file or kStdin, to `take`, without its line end. Returns what follows the
// last line end: a line that is still being written, or was cut. Lines that are longer than any of a record are
// shortened. Fails with Code::invalid if `unreadable` returns more than kMostUnreadable, which is the number of lines
// so far that are not decisions: a file with millions of short lines would take minutes.
Result<std::string> read_record(const std::string& path, const std::function<void(const std::string& line)>& take,
                                const std::function<uint64_t()>& unreadable);
inline constexpr uint64_t kMostUnreadable = 100'000;

// Returns the error for a session that has no record.
std::unexpected<Error> no_decisions(const std::string& session);

}  // namespace bottle::app
