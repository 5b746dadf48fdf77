// Keeps a flood of refusals small in the record. The first refusal of each kind is written, and so are others while
// the allowance lasts. The rest are counted, and each count is written as one line, at growing intervals. No decision
// is lost, because the counts add up. Pure. The memory is bounded, because the agent chooses the names.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "guard/audit/audit_line.h"

namespace bottle::guard {

// Decides for one Audit which lines are written and which are only counted.
class Repeats {
 public:
  using Write = std::function<void(const AuditLine&)>;

  // Takes a line about something that the guard did not let through. Returns whether to write it now. If not, it was
  // counted; without `room`, lines are always counted. `now` is in milliseconds of a monotonic clock; `stamp` is the
  // time that the record shows.
  bool admit(const AuditLine& line, std::string_view stamp, int64_t now, bool room = true);
  // Writes the counts that are due, or all of them. Returns the milliseconds until the next count is due, or -1 for
  // never.
  int due(int64_t now, const Write& write, bool all = false);

  // The number of lines that may be written in a burst, and the number that each further second allows.
  static constexpr int kAtOnce = 200, kASecond = 10;
  static constexpr size_t kMostFloods = 256;

 private:
  // Lines with the same action, kind, code, host and port.
  struct Flood {
    std::string id;  // of the first line, like the other texts
    Action action;
    Kind kind;
    std::string host, code, reason;
    std::optional<policy::Lacks> lacks;
    uint16_t port = 0;
    bool counting = false;  // until a pause passes without such a line
    uint64_t count = 0;
    std::string first, last;
    int64_t pause = 0, next = 0;  // the milliseconds between two lines, and the time when the next one is due
  };
  bool spend(int64_t now);
  Flood& flood_of(const AuditLine& line, int64_t now, bool& fresh);

  std::map<std::string, Flood> floods_;
  int64_t allowance_ = int64_t{kAtOnce} * 1000;  // in thousandths of a line
  int64_t spent_at_ = 0;
  int64_t next_ = -1;  // the earliest `next` of all floods, or -1
};

}  // namespace bottle::guard
