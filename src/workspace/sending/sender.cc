// Sends repositories in one of two ways. A clone has the committed state: a fresh repository is made, and its files
// come from a checkout in the scratch directory or straight from its objects. A copy has the operator's files, and
// their .git as it is, unless that .git depends on something outside (borrowed objects, a linked work tree). Then the
// .git of a clone replaces it.
//
// In both ways, the index must agree with the files that were sent. Otherwise the agent's git would show files as
// removed, and a commit with all changes would remove them.
#include "workspace/sending/sender.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string_view>

#include "base/files/entries.h"
#include "base/files/file.h"
#include "base/text/line.h"
#include "base/text/path_parts.h"
#include "base/text/words.h"
#include "git/formats/modes.h"
#include "git/objects.h"
#include "git/run/attributes.h"
#include "workspace/sending/below.h"
#include "workspace/sending/encode.h"

namespace bottle::workspace {
namespace {

constexpr int kStatusPatience = 30;  // in seconds
constexpr int kDeepest = 4;          // levels of nested submodules

// Returns whether a checkout writes other bytes than those committed: line ends, keywords, encodings. Never runs a
// filter.
bool converts(const std::vector<git::Entry>& entries, const git::Runner& git, const git::Directory& repository) {
  std::vector<std::string> rules;
  for (const auto& entry : entries)
    if (entry.path == ".gitattributes" || entry.path.ends_with("/.gitattributes")) rules.push_back(entry.object);
  // A file that is too large to read counts as one that converts, so that git does the checkout.
  auto texts = git::small_blobs(git, rules, 1 << 20, {.in = repository});
  return !texts || std::ranges::any_of(rules, [&](const std::string& id) {
    auto text = texts->find(id);
    return text == texts->end() || std::ranges::any_of(std::array{"crlf", "ident", "encoding"}, [&](const char* word) {
             return text->second.find(word) != std::string::npos;
           });
  });
}

// Returns whether the repository has at most about two thousand files, according to its index. For so few, it is faster
// to let git write them than to query it.
bool is_small(const git::Repository& repository) {
  std::error_code error;
  // An entry of an index takes a little more than 100 bytes.
  auto size = std::filesystem::file_size(repository.git_dir + "/index", error);
  return !error && size < (256 << 10);
}

// Returns whether the entry is a commit of another repository, which git stores with this mode.
bool is_submodule(const git::Entry& entry) { return entry.mode == git::kSubmodule; }

// Makes git in the repository treat all submodules as active: their repositories are sent as well, and git leaves out
// those that are not active.
Result<> activate_submodules(const std::vector<git::Entry>& entries, const git::Directory& made) {
  if (!std::ranges::any_of(entries, is_submodule)) return {};
  return made.configure(git::config_line("submodule.active", "."));
}

// Returns what git listed in the index of a repository that bottle made.
Result<std::vector<git::Entry>> entries_in(const git::Directory& made, git::ObjectFormat format) {
  auto index = TRY(git::parse_index(TRY(read_file(made.path() + "/index", 256 << 20)), format));
  std::vector<git::Entry> entries;
  for (auto& entry : index.entries)
    entries.push_back({std::move(entry.path), std::move(entry.mode), std::move(entry.object)});
  return entries;
}

Result<git::Refs> refs_of(const git::Directory& made) {
  return git::parse_packed_refs(TRY(read_file(made.path() + "/packed-refs", 256 << 20)), "refs/");
}

// Returns the paths in the output of `git status -z` if nothing but the content of these files differs from the index.
std::optional<std::vector<std::string>> changed_content(std::string_view status) {
  constexpr std::string_view kChanged = " M ";
  std::vector<std::string> paths;
  for (std::string_view entry : each_record(status, '\0')) {
    if (!entry.starts_with(kChanged)) return std::nullopt;
    paths.emplace_back(entry.substr(kChanged.size()));
  }
  return paths;
}

// Returns whether each of these files is under a filter or in another encoding, and has not changed since git recorded
// it. git itself would run the filter, or convert the file, to find out if the index was written in the same second as
// the file, as after a checkout.
Result<bool> are_as_converted(const git::Runner& git, const Origin& origin, const std::string& state,
                              const git::Settings& settings, const std::vector<std::string>& paths) {
  const auto& repository = origin.repository;
  auto index = TRY(git::read_index(repository));
  std::map<std::string_view, const git::IndexEntry*> entries;
  for (const auto& entry : index.entries) entries[entry.path] = &entry;
  git::Runner::Options options{.work_tree = repository.top, .index = state + "/no-index"};
  options.in = TRY(git::Directory::make(
      state + "/rules", {.format = repository.settings.format, .attributes = TRY(git::own_attributes(repository))}));
  for (const auto& path : paths) {
    struct stat st{};
    auto entry = entries.find(path);
    if (entry == entries.end() || ::lstat((repository.top + "/" + path).c_str(), &st) != 0) return false;
    auto modified =
        static_cast<uint64_t>(st.st_mtim.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(st.st_mtim.tv_nsec);
    // As git does, compares the times and sizes of the index first. The index has only 32 bits for a size.
    if (entry->second->modified != modified || entry->second->size != static_cast<uint32_t>(st.st_size)) return false;
    options.input += path + '\0';
  }
  std::set<std::string> converted;
  for (const auto& [path, name, value] : TRY(git::attributes(git, {"filter", "working-tree-encoding"}, options)))
    if (name != "filter" || settings.filters.contains(value)) converted.insert(path);
  return std::ranges::all_of(paths, [&](const auto& path) { return converted.contains(path); });
}

// Returns a warning for a clone if the working tree differs from the committed state, otherwise an empty string.
std::string about_changes(const git::Runner& git, const git::OperatorsConfiguration& operators, const Origin& origin,
                          const std::string& state) {
  const std::string stay =
      " were not sent, because a clone has only what is committed (use workspace: copy to send them)";
  auto settings = git::settings_in(origin.repository, origin.head.branch, operators);
  auto view = git::make_view(origin.repository, state + "/status", {.head = origin.head.commit, .settings = &settings});
  // Each submodule gets its own check when it is sent.
  auto status = view ? git.run({"status", "--porcelain", "-z", "--no-renames", "--ignore-submodules=all"},
                               {.in = *view, .work_tree = origin.repository.top, .timeout_s = kStatusPatience})
                     : std::unexpected(std::move(view.error()));
  if (!status || status->status != 0) return "uncommitted changes, if there are any (git could not tell)," + stay;
  if (status->out.empty()) return "";
  auto paths = changed_content(status->out);
  bool is_same = paths && are_as_converted(git, origin, state, settings, *paths).value_or(false);
  return is_same ? "" : "uncommitted changes" + stay;
}

}  // namespace

// Records a repository. `git_at` is empty if its .git is in the directory itself.
void Sender::note(const std::string& path, const std::string& base, git::Refs refs, std::string git_at,
                  std::vector<std::string> packs) {
  if (!recorder_) return;
  if (git_at.empty()) git_at = path.empty() ? ".git" : path + "/.git";
  // These belong to other sessions, and the packer leaves them out as well.
  std::erase_if(refs, [](const auto& ref) { return ref.first.starts_with("refs/bottle/"); });
  recorder_->repository({path, base, std::move(refs), std::move(git_at), std::move(packs)});
}

// Records a clone, with the packs that were made for it.
Result<> Sender::note_clone(const std::string& path, const std::string& base, const git::Directory& made) {
  auto packs = TRY(names_in(made.path() + "/objects/pack"));
  std::erase_if(packs, [](const auto& name) { return !name.ends_with(".pack"); });
  note(path, base, TRY(refs_of(made)), "", std::move(packs));
  return {};
}

Result<git::Directory> Sender::cloned(const Origin& origin, const std::string& to) {
  auto settings = git::settings_in(origin.repository, origin.head.branch, operators_);
  std::string rules = TRY(git::own_ignore_rules(origin.repository));
  return workspace::clone(git_, origin, to, {committer_of(settings), rules}, summary_.warnings);
}

Result<bool> Sender::has_unsent_files(const std::vector<git::Entry>& entries, const std::string& below) const {
  return recorder_ && std::ranges::any_of(entries, [&](const git::Entry& entry) {
           return !is_submodule(entry) && !recorder_->has(below + entry.path);
         });
}

// Marks files that are in the index and not in the workspace as a sparse checkout does. Otherwise they would look
// deleted there, and the agent's next commit would delete them.
Result<> Sender::hide_unsent_files(const std::vector<git::Entry>& entries, const std::string& below,
                                   const git::Directory& index) {
  if (!TRY(has_unsent_files(entries, below))) return {};
  git::Runner::Options options{.in = index};
  for (const auto& entry : entries)
    if (!is_submodule(entry) && !recorder_->has(below + entry.path)) options.input += entry.path + '\0';
  // A file that the operator removed from the index cannot be marked.
  std::string known = TRY(git_.ask({"ls-files", "-z"}, {.in = index})), marked;
  std::set<std::string_view> there;
  for (std::string_view path : each_record(known, '\0')) there.insert(path);
  for (std::string_view path : each_record(options.input, '\0'))
    if (there.contains(path)) marked.append(path) += '\0';
  options.input = std::move(marked);
  if (options.input.empty()) return {};
  // A split index would consist of two files, and only one of them is sent.
  TRY(git_.ask({"-c", "core.splitIndex=false", "update-index", "-z", "--skip-worktree", "--stdin"}, options));
  return {};
}

// Packs a checkout of the commit below a place in the workspace: "" or "lib/".
Result<> Sender::check_out(const Origin& origin, const std::string& below, int depth) {
  // The fresh repository lies in the tree, as git expects it, although the packer takes the two apart.
  std::string at = fresh_place(), tree = at + "/tree";
  TRY(make_directories(tree));
  git::Directory made = TRY(cloned(origin, tree + "/.git"));
  TRY(note_clone(below.empty() ? "" : below.substr(0, below.size() - 1), origin.head.commit, made));
  packer_.set_place(below);
  // If something must be converted, such as line ends, git does the checkout. Otherwise, pack_commit() sends the
  // bytes of the objects. It runs in the view, where the tree's rules cannot make it encode files.
  auto write_files = [&] {
    return git_.ask({"read-tree", "--reset", "-u", origin.head.commit},
                    {.in = origin.view, .work_tree = tree, .index = made.path() + "/index"});
  };
  bool writes = is_small(origin.repository);
  TRY(writes ? write_files() : git_.ask({"read-tree", "HEAD"}, {.in = made}));
  auto listed = entries_in(made, origin.repository.settings.format);
  // bottle does not read an index of more than a million files, but git does.
  if (!listed && listed.error().code == Code::limit)
    listed = git::list_tree(git_, origin.head.commit, {.in = origin.view});
  auto entries = TRY(std::move(listed));
  if (!writes && converts(entries, git_, made)) {
    TRY(write_files());
    writes = true;
  }
  if (writes)
    if (auto unknown = TRY(encode_files(git_, made, tree, entries)); !unknown.empty())
      summary_.warnings.push_back("files in encodings that bottle does not convert were sent as they are committed (" +
                                  std::to_string(unknown.size()) + ", for example " + one_line(below + unknown[0]) +
                                  ")");
  TRY(writes ? packer_.pack(tree, {.committed = true}) : packer_.pack_commit(git_, entries, made));
  TRY(activate_submodules(entries, made));
  TRY(hide_unsent_files(entries, below, made));
  // The .git comes after the files, because hide_unsent_files() still changes its index when they are known.
  TRY(packer_.pack_under(made.path(), ".git"));
  std::error_code ignored;
  // The checkout is removed now, so that those of all submodules do not take room at the same time.
  std::filesystem::remove_all(at, ignored);
  for (const auto& entry : entries)
    if (is_submodule(entry)) TRY(send_below(below + entry.path, entry.object, depth + 1));
  packer_.set_place("");
  return {};
}

// Sends a submodule at the wanted commit, if the operator has it. Without a commit, sends a repository below the top
// at its HEAD.
Result<> Sender::send_below(const std::string& path, const std::string& commit, int depth) {
  // The search for repositories below also finds submodules, which may have been sent already.
  if (!sent_below_.insert(path).second) return {};
  const std::string name = (commit.empty() ? "the repository " : "the submodule ") + one_line(path);
  auto stays = [&](const std::string& why) {
    summary_.warnings.push_back(name + " was not sent: " + why);
    return Result<>{};
  };
  std::string full = source_ + "/" + path;
  // What the operator has at this place decides: a repository, an empty directory of a submodule, or plain files.
  auto found = git::find(full);
  if (!found) return stays(found.error().what);
  if (!*found || (*found)->top != full)
    return commit.empty() ? Result<>{} : stays("it is empty (run `git submodule update --init` to get it)");
  if (depth > kDeepest) return stays("it is nested too deeply");
  auto origin = origin_of(**found, fresh_place());
  if (!origin) return stays(origin.error().what);
  bool is_elsewhere = !commit.empty() && origin->head.commit != commit;
  if (is_elsewhere) {
    summary_.warnings.push_back(name + " was sent at " + commit.substr(0, 12) +
                                ", the commit that its repository names, and not at " +
                                origin->head.commit.substr(0, 12) + ", which is checked out here");
    // A detached HEAD, as `git submodule update` makes it.
    origin->head = {"", commit};
  }
  if (origin->head.commit.empty()) return stays("it has no commit");
  // The commit that the outer repository names may not have been fetched.
  if (git_.ask({"cat-file", "-t", origin->head.commit}, {.in = origin->view}).value_or("") != "commit")
    return stays("it does not have the commit " + origin->head.commit.substr(0, 12));
  if (auto warning = is_elsewhere ? "" : about_changes(git_, operators_, *origin, fresh_place()); !warning.empty())
    summary_.warnings.push_back(name + ": " + warning);
  packer_.set_place("");
  TRY(packer_.make_directory(path));
  return check_out(*origin, path + "/", depth);
}

Result<> Sender::clone(const Origin& origin) {
  // `git status` reads the whole working tree, so it runs while the files are packed.
  auto status = in_parallel([&] { return about_changes(git_, operators_, origin, state_); });
  auto others = in_parallel([&] { return repositories_below(source_); });
  summary_.base = origin.head.commit;
  auto sent = check_out(origin, "", 0);
  // Both threads use this object, so they must end before this function returns with an error.
  auto [below, is_complete] = others.get();
  if (auto warning = status.get(); !warning.empty()) summary_.warnings.push_back(warning);
  TRY(sent);
  for (const auto& path : below) TRY(send_below(path, "", 1));
  if (!is_complete)
    summary_.warnings.emplace_back(
        "not all repositories in this tree were sent, because it has more directories or repositories than the limit, "
        "or a directory that cannot be read "
        "(use workspace: copy to send all of them)");
  return {};
}

Result<> Sender::include(const std::vector<std::string>& patterns) {
  if (patterns.empty()) return {};
  size_t taken = 0;
  auto [paths, is_complete] = files_below(source_, [&](const std::string& path) {
    return std::ranges::any_of(patterns, [&](const auto& pattern) { return git::is_named(pattern, path); });
  });
  for (const auto& path : paths) {
    // The file is committed, and the clone has it already.
    if (recorder_ && recorder_->has(path)) continue;
    if (std::string parent = parent_of(path); !parent.empty()) TRY(packer_.make_directory(parent));
    TRY(packer_.pack_extra(source_, path));
    ++taken;
  }
  if (!is_complete)
    summary_.warnings.emplace_back(
        "`include` may have missed files, because this tree has more entries than the limit, or a directory that "
        "cannot "
        "be read");
  if (taken == 0) summary_.warnings.push_back("`include` matches no file");
  return {};
}

// Returns whether the .git of a directory in the tree is sent as it is.
Result<bool> Sender::take_along(const std::string& path, const Origin* top, bool own_git) {
  std::string full = source_ + "/" + path;
  auto found = git::find(full);
  if (!found) {
    summary_.warnings.push_back("the repository " + one_line(path) + " was sent as plain files: " + found.error().what);
    return true;
  }
  // git would not use this .git as a repository, so it is sent like other files.
  if (!*found || (*found)->top != full) return true;
  auto origin = origin_of(**found, fresh_place());
  auto entries = !origin || origin->head.commit.empty()
                     ? Result<std::vector<git::Entry>>(std::vector<git::Entry>())
                     : git::list_tree(git_, origin->head.commit, {.in = origin->view});
  if (!origin || !entries) return true;
  if (origin->head.commit.empty()) {  // the agent may make its first commit
    if ((*found)->git_dir == full + "/.git") note(path, "", TRY(git::read_refs(**found, "refs/")));
    return true;
  }
  packer_.expect(path + "/", *entries);
  bool borrows = (*found)->objects.size() > 1;
  struct stat st{};
  // A relative `gitdir:` leads to .git/modules of the copy. An absolute one would lead nowhere in the bottle.
  bool relative = ::lstat((full + "/.git").c_str(), &st) == 0 && S_ISREG(st.st_mode) &&
                  !read_file(full + "/.git", 8192).value_or("gitdir: /").starts_with("gitdir: /");
  // The git directory of a submodule is in the top's .git/modules, which is sent with it.
  bool in_top = top && own_git && relative && (*found)->git_dir.starts_with(top->repository.git_dir + "/");
  bool whole = !borrows && ((*found)->git_dir == full + "/.git" || in_top);
  std::string git_at = whole && in_top ? ".git" + (*found)->git_dir.substr(top->repository.git_dir.size()) : "";
  if (whole) {
    note(path, origin->head.commit, TRY(git::read_refs(**found, "refs/")), git_at);
    return true;
  }
  replaced_.emplace_back(path, std::move(*origin));
  return false;
}

// Packs the operator's own index, with marks for the files of HEAD that are not sent.
Result<> Sender::pack_index(const Origin& origin, const std::vector<git::Entry>& entries) {
  std::string index = origin.repository.git_dir;
  // The operator's index must not be changed, so the marks go into a copy of it in a view.
  if (TRY(has_unsent_files(entries, ""))) {
    auto settings = git::settings_in(origin.repository, origin.head.branch, operators_);
    auto view =
        TRY(git::make_view(origin.repository, fresh_place(), {.head = origin.head.commit, .settings = &settings}));
    TRY(hide_unsent_files(entries, "", view));
    index = view.path();
  }
  struct stat st{};
  if (::lstat((index + "/index").c_str(), &st) != 0) return {};
  return packer_.pack_file(index, "index", ".git/index");
}

Result<> Sender::copy(const Origin* origin, bool own_git) {
  bool commits = origin && !origin->head.commit.empty();
  std::vector<git::Entry> committed;
  if (commits) {
    auto entries = git::list_tree(git_, origin->head.commit, {.in = origin->view});
    commits = entries.has_value();  // if false, it is not a commit, and there are only the files
    if (entries) committed = std::move(*entries);
    packer_.expect("", committed);
  }
  if (commits) summary_.base = origin->head.commit;
  if (own_git && (commits || origin->head.commit.empty()))
    note("", summary_.base, TRY(git::read_refs(origin->repository, "refs/")));
  // Build products are beside their sources, and tools such as make compare the modification times of both.
  TRY(packer_.pack(source_, {.with_git = own_git, .own_times = true, .nested = [&](const std::string& path) {
                               return take_along(path, commits ? origin : nullptr, own_git);
                             }}));
  if (commits && !own_git) replaced_.emplace_back("", *origin);
  // The index is packed after all files, for the same reason as the clones below.
  if (own_git) TRY(pack_index(*origin, committed));
  // The clones come last, because hide_unsent_files() needs the list of the files in the stream.
  for (const auto& [path, replaced] : replaced_) {
    std::string below = path.empty() ? "" : path + "/";
    auto entries = TRY(git::list_tree(git_, replaced.head.commit, {.in = replaced.view}));
    git::Directory made = TRY(cloned(replaced, fresh_place() + "/.git"));
    TRY(activate_submodules(entries, made));
    TRY(note_clone(path, replaced.head.commit, made));
    TRY(git_.ask({"read-tree", "HEAD"}, {.in = made}));
    TRY(hide_unsent_files(entries, below, made));
    packer_.set_place(below);
    TRY(packer_.pack_under(made.path(), ".git"));
    packer_.set_place("");
  }
  return {};
}

}  // namespace bottle::workspace
