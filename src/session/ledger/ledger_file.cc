#include "session/ledger/ledger_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <utility>
#include <vector>

#include "base/files/entries.h"
#include "base/files/file.h"
#include "base/lock/file_lock.h"
#include "base/os/descriptors.h"
#include "session/ledger/files.h"

namespace bottle::session {
namespace {

constexpr int kOpen = O_RDWR | O_APPEND;
constexpr const char* kWriting = "writing the ledger";

std::string path_in(const std::string& directory) { return directory + "/" + kLedger; }

Result<> end_last_line(int fd) {
  struct stat file{};
  char last = '\n';
  if (::fstat(fd, &file) != 0) return fail_errno("looking at it");
  if (file.st_size > 0 && ::pread(fd, &last, 1, file.st_size - 1) != 1) return fail_errno("reading it");
  if (last == '\n') return {};
  return write_all(fd, "\n");
}

}  // namespace

Result<LedgerFile> LedgerFile::create(const std::string& directory) {
  auto lock = TRY(FileLock::try_take(path_in(directory), {kOpen | O_CREAT | O_EXCL}));
  return LedgerFile(std::move(lock).release());
}

Result<LedgerFile> LedgerFile::take(const std::string& directory, Deadline deadline) {
  auto lock = TRY(FileLock::take(path_in(directory), {kOpen}, deadline));
  return LedgerFile(std::move(lock).release());
}

Result<LedgerFile> LedgerFile::open_unlocked(const std::string& directory) {
  std::string path = path_in(directory);
  UniqueFd fd(::open(path.c_str(), kOpen | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) return fail_errno("opening " + path);
  return LedgerFile(std::move(fd));
}

Result<> LedgerFile::append(const wire::LedgerRecord& record, Flush flush) {
  auto appended = [&]() -> Result<> {
    TRY(end_last_line(fd_.get()));
    // The line is written with one call, because several threads append.
    std::string line = TRY(wire::encode_exactly(record)) + "\n";
    TRY(write_all(fd_.get(), line));
    if (flush == Flush::yes && flush_data(fd_.get()) != 0) return fail_errno("flushing it");
    return {};
  }();
  return during(kWriting, std::move(appended));
}

bool LedgerFile::caused(const Error& error) { return error.what.find(kWriting) != std::string::npos; }

bool remove_all_but_ledger(const std::string& directory) {
  auto names = names_in(directory);
  for (const auto& name : names.value_or(std::vector<std::string>()))
    if (std::error_code ignored; name != kLedger) std::filesystem::remove_all(directory + "/" + name, ignored);
  return names.has_value();
}

void remove_session_directory(const std::string& directory, std::optional<LedgerFile> ledger) {
  if (!remove_all_but_ledger(directory)) return;
  ::unlink(path_in(directory).c_str());
  // The lock lasts until here, so that no other process handles what is left.
  ledger.reset();
  ::rmdir(directory.c_str());  // fails if another session has the name already
}

}  // namespace bottle::session
