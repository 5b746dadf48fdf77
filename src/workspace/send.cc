#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>

#include "base/defer.h"
#include "base/file.h"
#include "base/ids.h"
#include "base/line.h"
#include "base/unique_fd.h"
#include "docker/tar.h"
#include "workspace/git.h"
#include "workspace/objects.h"
#include "workspace/origin.h"
#include "workspace/paths.h"
#include "workspace/workspace.h"

namespace bottle::workspace {
namespace {

using manifest::WorkspaceMode;

constexpr size_t kChunk = 256 << 10;

// Credentials that people keep in .git/config do not go into a bottle.
std::string without_credentials(std::string_view config) {
  std::string out;
  while (!config.empty()) {
    size_t end = std::min(config.find('\n'), config.size() - 1) + 1;
    std::string line(config.substr(0, end)), small = line;
    config.remove_prefix(end);
    for (char& c : small) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (small.find("extraheader") != std::string::npos || small.find("password") != std::string::npos ||
        small.find("token") != std::string::npos)
      continue;
    size_t scheme = line.find("://");
    if (scheme != std::string::npos) {
      size_t authority = scheme + 3, stop = line.find_first_of("/\" \t\n]", authority);
      size_t at = line.substr(0, stop).rfind('@');
      if (at != std::string::npos && at >= authority) line.erase(authority, at + 1 - authority);
    }
    out += line;
  }
  return out;
}

// Work of other sessions is none of this one's business. (Its objects go along: which ones are its alone is not known
// here.)
bool is_of_sessions(const std::string& path) { return path == ".git/refs/bottle" || path == ".git/logs/refs/bottle"; }

std::string without_sessions(std::string_view packed_refs) {
  std::string out;
  for (bool dropped = false; !packed_refs.empty();) {
    std::string_view line = packed_refs.substr(0, std::min(packed_refs.find('\n'), packed_refs.size() - 1) + 1);
    packed_refs.remove_prefix(line.size());
    if (!line.starts_with('^'))
      dropped = line.find(" refs/bottle/") != std::string_view::npos;  // ^: what the tag of the line before stands for
    if (!dropped) out += line;
  }
  return out;
}

class Packer {
 public:
  Packer(const Outgoing& o, Summary& summary, const Sink& sink)
      : out_(o), summary_(summary), sink_(sink), tar_([this](std::string_view bytes) { return buffer(bytes); }) {}

  Result<> pack(const std::string& root, bool with_git) {
    UniqueFd fd(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return fail_errno("opening " + root);
    with_git_ = with_git;
    return directory(fd.get(), "", 0);
  }

  // A repository's .git, its parent already there.
  Result<> pack_under(const std::string& root, const std::string& prefix) {
    UniqueFd fd(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return fail_errno("opening " + root);
    with_git_ = true;
    TRY(tar_.directory(out_.prefix + prefix, 0755, out_.uid, out_.gid));
    return directory(fd.get(), prefix + "/", 1);
  }

  // What a checkout of the commit would write, without writing it anywhere first.
  Result<> pack_commit(const Git& git, const std::vector<Entry>& entries, const std::string& repository) {
    std::vector<std::string> ids;
    std::vector<const Entry*> blobs;
    std::string made;  // the directory of the entry before
    for (const auto& entry : entries) {
      if (entry.mode == "160000") continue;
      ids.push_back(entry.object);
      blobs.push_back(&entry);
    }
    const Entry* current = nullptr;
    std::string target;
    uint64_t left = 0;
    auto end = [&]() -> Result<> {
      return current->mode == "120000" ? symlink(current->path, target) : tar_.end_file();
    };
    TRY(stream_blobs(
        git, ids, {.directory = repository},
        [&](size_t place, uint64_t size) -> Result<> {
          current = blobs[place];
          left = size;
          target.clear();
          TRY(directories_of(current->path, made));
          if (current->mode == "120000") {
            if (size > 4096) return fail(Code::limit, "a link's target is too long: " + one_line(current->path));
            return {};
          }
          ++summary_.files;
          summary_.bytes += size;
          TRY(tar_.begin_file(out_.prefix + current->path, current->mode == "100755" ? 0755 : 0644, out_.uid, out_.gid,
                              size));
          return size == 0 ? end() : Result<>{};
        },
        [&](std::string_view bytes) -> Result<> {
          if (current->mode == "120000") target += bytes;
          else TRY(tar_.data(bytes));
          left -= bytes.size();
          return left == 0 ? end() : Result<>{};
        }));
    for (const auto& entry : entries) {
      if (entry.mode != "160000") continue;
      TRY(directories_of(entry.path, made));
      TRY(tar_.directory(out_.prefix + entry.path, 0755, out_.uid, out_.gid));
    }
    return {};
  }

  Result<> finish() {
    TRY(tar_.finish());
    TRY(sink_(pending_));
    pending_.clear();
    for (auto& [why, count] : skips_)
      summary_.warnings.push_back(std::to_string(count.first) + " " + why + " not sent, such as " +
                                  one_line(count.second));
    return {};
  }

 private:
  // Few large writes: a hundred thousand small files are a hundred thousand headers.
  Result<> buffer(std::string_view bytes) {
    pending_.append(bytes);
    if (pending_.size() < kChunk) return {};
    auto r = sink_(pending_);
    pending_.clear();
    return r;
  }

  void skip(const char* why, const std::string& path) {
    ++summary_.skipped;
    auto& count = skips_[why];
    if (!count.first++) count.second = path;
  }

  Result<> directory(int fd, const std::string& prefix, int depth) {
    int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 0);
    DIR* dir = copy < 0 ? nullptr : ::fdopendir(copy);
    if (!dir) return fail_errno("reading " + prefix);
    Defer close([&] { ::closedir(dir); });
    while (dirent* entry = ::readdir(dir)) {
      std::string name = entry->d_name, path = prefix + name;
      if (name == "." || name == ".." || (prefix.empty() && name == ".git" && !with_git_) || is_of_sessions(path))
        continue;
      struct stat st{};
      if (::fstatat(fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) continue;  // it went away
      if (S_ISDIR(st.st_mode)) TRY(enter(fd, name, path, st, depth));
      else if (S_ISREG(st.st_mode)) TRY(file(fd, name, path));
      else if (S_ISLNK(st.st_mode)) TRY(link(fd, name, path));
      else skip("sockets, devices and pipes", path);
    }
    return {};
  }

  // Those that are not there yet, when paths come sorted.
  Result<> directories_of(const std::string& path, std::string& made) {
    std::string parent = path.substr(0, path.rfind('/') + 1);  // with its slash, or nothing
    for (size_t slash = parent.find('/'); slash != std::string::npos; slash = parent.find('/', slash + 1))
      if (!made.starts_with(parent.substr(0, slash + 1)))
        TRY(tar_.directory(out_.prefix + parent.substr(0, slash), 0755, out_.uid, out_.gid));
    made = parent;
    return {};
  }

  Result<> enter(int fd, const std::string& name, const std::string& path, const struct stat& st, int depth) {
    UniqueFd child(::openat(fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!child || depth > 200) {
      skip("directories that cannot be read", path);
      return {};
    }
    TRY(tar_.directory(out_.prefix + path, (st.st_mode & 0777) | 0700, out_.uid, out_.gid));
    return directory(child.get(), path + "/", depth + 1);
  }

  Result<> file(int fd, const std::string& name, const std::string& path) {
    UniqueFd in(::openat(fd, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat st{};
    if (!in || ::fstat(in.get(), &st) != 0 || !S_ISREG(st.st_mode)) {
      skip("files that cannot be read", path);
      return {};
    }
    ++summary_.files;
    if (path == ".git/config") {
      std::string text(static_cast<size_t>(std::min<off_t>(st.st_size, 1 << 20)), '\0');
      ssize_t n = ::read(in.get(), text.data(), text.size());
      text.resize(n < 0 ? 0 : static_cast<size_t>(n));
      std::string clean = without_credentials(text);
      if (clean != text) summary_.warnings.push_back("credentials in .git/config were left out of the copy");
      return tar_.file(out_.prefix + path, st.st_mode & 0777, out_.uid, out_.gid, clean);
    }
    if (path == ".git/packed-refs")
      return tar_.file(out_.prefix + path, st.st_mode & 0777, out_.uid, out_.gid,
                       without_sessions(TRY(read_all(in.get(), path, SIZE_MAX))));
    auto size = static_cast<uint64_t>(st.st_size);
    summary_.bytes += size;
    TRY(tar_.begin_file(out_.prefix + path, st.st_mode & 0777, out_.uid, out_.gid, size));
    while (size > 0) {
      ssize_t n = ::read(in.get(), chunk_.data(), std::min<uint64_t>(chunk_.size(), size));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fail_errno("reading " + path);
      if (n == 0) break;  // it shrank; the rest is zeros
      TRY(tar_.data({chunk_.data(), static_cast<size_t>(n)}));
      size -= static_cast<uint64_t>(n);
    }
    return tar_.end_file();
  }

  Result<> link(int fd, const std::string& name, const std::string& path) {
    char target[4096];
    ssize_t n = ::readlinkat(fd, name.c_str(), target, sizeof target);
    return symlink(path, {target, n > 0 ? static_cast<size_t>(n) : 0});
  }

  Result<> symlink(const std::string& path, std::string_view text) {
    if (!stays_inside(path, text)) {
      skip("links that lead out of the tree", path);
      return {};
    }
    ++summary_.files;
    return tar_.symlink(out_.prefix + path, std::string(text), out_.uid, out_.gid);
  }

  const Outgoing& out_;
  Summary& summary_;
  const Sink& sink_;
  docker::TarWriter tar_;
  std::string pending_;
  std::string chunk_ = std::string(kChunk, '\0');
  bool with_git_ = true;
  std::map<std::string, std::pair<uint64_t, std::string>> skips_;
};

// Whether a checkout writes something else than what is committed: line ends, keywords, encodings. No filter is ever
// run.
bool converts(const std::vector<Entry>& entries, const Git& git, const std::string& repository) {
  std::vector<std::string> rules;
  for (const auto& entry : entries)
    if (entry.path == ".gitattributes" || entry.path.ends_with("/.gitattributes")) rules.push_back(entry.object);
  auto texts = small_blobs(git, rules, 1 << 20, {.directory = repository});
  return !texts || std::ranges::any_of(rules, [&](const std::string& id) {
    auto text = texts->find(id);
    return text == texts->end() || std::ranges::any_of(std::array{"crlf", "ident", "encoding"}, [&](const char* word) {
             return text->second.find(word) != std::string::npos;
           });
  });
}

// Some two thousand files at most, as far as its index tells: those are sooner written by git than asked of it.
bool is_small(const std::string& repository) {
  std::error_code error;
  auto size = std::filesystem::file_size(repository + "/.git/index", error);
  return !error && size < (256 << 10);
}

}  // namespace

Result<Summary> send(const Outgoing& outgoing, const Sink& sink) {
  Summary summary;
  if (outgoing.mode != WorkspaceMode::copy && outgoing.mode != WorkspaceMode::clone) return summary;
  std::error_code error;
  std::string source = std::filesystem::canonical(outgoing.source, error).string();
  if (error)
    return fail(Code::not_found,
                "the workspace " + one_line(outgoing.source) + " cannot be opened: " + error.message());
  std::string state = outgoing.scratch + "/outgoing-" + random_hex(4);
  TRY(make_directories(state));
  Defer clean([&] {
    std::error_code ignored;
    std::filesystem::remove_all(state, ignored);
  });
  Git git = TRY(Git::make(state, {source}));
  auto committer = beside([first = git, source] { return committer_of(first, source); });
  Origin origin = origin_of(git, source);
  if (!origin.top.empty() && origin.top != source) {
    git = TRY(Git::make(state, {source, origin.top}));
    origin = origin_of(git, source);
  }
  const std::string &top = origin.top, &head = origin.head;
  std::string copy = state + "/tree";

  Packer packer(outgoing, summary, sink);
  if (outgoing.mode == WorkspaceMode::clone && !head.empty()) {
    auto status = beside([&] {
      return git.run({"status", "--porcelain", "--no-renames", "--ignore-submodules=all"}, {.directory = top});
    });
    bool checkout = is_small(top);
    std::vector<Entry> entries;
    TRY(clone(git, origin, copy, committer.get()));
    summary.base = head;
    if (!checkout) {
      entries = TRY(list_tree(git, head, {.directory = copy}));
      checkout = converts(entries, git, copy);
    }
    TRY(git.ask(checkout ? std::vector<std::string>{"read-tree", "--reset", "-u", "HEAD"}
                         : std::vector<std::string>{"read-tree", "HEAD"},
                {.directory = copy}));
    auto dirty = status.get();
    if (dirty && !dirty->out.empty())
      summary.warnings.push_back(
          "uncommitted changes stay here: the clone holds HEAD (workspace: copy takes them along)");
    if (checkout) {
      TRY(packer.pack(copy, true));
    } else {
      TRY(packer.pack_under(copy + "/.git", ".git"));
      TRY(packer.pack_commit(git, entries, copy));
    }
    TRY(packer.finish());
    return summary;
  }
  if (outgoing.mode == WorkspaceMode::clone)
    summary.warnings.push_back(!top.empty() ? "the repository has no commit: copied instead of cloned"
                                            : "not a git repository: copied instead of cloned");
  struct stat st{};
  bool own_git = ::lstat((source + "/.git").c_str(), &st) == 0 && S_ISDIR(st.st_mode);
  TRY(packer.pack(source, own_git));
  if (!head.empty() && top == source) {
    summary.base = head;
    if (!own_git) {  // a worktree: its .git is a file that points out of what is copied
      TRY(clone(git, origin, copy, committer.get()));
      TRY(git.ask({"read-tree", "HEAD"}, {.directory = copy}));
      TRY(packer.pack_under(copy + "/.git", ".git"));
    }
  }
  TRY(packer.finish());
  return summary;
}

}  // namespace bottle::workspace
