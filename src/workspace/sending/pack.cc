// Packs a workspace from the disk or straight from git's objects. The disk is read through descriptors, without
// following links, because another program may change the tree meanwhile. A name that disappears is skipped, and a file
// that shrinks is filled up: its size is already in the stream.
//
// Some files are changed on their way: a repository's configuration and logs lose credentials, and its refs lose those
// of other sessions. Only links that stay inside are sent, because any other would dangle in the bottle and look
// suspicious on its way back. Locks of git are not sent. Modes are those of a checkout, so that they do not reveal the
// operator's umask and compare equal later.
#include "workspace/sending/pack.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <optional>
#include <span>

#include "base/defer.h"
#include "base/files/beneath.h"
#include "base/files/entries.h"
#include "base/files/file.h"
#include "base/text/line.h"
#include "base/text/path_parts.h"
#include "base/unique_fd.h"
#include "git/formats/modes.h"
#include "workspace/files/blob_id.h"
#include "workspace/files/paths.h"
#include "workspace/sending/clean.h"

namespace bottle::workspace {
namespace {

constexpr size_t kChunk = 256 << 10, kLargestConfig = 4 << 20, kLargestText = 256 << 20;

// Returns whether the directory is a git directory anywhere in the tree, including that of a submodule, of a bare
// repository and of a work tree.
bool is_git_data(int directory) {
  auto has = [&](const char* name) {
    struct stat st{};
    return ::fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
  };
  return has("HEAD") && (has("objects") || has("commondir"));
}

// Returns whether the file is the configuration of a repository or an older version of it, such as "config.bak". The
// name alone says nothing: many projects have a file "config".
bool is_configuration(int directory, const std::string& name) {
  return name.starts_with("config") && is_git_data(directory);
}

// Returns whether git or a user may have written a URL to the file of a git directory: `git pull URL` is in the logs,
// and a credential helper may have its store in the directory.
bool may_name_urls(const std::string& path, const std::string& name) {
  constexpr std::string_view kNames[] = {"FETCH_HEAD", "MERGE_MSG", "SQUASH_MSG", "COMMIT_EDITMSG"};
  return std::ranges::find(kNames, name) != std::ranges::end(kNames) || name.find("credential") != name.npos ||
         path.ends_with("remotes/" + name) || path.ends_with("branches/" + name);
}

// Returns whether the file at `path`, which is in `directory`, has settings of a repository.
bool has_settings(int directory, const std::string& path, const std::string& name) {
  bool info = path.ends_with("/info/" + name);
  struct stat st{};
  return is_settings_file(info ? "info/" + name : name) &&
         ::fstatat(directory, info ? "../HEAD" : "HEAD", &st, AT_SYMLINK_NOFOLLOW) == 0;
}

// Returns whether the path holds refs of other sessions, which do not belong in this one. (Their objects are sent,
// because the packer cannot tell which objects only they use.)
bool is_of_sessions(std::string_view path) {
  return path.ends_with(".git/refs/bottle") || path.ends_with(".git/logs/refs/bottle") ||
         (path.find(".git/modules/") != std::string_view::npos && path.ends_with("/refs/bottle"));
}

// Returns the mode that a checkout would give a file, whatever the umask was when the file was made.
int mode_of(mode_t mode) { return mode & 0100 ? 0755 : 0644; }

}  // namespace

Packer::Packer(const Outgoing& o, Summary& summary, const Sink& sink, Recorder* recorder)
    : out_(o),
      summary_(summary),
      sink_(sink),
      recorder_(recorder),
      time_(o.time ? o.time : static_cast<uint64_t>(std::time(nullptr))),
      tar_([this](std::string_view bytes) { return buffer(bytes); }, time_),
      chunk_(kChunk, '\0') {}

void Packer::expect(const std::string& below, const std::vector<git::Entry>& entries) {
  for (const auto& entry : entries)
    if (entry.mode != git::kSubmodule) expected_[below + entry.path] = entry;
}

Result<> Packer::pack(const std::string& root, const Reading& reading) {
  UniqueFd fd(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno("opening " + root);
  reading_ = reading;
  return directory(fd.get(), "", 0);
}

Result<> Packer::pack_under(const std::string& root, const std::string& prefix) {
  UniqueFd fd(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno("opening " + root);
  reading_ = {};
  // What is below a .git is not recorded as a file of the workspace.
  ++in_git_;
  Defer leave([&] { --in_git_; });
  tar_.set_time(time_);
  TRY(tar_.directory(inside(prefix), 0755, out_.uid, out_.gid));
  return directory(fd.get(), prefix + "/", 1);
}

Result<> Packer::pack_file(const std::string& root, const std::string& from, const std::string& to) {
  UniqueFd directory(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return fail_errno("opening " + root);
  ++in_git_;
  Defer leave([&] { --in_git_; });
  return file(directory.get(), from, to);
}

Result<> Packer::pack_extra(const std::string& root, const std::string& path) {
  auto at = TRY(TRY(Beneath::open(root)).directory(parent_of(path)));
  if (!at) return {};  // it was removed meanwhile
  reading_ = {};
  return file(at->get(), std::string(name_in(path)), path);
}

Result<> Packer::make_directory(const std::string& path) {
  std::string made;
  return directories_of(path + "/", made);
}

Result<> Packer::pack_commit(const git::Runner& git, const std::vector<git::Entry>& entries,
                             const git::Directory& repository) {
  // The blobs are requested in the order of the tree, so that directories come before what is in them.
  std::vector<std::string> ids;
  std::vector<const git::Entry*> blobs;
  std::string made;  // the directory of the previous entry
  for (const auto& entry : entries) {
    if (entry.mode == git::kSubmodule) continue;
    ids.push_back(entry.object);
    blobs.push_back(&entry);
  }
  const git::Entry* current = nullptr;
  std::string target;
  uint64_t left = 0;
  std::optional<BlobHash> hash;  // only if the repository's ids have another format than kRecorded
  reading_ = {.committed = true};
  auto end = [&]() -> Result<> {
    if (current->mode == git::kSymlink) return symlink(current->path, target);
    TRY(note(current->path, current->mode, hash ? hash->end() : current->object, {}));
    return tar_.end_file();
  };
  // The first function is called at the beginning of each blob, and the second one with its bytes, in portions of any
  // size.
  TRY(git::stream_blobs(
      git, ids, {.in = repository},
      [&](size_t place, uint64_t size) -> Result<> {
        current = blobs[place];
        left = size;
        target.clear();
        TRY(directories_of(current->path, made));
        if (current->mode == git::kSymlink) {
          if (size > 4096) return fail(Code::limit, "a link's target is too long: " + one_line(current->path));
          return {};
        }
        ++summary_.files;
        summary_.bytes += size;
        if (git::format_of_id(current->object) != kRecorded) hash.emplace(kRecorded, size);
        TRY(tar_.begin_file(inside(current->path), current->mode == git::kExecutable ? 0755 : 0644, out_.uid, out_.gid,
                            size));
        // An empty blob brings no bytes, so its file ends here.
        return size == 0 ? end() : Result<>{};
      },
      [&](std::string_view bytes) -> Result<> {
        if (current->mode == git::kSymlink) {
          target += bytes;
        } else {
          TRY(tar_.data(bytes));
          if (hash) hash->add(bytes);
        }
        left -= bytes.size();
        return left == 0 ? end() : Result<>{};
      }));
  for (const auto& entry : entries) {
    if (entry.mode != git::kSubmodule) continue;
    TRY(directories_of(entry.path, made));
    TRY(tar_.directory(inside(entry.path), 0755, out_.uid, out_.gid));
  }
  return {};
}

Result<> Packer::finish() {
  TRY(tar_.finish());
  TRY(sink_(pending_));
  pending_.clear();
  if (cleaned_.count > 0)
    summary_.warnings.push_back("credentials in git's logs were left out of the copy (" + cleaned_.text() + ")");
  for (const auto& [why, files] : skips_) summary_.warnings.push_back(why + " were not sent (" + files.text() + ")");
  return {};
}

// Collects bytes into a few large writes, because a hundred thousand small files have a hundred thousand headers.
Result<> Packer::buffer(std::string_view bytes) {
  pending_.append(bytes);
  if (pending_.size() < kChunk) return {};
  auto r = sink_(pending_);
  pending_.clear();
  return r;
}

void Packer::set_time_from(const struct stat& st) {
  tar_.set_time(reading_.own_times ? static_cast<uint64_t>(std::max<time_t>(st.st_mtim.tv_sec, 0)) : time_);
}

std::string Packer::Counted::text() const { return std::to_string(count) + ", for example " + one_line(first); }

void Packer::skip(const char* why, const std::string& path) {
  ++summary_.skipped;
  skips_[why].add(path);
}

Result<> Packer::directory(int fd, const std::string& prefix, int depth) {
  // closedir() closes the descriptor that it got, and `fd` belongs to the caller.
  int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
  DIR* dir = copy < 0 ? nullptr : ::fdopendir(copy);
  if (!dir) return fail_errno("reading " + prefix);
  Defer close([&] { ::closedir(dir); });
  bool git_along = prefix.empty() ? reading_.with_git : true;
  struct stat marker{};
  if (!prefix.empty() && !in_git_ && reading_.nested && ::fstatat(fd, ".git", &marker, AT_SYMLINK_NOFOLLOW) == 0)
    git_along = TRY(reading_.nested(prefix.substr(0, prefix.size() - 1)));
  while (const dirent* entry = TRY(next_entry(dir, prefix.empty() ? "the workspace" : prefix))) {
    std::string name = entry->d_name, path = prefix + name;
    if (is_of_sessions(place_ + path)) continue;
    if (name == ".git" && !git_along) continue;
    if (path == ".git/index" && reading_.with_git) continue;  // packed last, when the other files are known
    struct stat st{};
    if (::fstatat(fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) continue;  // it was removed meanwhile
    // A lock belongs to a git process that runs now. In the bottle, nothing would ever remove the lock.
    if (in_git_ && S_ISREG(st.st_mode) && name.ends_with(".lock")) continue;
    set_time_from(st);
    if (S_ISDIR(st.st_mode)) TRY(enter(fd, name, path, depth));
    else if (S_ISREG(st.st_mode)) TRY(file(fd, name, path));
    else if (S_ISLNK(st.st_mode)) TRY(link(fd, name, path));
    else skip("sockets, devices and pipes", path);
  }
  return {};
}

// Writes entries for directories that are not in the stream yet. Paths must come sorted.
Result<> Packer::directories_of(const std::string& path, std::string& made) {
  std::string parent = path.substr(0, path.rfind('/') + 1);  // with its slash, or empty
  tar_.set_time(time_);
  // Engines would make missing directories as root.
  for (size_t slash = parent.find('/'); slash != std::string::npos; slash = parent.find('/', slash + 1))
    if (!made.starts_with(parent.substr(0, slash + 1)))
      TRY(tar_.directory(inside(parent.substr(0, slash)), 0755, out_.uid, out_.gid));
  made = parent;
  return {};
}

Result<> Packer::enter(int fd, const std::string& name, const std::string& path, int depth) {
  UniqueFd child(::openat(fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  // Each level holds a descriptor open.
  if (!child || depth > 200) {
    skip("directories that cannot be read", path);
    return {};
  }
  TRY(tar_.directory(inside(path), 0755, out_.uid, out_.gid));
  bool is_log = name == "logs" && is_git_data(fd);
  in_git_ += name == ".git";
  in_logs_ += is_log;
  Defer leave([&] { in_git_ -= name == ".git", in_logs_ -= is_log; });
  return directory(child.get(), path + "/", depth + 1);
}

Result<> Packer::file(int fd, const std::string& name, const std::string& path) {
  // Without O_NONBLOCK, a pipe that has replaced the file in the meantime would block the open.
  UniqueFd in(::openat(fd, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat st{};
  // fstat() looks at the opened file, because the name may have been given to another one in the meantime.
  if (!in || ::fstat(in.get(), &st) != 0 || !S_ISREG(st.st_mode)) {
    skip("files that cannot be read", path);
    return {};
  }
  ++summary_.files;
  set_time_from(st);
  int mode = mode_of(st.st_mode);
  if (is_configuration(fd, name)) {
    auto read = read_all(in.get(), path, kLargestConfig);
    // git itself reads only these two.
    if (!read && read.error().code == Code::limit && name != "config" && name != "config.worktree") {
      skip("files of git directories that are too large to be searched for credentials", path);
      return {};
    }
    std::string text = without_new_extensions(TRY(std::move(read)));
    std::string clean = without_credentials(text);
    if (clean != text) summary_.warnings.push_back("credentials in " + one_line(path) + " were left out of the copy");
    TRY(note(path, git::mode_of_file(mode == 0755), blob_id(kRecorded, clean), clean));
    if (recorder_ && in_git_) recorder_->settings(place_ + path, blob_id(kRecorded, clean));
    return tar_.file(inside(path), mode, out_.uid, out_.gid, clean);
  }
  if (recorder_ && in_git_ && has_settings(fd, path, name)) {
    std::string text = TRY(read_all(in.get(), path, kLargestConfig));
    recorder_->settings(place_ + path, blob_id(kRecorded, text));
    return tar_.file(inside(path), mode, out_.uid, out_.gid, text);
  }
  if (in_git_ && name == "packed-refs")
    return tar_.file(inside(path), mode, out_.uid, out_.gid, without_sessions(TRY(read_all(in.get(), path, SIZE_MAX))));
  if (in_logs_ || (may_name_urls(path, name) && (in_git_ || is_git_data(fd))))
    return text_without_credentials(in.get(), path, mode);
  // A tar header has the size before the content, so the size at this moment counts, whatever is read later.
  auto size = static_cast<uint64_t>(st.st_size);
  summary_.bytes += size;
  return bytes_of(in.get(), path, mode, size);
}

// Packs a file of a git directory that may contain URLs.
Result<> Packer::text_without_credentials(int fd, const std::string& path, int mode) {
  auto text = read_all(fd, path, kLargestText);
  if (!text && text.error().code == Code::limit) {
    skip("logs that are too large to be searched for credentials", path);
    return {};
  }
  std::string all = TRY(std::move(text)), clean = without_credentials_in_urls(all);
  if (clean != all) cleaned_.add(path);
  TRY(note(path, git::mode_of_file(mode == 0755), blob_id(kRecorded, clean), clean));
  return tar_.file(inside(path), mode, out_.uid, out_.gid, clean);
}

Result<> Packer::bytes_of(int fd, const std::string& path, int mode, uint64_t size) {
  TRY(tar_.begin_file(inside(path), mode, out_.uid, out_.gid, size));
  bool noted = recorder_ && !in_git_, kept = noted && !reading_.committed && size <= Recorder::kKeptEach;
  BlobHash hash(kRecorded, size);
  std::string all;
  for (uint64_t left = size; left > 0;) {
    std::span<char> room(chunk_.data(), std::min<uint64_t>(chunk_.size(), left));
    size_t n = TRY(read_some(fd, room, "reading " + path));
    if (n == 0) {  // the file shrank; the rest is filled with zeros
      n = room.size();
      std::ranges::fill(room, '\0');
    }
    std::string_view bytes(chunk_.data(), n);
    TRY(tar_.data(bytes));
    if (noted) hash.add(bytes);
    if (kept) all += bytes;
    left -= n;
  }
  if (noted) TRY(note(path, git::mode_of_file(mode == 0755), hash.end(), all));
  return tar_.end_file();
}

// Records a file. `bytes` is empty if a repository has them, or if they are too many to keep.
Result<> Packer::note(const std::string& path, const std::string& mode, const std::string& id, std::string_view bytes) {
  if (!recorder_ || in_git_) return {};
  std::string whole = place_ + path;
  // Only the content is compared: the mode in the record is that of the disk, and compare() handles its difference.
  auto same = expected_.find(whole);
  bool committed = reading_.committed || (same != expected_.end() && same->second.object == id);
  return recorder_->file(whole, {mode, id, committed}, committed ? std::string_view() : bytes);
}

Result<> Packer::link(int fd, const std::string& name, const std::string& path) {
  char target[4096];
  ssize_t n = ::readlinkat(fd, name.c_str(), target, sizeof target);
  // A link that cannot be read has an empty target, which symlink() skips.
  return symlink(path, {target, n > 0 ? static_cast<size_t>(n) : 0});
}

Result<> Packer::symlink(const std::string& path, std::string_view text) {
  if (!stays_inside(path, text)) {
    skip("links whose target is absolute or outside the directory", path);
    return {};
  }
  ++summary_.files;
  TRY(note(path, git::kSymlink, blob_id(kRecorded, text), text));
  return tar_.symlink(inside(path), std::string(text), out_.uid, out_.gid);
}

}  // namespace bottle::workspace
