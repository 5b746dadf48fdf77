// git removes the old version of each file before it writes the new ones, so a full disk or a directory that cannot be
// written would lose files of the operator that exist nowhere else. Here, all that can run out of space happens in a
// directory beside the files. What follows only renames, each rename can be undone, and no file is removed before all
// of them are done. If the process is killed in between, the replaced files are in that directory.
#include "workspace/files/replacement.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <filesystem>
#include <ranges>
#include <set>

#include "base/files/durable.h"
#include "base/files/file.h"
#include "base/ids.h"
#include "base/text/line.h"
#include "base/text/path_parts.h"
#include "base/text/shell_word.h"

namespace bottle::workspace {
namespace {

constexpr std::string_view kOwn = ".bottle-apply-";
constexpr std::string_view kDone = ".done";  // at the end of the name once all files are in place
constexpr size_t kMostEntries = 1'000'000;
constexpr const char* kAttributes = ".gitattributes";

// Names one entry by its open directory. Without a directory, it does not exist.
struct Entry {
  std::optional<UniqueFd> directory;
  std::string name;
  int at() const { return directory->get(); }
};

Result<Entry> entry_at(const Beneath& root, const std::string& path) {
  return Entry{TRY(root.directory(parent_of(path))), std::string(name_in(path))};
}

Result<std::optional<struct stat>> status_at(const Beneath& root, const Entry& entry, const std::string& path) {
  struct stat st{};
  if (!entry.directory) return std::nullopt;
  if (::fstatat(entry.at(), entry.name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0) return std::optional(st);
  if (errno == ENOENT) return std::nullopt;
  return fail_errno("looking at " + root.root() + "/" + path);
}

bool is_below_link(const Beneath& root, const std::string& path) {
  for (std::string parent = parent_of(path); !parent.empty(); parent = parent_of(parent)) {
    auto entry = entry_at(root, parent);
    auto status = entry ? status_at(root, *entry, parent) : std::unexpected(std::move(entry.error()));
    if (status && *status) return S_ISLNK((*status)->st_mode);
  }
  return false;
}

// Returns nothing if there is no such entry. A directory may become a link and a link a directory, so there is also
// nothing below a link.
Result<std::optional<struct stat>> status_of(const Beneath& root, const std::string& path) {
  auto entry = entry_at(root, path);
  if (entry) return status_at(root, *entry, path);
  if (entry.error().code == Code::denied && is_below_link(root, path)) return std::nullopt;
  return std::unexpected(std::move(entry.error()));
}

Result<> rename_entry(const Beneath& root, const std::string& from, const std::string& to) {
  auto source = TRY(entry_at(root, from)), target = TRY(entry_at(root, to));
  if (!source.directory || !target.directory) return fail_errno("renaming " + root.root() + "/" + from, ENOENT);
  if (::renameat(source.at(), source.name.c_str(), target.at(), target.name.c_str()) == 0) return {};
  return fail_errno("renaming " + root.root() + "/" + from + " to " + to);
}

Result<> make_entry_directory(const Beneath& root, const std::string& path, mode_t mode = 0777) {
  auto entry = TRY(entry_at(root, path));
  if (entry.directory && ::mkdirat(entry.at(), entry.name.c_str(), mode) == 0) return {};
  return fail_errno("creating " + root.root() + "/" + path, entry.directory ? errno : ENOENT);
}

Result<> copy_file(const Entry& from, const Entry& to, const std::string& path) {
  UniqueFd in(::openat(from.at(), from.name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  struct stat st{};
  if (!in || ::fstat(in.get(), &st) != 0) return fail_errno("reading " + path);
  UniqueFd out(::openat(to.at(), to.name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                        (st.st_mode & S_IXUSR) != 0 ? 0777 : 0666));
  if (!out) return fail_errno("copying " + path);
  std::array<char, 65536> buffer;
  while (size_t n = TRY(read_some(in.get(), buffer, "reading " + path)))
    TRY(during("copying " + path, write_all(out.get(), {buffer.data(), n})));
  return {};
}

Result<> copy_link(const Entry& from, const Entry& to, const std::string& path) {
  std::array<char, 4096> target;
  ssize_t size = ::readlinkat(from.at(), from.name.c_str(), target.data(), target.size());
  if (size < 0) return fail_errno("reading " + path);
  std::string text(target.data(), static_cast<size_t>(size));
  if (::symlinkat(text.c_str(), to.at(), to.name.c_str()) == 0) return {};
  return fail_errno("copying " + path);
}

bool is_same(const struct stat& a, const struct stat& b) {
  auto when = [](const struct stat& st) { return std::pair(st.st_mtim.tv_sec, st.st_mtim.tv_nsec); };
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino && a.st_size == b.st_size && a.st_mode == b.st_mode &&
         when(a) == when(b);
}

Result<> remove_tree(const std::string& path) {
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (error) return fail_errno("removing " + path, error.value());
  return {};
}

bool is_directory(const std::optional<struct stat>& st) { return st && S_ISDIR(st->st_mode); }

}  // namespace

Replacement::Replacement(std::string directory, Beneath root, std::string own)
    : directory_(std::move(directory)), root_(std::move(root)), own_(std::move(own)) {}

Result<std::unique_ptr<Replacement>> Replacement::begin(const std::string& directory,
                                                        const std::vector<std::string>& paths) {
  auto root = TRY(Beneath::open(directory));
  // An agent's directory of such a name would later look like one of an interrupted run.
  for (const auto& path : paths)
    if (path.starts_with(kOwn))
      return fail(Code::denied, one_line(path, 4096) + " has a name that only `bottle apply` itself may use",
                  "take the work from its branch instead");
  TRY(root.each("", kMostEntries, [&](const std::string& name, unsigned char) -> Result<> {
    if (!name.starts_with(kOwn)) return {};
    if (name.ends_with(kDone)) return remove_tree(directory + "/" + name);
    std::string place = directory + "/" + one_line(name);
    return fail(Code::conflict, "another `bottle apply SESSION` runs in " + directory + ", or was interrupted",
                "if none runs, compare the files that it had replaced, which are in " + shell_word(place + "/old") +
                    ", with yours, and then remove " + shell_word(place));
  }));
  std::unique_ptr<Replacement> made(new Replacement(directory, std::move(root), std::string(kOwn) + random_hex(4)));
  for (const char* part : {"", "/new", "/old", "/aside"})
    TRY(make_entry_directory(made->root_, made->own_ + part, 0700));
  std::set<std::string> rules;
  for (const auto& path : std::set<std::string>(paths.begin(), paths.end())) {
    made->files_.push_back({path, TRY(status_of(made->root_, path))});
    TRY(made->stage(made->files_.back()));
    for (std::string parent = parent_of(path);; parent = parent_of(parent)) {
      if (!rules.insert(parent + (parent.empty() ? "" : "/") + kAttributes).second || parent.empty()) break;
    }
  }
  for (const auto& path : rules)
    if (auto status = TRY(status_of(made->root_, path)); status && S_ISREG(status->st_mode))
      if (!TRY(status_of(made->root_, made->own_ + "/new/" + path))) TRY(made->stage({path, status}));
  return made;
}

Replacement::~Replacement() { clean(); }

// Copies one entry to the new state.
Result<> Replacement::stage(const File& file) {
  std::string staged = own_ + "/new/" + file.path, name = directory_ + "/" + file.path;
  if (!file.before) return {};
  TRY(make_parents(staged, false));
  if (is_directory(file.before)) return make_entry_directory(root_, staged);
  auto from = TRY(entry_at(root_, file.path)), to = TRY(entry_at(root_, staged));
  if (!from.directory || !to.directory) return fail_errno("copying " + name, ENOENT);
  if (S_ISREG(file.before->st_mode)) return copy_file(from, to, name);
  if (S_ISLNK(file.before->st_mode)) return copy_link(from, to, name);
  return fail(Code::conflict, one_line(name, 4096) + " is not a file");
}

// Makes the missing directories above a path.
Result<> Replacement::make_parents(const std::string& path, bool in_place) {
  for (size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    std::string parent = path.substr(0, slash);
    if (TRY(status_of(root_, parent))) continue;
    TRY(make_entry_directory(root_, parent));
    if (in_place) steps_.push_back({Step::Did::made_directory, parent});
  }
  return {};
}

// Removes the directories above a path that are empty, up to `last`, or up to the root if that is empty.
void Replacement::remove_empty_parents(const std::string& path, const std::string& last) {
  for (std::string parent = parent_of(path); parent.size() >= std::max(last.size(), size_t{1});
       parent = parent_of(parent)) {
    auto status = status_of(root_, parent);
    auto entry = entry_at(root_, parent);
    if (!status || !*status || !entry || !entry->directory) return;
    if (::unlinkat(entry->at(), entry->name.c_str(), AT_REMOVEDIR) != 0) return;
    steps_.push_back({Step::Did::removed_directory, parent, (*status)->st_mode & 07777});
  }
}

Result<> Replacement::prepare() {
  for (const auto& file : files_) {
    std::string staged = own_ + "/new/" + file.path;
    auto after = TRY(status_of(root_, staged));
    if (!after || !S_ISREG(after->st_mode) || !file.before || !S_ISREG(file.before->st_mode)) continue;
    mode_t mode = file.before->st_mode & 07777;
    if ((after->st_mode & S_IXUSR) == 0) mode &= ~mode_t{0111};
    else mode |= (mode & 0444) >> 2;
    auto entry = TRY(entry_at(root_, staged));
    if (entry.directory && ::fchmodat(entry.at(), entry.name.c_str(), mode, 0) != 0)
      return fail_errno("setting the mode of " + staged);
  }
  return flush_tree(staged());
}

Result<> Replacement::check_unchanged(const File& file) const {
  auto now = TRY(status_of(root_, file.path));
  bool is_unchanged = now && file.before ? is_same(*now, *file.before) : !now && !file.before;
  if (is_directory(file.before)) is_unchanged = is_directory(now);
  if (is_unchanged) return {};
  return fail(Code::conflict, one_line(directory_ + "/" + file.path, 4096) + " changed meanwhile");
}

Result<> Replacement::put_in_place() {
  for (const auto& file : files_) TRY(check_unchanged(file));
  // A file may become a directory, so all old files are moved away first.
  for (const auto& file : files_) TRY(move_away(file));
  for (const auto& file : files_) TRY(move_in(file));
  return {};
}

// Also removes directories that have become empty, as git does. That comes last, so that a directory that stays keeps
// its mode.
void Replacement::keep() {
  for (const auto& file : files_) {
    auto now = status_of(root_, file.path), staged = status_of(root_, own_ + "/new/" + file.path);
    if (now && !*now) remove_empty_parents(file.path);
    // git, too, leaves a submodule's directory that is not empty.
    else if (is_directory(file.before) && staged && !*staged) remove_empty_parents(file.path + "/x");
  }
  steps_.clear();
  // From now on, the next replacement in this directory removes what an interruption leaves.
  std::string done = own_ + std::string(kDone);
  if (rename_entry(root_, own_, done)) own_ = std::move(done);
}

// After a failure to put them back, steps remain, and the directory has the only copies of some files.
void Replacement::clean() {
  if (steps_.empty() && !own_.empty()) (void)remove_tree(directory_ + "/" + own_);
  own_.clear();
}

// Moves a file away that the new state does not have.
Result<> Replacement::move_away(const File& file) {
  if (!file.before) return {};
  auto after = TRY(status_of(root_, own_ + "/new/" + file.path));
  if (after && is_directory(after) == is_directory(file.before)) return {};
  if (is_directory(file.before)) return {};
  std::string old = own_ + "/old/" + file.path;
  TRY(make_parents(old, false));
  TRY(rename_entry(root_, file.path, old));
  steps_.push_back({Step::Did::moved_away, file.path});
  return {};
}

// Moves a new file into place. A file that it replaces first gets a second name, so that the path always has a file.
Result<> Replacement::move_in(const File& file) {
  std::string staged = own_ + "/new/" + file.path, old = own_ + "/old/" + file.path;
  auto after = TRY(status_of(root_, staged));
  if (!after) return {};
  TRY(make_parents(file.path, true));
  if (is_directory(after)) {
    if (TRY(status_of(root_, file.path))) return {};
    TRY(make_entry_directory(root_, file.path));
    steps_.push_back({Step::Did::made_directory, file.path});
    return {};
  }
  auto now = TRY(status_of(root_, file.path));
  if (is_directory(now)) {
    // All files below it have been moved away.
    for (const auto& other : files_)
      if (other.path.starts_with(file.path + "/")) remove_empty_parents(other.path, file.path);
    remove_empty_parents(file.path + "/x", file.path);
  } else if (now) {
    TRY(make_parents(old, false));
    auto from = TRY(entry_at(root_, file.path)), to = TRY(entry_at(root_, old));
    bool has_both =
        from.directory && to.directory && ::linkat(from.at(), from.name.c_str(), to.at(), to.name.c_str(), 0) == 0;
    if (!has_both) {  // not every file system has hard links
      TRY(rename_entry(root_, file.path, old));
      steps_.push_back({Step::Did::moved_away, file.path});
    }
  }
  TRY(rename_entry(root_, staged, file.path));
  steps_.push_back({Step::Did::moved_in, file.path});
  return {};
}

Result<> Replacement::undo(const Step& step) {
  std::string old = own_ + "/old/" + step.path;
  auto entry = TRY(entry_at(root_, step.path));
  bool has_old = TRY(status_of(root_, old)).has_value();
  switch (step.did) {
    case Step::Did::moved_away:
      return has_old ? rename_entry(root_, old, step.path) : Result<>();
    case Step::Did::moved_in:
      if (has_old) return rename_entry(root_, old, step.path);
      if (entry.directory && ::unlinkat(entry.at(), entry.name.c_str(), 0) != 0)
        return fail_errno("removing " + directory_ + "/" + step.path);
      return {};
    case Step::Did::made_directory:
      // If another program has put something into it, it stays.
      if (entry.directory) (void)::unlinkat(entry.at(), entry.name.c_str(), AT_REMOVEDIR);
      return {};
    case Step::Did::removed_directory:
      return TRY(status_of(root_, step.path)) ? Result<>() : make_entry_directory(root_, step.path, step.mode);
  }
  return {};
}

Result<> Replacement::put_back() {
  Result<> all;
  std::vector<Step> left;
  for (; !steps_.empty(); steps_.pop_back())
    if (auto undone = undo(steps_.back()); !undone) {
      left.push_back(steps_.back());
      if (all) all = std::move(undone);
    }
  steps_ = std::move(left);
  if (!all) all.error().todo = "the files that were replaced are in " + directory_ + "/" + own_ + "/old";
  return all;
}

Result<> put_in_place(const std::vector<std::unique_ptr<Replacement>>& all) {
  for (const auto& each : all) TRY(each->prepare());
  Result<> done;
  for (const auto& each : all)
    if (done) done = each->put_in_place();
  if (done) {
    for (const auto& each : all) each->keep();
    for (const auto& each : all) each->clean();
    return {};
  }
  // Each directory is put back, even if that fails for another one.
  std::string todo;
  Error failed = done.error();
  for (const auto& each : std::views::reverse(all))
    if (auto undone = each->put_back(); !undone) {
      failed.what += "; undoing it failed too: " + undone.error().what;
      todo += (todo.empty() ? "" : "; ") + undone.error().todo;
    }
  if (!todo.empty()) failed.todo = todo;
  return std::unexpected(std::move(failed));
}

}  // namespace bottle::workspace
