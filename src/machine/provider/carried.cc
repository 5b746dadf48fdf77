// The providers are part of this program's file, as a table that the linker builds, and are unpacked to the disk,
// because hooks are programs that the kernel must be able to execute. The directory's name has a hash of all of them,
// so two versions of `bottle` do not overwrite each other's hooks while they run. Each file is compared byte by byte
// at every use, because it will run with the operator's rights and credentials.

#include "machine/provider/carried.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "base/files/file.h"
#include "base/ids.h"
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

constexpr std::string_view kShared = "lib/";  // files that several providers use; they find them as ../lib

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
  // Others must not be able to put files beside the hooks either.
  TRY(only_ours(root));
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
    TRY(make_directories(path.substr(0, path.rfind('/'))));
    TRY(write_file_atomically(path, file.bytes, mode));
  }
  return root + "/" + name;
}

}  // namespace bottle::machine
