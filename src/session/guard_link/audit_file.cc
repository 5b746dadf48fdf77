#include "session/guard_link/audit_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "base/files/file.h"

namespace bottle::session {
namespace {

constexpr uint64_t kLastLine = 512;  // in bytes; space that is reserved for it

// Encodes a decision in ASCII, so that it has the same length when another process parses and writes it again, with the
// same limit.
std::string text_of(const wire::Decision& decision) { return wire::encode(decision, wire::Layout::ascii) + "\n"; }

// The action of a line that is not a valid decision. of_traffic() counts it as traffic, because the guard may have let
// something through. Like the guard, it also counts a line that has `bytes`, which reports the end of something that
// was let through.
constexpr const char* kUnreadable = "unreadable";

bool of_traffic(const wire::Decision& decision) {
  return decision.bytes || decision.action == "allow" || decision.action == kUnreadable;
}

wire::Decision dropped(const wire::Decision& decision, const std::string& reason) {
  return {.time = decision.time.substr(0, 40), .action = "dropped", .reason = reason};
}

}  // namespace

AuditFile::AuditFile(const std::string& path, uint64_t most)
    : path_(path), fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
  if (!fd_) trouble_ = fail_errno("opening " + path).error().what;
  off_t there = fd_ ? ::lseek(fd_.get(), 0, SEEK_END) : 0;
  size_ = static_cast<uint64_t>(std::max<off_t>(there, 0));
  most = std::max(most, 2 * kLastLine) - kLastLine;
  left_refusals_ = most / 4;
  left_traffic_ = most - left_refusals_;
  reserve_ = left_traffic_ / 16;
  // The file's present content counts against the refusals first. It does not matter which lines it has, because only
  // the sum is limited, and refusals are less important.
  uint64_t of_refusals = std::min(size_, left_refusals_);
  left_refusals_ -= of_refusals;
  left_traffic_ -= std::min(size_ - of_refusals, left_traffic_);
}

// Writes a line either whole or not at all. Returns false if it could not be written.
bool AuditFile::put(const std::string& text) {
  if (!fd_) return false;
  if (auto written = write_all(fd_.get(), text); !written) {
    trouble_ = "writing " + path_ + ": " + written.error().what;
    (void)!::ftruncate(fd_.get(), static_cast<off_t>(size_));
    return false;
  }
  size_ += text.size();
  trouble_.clear();
  return true;
}

void AuditFile::add_refusal(const wire::Decision& decision, const std::string& text) {
  if (refusals_full_) return;
  if (!kept_.empty() || !trouble_.empty()) {
    uncounted_ += decision.count;
    return;
  }
  if ((refusals_full_ = text.size() > left_refusals_)) {
    put(text_of(dropped(
        decision, "the refusals in this file have reached their limit; later ones are counted, but not recorded")));
  } else if (put(text)) {
    left_refusals_ -= text.size();
  } else {
    uncounted_ += decision.count;
  }
}

void AuditFile::add(const wire::Decision& decision) {
  std::string text = text_of(decision);
  if (!of_traffic(decision)) return add_refusal(decision, text);
  if (traffic_full_) return;
  // A correct guard never reaches this limit. An incorrect one must not fill the disk.
  if ((traffic_full_ = text.size() > left_traffic_))
    text = text_of(dropped(
        decision, "this file has reached its limit, but the guard still sends decisions; later ones are not recorded"));
  left_traffic_ -= std::min<uint64_t>(left_traffic_, text.size());
  if (!kept_.empty() || !put(text)) kept_ += text;
}

void AuditFile::retry() {
  if (trouble_.empty()) return;
  if (!fd_) fd_.reset(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  std::string text = kept_;
  if (uncounted_)
    text += text_of(
        dropped({}, std::to_string(uncounted_) + " refusals could not be recorded while the disk took nothing"));
  if (!put(text)) return;
  left_refusals_ -= std::min<uint64_t>(left_refusals_, text.size() - kept_.size());
  kept_.clear();
  uncounted_ = 0;
}

std::string AuditFile::full() const {
  if (!trouble_.empty()) return trouble_;
  if (left_traffic_ < reserve_) return path_ + " has reached its limit";
  return "";
}

wire::Decision unreadable(const Error& why) { return {.action = kUnreadable, .reason = why.what}; }

}  // namespace bottle::session
