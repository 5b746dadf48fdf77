// A session has up to two records that grow at the same time: that of its guard and that of the broker on this
// machine. They are read piece by piece and merged by time. Only lines that were read but not yet passed on are in
// memory. The order is exact only within one record, because the two are written by two processes.
//
// The guard's record of a session on another machine comes home at the end. Until then, this file asks for the latest
// decisions by number. At the end, it reads the record and skips as many lines as it has shown.
#include "app/egress/decisions.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "app/output/output.h"
#include "app/world/sessions.h"
#include "app/world/world.h"
#include "base/files/file.h"
#include "wire/guard/decision.h"

namespace bottle::app {
namespace {

constexpr size_t kLongestLine = 256 << 10;  // in bytes; no line of a record is this long

// Returns the time of a line without parsing all of it. RFC 3339 in UTC sorts as text.
std::string time_of(const std::string& line) {
  size_t at = line.find("\"time\":\"");
  return at == std::string::npos ? "" : line.substr(at + 8, 24);
}

// Reads the next piece of a record and passes the lines that end in it to `take`. `rest` has the beginning of a line
// that has not ended yet. Returns false at the end of the record.
Result<bool> read_lines(int fd, const std::string& path, std::string& rest, const Decisions::Take& take) {
  char buffer[64 << 10];
  size_t size = TRY(read_some(fd, buffer, "reading " + path));
  std::string_view piece(buffer, size);
  for (size_t end; (end = piece.find('\n')) != piece.npos; piece.remove_prefix(end + 1)) {
    rest += piece.substr(0, end);
    take(rest);
    rest.clear();
  }
  // A line that never ends must not fill the memory. No line of a record is long enough to be cut here.
  if (rest.size() < kLongestLine) rest += piece;
  return size > 0;
}

// Returns whether the session runs on another machine.
bool is_elsewhere(const std::string& session) {
  auto view = ledger_of(session);
  return view && view->machine;
}

}  // namespace

std::unexpected<Error> no_decisions(const std::string& session) {
  return fail(Code::not_found, "session " + session + " has no record of decisions", "its guard never ran");
}

bool is_record_path(const std::string& argument) {
  return argument == kStdin || argument.find('/') != std::string::npos || argument.ends_with(".jsonl");
}

Result<std::string> read_record(const std::string& path, const std::function<void(const std::string& line)>& take,
                                const std::function<uint64_t()>& unreadable) {
  std::string line;
  auto read_on = [&](int fd, const std::string& name) -> Result<std::string> {
    while (TRY(read_lines(fd, name, line, take)))
      if (unreadable() > kMostUnreadable)
        return fail(Code::invalid,
                    "reading " + name + ": more than " + std::to_string(kMostUnreadable) + " lines are not decisions",
                    "name a session, or a file with the decisions of a guard");
    return line;
  };
  if (path == kStdin) return read_on(STDIN_FILENO, "stdin");
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));  // does not wait for a FIFO's writer
  struct stat st{};
  if (!fd || ::fstat(fd.get(), &st) != 0) return fail_errno("reading " + path);
  if (!S_ISREG(st.st_mode))
    return fail(Code::invalid, "reading " + path + ": it is not a regular file",
                "copy the record to a file, or pass it on stdin and name it -");
  return read_on(fd.get(), path);
}

Decisions::Decisions(const std::string& session)
    : session_(session),
      guard_{directories().results_of(session) + "/" + kRecords[0]},
      near_{directories().results_of(session) + "/" + kRecords[1]} {}

// Reads until there is a line or no more data. The file may not exist yet.
Result<> Decisions::File::refill() {
  if (!fd) fd.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  auto take = [&](const std::string& line) {
    if (skipped > 0) --skipped;
    else lines.push_back(line);
  };
  while (fd && lines.empty() && TRY(read_lines(fd.get(), path, rest, take))) {
  }
  return {};
}

// Keeps only the beginning of a line that is still being written, because the record may have hundreds of megabytes.
Result<> Decisions::File::skip() {
  fd.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  while (fd && TRY(read_lines(fd.get(), path, rest, [](const std::string&) {}))) {
  }
  return {};
}

Result<> Decisions::skip() {
  TRY(near_.skip());
  if (!is_elsewhere(session_)) return guard_.skip();
  asks_remote_ = true;
  return ask_other_machine();
}

// Asks the guard's supervisor on the other machine for the decisions since the last call. The first call only asks
// where to begin, unless `next_remote_` is set. Adds nothing while that machine does not answer; a later call adds the
// decisions.
Result<> Decisions::ask_other_machine() {
  std::string answer;
  auto done =
      ask_supervisor(session_, wire::FrameType::decisions, wire::encode(wire::WantedDecisions{next_remote_}),
                     Error{Code::timed_out, "session " + session_ + " did not answer"}, [&](const wire::Frame& frame) {
                       if (frame.type != wire::FrameType::decisions) return false;
                       answer = frame.bytes;
                       return true;
                     });
  // The guard of a session that has not begun has decided nothing yet.
  if (!done && !next_remote_) next_remote_ = 0;
  if (!done) return {};
  auto latest = TRY(wire::decode<wire::LatestDecisions>(answer, wire::From::foreign));
  if (latest.next - latest.from != latest.decisions.size())
    return fail(Code::protocol, "the remote machine sent a list of decisions that is not valid");
  // The answer may be for another `bottle egress watch`, and begin earlier.
  uint64_t begin = next_remote_.value_or(latest.next);
  if (latest.from > begin)
    say(std::to_string(latest.from - begin) +
        " decisions are not shown, because the other machine keeps only the latest ones; they will be in the record");
  for (uint64_t i = std::max(latest.from, begin); i < latest.next; ++i)
    guard_.lines.push_back(wire::encode(latest.decisions[static_cast<size_t>(i - latest.from)]));
  next_remote_ = std::max(latest.next, begin);
  return {};
}

// Prepares to read the record of a session on another machine, which is on this machine after the session's end. It
// also contains the decisions that were missed before.
void Decisions::read_record_after_all() {
  asks_remote_ = false;
  guard_.skipped = next_remote_.value_or(0);
}

// Passes on all lines that there are now. Stops early when the reader of stdout has closed it.
Result<> Decisions::pass_all(const Take& take) {
  constexpr int kMany = 1000;  // lines after which it checks for the reader
  for (int count = 1;; ++count) {
    if (!asks_remote_) TRY(guard_.refill());
    TRY(near_.refill());
    if (guard_.lines.empty() && near_.lines.empty()) return {};
    bool near =
        guard_.lines.empty() || (!near_.lines.empty() && time_of(near_.lines.front()) < time_of(guard_.lines.front()));
    auto& lines = near ? near_.lines : guard_.lines;
    take(lines.front());
    lines.pop_front();
    if (count % kMany == 0 && !flush_output()) return {};
  }
}

Result<> Decisions::each(bool follow, const Take& take) {
  if (follow && !asks_remote_ && is_elsewhere(session_) && runs_now(session_)) {
    asks_remote_ = true;
    next_remote_ = 0;
  }
  for (bool last = false;;) {
    if (asks_remote_ && last) read_record_after_all();
    if (asks_remote_) TRY(ask_other_machine());
    TRY(pass_all(take));
    if (!flush_output()) return {};
    // Reads once more after the session's end, because lines may have been written since the last read.
    if (last || !follow) return {};
    last = !runs_now(session_);
    // No event is raised when another process writes to a file, so the loop polls.
    if (!last) std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

}  // namespace bottle::app
