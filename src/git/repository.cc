// Finds the repository that git would find, and then checks that it is the one that the operator means. The search
// goes up from a directory, as in git's setup.c, and stops at the first candidate that git would take, even a broken
// one, because going on would find a different repository than git does. The checks have a fixed order: first who
// owns `.git` and the work tree, then where `.git` leads and who owns that place. Nothing in the repository is read
// before that. A `.git` that leads elsewhere counts only if the repository points back, because a hostile directory
// can name any repository of the operator's.

#include "git/repository.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/files/beneath.h"
#include "base/text/line.h"
#include "base/text/path_parts.h"
#include "base/text/shell_word.h"
#include "git/alternates.h"
#include "git/run/owner.h"

namespace bottle::git {
namespace {

constexpr size_t kLongestPointer = 8192, kLargestShallow = 16 << 20;

// lstat(2) sees a link itself, which matters for `.git`.
std::optional<struct stat> look(const std::string& path) {
  struct stat st{};
  if (::lstat(path.c_str(), &st) != 0) return std::nullopt;
  return st;
}

bool is_directory(const std::string& path) {
  auto st = look(path);
  return st && S_ISDIR(st->st_mode);
}

// Resolves a path from one of git's files against the directory that it is relative to. Returns an empty string if it
// leads nowhere.
std::string resolve(const std::string& base, const std::string& path) {
  if (path.empty() || path.find('\0') != std::string::npos) return "";
  char* real = ::realpath((path.starts_with('/') ? path : base + "/" + path).c_str(), nullptr);
  std::string out = real ? real : "";
  std::free(real);
  return out;
}

// Does the same for a path whose last component may be a link or may not exist. Only the parent is resolved: a `.git`
// that is itself a link must be compared as the path that it has.
std::string resolve_parent(const std::string& base, const std::string& path) {
  std::string whole = path.starts_with('/') ? path : base + "/" + path;
  std::string parent = resolve("/", parent_of(whole));
  return parent.empty() ? "" : (parent == "/" ? "" : parent) + whole.substr(whole.rfind('/'));
}

// Both paths are resolved, so comparing their text is enough.
bool is_within(const std::string& path, const std::string& directory) {
  return directory == "/" || path.starts_with(directory + "/");
}

// Returns the only line of a file such as gitdir or commondir.
Result<std::string> line_of(const Beneath& directory, const std::string& file) {
  std::string text = TRY(directory.read(file, kLongestPointer)).value_or("");
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  return text;
}

// Returns a path for a message, without what could confuse a terminal: directories may have any names.
std::string shown(const std::string& path) { return "'" + one_line(path, 4096) + "'"; }

// Returns the error for a `.git` that leads to a repository which does not point back.
std::unexpected<Error> not_theirs(const std::string& marker, const std::string& git_dir) {
  return fail(
      Code::denied,
      shown(marker) + " leads to the repository " + shown(git_dir) + ", which does not name " +
          shown(parent_of(marker)) + " as a work tree",
      "a hostile directory can name any of your repositories in this way; if you want this, run: git --git-dir=" +
          shell_word(git_dir) + " config core.worktree " + shell_word(parent_of(marker)));
}

// Returns the path that a `.git` file contains.
Result<std::string> pointed_to(const std::string& top, const std::string& marker) {
  auto text = TRY(TRY(Beneath::open(top)).read(".git", kLongestPointer)).value_or("");
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  // git writes this line. Anything else is not from git.
  constexpr std::string_view kBegin = "gitdir: ";
  std::string git_dir = text.starts_with(kBegin) ? resolve(top, text.substr(kBegin.size())) : "";
  if (git_dir.empty() || !is_directory(git_dir))
    return fail(Code::invalid, shown(marker) + " was not made by git, or does not lead to a repository",
                "if it belongs to a repository that was moved, run this in that repository: git worktree repair " +
                    shell_word(top) + "; otherwise remove " + shell_word(marker));
  return git_dir;
}

// Returns the directory that all work trees share: the target of `commondir`, if that directory lists this work tree.
Result<std::string> common_of(const Beneath& own, const std::string& marker) {
  std::string text = TRY(line_of(own, "commondir"));
  // Without `commondir`, this is the main work tree, which has everything in its own directory.
  if (text.empty()) return own.root();
  std::string common = resolve(own.root(), text);
  // The author of this directory can write anything into it, but not into the shared one.
  bool listed = !common.empty() && parent_of(own.root()) == common + "/worktrees";
  // git writes the path of the work tree's .git into worktrees/NAME/gitdir, in the shared directory.
  std::string back = TRY(line_of(own, "gitdir"));
  if (!listed || back.empty() || resolve_parent(own.root(), back) != marker) return not_theirs(marker, common);
  return common;
}

// git looks for these three, too. Links are refused, because HEAD or refs of another repository could otherwise appear
// as this one's.
Result<> check_layout(const Beneath& common, const Beneath& own) {
  for (const char* name : {"objects", "refs"})
    if (!TRY(common.directory(name)))
      return fail(Code::invalid, shown(common.root()) + " is not a repository, because it has no directory " + name);
  if (!TRY(own.file("HEAD")))
    return fail(Code::invalid, shown(own.root()) + " is not a repository, because it has no HEAD");
  return {};
}

// Checks a candidate for the repository of `top`. `marker` is the path of its .git, which may be of any type. The
// order matters: no file is read before its owner was checked, and nothing in the git directory is used before it is
// known to belong to this work tree. Settings come before objects, because they tell the format of the ids, and
// whether there is a work tree.
Result<std::optional<Repository>> judge(const std::string& top, const std::string& marker, bool is_plain) {
  Repository found;
  found.top = top;
  auto marked = look(marker);
  bool is_link = marked && S_ISLNK(marked->st_mode);
  // The owners are checked before anything is read, so that even the parser of a pointer sees no file of another user.
  TRY(check_owner(top, {marker, top}));
  found.git_dir = is_plain ? marker : is_link ? resolve(top, ".git") : TRY(pointed_to(top, marker));
  if (found.git_dir.empty() || !is_directory(found.git_dir))
    return fail(Code::invalid, shown(marker) + " does not lead to a repository");
  TRY(check_owner(top, {found.git_dir}));
  Beneath own = TRY(Beneath::open(found.git_dir));
  found.common_dir = TRY(common_of(own, marker));
  TRY(check_owner(top, {found.common_dir}));
  Beneath common = TRY(Beneath::open(found.common_dir));
  TRY(check_layout(common, own));
  found.settings = TRY(settings_of(common, own));
  bool is_worktree = found.common_dir != found.git_dir;
  const std::string& set = found.settings.work_tree;
  // A submodule's git directory is in that of its parent repository, and names its work tree in core.worktree.
  bool points_here = !set.empty() && resolve(found.git_dir, set) == top;
  if (!is_plain && !is_worktree && !points_here && !is_within(found.git_dir, top))
    return not_theirs(marker, found.git_dir);
  // A linked work tree may belong to a bare repository.
  if (found.settings.bare && !is_worktree) return std::nullopt;
  if (!set.empty() && !points_here && !is_worktree)
    return fail(Code::denied,
                shown(found.git_dir) + " says that its work tree is " + shown(set) + ", not " + shown(top));
  // The objects are checked only now, because that reads whole directories.
  found.objects = TRY(object_directories(common));
  found.shallow = TRY(common.read("shallow", kLargestShallow)).value_or("");
  return found;
}

bool looks_like_a_repository(const std::string& directory) {
  return look(directory + "/HEAD") && is_directory(directory + "/objects") && is_directory(directory + "/refs");
}

// Returns whether git would treat the directory as a repository, even if it is broken.
bool is_repository(const std::string& git_dir) {
  return look(git_dir + "/HEAD") &&
         (look(git_dir + "/commondir") || (look(git_dir + "/objects") && look(git_dir + "/refs")));
}

}  // namespace

// Goes from the directory to the root, as git does. In each directory, it looks for `.git` first, and then checks
// whether the directory is itself a git directory.
Result<std::optional<Repository>> find(const std::string& directory) {
  std::optional<dev_t> device;
  for (std::string at = directory;; at = parent_of(at)) {
    struct stat st{};
    if (::stat(at.c_str(), &st) != 0) return fail_errno("looking for a repository at " + at);
    if (device && *device != st.st_dev) return std::nullopt;  // git stops at file system boundaries too
    device = st.st_dev;
    std::string marker = (at == "/" ? "" : at) + "/.git";
    auto marked = look(marker);
    auto wrapped = [&](Result<std::optional<Repository>> judged) {
      // That message names the directory already, in git's words, which operators know and search for.
      if (!judged && judged.error().what.find("dubious ownership") != std::string::npos) return judged;
      return during("the repository of " + shown(at), std::move(judged));
    };
    if (marked && S_ISDIR(marked->st_mode) && is_repository(marker)) return wrapped(judge(at, marker, true));
    bool leads_on =
        marked && (S_ISREG(marked->st_mode) || (S_ISLNK(marked->st_mode) && is_repository(resolve(at, ".git"))));
    if (leads_on) return wrapped(judge(at, marker, false));
    // The directory is inside a bare repository or a git directory, where git does not look further up either.
    if (looks_like_a_repository(at) || at == "/") return std::nullopt;
  }
}

}  // namespace bottle::git
