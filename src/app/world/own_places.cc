// A path is checked twice: as it is written, because each link on the way can be replaced, and as it resolves, because
// that is where the files are. On either way, every part must belong to this user or to root and must not be writable
// by everyone. A directory with the sticky bit, such as /tmp, is allowed above a place, because others cannot replace
// our entries in it.
#include "app/world/own_places.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>

#include "base/os/system_facts.h"
#include "base/text/line.h"
#include "base/text/shell_word.h"

namespace bottle::app {
namespace {

namespace fs = std::filesystem;

bool is_trusted(uid_t owner) {
  // In a user namespace, the system's directories seem to belong to the uid for unmapped owners.
  static const auto unmapped = unmapped_owner();
  return owner == ::geteuid() || owner == 0 || owner == unmapped;
}

std::unexpected<Error> not_own(const std::string& place, const std::string& at, const std::string& why,
                               const std::string& todo) {
  return fail(Code::denied, one_line(place, 4096) + " can be changed by others: " + one_line(at, 4096) + " " + why,
              "bottle trusts what is in that directory. " + todo);
}

// Checks each part of the way, as written or as resolved, as far as the way exists.
Result<> check_way(const std::string& place, const fs::path& way) {
  fs::path at;
  for (const auto& part : way) {
    at /= part;
    struct stat st{};
    if (::lstat(at.c_str(), &st) != 0) return {};
    if (!is_trusted(st.st_uid))
      return not_own(
          place, at, "belongs to another user (uid " + std::to_string(st.st_uid) + ")",
          "Run bottle as that user, or with your own HOME, XDG_CONFIG_HOME, XDG_STATE_HOME and XDG_CACHE_HOME "
          "(sudo -H)");
    bool sticky = S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX);
    if (!S_ISLNK(st.st_mode) && (st.st_mode & S_IWOTH) && !sticky)
      return not_own(place, at, "is writable by everyone", "Run `chmod o-w " + shell_word(at.string()) + "`");
  }
  return {};
}

}  // namespace

Result<> check_own_places(const Directories& directories) {
  const auto& config = directories.config;
  for (const std::string& place :
       {directories.home, directories.sessions, directories.results, directories.cache, config, config + "/agents",
        config + "/bottle.yaml", config + "/bottle.json", directories.home + "/claude-bottle.json"}) {
    // A place is empty if the variable that would name it is not set.
    if (place.starts_with('/')) TRY(check_own_place(place));
  }
  return {};
}

Result<> check_own_place(const std::string& path) {
  std::error_code error;
  fs::path place = fs::absolute(path, error);
  if (error) return {};
  TRY(check_way(path, place.lexically_normal()));
  fs::path real = fs::weakly_canonical(place, error);
  return error ? Result<>{} : check_way(path, real);
}

}  // namespace bottle::app
