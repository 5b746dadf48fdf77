// However the token arrives, no copy may stay where an agent on this machine could find it. A variable is wiped from
// the memory that /proc shows, and a file is overwritten and removed before its text is used.
#include "session/credentials/token.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <system_error>

#include "base/files/file.h"
#include "base/os/hardening.h"
#include "base/os/process.h"
#include "base/unique_fd.h"

namespace bottle::session {
namespace {

// The limit is in bytes; tokens are far shorter.
constexpr size_t kLongest = 64 << 10;

}  // namespace

const plan::Secret* sign_in_secret(const plan::Plan& plan) {
  for (const auto& secret : plan.secrets)
    // These are the names that plan gives to the secrets of the known providers' programs.
    if (secret.name == "claude-oauth" || secret.name == "anthropic-key" || secret.name == "openai-key") return &secret;
  return nullptr;
}

std::string take_token_variable() {
  char* value = std::getenv(kTokenVariable);
  if (!value) return "";
  std::string token = value;
  wipe(value, token.size());  // overwrites the bytes that are visible in /proc/PID/environ
  // Without this, programs that are started later would inherit the wiped variable.
  ::unsetenv(kTokenVariable);
  return token;
}

Result<std::string> fetch_token(const std::string& text) {
  auto done = TRY(capture({.argv = {"/bin/sh", "-c", text}}, {.timeout_ms = 60000, .limit = kLongest}));
  if (done.status != 0)
    return fail(Code::unavailable, "fetching the token from the provider's store failed with exit status " +
                                       std::to_string(done.status) + " " + done.err.substr(0, 300));
  // Programs usually print a line end after a value.
  while (!done.out.empty() && (done.out.back() == '\n' || done.out.back() == '\r')) done.out.pop_back();
  if (done.out.size() < 8)
    return fail(Code::invalid, "the provider's store returned fewer than 8 bytes, which is not a token");
  return done.out;
}

Result<std::string> take_token_file(const std::string& given) {
  const char* home = std::getenv("HOME");
  std::string path = given.starts_with("~/") && home ? home + given.substr(1) : given;
  if (!path.starts_with('/')) return fail(Code::invalid, "the token's file " + given + " is not an absolute path");
  // A link is refused because the file behind it would be overwritten. Opening a FIFO must not block.
  UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd) return fail_errno("opening the token's file " + path + " on the remote machine");
  struct stat st{};
  if (::fstat(fd.get(), &st) != 0) return fail_errno("looking at " + path);
  if (!S_ISREG(st.st_mode) || st.st_size == 0 || st.st_size > static_cast<off_t>(kLongest))
    return fail(Code::invalid,
                path + " on the remote machine holds no token: it is not a file, is empty, or is larger than 64 KB");
  std::string token(static_cast<size_t>(st.st_size), '\0');
  if (::pread(fd.get(), token.data(), token.size(), 0) != static_cast<ssize_t>(token.size()))
    return fail_errno("reading " + path);

  // The bytes are overwritten first. A journaling or copy-on-write file system may still keep the old ones, but this is
  // better than removing only the name.
  std::string nothing(token.size(), '\0');
  bool over = ::pwrite(fd.get(), nothing.data(), nothing.size(), 0) == static_cast<ssize_t>(nothing.size()) &&
              ::fsync(fd.get()) == 0;
  // The call below may change errno, and the first error matters if only the overwriting failed.
  int why = errno;
  bool gone = ::unlink(path.c_str()) == 0;
  if (!gone) why = errno;
  while (!token.empty() && (token.back() == '\n' || token.back() == '\r')) token.pop_back();
  if (!over || !gone)
    return fail(Code::denied,
                "the token's file " + path + " on the remote machine could not be " +
                    (gone ? "overwritten" : "removed") + ": " + std::generic_category().message(why),
                "remove it on that machine; the user that signs in must be able to write to its directory");
  if (token.size() < 8)
    return fail(Code::invalid, path + " on the remote machine held no token: it had fewer than 8 bytes");
  return token;
}

}  // namespace bottle::session
