// The providers are part of this program's file, as a table that the linker builds, and are unpacked to the disk,
// because hooks are programs that the kernel must be able to execute. The directory's name has a hash of all of them,
// so two versions of `bottle` do not overwrite each other's hooks while they run. Each file is compared byte by byte
// at every use, because it will run with the operator's rights and credentials. Everything else is removed, because
// Python would load a module that is beside a hook or in lib in place of one of its own.

#include "machine/provider/carried.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/files/entries.h"
#include "base/files/file.h"
#include "base/ids.h"
#include "base/text/path_parts.h"
#include "base/text/shell_word.h"

extern "C" {
struct BottleCarried {
  const char *path, *begin, *end;
};
extern const BottleCarried bottle_carried_begin[], bottle_carried_end[];
extern const char bottle_vm_side_begin[], bottle_vm_side_end[];
}

namespace bottle::machine {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kShared = "lib/";  // files that several providers use; they find them as ../lib

// Returns whether the path is a temporary file of write_file_atomically(): another process may be writing there. Its
// name is not that of a module.
bool is_being_written(const fs::path& path, const fs::file_status& status, const std::set<std::string>& files) {
  std::string text = path.string();
  size_t end = text.rfind(".new.");
  return fs::is_regular_file(status) && end != text.npos && files.contains(text.substr(0, end)) &&
         text.find_first_not_of("0123456789", end + 5) == text.npos;
}

// Removes everything from the directory that is not one of the files and not a directory of one. Follows no links.
Result<> remove_foreign(const std::string& root, const std::vector<CarriedFile>& carried) {
  std::set<std::string> files, directories;
  for (const auto& file : carried) {
    files.insert(root + "/" + std::string(file.path));
    for (size_t slash = file.path.find('/'); slash != file.path.npos; slash = file.path.find('/', slash + 1))
      directories.insert(root + "/" + std::string(file.path.substr(0, slash)));
  }
  std::vector<std::string> left = {root};
  while (!left.empty()) {
    std::string directory = std::move(left.back());
    left.pop_back();
    TRY(only_ours(directory));
    for (const auto& name : TRY(names_in(directory))) {
      std::string path = directory + "/" + name;
      std::error_code error;
      auto status = fs::symlink_status(path, error);
      if (fs::is_directory(status) && directories.contains(path)) {
        left.push_back(path);
      } else if (!(fs::is_regular_file(status) && files.contains(path)) && !is_being_written(path, status, files)) {
        fs::remove_all(path, error);
        if (error)
          return fail(Code::denied, "removing " + path + ", which bottle did not put there: " + error.message());
      }
    }
  }
  return {};
}

}  // namespace

std::vector<CarriedFile> carried_files() {
  std::vector<CarriedFile> files;
  for (const auto* file = bottle_carried_begin; file != bottle_carried_end; ++file)
    files.push_back({file->path, {file->begin, static_cast<size_t>(file->end - file->begin)}});
  return files;
}

std::vector<std::string> carried_providers() {
  std::vector<std::string> names;
  for (const auto& file : carried_files())
    if (size_t slash = file.path.find('/'); slash != std::string_view::npos && !file.path.starts_with(kShared))
      names.emplace_back(file.path.substr(0, slash));
  // Each provider has several files, so its name comes several times.
  std::ranges::sort(names);
  names.erase(std::ranges::unique(names).begin(), names.end());
  return names;
}

std::string_view vm_side_program() {
  return {bottle_vm_side_begin, static_cast<size_t>(bottle_vm_side_end - bottle_vm_side_begin)};
}

Result<> only_ours(const std::string& path) {
  struct stat st{};
  if (::stat(path.c_str(), &st) != 0) return fail_errno("looking at " + path);
  // root may own them, because an administrator may have installed them.
  if ((st.st_uid != ::getuid() && st.st_uid != 0) || (st.st_mode & 022))
    return fail(Code::denied, path + " can be written by others, and its programs would run as you",
                "run `chmod -R go-w " + shell_word(path) + "`");
  return {};
}

Result<std::string> unpack_provider(const std::string& name, const std::string& cache) {
  std::string all;
  auto files = carried_files();
  for (const auto& file : files) all += std::string(file.path) + '\0' + std::string(file.bytes) + '\0';
  std::string root = cache + "/providers/" + content_hash(all);
  TRY(make_directories(root));
  // This also fails if others are able to put files beside the hooks.
  TRY(remove_foreign(root, files));
  for (const auto& file : files) {
    if (!file.path.starts_with(name + "/") && !file.path.starts_with(kShared)) continue;
    std::string path = root + "/" + std::string(file.path);
    // Programs begin with "#!". Everything else is only read.
    int mode = file.bytes.starts_with("#!") ? 0700 : 0600;
    struct stat st{};
    // A link, another owner or another mode is replaced, even if the content is right.
    if (::lstat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 07777) == static_cast<mode_t>(mode) &&
        st.st_uid == ::getuid())
      if (auto there = read_file(path); there && *there == file.bytes) continue;
    TRY(make_directories(parent_of(path)));
    TRY(write_file_atomically(path, file.bytes, mode));
  }
  return root + "/" + name;
}

}  // namespace bottle::machine
