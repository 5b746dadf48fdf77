#include "session/guard_link/audit_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"

namespace bottle::session {
namespace {

using nlohmann::json;

constexpr uint64_t kLastLine = 512;  // room that is kept for it

// ASCII: it is as long where it is parsed and written again, with the same limit.
std::string text_of(const json& line) { return line.dump(-1, ' ', true, json::error_handler_t::replace) + "\n"; }

}  // namespace

AuditFile::AuditFile(const std::string& path, uint64_t most)
    : fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {
  off_t there = fd_ ? ::lseek(fd_.get(), 0, SEEK_END) : 0;
  most = std::max(most, kLastLine) - kLastLine;
  left_ = most - std::min(most, static_cast<uint64_t>(std::max<off_t>(there, 0)));
}

void AuditFile::add(const json& line) {
  if (full_) return;
  std::string text = text_of(line);
  if ((full_ = text.size() > left_))
    text =
        text_of({{"time", line.value("time", json()).is_string() ? line["time"].get<std::string>().substr(0, 40) : ""},
                 {"action", "dropped"},
                 {"reason", "this file has reached its limit; later decisions are counted, but not recorded"}});
  else left_ -= text.size();
  (void)write_all(fd_.get(), text);
}

}  // namespace bottle::session
