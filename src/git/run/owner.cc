// Repeats the check of git's ensure_valid_ownership(), because git never runs in the operator's repository and so
// never makes it. git prints the values of safe.directory, because only git can tell where its configuration is. They
// are compared here, with the rules of the installed version, because a more generous comparison would open what git
// itself refuses.

#include "git/run/owner.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <optional>

#include "base/text/line.h"
#include "base/text/parse.h"
#include "base/text/shell_word.h"
#include "base/text/words.h"
#include "git/run/git.h"

namespace bottle::git {
namespace {

std::optional<uid_t> owner_of(const std::string& path) {
  struct stat st{};
  // The owner of the link itself counts: its author decides where it leads.
  if (::lstat(path.c_str(), &st) != 0) return std::nullopt;
  return st.st_uid;
}

// Returns the user who ran sudo, if this process is root.
std::optional<uid_t> asked_by() {
  const char* text = std::getenv("SUDO_UID");
  // For root, sudo has set the variable. The variable of any other user proves nothing.
  if (::geteuid() != 0 || !text) return std::nullopt;
  return number_in<uid_t>(text);
}

bool is_mine(uid_t owner) { return owner == ::geteuid() || owner == asked_by(); }

// Returns whether git is 2.46 or later: then a value may end with "/*", and links are resolved on both sides of the
// comparison.
bool supports_prefixes() {
  auto text = version();
  auto ours = text ? version_in(*text) : std::nullopt;
  return ours && *ours >= Version{2, 46};
}

// A path that does not exist is compared as it is.
std::string resolved(const std::string& path) {
  char* real = ::realpath(path.c_str(), nullptr);
  std::string out = real ? real : path;
  std::free(real);
  return out;
}

// Any failure means that the repository is not declared safe.
bool is_declared_safe(const std::string& repository) {
  auto listed = ask_operators_configuration({"--type=path", "--get-all", "safe.directory"});
  if (!listed || listed->status != 0) return false;
  // The values count in their order, from the system's file to the operator's own.
  bool safe = false, prefixes = supports_prefixes();
  for (std::string_view each : each_record(listed->out, '\0')) {
    std::string value(each);
    if (value.empty()) safe = false;  // an empty value resets the list
    else if (value == "*" || value == repository) safe = true;
    else if (prefixes && value.ends_with("/*"))
      safe = safe || repository.starts_with(resolved(value.substr(0, value.size() - 2)) + "/");
    else if (prefixes && value.starts_with('/')) safe = safe || resolved(value) == repository;
  }
  return safe;
}

}  // namespace

Result<> check_owner(const std::string& repository, const std::vector<std::string>& paths) {
  for (const auto& path : paths) {
    auto owner = owner_of(path);
    if (owner && is_mine(*owner)) continue;
    // The declaration holds for the whole repository, so the other paths need no check.
    if (is_declared_safe(repository)) return {};
    std::string whose = owner ? " belongs to the user " + std::to_string(*owner) : " cannot be examined";
    return fail(Code::denied,
                "detected dubious ownership in repository at '" + one_line(repository, 4096) +
                    "': " + one_line(path, 4096) + whose + ", and you are " + std::to_string(::geteuid()),
                "if you trust it, run: git config --global --add safe.directory " + shell_word(repository));
  }
  return {};
}

Result<> check_owner_of_objects(const std::string& objects) {
  if (owner_of(objects) == 0) return {};
  return check_owner(objects, {objects});
}

}  // namespace bottle::git
