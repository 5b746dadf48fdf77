// What the operator has at the same path need not be reported as missing.
#include "workspace/quarantine/leave_behind.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/files/file.h"
#include "base/unique_fd.h"

namespace bottle::workspace {

Result<bool> operator_has_identical(const Quarantine& q, const std::string& name, const TarEntry& e,
                                    const Source& body) {
  // The git directory of a submodule or of a linked work tree is elsewhere.
  std::string path =
      name.starts_with(".git/") && !q.git_dir.empty() ? q.git_dir + name.substr(4) : q.source + "/" + name;
  struct stat st{};
  if (::lstat(path.c_str(), &st) != 0) return false;
  if (e.kind == TarEntry::Kind::directory) return S_ISDIR(st.st_mode);
  if (e.kind == TarEntry::Kind::symlink) {
    std::string target(e.target.size() + 1, '\0');
    ssize_t n = ::readlink(path.c_str(), target.data(), target.size());
    return n == static_cast<ssize_t>(e.target.size()) && target.starts_with(e.target);
  }
  if (e.kind != TarEntry::Kind::file || !S_ISREG(st.st_mode) || static_cast<uint64_t>(st.st_size) != e.size)
    return false;
  if (e.size > kComparedAtMost)
    return name.find(".git/") != std::string::npos && name.find("/pack/") != std::string::npos;
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd) return false;
  auto own = read_all(fd.get(), path, kComparedAtMost);
  if (!own) return false;
  std::string content, chunk(65536, '\0');
  while (size_t n = TRY(body(chunk.data(), chunk.size()))) content.append(chunk, 0, n);
  return content == *own;
}

Result<> leave_behind(Quarantine& q, const std::string& name, const TarEntry& e, const Source& body, const char* why) {
  if (TRY(operator_has_identical(q, name, e, body))) return {};
  if (size_t git = name.find("/.git/"); git != std::string::npos) leave_repository(q, name.substr(0, git + 5), why);
  else q.leave(name, why);
  return {};
}

void leave_repository(Quarantine& q, const std::string& git, const char* why) {
  if (q.flagged.empty() || q.flagged.back() != std::pair(git, std::string(why))) q.leave(git, why);
}

}  // namespace bottle::workspace
