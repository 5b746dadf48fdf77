// The programs for our own processor are linked into this file as data, between the symbols below. Programs for another
// processor are files that are installed beside this one. Their bytes go into containers that handle secrets, so a file
// that another user may have written is refused, however it got there.
#include "session/images/programs.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>
#include <mutex>

#include "base/files/file.h"
#include "base/ids.h"
#include "base/os/this_program.h"
#include "base/text/line.h"
#include "base/text/shell_word.h"
#include "base/unique_fd.h"
#include "pki/seal.h"

extern "C" {
extern const char bottle_guard_begin[], bottle_guard_end[], bottle_inside_begin[], bottle_inside_end[];
extern const char bottle_guard_digest_begin[], bottle_guard_digest_end[];
}

namespace bottle::session {
namespace {

constexpr size_t kLargest = 256 << 20;  // in bytes

std::string_view between(const char* begin, const char* end) { return {begin, static_cast<size_t>(end - begin)}; }

// Returns the content of a file. Reads each file only once. The entries are never removed, so the returned views stay
// valid.
Result<std::string_view> kept_file(const std::string& path) {
  static std::mutex lock;
  static std::map<std::string, std::string> files;
  std::scoped_lock hold(lock);
  auto found = files.find(path);
  if (found == files.end()) found = files.emplace(path, TRY(read_program(path))).first;
  return std::string_view(found->second);
}

}  // namespace

std::string_view architecture_named(std::string_view name) {
  if (name == "x86_64" || name == "amd64") return "x86_64";
  if (name == "aarch64" || name == "arm64") return "aarch64";
  return "";
}

Result<std::string> read_program(const std::string& path) {
  // O_NONBLOCK is set because opening a FIFO would wait for a writer. The checks are made on the open file, so that it
  // cannot be replaced in between.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return fail_errno("reading " + path);
  struct stat st{}, self{};
  if (::fstat(fd.get(), &st) != 0) return fail_errno("looking at " + path);
  // The owner of bottle's own file could also change that one, so a file of the same owner is not a greater risk.
  bool is_own = st.st_uid == ::geteuid() || st.st_uid == 0 ||
                (::stat(path_to_self().c_str(), &self) == 0 && st.st_uid == self.st_uid);
  if (S_ISREG(st.st_mode) && is_own && (st.st_mode & 022))
    return fail(Code::denied, "others than its owner may write " + path + ", and it would handle your secrets",
                "if it is the file of the same release, run `chmod go-w " + shell_word(path) + "`");
  if (!S_ISREG(st.st_mode) || !is_own)
    return fail(
        Code::denied, "another user may have written " + path + ", and it would handle your secrets",
        "replace it with the file of the same release, which only you may write, and keep it in a directory that "
        "belongs to you");
  return read_all(fd.get(), path, kLargest);
}

std::string_view own_architecture() {
#if defined(__aarch64__)
  return "aarch64";
#elif defined(__x86_64__)
  return "x86_64";
#else
#error "add this processor to architecture_named() and to the seccomp profile"
#endif
}

Result<std::string_view> program_for(Program program, std::string_view architecture, const std::string& directory) {
  std::string wanted(architecture_named(architecture));
  if (wanted.empty())
    return fail(Code::invalid, "the engine runs on the unknown architecture " + one_line(std::string(architecture), 64),
                "use an engine on x86_64 or aarch64");
  bool guard = program == Program::guard;
  if (wanted == own_architecture())
    return guard ? between(bottle_guard_begin, bottle_guard_end) : between(bottle_inside_begin, bottle_inside_end);
  std::string path = directory + "/bottle-" + (guard ? "guard-" : "inside-") + wanted;
  auto bytes = kept_file(path);
  if (bytes) return bytes;
  // A file that was refused must not be reported as missing.
  if (bytes.error().code != Code::not_found) return bytes;
  return fail(Code::not_found,
              "the engine runs on " + wanted + ", this bottle carries its programs for " +
                  std::string(own_architecture()) + " only, and there is no " + path,
              "put bottle-guard-" + wanted + " and bottle-inside-" + wanted + " of the same release into " + directory);
}

std::string digest_of(std::string_view program) {
  if (program.data() == bottle_guard_begin)
    return std::string(between(bottle_guard_digest_begin, bottle_guard_digest_end));
  return to_hex(pki::digest(program));
}

}  // namespace bottle::session
