// Takes work that is in the results or on refs. git runs with the operator's files as its work tree, but in bottle's
// own git directory, so that no command from the repository's settings runs. Patches are all checked before the first
// one is applied, and each is applied to copies of the files, which then replace them. So a session with several
// repositories is taken as a whole or not at all.
#include "workspace/receiving/take.h"

#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>

#include "base/files/beneath.h"
#include "base/files/file.h"
#include "base/os/signals.h"
#include "base/text/line.h"
#include "base/text/shell_word.h"
#include "base/text/words.h"
#include "git/refs.h"
#include "git/repository.h"
#include "git/run/attributes.h"
#include "git/run/git.h"
#include "workspace/files/lfs_pointer.h"
#include "workspace/files/replacement.h"
#include "workspace/files/scratch_directory.h"

namespace bottle::workspace {
namespace {

constexpr std::string_view kAttribute = "working-tree-encoding";
constexpr const char* kQuiet = "--whitespace=nowarn";  // the agent's white space is not a reason to warn or change it
constexpr size_t kLargestSearched = 64 << 20;          // bytes of a patch

// Holds the git directories that belong to bottle for one working tree: one to run git in, and one with the attributes
// that the first one overrides.
struct View {
  git::Directory directory, rules;
  std::vector<std::string> paths = {};  // what the patch makes or changes; encoded_path() sets it
};

Result<View> view_of(const std::string& directory, const std::string& path) {
  auto repository = TRY(git::find(directory));
  // A plain directory gets an empty git directory, because git runs only in bottle's own directories.
  if (!repository || repository->top != directory)
    return View{TRY(git::Directory::make(path, {.bare = false, .attributes = git::kNoConversions})),
                TRY(git::Directory::make(path + "-rules", {}))};
  auto head = TRY(git::read_head(*repository));
  auto settings = git::settings_in(*repository, head.branch, git::read_operators_configuration());
  return View{TRY(git::make_view(*repository, path, {.settings = &settings})),
              TRY(git::Directory::make(path + "-rules", {.format = repository->settings.format,
                                                         .attributes = TRY(git::own_attributes(*repository))}))};
}

// Returns whether the encoding is UTF-8, to which git converts nothing (convert.c: same_utf_encoding()).
bool is_utf8(std::string_view encoding) {
  std::string name = lower(encoding);
  return name == "utf-8" || name == "utf8";
}

// Returns whether a patch changes the attributes of files, so that git might convert them.
bool sets_encodings(std::string_view patch) {
  bool in_rules = true;
  for (std::string_view line : each_line(patch)) {
    // No line of a file's content begins like this: it has another character before it.
    if (line.starts_with("diff --git ")) in_rules = line.find(".gitattributes") != std::string_view::npos;
    if (!in_rules) continue;
    // The content cannot be read.
    if (line.starts_with("GIT binary patch")) return true;
    for (size_t at = 0; (at = line.find(kAttribute, at)) != std::string_view::npos;) {
      at += kAttribute.size();
      std::string_view value = line.substr(at, std::min(line.find_first_of(" \t\r", at), line.size()) - at);
      // Without a removed line, another rule may apply to the file.
      if (line.starts_with('-') || !value.starts_with('=') || !is_utf8(value.substr(1))) return true;
    }
  }
  return false;
}

// Returns the paths that a patch makes or changes, or in reverse, those that it changes or removes. Returns none if git
// cannot read the patch, which it does not apply either.
Result<std::vector<std::string>> paths_of(const git::Runner& git, const View& view, const Patch& patch,
                                          bool reverse = false) {
  std::vector<std::string> words = {"apply", "--numstat", "-z"}, paths;
  if (reverse) words.emplace_back("--reverse");
  words.push_back(patch.file);
  auto listed = TRY(git.run(words, {.in = view.rules, .work_tree = patch.directory}));
  if (listed.status != 0) return paths;
  // Each entry is "ADDED<TAB>REMOVED<TAB>PATH" with a NUL at its end.
  for (std::string_view entry : each_record(listed.out, '\0'))
    paths.emplace_back(entry.substr(entry.find('\t', entry.find('\t') + 1) + 1));
  return paths;
}

// Returns a path of the patch if git would convert that file to or from another encoding, and otherwise an empty
// string. git does so with iconv(3), whose modules must not read what an agent wrote, and without the conversion, the
// file would get the wrong bytes.
Result<std::string> encoded_path(const git::Runner& git, View& view, const Patch& patch) {
  git::Runner::Options options{.in = view.rules, .work_tree = patch.directory};
  bool has_rules = false;
  view.paths = TRY(paths_of(git, view, patch));
  for (const auto& path : view.paths) {
    has_rules |= path == ".gitattributes" || path.ends_with("/.gitattributes");
    options.input += path + '\0';
  }
  if (options.input.empty()) return std::string();
  for (const auto& file : TRY(git::attributes(git, {std::string(kAttribute)}, options)))
    if (!is_utf8(file.value)) return file.path;
  // The patch may bring the rule together with the file.
  auto text = has_rules ? read_file(patch.file, kLargestSearched) : std::string();
  return text && !sets_encodings(*text) ? "" : ".gitattributes";
}

// Returns the paths that a patch makes, changes or removes.
Result<std::vector<std::string>> all_paths_of(const git::Runner& git, const View& view, const Patch& patch) {
  auto paths = view.paths, before = TRY(paths_of(git, view, patch, true));
  paths.insert(paths.end(), before.begin(), before.end());
  return paths;
}

// Returns the files of the patch that a git filter converts, with the name of the filter.
Result<std::vector<git::Attribute>> filtered_files(const git::Runner& git, const View& view, const Patch& patch) {
  git::Runner::Options options{.in = view.rules, .work_tree = patch.directory};
  for (const auto& path : TRY(all_paths_of(git, view, patch))) options.input += path + '\0';
  if (options.input.empty()) return std::vector<git::Attribute>();
  return git::attributes(git, {"filter"}, options);
}

// Says how a patch fits the present files. If it does not, and a git filter converts some of them, that may be the
// reason: the patch has files as git stores them.
struct Fit {
  std::optional<Error> failed;
  std::vector<git::Attribute> filtered;
};

std::string own_command(const Patch& patch) {
  return "git -C " + shell_word(patch.directory) + " apply " + shell_word(patch.file);
}

// Fails if the patch does not apply, and filters are not the reason.
Result<Fit> check(const git::Runner& git, const View& view, const Patch& patch) {
  const git::Runner::Options there{.in = view.directory, .work_tree = patch.directory};
  auto done = TRY(git.run({"apply", kQuiet, "--check", patch.file}, there));
  if (done.status == 0) return Fit();
  // A patch that applies in reverse has been applied already. Saying so helps more than a list of lines that do not
  // fit.
  bool is_there = TRY(git.agrees({"apply", kQuiet, "--reverse", "--check", patch.file}, there));
  Error failed{Code::conflict, "the patch does not apply to " + one_line(patch.directory, 4096) + ": " +
                                   (is_there ? "its changes are already there" : folded(done.complaint, 1000))};
  auto filtered = TRY(filtered_files(git, view, patch));
  if (is_there || filtered.empty()) return std::unexpected(std::move(failed));
  failed.todo =
      "git filters convert some of these files, and bottle runs none; to apply the patch with those of your "
      "own git: " +
      own_command(patch);
  return Fit{std::move(failed), std::move(filtered)};
}

// Describes a copy whose content is stored elsewhere while the patch is applied to its pointer.
struct PutAside {
  std::string path, pointer, content;
};

// Puts pointers of git-lfs in the place of the copies with the content, because a patch has the pointers.
Result<std::vector<PutAside>> put_pointers(const Replacement& files, const std::vector<git::Attribute>& filtered) {
  std::vector<PutAside> aside;
  auto tree = TRY(Beneath::open(files.staged()));
  std::set<std::string> seen;
  for (const auto& [path, name, filter] : filtered) {
    if (filter != "lfs" || !seen.insert(path).second) continue;
    auto file = tree.file(path);  // not if a link leads out of the copies
    if (!file || !*file) continue;
    struct stat st{};
    auto pointer = TRY(lfs_pointer_of((*file)->get(), path));
    std::string place = files.staged() + "/" + path;
    if (!pointer || ::fstat((*file)->get(), &st) != 0) continue;
    aside.push_back({path, *pointer, files.aside() + "/" + std::to_string(aside.size())});
    if (::rename(place.c_str(), aside.back().content.c_str()) != 0) return fail_errno("putting " + place + " aside");
    TRY(write_new_file(place, *pointer));
    if (::chmod(place.c_str(), st.st_mode & 07777) != 0) return fail_errno("setting the mode of " + place);
  }
  return aside;
}

// Puts the content back where the patch has left the pointer, and perhaps changed the mode. Fails with Code::denied if
// it has changed the pointer, because only the filter has the new content.
Result<> put_content_back(const Replacement& files, const std::vector<PutAside>& aside) {
  auto tree = TRY(Beneath::open(files.staged()));
  for (const auto& each : aside) {
    auto file = tree.file(each.path);
    if (!file || !*file) continue;
    struct stat st{};
    std::string place = files.staged() + "/" + each.path;
    if (TRY(read_all((*file)->get(), place, kLongestPointer)) != each.pointer)
      return fail(Code::denied, one_line(each.path, 4096) + " gets different content");
    if (::fstat((*file)->get(), &st) != 0 || ::chmod(each.content.c_str(), st.st_mode & 07777) != 0 ||
        ::rename(each.content.c_str(), place.c_str()) != 0)
      return fail_errno("putting the content of " + place + " back");
  }
  return {};
}

// Applies the patch to copies of the files that it changes, and to pointers of those that git-lfs converts.
Result<std::unique_ptr<Replacement>> apply_to_copies(const git::Runner& git, const View& view, const Patch& patch,
                                                     const std::vector<git::Attribute>& filtered) {
  auto files = TRY(Replacement::begin(patch.directory, TRY(all_paths_of(git, view, patch))));
  auto aside = TRY(put_pointers(*files, filtered));
  auto done = TRY(git.run({"apply", kQuiet, patch.file}, {.in = view.directory, .work_tree = files->staged()}));
  if (done.status != 0)
    return fail(Code::conflict, "applying the patch to copies of the files in " + one_line(patch.directory, 4096) +
                                    ": " + folded(done.complaint, 1000));
  TRY(put_content_back(*files, aside));
  return files;
}

// Does the work of apply(). Gives up before any file is replaced if a signal arrives.
Result<> apply_all(const std::vector<Patch>& patches, const std::string& scratch, std::optional<int>& signal,
                   const Signals& signals) {
  auto state = TRY(ScratchDirectory::make(scratch, "apply"));
  git::Runner git = TRY(git::Runner::make(state.path()));
  std::vector<View> views;
  for (const auto& patch : patches) {
    struct stat st{};
    if (::lstat(patch.directory.c_str(), &st) != 0 || !S_ISDIR(st.st_mode))
      return fail(Code::not_found, one_line(patch.directory, 4096) + " no longer exists or is not a directory",
                  "if you moved it, run this in its new place: git apply " + shell_word(patch.file));
    views.push_back(TRY(view_of(patch.directory, state.path() + "/" + std::to_string(views.size()))));
    if (std::string path = TRY(encoded_path(git, views.back(), patch)); !path.empty())
      return fail(Code::denied,
                  "bottle does not apply a patch to files that .gitattributes keeps in another encoding: " +
                      one_line(patch.directory + "/" + path, 4096),
                  "to apply it with the conversions of your own git: " + own_command(patch));
  }
  std::vector<Fit> fits;
  for (size_t i = 0; i < patches.size(); ++i) fits.push_back(TRY(check(git, views[i], patches[i])));
  std::vector<std::unique_ptr<Replacement>> replacements;
  for (size_t i = 0; i < patches.size(); ++i) {
    auto staged = apply_to_copies(git, views[i], patches[i], fits[i].filtered);
    bool does_not_fit = !staged && (staged.error().code == Code::conflict || staged.error().code == Code::denied);
    if (does_not_fit && fits[i].failed && staged.error().todo.empty())
      return std::unexpected(std::move(*fits[i].failed));
    replacements.push_back(TRY(std::move(staged)));
  }
  signal = signals.next();
  if (signal) return fail(Code::canceled, "stopped before any file was changed");
  return put_in_place(replacements);
}

}  // namespace

// A signal must end this process neither between two renames, nor while it would leave a directory in the operator's.
Result<> apply(const std::vector<Patch>& patches, const std::string& scratch) {
  std::optional<int> signal;
  auto done = [&] {
    Signals held({SIGINT, SIGTERM, SIGHUP}, Signals::Nohup::respected);
    auto applied = apply_all(patches, scratch, signal, held);
    if (!signal) signal = held.next();
    return applied;
  }();
  if (signal) ::raise(*signal);  // has its usual effect now
  return done;
}

std::string copy_command(const std::string& from, const std::string& to) {
  namespace fs = std::filesystem;
  constexpr size_t kMostPaths = 50;  // an agent may change any number of files, and a shell's command line has a limit
  const std::string by_hand =
      "# Copy the files in " + shell_word(from) + " to " + shell_word(to) + " yourself, because ";
  std::string links, modes;
  size_t paths = 0;
  bool overwrites = false;
  std::error_code error, unseen;
  for (fs::recursive_directory_iterator each(from, error), end; !error && each != end; each.increment(error)) {
    std::string place = to + "/" + each->path().lexically_relative(from).string();
    auto there = fs::symlink_status(place, unseen), here = each->symlink_status(unseen);
    if (fs::exists(there) && !fs::is_symlink(there) && fs::is_directory(there) != fs::is_directory(here))
      return by_hand + "one of the two has a directory where the other has a file: " +
             one_line(each->path().lexically_relative(from).string(), 4096);
    overwrites |= fs::is_regular_file(there);
    auto is_executable = [](const fs::file_status& status) {
      return (status.permissions() & fs::perms::owner_exec) != fs::perms::none;
    };
    // cp keeps the mode of a file that it overwrites.
    bool has_new_mode =
        fs::is_regular_file(there) && fs::is_regular_file(here) && is_executable(there) != is_executable(here);
    if (has_new_mode || fs::is_symlink(there)) ++paths;
    if (paths > kMostPaths) return by_hand + "more than 50 of them replace a link or change a mode.";
    if (has_new_mode) modes += (is_executable(there) ? " && chmod -x " : " && chmod +x ") + shell_word(place);
    if (!fs::is_symlink(there)) continue;
    links += " " + shell_word(place);
    // The command removes the link, and with it everything that was reached through it.
    each.disable_recursion_pending();
  }
  // A link that was not seen would be followed.
  if (error) return by_hand + "they cannot be listed: " + error.message();
  return (links.empty() ? "" : "rm" + links + " && ") + (overwrites ? "cp -Ri " : "cp -R ") + shell_word(from + "/.") +
         " " + shell_word(to + "/") + modes;
}

Result<size_t> drop_refs(const std::string& directory, const std::string& session) {
  struct stat st{};
  if (::lstat(directory.c_str(), &st) != 0)
    return fail(Code::not_found, one_line(directory, 4096) + " no longer exists",
                "if you moved it, this removes the session's refs in its new place: git for-each-ref "
                "--format='delete %(refname)' " +
                    shell_word("refs/bottle/" + session) + " | git update-ref --stdin");
  auto repository = TRY(git::find(directory));
  if (!repository) return size_t{0};
  std::vector<std::string> names;
  for (const auto& [name, id] : TRY(git::read_refs(*repository, "refs/bottle/" + session + "/"))) names.push_back(name);
  TRY(git::delete_refs(*repository, names));
  return names.size();
}

}  // namespace bottle::workspace
