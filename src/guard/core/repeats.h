// Keeps a flood of refusals small in the record: the first of each kind is written as it is, as are as many more as the
// allowance holds; what goes beyond is counted, and written as one line each time that grows ever rarer. Nothing is
// forgotten: the counts add up. Pure, and bounded: the agent chooses the names.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "guard/core/audit_line.h"

namespace bottle::guard {

class Repeats {
 public:
  using Write = std::function<void(const AuditLine&)>;

  // Whether a line that lets nothing through is to be written now; otherwise it has been counted, as it is without
  // `room`. `now`: milliseconds of a clock that only goes forward; `stamp`: the time that the record shows.
  bool admit(const AuditLine& line, std::string_view stamp, int64_t now, bool room = true);
  // Writes the counts that are due, or all of them. Returns the milliseconds until the next will be, -1 for never.
  int due(int64_t now, const Write& write, bool all = false);

  // Lines of their own at once, and a second afterwards.
  static constexpr int kAtOnce = 200, kASecond = 10;
  static constexpr size_t kMostKinds = 256;

 private:
  struct Kind {
    std::string id, action, kind, host, code, reason;  // of the first
    int port = 0;
    bool counting = false;  // until a pause passes without one
    uint64_t count = 0;
    std::string first, last;
    int64_t pause = 0, next = 0;  // milliseconds between two lines; when the next is due
  };
  bool spend(int64_t now);
  Kind& kind_of(const AuditLine& line, int64_t now, bool& fresh);

  std::map<std::string, Kind> kinds_;
  int64_t allowance_ = int64_t{kAtOnce} * 1000;  // in thousandths of a line
  int64_t spent_at_ = 0;
  int64_t next_ = -1;  // the earliest `next` of all, or -1
};

}  // namespace bottle::guard
