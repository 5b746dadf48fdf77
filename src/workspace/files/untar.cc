// Reads the tar formats that engines and tar programs write, and writes entries below a directory. The agent may have
// made the archive itself, so the reader never guesses: it leaves behind an entry that it does not understand.
//
// The writer walks each path from the root, one component at a time and without following links. Links are made last,
// because an earlier link could redirect a later entry.
#include "workspace/files/untar.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "base/files/file.h"
#include "base/files/full_disk.h"
#include "base/keyed_hash.h"
#include "docker/tar/header.h"
#include "workspace/archive/sparse_file.h"
#include "workspace/files/paths.h"

namespace bottle::workspace {
namespace {

constexpr uint64_t kHeaderLimit = 1 << 20;  // limit for a pax header or a long name

std::unexpected<Error> broken(const char* what) {
  return fail(Code::protocol, std::string("the archive is broken: ") + what);
}

// An engine that fails in the middle of an archive may end its answer as if it were complete, so only the archive
// itself says whether all of it came.
std::unexpected<Error> cut_off() { return fail(Code::closed, "the archive is cut off: it has no end mark"); }

// Fills the buffer. Returns false at the end of the source, and fails if the source ends in the middle.
Result<bool> read_fully(const Source& source, char* to, size_t size) {
  size_t have = 0;
  while (have < size) {
    size_t n = TRY(source(to + have, size - have));
    if (n == 0) {
      // The source ended before the first byte. This is the regular end, not an error.
      if (have == 0) return false;
      return cut_off();
    }
    have += n;
  }
  return true;
}

// Returns whether an error means that an entry cannot exist at its path, and not that the disk fails.
bool is_impossible(int error) {
  return error == ENOTDIR || error == ELOOP || error == EISDIR || error == ENOENT || error == EEXIST ||
         error == ENAMETOOLONG || error == EINVAL || error == ENOTEMPTY || error == EMLINK || error == EPERM ||
         error == EILSEQ || error == EOPNOTSUPP || error == ENOSYS;
}

// Reads an extended header, whose fields apply to the next entry.
Result<> read_extension(const Source& source, const docker::TarHeader& header, docker::TarExtension& next) {
  if (header.size > kHeaderLimit) return broken("a header is too long");
  std::string body(header.size + docker::tar_padding(header.size), '\0');
  if (!body.empty() && !TRY(read_fully(source, body.data(), body.size()))) return cut_off();
  return next.take(header.type, std::string_view(body).substr(0, header.size));
}

// Combines a header with the longer fields that the headers before it have announced.
TarEntry entry_of(docker::TarHeader header, const docker::TarExtension& announced) {
  announced.apply(header);
  TarEntry entry;
  entry.path = std::move(header.path);
  entry.target = std::move(header.target);
  entry.mode = header.mode;
  char type = header.type;
  // NUL is the type of files before POSIX, and '7' is a file that should be contiguous. The body of a sparse file must
  // not be mistaken for its content.
  if (type == '0' || type == '\0' || type == '7')
    entry.kind = announced.sparse ? TarEntry::Kind::other : TarEntry::Kind::file;
  else if (type == '5') entry.kind = TarEntry::Kind::directory;
  else if (type == '2') entry.kind = TarEntry::Kind::symlink;
  else if (type == '1') entry.kind = TarEntry::Kind::hardlink;
  // Links, devices and directories have no body, whatever the header says. Other tar programs do the same.
  entry.size = type >= '1' && type <= '6' ? 0 : header.size;
  return entry;
}

// Gives the visitor the entry with its body, then skips what it did not read and the padding.
Result<> visit_entry(const Source& source, const Visit& visit, const TarEntry& entry) {
  uint64_t left = entry.size;
  Source body = [&](char* to, size_t room) -> Result<size_t> {
    if (left == 0) return 0;
    size_t n = TRY(source(to, static_cast<size_t>(std::min<uint64_t>(room, left))));
    if (n == 0) return cut_off();
    left -= n;
    return n;
  };
  TRY(visit(entry, body));
  uint64_t padding = docker::tar_padding(entry.size);
  char waste[65536];
  while (left > 0) (void)TRY(body(waste, sizeof waste));
  if (padding && !TRY(read_fully(source, waste, padding))) return cut_off();
  return {};
}

// Reads what follows the end of the archive, up to the amount of usual padding, so that the writer can finish.
Result<> read_rest(const Source& source) {
  char rest[4096];
  for (uint64_t total = 0; total < kHeaderLimit;) {
    size_t n = TRY(source(rest, sizeof rest));
    if (n == 0) return {};
    total += n;
  }
  return broken("it goes on after its end");
}

size_t hash_of(const std::vector<std::string>& path) {
  std::string whole;
  for (const auto& part : path) whole += "/" + part;
  return keyed_hash(whole);
}

}  // namespace

Result<> read_tar(const Source& source, const Visit& visit) {
  docker::TarExtension next;
  for (int empty = 0;;) {
    char block[docker::kTarBlock];
    if (!TRY(read_fully(source, block, sizeof block))) return cut_off();
    if (docker::is_empty_block({block, sizeof block})) {
      // Two empty blocks end an archive (POSIX ustar).
      if (++empty < 2) continue;
      return read_rest(source);
    }
    empty = 0;
    docker::TarHeader header = TRY(docker::parse_tar_header({block, sizeof block}));
    if (docker::is_tar_extension(header.type)) {
      TRY(read_extension(source, header, next));
      continue;
    }
    TRY(visit_entry(source, visit, entry_of(std::move(header), std::exchange(next, {}))));
  }
}

Result<> SizeOfAll::add(const TarEntry& entry) {
  if (entry.size > kMostWithHoles - bytes_)
    return fail(Code::limit, "the files of the workspace have more than " + std::to_string(kMostWithHoles >> 30) +
                                 " GB with their holes");
  bytes_ += entry.size;
  return {};
}

Result<Tree> Tree::open(const std::string& root) {
  Tree tree;
  tree.path_ = root;
  TRY(tree.wake());
  return tree;
}

void Tree::rest() {
  root_.reset();
  cached_.reset();
}

Result<> Tree::wake() {
  if (!root_) root_.reset(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root_) return fail_errno("opening " + path_);
  return {};
}

// Opens the directory of the last component. Returns no descriptor if it does not exist and cannot be made.
Result<UniqueFd> Tree::parent(const std::vector<std::string>& path, bool create) {
  std::vector<std::string> up(path.begin(), path.end() - 1);
  // An archive lists the files of one directory after another, so most entries need no walk.
  if (cached_ && up == cached_path_) {
    UniqueFd copy(::fcntl(cached_.get(), F_DUPFD_CLOEXEC, 0));
    if (!copy) return fail_errno("duplicating a descriptor");
    return copy;
  }
  TRY(wake());
  UniqueFd at(::fcntl(root_.get(), F_DUPFD_CLOEXEC, 0));
  if (!at) return fail_errno("duplicating a descriptor");
  for (const auto& part : up) {
    if (create && ::mkdirat(at.get(), part.c_str(), 0700) == 0) {
      ++implied_;
    } else if (create && errno != EEXIST) {
      if (is_impossible(errno)) return UniqueFd{};
      return fail_errno("creating a directory");
    }
    UniqueFd next(::openat(at.get(), part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!next) {
      if (is_impossible(errno)) return UniqueFd{};
      return fail_errno("opening a directory");
    }
    at = std::move(next);
  }
  // Directories are never removed while a tree is written, so the descriptor stays the right one.
  cached_.reset(::fcntl(at.get(), F_DUPFD_CLOEXEC, 0));
  cached_path_ = std::move(up);
  return at;
}

Result<bool> Tree::directory(const std::vector<std::string>& path) {
  if (path.empty()) return true;
  UniqueFd at = TRY(parent(path, true));
  if (!at) return false;
  if (::mkdirat(at.get(), path.back().c_str(), 0700) == 0) return true;
  if (!is_impossible(errno)) return fail_errno("creating a directory");
  // Something of that name exists. If it is a directory, nothing is left to do.
  struct stat st{};
  return ::fstatat(at.get(), path.back().c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

// Says what is at a path that this object has not written, if it must not replace it.
Result<Tree::Other> Tree::other_at(int parent, const std::vector<std::string>& path) const {
  struct stat st{};
  if (!written_ || written_->contains(hash_of(path))) return Other::none;
  if (::fstatat(parent, path.back().c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0)
    return S_ISDIR(st.st_mode) ? Other::directory : Other::file;
  if (is_impossible(errno)) return Other::none;
  return fail_errno("looking at a file");
}

void Tree::note_written(const std::vector<std::string>& path) {
  if (written_) written_->insert(hash_of(path));
}

Result<bool> Tree::file(const std::vector<std::string>& path, bool executable, const Source& body,
                        uint64_t* bytes_left) {
  if (path.empty()) return false;
  UniqueFd at = TRY(parent(path, true));
  if (!at) return false;
  if (TRY(other_at(at.get(), path)) == Other::file) return false;
  // Writing into the old file instead would also change its other hard links.
  ::unlinkat(at.get(), path.back().c_str(), 0);  // a later entry of the same name wins, but a directory stays
  UniqueFd fd(::openat(at.get(), path.back().c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                       executable ? 0700 : 0600));
  if (!fd) {
    if (is_impossible(errno)) return false;
    return fail_errno("creating a file");
  }
  note_written(path);
  char buffer[65536];
  SparseFile file(fd.get());
  while (size_t n = TRY(body(buffer, sizeof buffer))) {
    // Counts the bytes that are really written, whatever the header said.
    if (n > *bytes_left) return fail(Code::limit, "the workspace that came back is larger than the limit");
    *bytes_left -= n;
    TRY(file.write({buffer, n}));
  }
  TRY(file.end());
  return true;
}

Result<bool> Tree::absent(const std::vector<std::string>& path) {
  if (path.empty()) return false;
  UniqueFd at = TRY(parent(path, true));
  if (!at) return false;
  if (auto other = TRY(other_at(at.get(), path)); other != Other::none) return other == Other::file;
  if (::unlinkat(at.get(), path.back().c_str(), 0) == 0 || errno == ENOENT) return true;
  if (is_impossible(errno)) return false;
  return fail_errno("removing a file");
}

Result<bool> Tree::hardlink(const std::vector<std::string>& path, const std::vector<std::string>& to) {
  if (path.empty() || to.empty() || path == to) return false;
  // Nothing is created, because the target of a hard link must exist already.
  UniqueFd from = TRY(parent(to, false));
  if (!from) return false;
  struct stat st{};
  if (::fstatat(from.get(), to.back().c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
    if (is_impossible(errno)) return false;
    return fail_errno("looking at a file");
  }
  if (!S_ISREG(st.st_mode)) return false;
  UniqueFd at = TRY(parent(path, true));
  if (!at) return false;
  if (TRY(other_at(at.get(), path)) == Other::file) return false;
  ::unlinkat(at.get(), path.back().c_str(), 0);
  // Without AT_SYMLINK_FOLLOW, linkat(2) links a symbolic link itself and does not follow it.
  if (::linkat(from.get(), to.back().c_str(), at.get(), path.back().c_str(), 0) == 0) {
    note_written(path);
    return true;
  }
  if (is_impossible(errno)) return false;
  return fail_errno("creating a hard link");
}

Result<bool> Tree::link(const std::vector<std::string>& path, const std::string& target) {
  if (path.empty()) return false;
  UniqueFd at = TRY(parent(path, false));
  if (!at) return false;
  if (::symlinkat(target.c_str(), at.get(), path.back().c_str()) == 0) return true;
  if (is_impossible(errno)) return false;
  return fail_errno("creating a link");
}

}  // namespace bottle::workspace
