// Copies files that come home as files and not in a commit: ignored ones, filtered ones, and those of a directory
// without a repository. The new directory is written beside the old one and takes its place at the end, so a copy
// that fails leaves the results of an earlier call.
#include "workspace/receiving/keep_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdio>
#include <filesystem>

#include "base/defer.h"
#include "base/files/durable.h"
#include "base/files/file.h"
#include "base/files/full_disk.h"
#include "base/text/line.h"
#include "base/unique_fd.h"
#include "git/formats/modes.h"
#include "git/settings.h"
#include "workspace/files/paths.h"
#include "workspace/files/untar.h"

namespace bottle::workspace {
namespace {

constexpr const char* kImpossible = "not brought home as a file, because it cannot be created at this path";

// Returns whether an error of opening a file means that there is no such regular file, or that the agent has put it too
// deep.
bool is_absence(int error) {
  return error == ENOENT || error == ENOTDIR || error == ELOOP || error == ENXIO || error == ENAMETOOLONG;
}

// Opens the file on the disk. Returns no descriptor if it is not a regular file, or if a link on the way leads to
// another file. Any other error says nothing about the file, and dropping the file would lose work.
Result<UniqueFd> open_file(const Quarantine& q, const std::string& path, struct stat& st) {
  std::error_code error;
  std::string whole = q.tree() + "/" + path;
  UniqueFd in(::open(whole.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!in && is_absence(errno)) return UniqueFd{};
  if (!in || ::fstat(in.get(), &st) != 0) return fail_errno("reading " + one_line(path));
  if (!S_ISREG(st.st_mode)) return UniqueFd{};
  // Links exist in the tree by now, and O_NOFOLLOW checks only the last component.
  auto found = std::filesystem::canonical(whole, error), top = std::filesystem::canonical(q.tree(), error);
  if (error && !is_absence(error.value())) return fail_errno("reading " + one_line(path), error.value());
  return found == top / path ? std::move(in) : UniqueFd{};
}

Result<> write_files(const Quarantine& q, const git::Runner& git, const std::vector<Change>& list,
                     const std::string& to, uint64_t most, const Leave& leave) {
  TRY(make_directories(to));
  Tree tree = TRY(Tree::open(to));
  for (const auto& change : list) {
    auto path = safe_components(change.path);
    // Links are only in the patch. As files, they could make a later copy write somewhere else.
    if (!path || !change.mode.starts_with("100")) continue;
    struct stat st{};
    if (q.is<Quarantine::Written>(change.path)) {
      UniqueFd in = TRY(open_file(q, change.path, st));
      if (!in) {
        leave(change.path, "not brought home as a file, because it is not a regular file or is too deep");
        continue;
      }
      bool done = TRY(tree.file(*path, st.st_mode & 0100, source_of(in.get(), "reading a file"), &most));
      if (!done) leave(change.path, kImpossible);
      continue;
    }
    // This is another name of an unchanged file.
    auto read = git.run({"cat-file", "blob", change.object}, q.at());
    TRY(check_room(read));
    if (!read && read.error().code == Code::limit) {
      leave(change.path, "not brought home as a file, because it is larger than the limit");
      continue;
    }
    auto [status, text, complaint] = TRY(std::move(read));
    if (status != 0) return fail(Code::unavailable, "git cat-file: " + folded(complaint));
    bool done = TRY(tree.file(*path, change.mode == git::kExecutable, source_of(text), &most));
    if (!done) leave(change.path, kImpossible);
  }
  return {};
}

}  // namespace

Result<> copy_files(const Quarantine& q, const git::Runner& git, const std::vector<Change>& list, const std::string& to,
                    uint64_t most, const Leave& leave) {
  std::error_code error;
  if (list.empty()) {
    std::filesystem::remove_all(to, error);
    return {};
  }
  std::string beside = to + ".new";
  std::filesystem::remove_all(beside, error);
  Defer clean([&] {
    std::error_code ignored;
    std::filesystem::remove_all(beside, ignored);
  });
  TRY(write_files(q, git, list, beside, most, leave));
  TRY(flush_tree(beside));
  std::filesystem::remove_all(to, error);
  // rename(2) does not replace a directory with content, so the old one was removed before.
  if (::rename(beside.c_str(), to.c_str()) != 0) return fail_errno("renaming " + beside);
  return {};
}

}  // namespace bottle::workspace
