// One decision, as the record shows it.
#pragma once

#include <cstdint>
#include <string_view>

namespace bottle::guard {

struct AuditLine {
  std::string_view id, action, kind, host;
  int port = 0;
  std::string_view method, path, code, reason;
  std::string_view secret = {};  // the name of the one that this is about, of what is told once
  bool totals = false;           // whether the byte counts mean anything
  uint64_t bytes_out = 0, bytes_in = 0;
  uint64_t count = 1;            // how many decisions this line stands for
  std::string_view first, time;  // of several: when the first and the last of them was; empty: now

  // Whether something was let through, or ends that was: such a line is never one for several.
  bool of_traffic() const { return action == "allow" || totals; }
};

}  // namespace bottle::guard
