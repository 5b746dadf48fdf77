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
  std::ranges::merge(TRY(guard_.more()), TRY(near_.more()), std::back_inserter(lines), {}, time_of, time_of);
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
  TRY(guard_.skip());
  return near_.skip();
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
