#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/defer.h"
#include "base/file.h"
#include "base/unique_fd.h"
#include "docker/tar.h"
#include "workspace/git.h"
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
    if (small.find("extraheader") != std::string::npos || small.find("password") != std::string::npos || small.find("token") != std::string::npos) continue;
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

  Result<> pack_under(const std::string& root, const std::string& prefix) {
    UniqueFd fd(::open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return fail_errno("opening " + root);
    with_git_ = true;
    TRY(tar_.directory(out_.prefix + prefix, 0755, out_.uid, out_.gid));
    return directory(fd.get(), prefix + "/", 1);
  }

  Result<> finish() {
    TRY(tar_.finish());
    TRY(sink_(pending_));
    pending_.clear();
    for (auto& [why, count] : skips_) summary_.warnings.push_back(std::to_string(count.first) + " " + why + " not sent, such as " + printable(count.second));
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
      if (name == "." || name == ".." || (prefix.empty() && name == ".git" && !with_git_)) continue;
      struct stat st {};
      if (::fstatat(fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) continue;  // it went away
      if (S_ISDIR(st.st_mode)) TRY(enter(fd, name, path, st, depth));
      else if (S_ISREG(st.st_mode)) TRY(file(fd, name, path));
      else if (S_ISLNK(st.st_mode)) TRY(link(fd, name, path));
      else skip("sockets, devices and pipes", path);
    }
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
    struct stat st {};
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
    std::string_view text(target, n > 0 ? static_cast<size_t>(n) : 0);
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

Result<std::string> temporary_directory() {
  const char* base = std::getenv("TMPDIR");
  std::string path = std::string(base && *base == '/' ? base : "/var/tmp") + "/bottle-clone-XXXXXX";
  if (!::mkdtemp(path.data())) return fail_errno("making a temporary directory " + path);
  return path;
}

// The operator's user.name and user.email: an agent that cannot commit stumbles, so it commits as the operator does.
std::pair<std::string, std::string> committer(const Git& git, const std::string& repository) {
  std::string name = "agent", email = "agent@bottle.invalid";
  auto found = git.run({"config", "--null", "--get-regexp", "^user\\.(name|email)$"}, {.directory = repository, .operators_configuration = true});
  if (!found || found->status != 0) return {name, email};
  for (size_t at = 0, end; (end = found->out.find('\0', at)) != std::string::npos; at = end + 1) {
    std::string_view entry = std::string_view(found->out).substr(at, end - at);
    size_t line = entry.find('\n');  // "user.name", newline, the value; of several the last one holds
    if (line == std::string_view::npos || line + 1 == entry.size()) continue;
    (entry.substr(0, line) == "user.name" ? name : email) = entry.substr(line + 1);
  }
  return {name, email};
}

// A repository of HEAD's branch at `to`: no remote, no hooks, no template, nothing shared with the original.
Result<> clone(const Git& git, const std::string& from, const std::string& to, bool checkout) {
  auto [name, email] = committer(git, from);
  std::vector<std::string> arguments = {"clone", "--quiet", "--no-hardlinks", "--no-local", "--single-branch", "--template=", "--no-recurse-submodules",
                                        "--config", "user.name=" + name, "--config", "user.email=" + email};
  if (!checkout) arguments.push_back("--no-checkout");
  arguments.insert(arguments.end(), {"--", from, to});
  TRY(git.ask(arguments, {}));
  TRY(git.ask({"remote", "remove", "origin"}, {.directory = to}));
  if (!checkout) TRY(git.ask({"read-tree", "HEAD"}, {.directory = to}));
  return {};
}

}  // namespace

Result<Summary> send(const Outgoing& outgoing, const Sink& sink) {
  Summary summary;
  if (outgoing.mode != WorkspaceMode::copy && outgoing.mode != WorkspaceMode::clone) return summary;
  std::error_code error;
  std::string source = std::filesystem::canonical(outgoing.source, error).string();
  if (error) return fail(Code::not_found, "the workspace " + printable(outgoing.source) + " cannot be opened: " + error.message());
  std::string state = TRY(temporary_directory());
  Defer clean([&] {
    std::error_code ignored;
    std::filesystem::remove_all(state, ignored);
  });
  Git git = TRY(Git::make(state, {source}));
  auto top = git.ask({"rev-parse", "--show-toplevel"}, {.directory = source});
  if (top && *top != source) {
    git = TRY(Git::make(state, {source, *top}));
    top = git.ask({"rev-parse", "--show-toplevel"}, {.directory = source});
  }
  auto head = top ? git.ask({"rev-parse", "--verify", "--quiet", "HEAD^{commit}"}, {.directory = source}) : top;
  bool repository = top && head && is_object_id(*head);

  Packer packer(outgoing, summary, sink);
  if (outgoing.mode == WorkspaceMode::clone && repository) {
    TRY(clone(git, *top, state + "/tree", true));
    summary.base = *head;
    auto dirty = git.run({"status", "--porcelain", "--no-renames", "--ignore-submodules=all"}, {.directory = *top});
    if (dirty && !dirty->out.empty()) summary.warnings.push_back("uncommitted changes stay here: the clone holds HEAD (workspace: copy takes them along)");
    TRY(packer.pack(state + "/tree", true));
    TRY(packer.finish());
    return summary;
  }
  if (outgoing.mode == WorkspaceMode::clone)
    summary.warnings.push_back(top ? "the repository has no commit: copied instead of cloned" : "not a git repository: copied instead of cloned");
  struct stat st {};
  bool own_git = ::lstat((source + "/.git").c_str(), &st) == 0 && S_ISDIR(st.st_mode);
  TRY(packer.pack(source, own_git));
  if (repository && *top == source) {
    summary.base = *head;
    if (!own_git) {  // a worktree: its .git is a file that points out of what is copied
      TRY(clone(git, source, state + "/tree", false));
      TRY(packer.pack_under(state + "/tree/.git", ".git"));
    }
  }
  TRY(packer.finish());
  return summary;
}

}  // namespace bottle::workspace
