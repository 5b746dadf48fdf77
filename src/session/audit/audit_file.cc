// The file gets a budget when it is opened: a quarter for refusals, of which an agent can cause any number, and the
// rest for what was let through. A part of the rest is a reserve. When only the reserve is left, full() returns a
// reason, the guard is told to let nothing more through, and the reserve takes what was already under way.
//
// A full disk is handled in a similar way. Lines about what was let through are kept in memory, already chained, and
// written when the disk has room. Refusals are only counted, and one line then says how many there were. The file has
// only whole lines, because a partial write is cut off again.
#include "session/audit/audit_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/files/file.h"
#include "base/text/path_parts.h"
#include "base/timestamp.h"

namespace bottle::session {
namespace {

constexpr uint64_t kLastLines = 1024;       // in bytes; the space that is reserved for the last lines
constexpr size_t kLongestLine = 128 << 10;  // in bytes, as encoded

// Returns whether the decision let something through, or is about something that was let through. The guard may have
// let something through with a line that is unreadable. Like the guard, this also counts a line that has `bytes`, which
// reports the end of something that was let through.
bool of_traffic(const wire::Decision& decision) {
  return decision.bytes || decision.is_allow() || decision.action == wire::DecisionAction::unreadable;
}

// Describes the end of a file.
struct End {
  uint64_t whole = 0;  // size of the complete lines, in bytes
  std::string last;    // the last complete line, without its line end; empty if there is none
};

// Reads the end of a file of `size` bytes. Returns nothing if the file cannot be read, or if its last line is too long
// to be a decision.
std::optional<End> end_of(const std::string& path, uint64_t size) {
  UniqueFd in(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  // Only the end is read, because a record may have hundreds of megabytes.
  std::string tail(std::min<uint64_t>(size, kLongestLine), '\0');
  auto start = static_cast<off_t>(size - tail.size());
  if (!in || ::pread(in.get(), tail.data(), tail.size(), start) != static_cast<ssize_t>(tail.size()))
    return std::nullopt;
  size_t end = tail.rfind('\n');
  if (end == std::string::npos) return size > tail.size() ? std::nullopt : std::optional(End());
  size_t before = end == 0 ? std::string::npos : tail.rfind('\n', end - 1);
  size_t begin = before == std::string::npos ? 0 : before + 1;
  return End{size - (tail.size() - end - 1), tail.substr(begin, end - begin)};
}

bool is_end(std::string_view line) {
  auto decision = wire::decode<wire::Decision>(line, wire::From::ours);
  return decision && decision->is_end();
}

wire::AuditSeal seal(const std::string& path, const AuditChain& chain) {
  return {.file = std::string(name_in(path)), .lines = chain.lines(), .head = chain.head()};
}

wire::Decision dropped(const wire::Decision& decision, const std::string& reason) {
  return {.time = decision.time.substr(0, 40), .action = wire::DecisionAction::dropped, .reason = reason};
}

}  // namespace

AuditFile::AuditFile(const std::string& path, uint64_t most)
    : path_(path), fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
  if (!fd_) trouble_ = fail_errno("opening " + path).error().what;
  off_t there = fd_ ? ::lseek(fd_.get(), 0, SEEK_END) : 0;
  size_ = static_cast<uint64_t>(std::max<off_t>(there, 0));
  // A session that continues, such as one that a new near side adopts, writes to the same record.
  if (size_) continue_chain();
  most = std::max(most, 2 * kLastLines) - kLastLines;
  left_refusals_ = most / 4;
  left_traffic_ = most - left_refusals_;
  reserve_ = left_traffic_ / 16;
  // The existing content of the file counts against the refusals first, whatever lines it has, because only the sum
  // is limited, and refusals are less important.
  uint64_t of_refusals = std::min(size_, left_refusals_);
  left_refusals_ -= of_refusals;
  left_traffic_ -= std::min(size_ - of_refusals, left_traffic_);
}

// Continues after the last complete line. Removes the partial line that a process that died may have left after it.
void AuditFile::continue_chain() {
  auto end = end_of(path_, size_);
  if (!end) return;
  if (end->whole < size_) (void)!::ftruncate(fd_.get(), static_cast<off_t>(end->whole));
  size_ = end->whole;
  if (end->last.empty()) return;
  chain_ = AuditChain::after(end->last);
  closed_ = is_end(end->last);
}

// Writes a line either whole or not at all. Returns false if it could not be written.
bool AuditFile::put(const std::string& text) {
  if (!fd_) return false;
  if (auto written = write_all(fd_.get(), text); !written) {
    trouble_ = "writing " + path_ + ": " + written.error().what;
    // Cuts off what a partial write left. O_APPEND then writes at the new end.
    (void)!::ftruncate(fd_.get(), static_cast<off_t>(size_));
    return false;
  }
  size_ += text.size();
  trouble_.clear();
  return true;
}

// Writes the next line of the chain. Returns false if the disk is full.
bool AuditFile::put_line(const wire::Decision& decision) {
  std::string text = chain_.next(decision);
  if (!put(text)) return false;
  took(text);
  return true;
}

void AuditFile::took(const std::string& text) {
  chain_.add(text);
  closed_ = false;
}

void AuditFile::add_refusal(const wire::Decision& decision) {
  if (refusals_full_) return;
  // The lines in kept_ come first. While the disk is full, refusals are not worth memory.
  if (!kept_.empty() || !trouble_.empty()) {
    uncounted_ += decision.count;
    return;
  }
  std::string text = chain_.next(decision);
  // The line that says so uses the space that was reserved for last lines.
  refusals_full_ = text.size() > left_refusals_;
  if (refusals_full_) {
    put_line(dropped(decision,
                     "the refusals in this file have reached their limit; later ones are counted, but not recorded"));
  } else if (put(text)) {
    took(text);
    left_refusals_ -= text.size();
  } else {
    uncounted_ += decision.count;
  }
}

void AuditFile::add(const wire::Decision& decision) {
  // Only this object sets the trail of a line, and only close() ends the record.
  if (decision.is_end() || !decision.trail.empty())
    // This calls add() once more, with a line that passes this check.
    return add(unreadable({Code::protocol, "the guard sent a line that only the record's writer may write", ""}));
  if (!of_traffic(decision)) return add_refusal(decision);
  if (traffic_full_) return;
  std::string text = chain_.next(decision);
  // A correct guard never reaches this limit. An incorrect one must not fill the disk.
  traffic_full_ = text.size() > left_traffic_;
  if (traffic_full_)
    text = chain_.next(dropped(
        decision, "this file has reached its limit, but the guard still sends decisions; later ones are not recorded"));
  left_traffic_ -= std::min<uint64_t>(left_traffic_, text.size());
  took(text);
  // The line is already chained, so lines that are kept must be written before it.
  if (!kept_.empty() || !put(text)) kept_ += text;
}

void AuditFile::retry() {
  if (trouble_.empty()) return;
  // The file could not be opened at the beginning, for example because there was no inode left.
  if (!fd_) fd_.reset(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!put(kept_)) return;
  kept_.clear();
  if (uncounted_ == 0) return;
  uint64_t before = size_;
  if (!put_line(dropped(
          {}, std::to_string(uncounted_) + " refusals could not be recorded while the disk could not be written")))
    return;
  left_refusals_ -= std::min<uint64_t>(left_refusals_, size_ - before);
  uncounted_ = 0;
}

wire::AuditSeal AuditFile::close() {
  // If lines are still kept, the record is not complete, and an end would claim that it is.
  if (!closed_ && kept_.empty() && trouble_.empty()) {
    closed_ =
        put_line({.time = timestamp(),
                  .action = wire::DecisionAction::end,
                  .reason = "the record ends; number of lines before this one: " + std::to_string(chain_.lines())});
  }
  return seal(path_, chain_);
}

std::optional<wire::AuditSeal> seal_as_found(const std::string& path) {
  struct stat st{};
  if (::stat(path.c_str(), &st) != 0) return std::nullopt;
  auto end = end_of(path, static_cast<uint64_t>(st.st_size));
  if (!end) return std::nullopt;
  return seal(path, end->last.empty() ? AuditChain() : AuditChain::after(end->last));
}

std::vector<wire::AuditSeal> seals_after_death(const std::string& path, std::vector<wire::AuditSeal> known) {
  std::string_view name = name_in(path);
  bool is_sealed = std::ranges::any_of(known, [&](const wire::AuditSeal& each) { return each.file == name; });
  if (!is_sealed && ::access(path.c_str(), F_OK) == 0) known.push_back(AuditFile(path).close());
  return known;
}

std::string AuditFile::full() const {
  if (!trouble_.empty()) return trouble_;
  if (left_traffic_ < reserve_) return path_ + " has reached its limit";
  return "";
}

wire::Decision unreadable(const Error& why) { return {.action = wire::DecisionAction::unreadable, .reason = why.what}; }

}  // namespace bottle::session
