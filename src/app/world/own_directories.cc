// A path is checked twice: as it is written, because each link on the way can be replaced, and as it resolves, because
// that is where the files are. On either way, every part must belong to this user or to root and must not be writable
// by everyone. A directory with the sticky bit, such as /tmp, is allowed above a place, because others cannot replace
// our entries in it.
//
// A workspace that the agent can write to is the other way to change what is trusted, so the same list of places
// decides which directories cannot be one.
#include "app/world/own_directories.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <filesystem>
#include <ranges>
#include <string>

#include "base/files/entries.h"
#include "base/os/system_facts.h"
#include "base/os/this_program.h"
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

// Checks one file or directory.
Result<> check_entry(const std::string& place, const fs::path& at, const struct stat& st) {
  if (!is_trusted(st.st_uid))
    return not_own(place, at, "belongs to another user (uid " + std::to_string(st.st_uid) + ")",
                   "Run bottle as that user, or with your own HOME, XDG_CONFIG_HOME, XDG_STATE_HOME, XDG_CACHE_HOME "
                   "and DOCKER_CONFIG (sudo -H)");
  bool sticky = S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX);
  if (!S_ISLNK(st.st_mode) && (st.st_mode & S_IWOTH) && !sticky)
    return not_own(place, at, "is writable by everyone", "Run `chmod o-w " + shell_word(at.string()) + "`");
  return {};
}

// Checks each part of the path, as written or as resolved, as far as the path exists.
Result<> check_parts(const std::string& place, const fs::path& path) {
  fs::path at;
  for (const auto& part : path) {
    at /= part;
    struct stat st{};
    if (::lstat(at.c_str(), &st) != 0) return {};
    TRY(check_entry(place, at, st));
  }
  return {};
}

// Lists the files and directories that decide what bottle does, as they are written. Leaves out what is below them.
std::vector<std::string> trusted(const Directories& own) {
  return {own.sessions,
          own.results,
          own.vms,
          own.runtimes,
          own.cache,
          own.config,
          own.config + "/agents",
          own.config + "/providers",
          own.config + "/skills",
          own.config + "/bottle.yaml",
          own.config + "/bottle.json",
          own.home + "/claude-bottle.json"};
}

// Lists what decides which engine is used and which programs the docker command runs, as it is written. `docker` is
// DOCKER_CONFIG, or empty.
std::vector<std::string> docker_places(const Directories& own, const std::string& docker) {
  const std::string configuration = docker.starts_with('/') ? docker : own.home + "/.docker";
  return {configuration, configuration + "/config.json", configuration + "/contexts", configuration + "/contexts/meta",
          configuration + "/cli-plugins"};
}

// Appends the links in a directory. Fails if programs in it can be run, but it cannot be read.
Result<> add_links(const std::string& directory, std::vector<std::string>& places) {
  std::error_code error, none;
  for (fs::directory_iterator entry(directory, error), end; !error && entry != end; entry.increment(error))
    if (entry->is_symlink(none)) places.push_back(entry->path().string());
  if (!error || !fs::is_directory(directory, none) || ::access(directory.c_str(), X_OK) != 0) return {};
  return fail(Code::denied, "the directory " + directory + " of PATH cannot be read: " + error.message(),
              "remove it from PATH");
}

// Appends where a path leads, and the place of each link on the way, because whoever can replace the link decides
// where the path leads. All of them are absolute and without links in their directories. Parts that do not exist are
// kept as they are written.
void add_places_on_the_way(const std::string& path, std::vector<std::string>& all) {
  fs::path left = path, at = "/";
  // The system also follows at most 40 links, so a path with more links cannot be resolved.
  for (int links = 0; links < 40;) {
    auto part = left.begin();
    if (part == left.end()) return all.push_back(at);
    fs::path name = *part, rest;
    for (++part; part != left.end(); ++part) rest /= *part;
    left = rest;
    if (name == "/" || name == ".." || name == "." || name.empty()) {
      at = name == "/" ? name : name == ".." ? at.parent_path() : at;
      continue;
    }
    char target[PATH_MAX];
    ssize_t size = ::readlink((at / name).c_str(), target, sizeof target);
    if (size < 0) {
      at /= name;
      continue;
    }
    all.push_back(at / name);
    left = fs::path(std::string(target, static_cast<size_t>(size))) / rest;
    ++links;
  }
}

}  // namespace

Result<> check_own_directories(const Directories& directories, const std::string& docker) {
  auto places = trusted(directories);
  places.insert(places.begin(), directories.home);
  for (const auto& place : docker_places(directories, docker)) places.push_back(place);
  for (const std::string& place : places) {
    // A place is empty if the variable that would name it is not set.
    if (place.starts_with('/')) TRY(check_own_path(place));
  }
  return {};
}

Result<std::vector<std::string>> trusted_places(const Directories& own,
                                                const std::map<std::string, std::string>& variables) {
  auto places = trusted(own);
  auto add_variable = [&](const char* name, const std::string& below = "") {
    if (auto found = variables.find(name); found != variables.end()) places.push_back(found->second + below);
  };
  // ssh keeps the sockets of its connections in one of these (ssh/connection.h).
  places.push_back("/tmp/bottle-" + std::to_string(::getuid()));
  places.push_back("/run/user/" + std::to_string(::getuid()) + "/bottle");
  add_variable("XDG_RUNTIME_DIR", "/bottle");
  auto docker = variables.find("DOCKER_CONFIG");
  const auto docker_own = docker_places(own, docker == variables.end() ? "" : docker->second);
  places.insert(places.end(), docker_own.begin(), docker_own.end());
  places.push_back(path_to_self());
  // The programs that bottle, its hooks, ssh and the docker command run may be links in a directory of PATH. Their
  // names are not known. Directories of PATH that lead into a workspace are not used at all (forget_programs_in()).
  if (auto path = variables.find("PATH"); path != variables.end())
    for (auto part : std::views::split(path->second, ':'))
      TRY(add_links(std::string(part.begin(), part.end()), places));
  // Agents, providers, hooks, docker's contexts and its plugins may be links to other places.
  auto add_entries = [&](const std::string& directory) -> Result<std::vector<std::string>> {
    std::vector<std::string> paths;
    std::error_code none;
    if (!fs::is_directory(directory, none)) return paths;
    for (const auto& name : TRY(names_in(directory))) paths.push_back(directory + "/" + name);
    places.insert(places.end(), paths.begin(), paths.end());
    return paths;
  };
  TRY(add_entries(own.config + "/agents"));
  for (const auto& provider : TRY(add_entries(own.config + "/providers"))) TRY(add_entries(provider));
  for (const auto& each : docker_own)
    for (const auto& entry : TRY(add_entries(each)))
      if (each.ends_with("/meta")) TRY(add_entries(entry));
  std::vector<std::string> all;
  for (const auto& place : places)
    if (place.starts_with('/')) add_places_on_the_way(place, all);
  return all;
}

bool leads_into(const std::string& path, const std::string& directory) {
  std::vector<std::string> places;
  add_places_on_the_way(path, places);
  return std::ranges::any_of(places,
                             [&](const auto& each) { return each == directory || each.starts_with(directory + "/"); });
}

void forget_foreign_directories() {
  auto is_own = [](const std::string& path, bool exactly) {
    struct stat st{};
    bool there = path.starts_with('/') && ::stat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode);
    return there && check_own_path(path) && (!exactly || st.st_uid == ::geteuid());
  };
  // The runtime directory is one user's (XDG Base Directory Specification); the other one may be /tmp itself.
  for (auto [name, exactly] : {std::pair("XDG_RUNTIME_DIR", true), std::pair("TMPDIR", false)})
    if (const char* path = std::getenv(name); path && !is_own(path, exactly)) ::unsetenv(name);
}

Result<> check_own_path(const std::string& path) {
  std::error_code error;
  fs::path place = fs::absolute(path, error);
  if (error) return {};
  TRY(check_parts(path, place.lexically_normal()));
  fs::path real = fs::weakly_canonical(place, error);
  return error ? Result<>{} : check_parts(path, real);
}

Result<> check_own_tree(const std::string& path) {
  TRY(check_own_path(path));
  std::error_code error;
  fs::path real = fs::canonical(path, error);
  if (error) return {};
  // Only directories and regular files are sent to the bottle (agent_home.cc).
  for (fs::recursive_directory_iterator entry(real, error), end; !error && entry != end; entry.increment(error)) {
    struct stat st{};
    if (::lstat(entry->path().c_str(), &st) != 0) return fail_errno("looking at " + entry->path().string());
    if (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode)) TRY(check_entry(path, entry->path(), st));
  }
  if (error && error != std::errc::not_a_directory)
    return fail(Code::invalid, "looking into " + path + ": " + error.message());
  return {};
}

}  // namespace bottle::app
