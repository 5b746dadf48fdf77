// Audit lines: one JSON object a line, buffered, written by the loop. Nothing in them is a secret.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/unique_fd.h"

namespace bottle::guard {

struct AuditLine {
  std::string_view id, action, kind, host;
  int port = 0;
  std::string_view method, path, code, reason;
  std::string_view secret = {};  // the name of the one that this is about, of what is told once
  bool totals = false;           // whether the counts mean anything
  uint64_t bytes_out = 0, bytes_in = 0;
};

class Audit {
 public:
  // `fd` is borrowed; -1 discards. A pipe or socket is made non-blocking, a file is left as it is.
  void open(int fd);
  void write(const AuditLine& line);
  void raw(std::string_view line);  // a whole JSON line of the control channel, in order with the others

  // Writes what can be written. Returns the milliseconds after which it wants to be called again, -1 for none.
  int flush(int64_t now);
  // The reader does not keep up: take no new work until it does, so that no decision goes unrecorded.
  bool congested() const { return pending_.size() > kBacklog; }
  // Blocks (1 s at most) until everything is out.
  void drain();

 private:
  static constexpr size_t kBacklog = 1 << 20;
  void timestamp();
  bool write_out();

  int fd_ = -1;
  std::string pending_;
  int64_t since_ = 0;
  bool urgent_ = false;
  int64_t stamp_second_ = -1;
  char stamp_[32];
};

// Appends `text` as the inside of a JSON string; bytes that are not ASCII become \u00xx.
void append_json(std::string& out, std::string_view text);

}  // namespace bottle::guard
