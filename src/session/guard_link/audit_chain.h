// This file chains the lines of a record, so that a line that was changed, cut, moved or added shows. Pure.
//
// Each line has a `trail`: its number, which begins at 1, a blank, and the SHA-256 of the line before it without the
// line end, in hexadecimal. The first line has zeros instead. The hash of the last line, the *head*, stands for the
// whole record. There is no key: whoever can write the file can also write another record. So the head is kept in the
// session's result, and belongs wherever else the operator keeps what must not change.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "wire/guard/decision.h"
#include "wire/result.h"

namespace bottle::session {

// Where the next line of a record goes.
class AuditChain {
 public:
  AuditChain() = default;
  // Continues a record whose last whole line, without its line end, is `last`.
  static AuditChain after(std::string_view last);

  // Returns the decision as the next line, with its line end. The text is ASCII, so that it stays the same when another
  // process parses it and writes it again.
  std::string next(const wire::Decision& decision) const;
  // Goes on: `line` is a text of next() that is in the record now.
  void add(std::string_view line);

  uint64_t lines() const { return lines_; }
  const std::string& head() const { return head_; }

 private:
  uint64_t lines_ = 0;
  std::string head_ = std::string(64, '0');
};

// The action of the last line of a record that was closed.
inline constexpr const char* kAuditEnd = "end";

// What is wrong with a record.
struct AuditFault {
  // changed: a line is not as it was written. missing: lines were cut out. moved: a line is not in its place. repeated:
  // a line is there twice. foreign: a line was never a line of this record. appended: lines follow the end. cut: the
  // record's end is missing.
  enum class Kind : uint8_t { changed, missing, moved, repeated, foreign, appended, cut };
  Kind kind;
  uint64_t line;       // position in the file, from 1; of the line after the gap if lines are missing
  uint64_t count = 1;  // of the lines that are missing, or that were appended
  bool operator==(const AuditFault&) const = default;
};
std::string_view name_of(AuditFault::Kind kind);
std::string describe(const AuditFault& fault);

struct AuditReport {
  uint64_t lines = 0;   // in the file
  std::string head;     // of the file as it is
  bool closed = false;  // the last line is the end of a record
  std::vector<AuditFault> faults;
  uint64_t more = 0;  // faults beyond kMostFaults
  static constexpr size_t kMostFaults = 100;
};

// Checks a record line by line. Takes about 100 bytes of memory for each line.
class AuditCheck {
 public:
  void feed(std::string_view line);  // without its line end
  // Ends the check. `seal` says how the record ended, if that is known. `may_be_open` is whether a record without an
  // end is in order, because its session may still run.
  AuditReport finish(const wire::AuditSeal* seal, bool may_be_open);

 private:
  struct Gap {
    uint64_t line, first, end, count;  // `count` of the numbers from `first` to before `end` are missing before `line`
  };
  void fault(AuditFault::Kind kind, uint64_t line, uint64_t count = 1);
  void take(uint64_t number, std::string_view after, const std::string& hash);
  bool take_misplaced(uint64_t number, const std::string& hash);
  void take_foreign(uint64_t missing);
  void check_seal(const wire::AuditSeal& seal);

  uint64_t at_ = 0;                                    // lines that were fed
  uint64_t next_ = 1, last_in_place_ = 0;              // the number that should come, and where the one before it is
  std::string head_ = std::string(64, '0');            // hash of the last line that was in its place
  std::unordered_map<uint64_t, std::string> by_line_;  // the beginning of each hash
  std::vector<uint64_t> foreign_;                      // lines since the last one in its place that are not of a record
  std::vector<Gap> gaps_;
  bool closed_ = false;
  uint64_t appended_ = 0, first_appended_ = 0;
  AuditReport report_;
};

}  // namespace bottle::session
