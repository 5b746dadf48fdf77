// What git would run or obey (hooks, configuration, alternates) is left behind.
#include "workspace/quarantine/git_filler.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "base/text/path_parts.h"
#include "workspace/files/paths.h"
#include "workspace/quarantine/leave_behind.h"

namespace bottle::workspace {
namespace {

constexpr size_t kMostIndexes = 100;

}  // namespace

bool is_new_object(const Quarantine& q, const Path& path) {
  if (!is_loose_object(path) && !is_pack(path)) return false;
  // Whatever the pack contains now: nothing in it is needed.
  if (is_pack(path) && q.known_packs.contains(path[2])) return false;
  return ::access((parent_of(q.known_objects) + "/" + join(path)).c_str(), F_OK) != 0;
}

Result<> GitFiller::entry(const Path& path, const TarEntry& e, const Source& body) {
  if (path.empty()) {
    if (e.kind != TarEntry::Kind::directory)
      return leave_behind(q_, ".git", e, body, "not brought home, because it is not a directory");
    return {};
  }
  if (e.kind == TarEntry::Kind::directory) return {};
  std::string name = join(path);
  auto leave_it = [&](const char* why) { return leave_behind(q_, ".git/" + name, e, body, why); };
  if (path.size() >= 2 && path[0] == "hooks" && !name.ends_with(".sample"))
    return leave_it("not brought home, because it is a hook");
  if (name == "objects/info/alternates" || name == "objects/info/http-alternates")
    return leave_it("not brought home, because it points at other repositories");
  if (path[0] == "modules" && path.size() > 2)
    return leave_it("not brought home, because it is the repository of a submodule");
  // Without a repository on this side, none of it can be taken. If its objects were read anyway, one whose content
  // does not match its name could appear in the patch.
  if (q_.known_objects.empty()) {
    if (!TRY(operator_has_identical(q_, ".git/" + name, e, body)))
      leave_repository(q_, ".git",
                       q_.is_unreadable ? "not brought home, because your repository can no longer be read"
                                        : "not brought home, because the agent made this repository");
    return {};
  }
  if (e.kind == TarEntry::Kind::hardlink) return hardlinked_object(path, e);
  if (e.kind != TarEntry::Kind::file) {
    q_.leave(".git/" + name, "not brought home, because it is a link or a device in .git");
    return {};
  }
  if (path.size() > 2 && path[0] == "lfs" && path[1] == "objects") {
    if (!has_large_file(name, e.size))
      q_.leave(".git/lfs", "not brought home, because it has files of git-lfs that you do not have");
    return {};
  }
  if (is_loose_object(path) || is_pack(path)) return object(path, name, e.size, body);
  if (is_index(path)) return index(name, e, body);
  return refs_.take(name, body);
}

// Returns whether the operator's git-lfs keeps this file. Its name is the hash of its content.
bool GitFiller::has_large_file(const std::string& name, uint64_t size) const {
  struct stat st{};
  std::string path = parent_of(q_.known_objects) + "/" + name;
  return ::lstat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && static_cast<uint64_t>(st.st_size) == size;
}

Result<> GitFiller::object(const Path& path, const std::string& name, uint64_t size, const Source& body) {
  if (!is_new_object(q_, path)) return {};
  if (size > budget_.git) {
    q_.leave(".git/" + name, kTooLarge);
    return {};
  }
  Path to = is_pack(path) ? Path{"incoming", path[2]} : path;
  if (!TRY(repository_.file(to, false, body, &budget_.git)))
    q_.leave(".git/" + name, "not brought home, because it cannot be created at this path");
  return {};
}

// Keeps an index on the disk, because there may be many large ones. They are read later, one at a time.
Result<> GitFiller::index(const std::string& name, const TarEntry& e, const Source& body) {
  auto known = q_.indexes.find(name);
  Path to{"indexes", std::to_string(q_.indexes.size())};
  if (known != q_.indexes.end()) to = {"indexes", std::string(name_in(known->second))};
  bool fits =
      e.size <= std::min(kLargestIndex, budget_.git) && (known != q_.indexes.end() || q_.indexes.size() < kMostIndexes);
  if (fits && TRY(repository_.file(to, false, body, &budget_.git)))
    q_.indexes[name] = q_.repository.path() + "/" + join(to);
  else q_.leave(".git/" + name, "what is only staged was not brought home, because the index is larger than the limit");
  return {};
}

Result<> GitFiller::hardlinked_object(const Path& path, const TarEntry& e) {
  // Only new objects are taken. A link that stands for any other object is ignored, as a file would be.
  if (path[0] == "objects" && !is_new_object(q_, path)) return {};
  auto target = safe_components(e.target);
  bool done = false;
  if (target && target->size() > 3) {
    Path end(target->end() - 3, target->end());
    if (is_loose_object(path) && is_loose_object(end)) done = TRY(repository_.hardlink(path, end));
  }
  if (!done) q_.leave(".git/" + join(path), "not brought home, because it is a link or a device in .git");
  return {};
}

}  // namespace bottle::workspace
