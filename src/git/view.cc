// A view lets git read the operator's repository without obeying it. It is our own git directory, which borrows the
// objects and has copies of the few files that the question needs. Refs are passed in, so the view shows only what
// its user asks for. For `git status`, the index is copied with its times, because git compares them with the files'
// times to decide which files it must read again. With other times, it would read all files or, worse, miss changes.
// All files are read through Beneath, with a limit, because their content may be hostile.

#include <fcntl.h>
#include <sys/stat.h>

#include <cstdlib>
#include <utility>

#include "base/files/beneath.h"
#include "base/files/file.h"
#include "git/repository.h"
#include "git/run/attributes.h"

namespace bottle::git {
namespace {

constexpr size_t kLargestRules = 4 << 20, kMostOwnEntries = 100'000, kMostSharedIndexes = 16;
constexpr off_t kLargestIndex = 1 << 30;
constexpr size_t kLargestRead = 256 << 20;            // bytes of an index that is read and not only copied
constexpr std::string_view kShared = "sharedindex.";  // the files that a split index builds on

// Returns git's default for core.excludesFile.
std::string default_excludes() {
  const char *config = std::getenv("XDG_CONFIG_HOME"), *home = std::getenv("HOME");
  if (config && *config) return std::string(config) + "/git/ignore";
  return home ? std::string(home) + "/.config/git/ignore" : "/dev/null";
}

// Copies a file with its times, from which git decides which files may have changed since the index was written.
Result<> copy_file(const Beneath& from, const std::string& name, const std::string& to) {
  auto in = TRY(from.file(name));
  struct stat st{};
  if (!in || ::fstat(in->get(), &st) != 0) return {};
  // The size may change while the file is copied. It is only a limit for what the copy costs.
  if (st.st_size > kLargestIndex) return fail(Code::limit, from.root() + "/" + name + " is too large");
  UniqueFd out(::open((to + "/" + name).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!out) return fail_errno("creating " + to + "/" + name);
  std::string chunk(256 << 10, '\0');
  while (size_t n = TRY(read_some(in->get(), chunk, "reading " + from.root() + "/" + name)))
    TRY(write_all(out.get(), {chunk.data(), n}));
  timespec times[2] = {st.st_atim, st.st_mtim};
  if (::futimens(out.get(), times) != 0) return fail_errno("copying " + name);
  return {};
}

// A split index needs the shared file that it names. All shared files are copied, because the name is inside the
// index.
Result<> copy_index(const Beneath& own, const std::string& to) {
  TRY(copy_file(own, "index", to));
  size_t shared = 0;
  TRY(own.each("", kMostOwnEntries, [&](const std::string& name, unsigned char) -> Result<> {
    // A name with a further dot is a temporary file or a lock of git's.
    if (!name.starts_with(kShared) || name.find('.', kShared.size()) != std::string::npos) return {};
    // git removes old shared indexes only after two weeks, so there may be several that nothing refers to.
    return ++shared > kMostSharedIndexes ? Result<>{} : copy_file(own, name, to);
  }));
  return {};
}

// Returns the content of a file of rules. Does not read a FIFO.
std::string rules_in(std::string path) {
  const char* home = std::getenv("HOME");
  if (path.starts_with("~/") && home) path = home + path.substr(1);
  struct stat st{};
  // Only regular files are read, because the open of a FIFO would wait for a writer.
  if (!path.starts_with('/') || ::stat(path.c_str(), &st) != 0 || !S_ISREG(st.st_mode)) return "";
  std::string text = read_file(path, kLargestRules).value_or("");
  return text.empty() || text.ends_with('\n') ? text : text + "\n";
}

}  // namespace

std::string ignore_rules(const Settings& operators) {
  auto named = operators.core.find("core.excludesfile");
  return rules_in(named == operators.core.end() ? default_excludes() : named->second);
}

Result<std::string> own_ignore_rules(const Repository& repository) {
  return TRY(TRY(Beneath::open(repository.common_dir)).read("info/exclude", kLargestRules)).value_or("");
}

Result<std::string> own_attributes(const Repository& repository) {
  return TRY(TRY(Beneath::open(repository.common_dir)).read("info/attributes", kLargestRules)).value_or("");
}

Settings settings_in(const Repository& repository, const std::string& branch,
                     const OperatorsConfiguration& configuration) {
  return settings_in(repository,
                     operators_settings(configuration, {repository.git_dir, branch, repository.settings.remotes}));
}

Settings settings_in(const Repository& repository, Settings operators) {
  Settings all = std::move(operators);
  const Settings& own = repository.settings;
  // The repository's own settings count more than the operator's, as in git.
  if (!own.name.empty()) all.name = own.name;
  if (!own.email.empty()) all.email = own.email;
  for (const auto& [name, value] : own.core) all.core[name] = value;
  all.filters.insert(own.filters.begin(), own.filters.end());
  // The operator's includes were followed, so they leave no filter unknown.
  all.includes = own.includes;
  all.core.try_emplace("core.excludesfile", default_excludes());
  return all;
}

Result<Index> read_index(const Repository& repository) {
  Beneath directory = TRY(Beneath::open(repository.git_dir));
  auto file = [&](const std::string& name) -> Result<std::string> {
    auto bytes = TRY(directory.read(name, kLargestRead));
    if (!bytes) return fail(Code::not_found, repository.git_dir + "/" + name + " does not exist");
    return std::move(*bytes);
  };
  std::string bytes = TRY(file("index"));
  return parse_index(bytes, repository.settings.format,
                     [&](const std::string& id) { return file(std::string(kShared) + id); });
}

// The bare view is for reading objects and refs. The other one is for `git status`, which also needs settings, rules
// and the index.
Result<Directory> make_view(const Repository& repository, const std::string& path, const View& view) {
  Directory::Content content;
  content.format = repository.settings.format;
  content.head = view.head;
  content.alternates = repository.objects;
  content.packed_refs = view.packed_refs;
  content.shallow = repository.shallow;
  content.attributes = kNoConversions;
  // A bare view needs no index and no work tree.
  if (!view.settings) return Directory::make(path, content);
  Beneath own = TRY(Beneath::open(repository.git_dir)), common = TRY(Beneath::open(repository.common_dir));
  content.bare = false;
  content.config = view.settings->lines();
  // In a file of attributes, the last line that matches wins, so ours stands at the end.
  content.attributes = TRY(common.read("info/attributes", kLargestRules)).value_or("") + "\n" + kNoConversions;
  content.exclude = TRY(common.read("info/exclude", kLargestRules)).value_or("");
  Directory made = TRY(Directory::make(path, content));
  TRY(copy_index(own, path));
  // Without these patterns, git would report the files outside the sparse checkout as removed.
  if (auto cone = TRY(own.read("info/sparse-checkout", kLargestRules)))
    TRY(write_new_file(path + "/info/sparse-checkout", *cone));
  return made;
}

}  // namespace bottle::git
