#include "app/egress/decisions.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iterator>
#include <memory>
#include <thread>

#include "app/output/output.h"
#include "app/world/sessions.h"
#include "app/world/world.h"
#include "base/files/file.h"
#include "wire/guard/decision.h"

namespace bottle::app {
namespace {

constexpr size_t kLongestLine = 256 << 10;  // in bytes; no line of a record is this long

std::string time_of(const std::string& line) {
  size_t at = line.find("\"time\":\"");
  return at == std::string::npos ? "" : line.substr(at + 8, 24);
}

}  // namespace

bool runs_now(const std::string& session) { return std::ranges::count(names_in(directories().sessions), session) > 0; }

std::unexpected<Error> no_decisions(const std::string& session) {
  return fail(Code::not_found, "session " + session + " has no record of decisions", "its guard never ran");
}

bool is_record_path(const std::string& argument) {
  return argument.find('/') != std::string::npos || argument.ends_with(".jsonl");
}

Result<std::string> read_record(const std::string& path, const std::function<void(const std::string& line)>& take) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> in(std::fopen(path.c_str(), "rbe"), std::fclose);
  if (!in) return fail_errno("reading " + path);
  std::string line, piece(64 << 10, '\0');
  for (size_t size; (size = std::fread(piece.data(), 1, piece.size(), in.get())) > 0;) {
    std::string_view rest = std::string_view(piece).substr(0, size);
    for (size_t end; (end = rest.find('\n')) != std::string_view::npos; rest.remove_prefix(end + 1)) {
      line += rest.substr(0, end);
      take(line);
      line.clear();
    }
    if (line.size() < kLongestLine) line += rest;
  }
  if (std::ferror(in.get())) return fail_errno("reading " + path);
  return line;
}

Decisions::Decisions(const std::string& session)
    : session_(session),
      guard_{directories().results + "/" + session + "/" + kRecords[0]},
      near_{directories().results + "/" + session + "/" + kRecords[1]} {}

// Returns the lines that were added since the last call. The file may not exist yet.
Result<std::vector<std::string>> Decisions::File::more() {
  std::vector<std::string> lines;
  if (!fd) fd.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char buffer[65536];
  for (ssize_t n; fd && (n = ::read(fd.get(), buffer, sizeof buffer)) != 0;) {
    if (n < 0 && errno != EINTR) return fail_errno("reading " + path);
    if (n > 0) rest.append(buffer, static_cast<size_t>(n));
  }
  size_t at = 0;
  for (size_t end; (end = rest.find('\n', at)) != std::string::npos; at = end + 1)
    lines.push_back(rest.substr(at, end - at));
  rest.erase(0, at);
  return lines;
}

Result<std::vector<std::string>> Decisions::more() {
  std::vector<std::string> lines;
  std::ranges::merge(TRY(more_of_guard()), TRY(near_.more()), std::back_inserter(lines), {}, time_of, time_of);
  return lines;
}

// Keeps only the beginning of a line that is still being written, because the record may have hundreds of megabytes.
Result<> Decisions::File::skip() {
  fd.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  char buffer[65536];
  for (ssize_t n; fd && (n = ::read(fd.get(), buffer, sizeof buffer)) != 0;) {
    if (n < 0 && errno != EINTR) return fail_errno("reading " + path);
    if (n < 0) continue;
    std::string_view piece(buffer, static_cast<size_t>(n));
    size_t end = piece.rfind('\n');
    if (end != piece.npos) rest.clear();
    rest += piece.substr(end == piece.npos ? 0 : end + 1);
  }
  return {};
}

Result<> Decisions::skip() {
  TRY(near_.skip());
  auto view = ledger_of(session_);
  asks_ = view && view->remote;
  if (!asks_) return guard_.skip();
  TRY(ask_there());
  return {};
}

// Asks the guard's supervisor on the other machine for what it has decided since the last call. The first call only
// asks where to begin. Returns nothing while that machine does not answer; what it decides meanwhile comes later.
Result<std::vector<std::string>> Decisions::ask_there() {
  std::vector<std::string> lines;
  std::string answer;
  auto done = ask_supervisor(session_, session::FrameType::decisions, wire::encode(wire::WantedDecisions{asked_to_}),
                             Error{Code::timed_out, "session " + session_ + " did not answer"},
                             [&](const session::Frame& frame) {
                               if (frame.type != session::FrameType::decisions) return false;
                               answer = frame.bytes;
                               return true;
                             });
  // A session that has not begun has decided nothing yet.
  if (!done && !asked_to_) asked_to_ = 0;
  if (!done) return lines;
  auto latest = TRY(wire::decode<wire::LatestDecisions>(answer, wire::From::foreign));
  if (latest.next - latest.from != latest.decisions.size())
    return fail(Code::protocol, "the other machine sent a wrong list of decisions");
  // The answer may be for another `bottle egress watch`, and begin earlier.
  uint64_t begin = asked_to_.value_or(latest.next);
  if (latest.from > begin)
    say(std::to_string(latest.from - begin) + " decisions came too fast to be shown; they will be in the record");
  for (uint64_t i = std::max(latest.from, begin); i < latest.next; ++i)
    lines.push_back(wire::encode(latest.decisions[static_cast<size_t>(i - latest.from)]));
  asked_to_ = std::max(latest.next, begin);
  return lines;
}

// Returns what the guard has decided since the last call. The record of a session on another machine is here once it
// has ended, with what was not asked for in time.
Result<std::vector<std::string>> Decisions::more_of_guard() {
  if (!asks_) return guard_.more();
  if (runs_now(session_)) return ask_there();
  auto lines = TRY(guard_.more());
  size_t shown = std::min<size_t>(asked_to_.value_or(0), lines.size());
  lines.erase(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>(shown));
  asked_to_ = 0;
  return lines;
}

Result<> Decisions::each(bool follow, const std::function<void(const std::string& line)>& take) {
  for (bool last = false;;) {
    for (const auto& line : TRY(more())) take(line);
    if (!flush_output()) return {};
    // Reads once more after the session's end, because lines may have been written since the last read.
    if (last || !follow) return {};
    last = !runs_now(session_);
    if (!last) std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
}

}  // namespace bottle::app
