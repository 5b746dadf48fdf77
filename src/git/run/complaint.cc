// git reports a system error only in words: "fatal: " or "error: ", what it did, and strerror(3). LC_ALL=C keeps them
// the same.
#include "git/run/complaint.h"

#include <algorithm>
#include <cerrno>
#include <string>
#include <system_error>

#include "base/text/parse.h"
#include "base/text/words.h"

namespace bottle::git {

std::vector<std::string_view> errors_in(std::string_view complaint) {
  // The last one is the dynamic linker's, which also needs memory and descriptors.
  constexpr std::string_view kBefore[] = {"fatal: ", "error: ", "git: error while loading shared libraries: "};
  std::vector<std::string_view> errors;
  for (std::string_view line : each_line(complaint)) {
    for (std::string_view before : kBefore)
      if (line.starts_with(before)) {
        // Keeps the linker's words, by which system_error_of() knows them.
        line.remove_prefix(before.starts_with("git: ") ? std::string_view("git: ").size() : before.size());
        errors.push_back(line);
        break;
      }
  }
  return errors;
}

// The words are those of object-file.c, packfile.c, lockfile.c, wrapper.c, run-command.c, csum-file.c, index-pack.c and
// unpack-objects.c.
int system_error_of(std::string_view message) {
  constexpr std::string_view kTried[] = {"unable to ", "Unable to ", "could not ", "cannot ", "failed to "};
  constexpr std::string_view kDoing[] = {"access", "append", "close",  "create", "dup",   "exec",  "flush",  "fork",
                                         "fstat",  "lock",   "lstat",  "map",    "mkdir", "mmap",  "open",   "pread",
                                         "pwrite", "read",   "rename", "run",    "stat",  "store", "unlink", "write"};
  constexpr std::string_view kOther[] = {"file write error",
                                         "write error",
                                         "sha1 file",
                                         "error when closing",
                                         "read error",
                                         "mmap failed",
                                         "packfile ",
                                         "error reading",
                                         "open(\"",
                                         "update_ref failed",
                                         "lstat(\"",
                                         "readlink(\"",
                                         "read(",
                                         "fsync error",
                                         "error while loading"};
  if (message.starts_with("insufficient permission for adding an object")) return EACCES;
  auto begins = [&](std::string_view words) { return message.starts_with(words); };
  bool is_own = std::ranges::any_of(kOther, begins);
  for (std::string_view tried : kTried)
    is_own |= begins(tried) && std::ranges::any_of(kDoing, [&](std::string_view doing) {
                return message.substr(tried.size()).starts_with(doing);
              });
  if (!is_own) return 0;
  for (int error : {ENOSPC, EDQUOT, EIO, EMFILE, ENFILE, ENOMEM, EAGAIN, EROFS, EACCES, EPERM})
    if (message.ends_with(": " + std::generic_category().message(error))) return error;
  return message.ends_with("Out of diskspace") ? ENOSPC : 0;
}

bool is_out_of_memory(std::string_view message) {
  auto has = [&](std::string_view text) { return message.find(text) != std::string_view::npos; };
  return message.starts_with("Out of memory") || (message.starts_with("attempting to ") && has(" over limit ")) ||
         ((message.starts_with("inflate") || message.starts_with("deflate")) && has(": out of memory"));
}

// The words before are the name of a program and have no colon, unlike those before a text that git quotes.
int signal_of(std::string_view message) {
  constexpr std::string_view kDied = " died of signal ";
  size_t at = message.rfind(kDied);
  if (at == std::string_view::npos || message.find(':') < at) return 0;
  return number_in<int>(message.substr(at + kDied.size())).value_or(0);
}

}  // namespace bottle::git
