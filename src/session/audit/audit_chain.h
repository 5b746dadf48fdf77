// Chains the lines of a record, so that changed, cut, moved and added lines can be found. Pure.
//
// Each line has a `trail`: its number, starting at 1, a space, and the SHA-256 of the line before it without the line
// end, in hexadecimal. The first line has zeros instead of the hash. The hash of the last line, the *head*, stands for
// the whole record. There is no key, so anyone who can write the file can replace the record. The head is therefore
// kept in the session's result, and the operator should also keep it where it cannot be changed.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "wire/guard/decision.h"
#include "wire/result.h"

namespace bottle::session {

// Stands for the end of a record, to which the next line is chained.
class AuditChain {
 public:
  AuditChain() = default;
  // Returns the chain of a record whose last complete line, without its line end, is `last`.
  static AuditChain after(std::string_view last);

  // Returns the decision as the next line, with its line end. The text is ASCII, so that it stays the same when another
  // process parses it and writes it again.
  std::string next(const wire::Decision& decision) const;
  // Advances the chain. `line` is a result of next() that is now in the record.
  void add(std::string_view line);

  // Return the number of the last line, and its hash in hexadecimal (64 zeros before the first line).
  uint64_t lines() const { return lines_; }
  const std::string& head() const { return head_; }

 private:
  uint64_t lines_ = 0;
  std::string head_ = std::string(64, '0');
};

// Says what is wrong with a record.
struct AuditFault {
  // Means, in this order: a line was changed after it was written, lines are missing, a line is not in its place, a
  // line appears twice, a line never belonged to this record, lines follow the end, or the record's end is missing.
  enum class Kind : uint8_t { changed, missing, moved, repeated, foreign, appended, cut };
  Kind kind;
  uint64_t line;       // line number in the file, from 1; if lines are missing, that of the line after the gap
  uint64_t count = 1;  // number of lines that are missing or were appended
  bool operator==(const AuditFault&) const = default;
};
// name_of() returns the word for programs, describe() the sentence for people, such as "line 7 has changed since it was
// written".
std::string_view name_of(AuditFault::Kind kind);
std::string describe(const AuditFault& fault);

// Describes the outcome of a check. The record is good if `faults` is empty.
struct AuditReport {
  uint64_t lines = 0;   // in the file
  std::string head;     // head of the file in its present state
  bool closed = false;  // whether the last line is the end of a record
  std::vector<AuditFault> faults;
  uint64_t more = 0;  // faults beyond kMostFaults
  static constexpr size_t kMostFaults = 100;
};

// Checks a record line by line. Takes about 100 bytes of memory for each line.
class AuditCheck {
 public:
  void feed(std::string_view line);  // without its line end
  // Returns how many of the lines so far are not decisions.
  uint64_t unreadable() const { return unreadable_; }
  // Ends the check. `seal` says how the record ended, or is null if that is unknown. `may_be_open` says that a record
  // without an end is valid, because its session may still be running.
  AuditReport finish(const wire::AuditSeal* seal, bool may_be_open);

 private:
  struct Gap {
    uint64_t line, first, end, count;  // `count` of the numbers in [first, end) are missing before `line`
  };
  // Adds a fault, or only counts it if there are kMostFaults. The other functions are described in the source file.
  void fault(AuditFault::Kind kind, uint64_t line, uint64_t count = 1);
  void take(uint64_t number, std::string_view after, const std::string& hash);
  bool take_misplaced(uint64_t number, const std::string& hash);
  void take_foreign(uint64_t missing);
  void check_seal(const wire::AuditSeal& seal);

  uint64_t at_ = 0, unreadable_ = 0;  // numbers of lines that were fed
  // The next number, and the line with the number before it.
  uint64_t next_ = 1, last_in_place_ = 0;
  std::string head_ = std::string(64, '0');  // hash of the last line that was in its place
  std::map<uint64_t, std::string> by_line_;  // by the line's number: the first digits of its hash
  std::vector<uint64_t> foreign_;            // unreadable lines since the last one that was in its place
  std::vector<Gap> gaps_;
  bool closed_ = false;
  uint64_t appended_ = 0, first_appended_ = 0;
  AuditReport report_;
};

}  // namespace bottle::session
