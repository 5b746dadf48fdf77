// Runs git on the files of a quarantine, in the quarantine's own repository. The attributes of that repository turn
// off filters and encodings, so git converts only line ends and keywords. This file converts encodings itself, with
// code that is safe for what an agent wrote. A second directory, `rules`, has the same repository's attributes
// without that override, so that `check-attr` can say what git would have done.
#include "workspace/quarantine/work_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>

#include "base/files/beneath.h"
#include "base/files/file.h"
#include "base/keyed_hash.h"
#include "base/text/line.h"
#include "base/text/parse.h"
#include "base/text/words.h"
#include "git/formats/index.h"
#include "git/formats/modes.h"
#include "git/run/attributes.h"
#include "pki/seal.h"
#include "workspace/files/blob_id.h"
#include "workspace/files/encoding.h"
#include "workspace/files/lfs_pointer.h"
#include "workspace/files/paths.h"

namespace bottle::workspace {
namespace {

constexpr long kMostInOnePack = 20'000;
// git fast-import searches a whole directory for each entry that it sets, so for more entries, an index is faster.
constexpr size_t kMostImported = 2000;

// Fails for a path that no tree may have. git checks the paths of an index only when it adds to one, and fast-import
// checks them only since version 2.46.
Result<> check_path(const std::string& path) {
  auto parts = safe_components(path);
  if (!parts || parts->empty() || join(*parts) != path || std::ranges::any_of(*parts, is_git_directory))
    return fail(Code::unavailable, one_line(path, 300) + " is not a path that git stores");
  return {};
}

// Makes a new index with these entries, as `git update-index --index-info` would.
Result<> write_index(const std::string& path, const Entries& entries, git::ObjectFormat format) {
  std::error_code error;
  std::filesystem::remove(path, error);
  if (entries.empty()) return {};  // a missing index is an empty one
  std::vector<git::IndexEntry> list;
  for (const auto& [name, entry] : entries) {
    TRY(check_path(name));
    list.push_back({name, entry.mode, entry.object});
  }
  std::string index = TRY(git::index_of(list));
  pki::Digest checksum = digest_for(format);
  checksum.feed(index);
  return write_new_file(path, index + checksum.finish());
}

Result<std::string> write_tree_of(const Quarantine& q, const git::Runner& git, const Entries& entries) {
  git::Runner::Options options{.in = q.repository, .index = q.root + "/tree-index"};
  TRY(write_index(options.index, entries, q.format));
  return git.ask({"write-tree"}, options);
}

Result<std::string> write_commit(const Quarantine& q, const git::Runner& git, const NewCommit& commit) {
  git::Runner::Options options{.in = q.repository, .index = q.root + "/tree-index"};
  std::error_code error;
  std::filesystem::remove(options.index, error);  // a missing index is an empty one
  if (!commit.start.empty()) TRY(git.ask({"read-tree", commit.start}, options));
  auto with = options;
  // Removals come first: what is removed may be in the way of what is set.
  for (const auto& [path, entry] : commit.edits)
    if (!entry) with.input += "0 " + git::null_id(q.format) + "\t" + path + '\0';
  for (const auto& [path, entry] : commit.edits)
    if (entry) with.input += entry->mode + " " + entry->object + "\t" + path + '\0';
  TRY(git.ask({"update-index", "-z", "--index-info"}, with));
  std::vector<std::string> words = {"commit-tree", TRY(git.ask({"write-tree"}, options)), "-m", commit.message};
  if (commit.is_child && !commit.start.empty()) words.insert(words.end(), {"-p", commit.start});
  return git.ask(words, q.at());
}

// Quotes a path as in C, so that it may contain anything. It has no NUL.
std::string quoted(const std::string& path) {
  std::string text = "\"";
  for (char c : path) {
    if (c == '"' || c == '\\') text += '\\';
    text += c == '\n' ? "\\n" : std::string(1, c);
  }
  return text + "\"";
}

// Returns the mode in the form that a new tree has. Trees of old versions of git also have 100664.
const char* usual_mode(const std::string& mode) {
  if (mode == git::kSymlink) return git::kSymlink;
  if (mode == git::kSubmodule) return git::kSubmodule;
  return git::mode_of_file(number_in<uint32_t>(mode, 8).value_or(0) & 0100);
}

// Writes the input of git fast-import. git makes each tree as that of a commit on a branch, which is gone at the end.
// fast-import trusts the trees that it reads, and those of an agent or a stranger may be malformed. So it gets no tree
// to read: of the tree that is edited, it gets each directory that changes as a list, and the others by their ids.
class Import {
 public:
  explicit Import(const Quarantine& q) : q_(q) {}

  Result<> tree(const Entries& entries) {
    // A file in the place of a directory would silently replace it.
    std::set<std::string> above;
    for (const auto& [path, entry] : entries) add_directories_above(path, above);
    for (const auto& path : above)
      if (entries.contains(path)) return fail(Code::unavailable, one_line(path, 300) + " is a file and a directory");
    begin("tree");
    for (const auto& [path, entry] : entries) TRY(set(path, entry));
    text_ += "\nls :" + std::to_string(marks_) + " \"\"\n";
    return {};
  }

  Result<> commit(const NewCommit& commit) {
    begin(commit.message);
    // "from" would read the tree of its commit. A branch that only merges begins with an empty tree, and what it merges
    // is its only parent.
    if (commit.is_child && !commit.start.empty()) text_ += "merge " + commit.start + "\n";
    if (!commit.start.empty()) TRY(keep(commit));
    for (const auto& [path, entry] : commit.edits)
      if (entry) TRY(set(path, *entry));
    text_ += "\nget-mark :" + std::to_string(marks_) + "\n";
    return {};
  }

  size_t entries() const { return entries_; }

  // Returns the whole input. The branches must not remain, because the next import would find them.
  std::string finish() {
    for (int i = 1; i <= marks_; ++i) text_ += "reset " + branch(i) + "\nfrom " + git::null_id(q_.format) + "\n\n";
    return std::move(text_);
  }

 private:
  static std::string branch(int number) { return "refs/import/" + std::to_string(number); }

  void begin(const std::string& message) {
    ++marks_;
    text_ += "commit " + branch(marks_) + "\nmark :" + std::to_string(marks_) +
             "\ncommitter bottle <bottle@localhost> now\ndata " + std::to_string(message.size()) + "\n" + message +
             "\n";
  }

  // Sets what the commit keeps of the tree that it edits.
  Result<> keep(const NewCommit& commit) {
    std::set<std::string> above;
    for (const auto& [path, entry] : commit.edits) add_directories_above(path, above);
    for (const auto& [path, entry] : *commit.moved) add_directories_above(path, above);
    KeyedSet<std::string> changed(above.begin(), above.end());
    auto is_listed = [&](const std::string& path) {
      size_t slash = path.rfind('/');
      return slash == std::string::npos || changed.contains(path.substr(0, slash));
    };
    for (const auto& [path, id] : q_.base_trees)
      if (is_listed(path) && !changed.contains(path)) TRY(set(path, git::kDirectory, id));
    for (const auto& [path, entry] : q_.base)
      if (is_listed(path) && !commit.moved->contains(path) && !commit.edits.contains(path)) TRY(set(path, entry));
    for (const auto& [path, entry] : *commit.moved)
      if (entry.mode != git::kNone && !commit.edits.contains(path)) TRY(set(path, entry));
    return {};
  }

  Result<> set(const std::string& path, const git::Entry& entry) {
    return set(path, usual_mode(entry.mode), entry.object);
  }
  Result<> set(const std::string& path, const char* mode, const std::string& id) {
    TRY(check_path(path));
    if (!git::is_object_id(id)) return fail(Code::unavailable, one_line(path, 300) + " has no object");
    text_ += std::string("M ") + mode + " " + id + " " + quoted(path) + "\n";
    ++entries_;
    return {};
  }

  const Quarantine& q_;
  std::string text_;
  int marks_ = 0;
  size_t entries_ = 0;
};

// Fails with Code::unavailable, among other reasons, if there are too many entries for fast-import.
Result<NewObjects> write_together(const Quarantine& q, const git::Runner& git, const std::vector<Entries>& trees,
                                  const std::optional<NewCommit>& commit) {
  Import input(q);
  for (const auto& entries : trees)
    if (!entries.empty()) TRY(input.tree(entries));
  if (commit) TRY(input.commit(*commit));
  if (input.entries() > kMostImported) return fail(Code::unavailable, "too many files");
  auto options = q.at();
  options.input = input.finish();
  NewObjects made;
  if (options.input.empty()) return made;
  // With the default limit, git would start another process for a small pack.
  std::string out =
      TRY(git.ask({"-c", "fastimport.unpackLimit=0", "fast-import", "--quiet", "--date-format=now"}, options));
  // The answer for a tree is "040000 tree ID<TAB>", and that for the commit is its id.
  for (std::string_view line : each_line(out)) {
    constexpr std::string_view kTree = "040000 tree ";
    bool is_tree = line.starts_with(kTree);
    std::string id(is_tree ? line.substr(kTree.size(), line.find('\t') - kTree.size()) : line);
    if (!git::is_object_id(id)) return fail(Code::protocol, "the answer of git fast-import is not valid");
    if (is_tree) made.trees.push_back(std::move(id));
    else made.commit = std::move(id);
  }
  return made;
}

// Does the same with indexes.
Result<NewObjects> write_each(const Quarantine& q, const git::Runner& git, const std::vector<Entries>& trees,
                              const std::optional<NewCommit>& commit) {
  NewObjects made;
  for (const auto& entries : trees)
    if (!entries.empty()) made.trees.push_back(TRY(write_tree_of(q, git, entries)));
  if (commit) made.commit = TRY(write_commit(q, git, *commit));
  return made;
}

}  // namespace

std::string empty_tree(git::ObjectFormat format) {
  return format == git::ObjectFormat::sha1 ? "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
                                           : "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321";
}

Result<NewObjects> write_objects(const Quarantine& q, const git::Runner& git, const std::vector<Entries>& trees,
                                 const std::optional<NewCommit>& commit) {
  bool is_known = !commit || commit->start.empty() || commit->moved;
  auto written = is_known ? write_together(q, git, trees, commit) : write_each(q, git, trees, commit);
  // An index may hold what fast-import refuses, such as an old file with a path that bottle does not accept.
  if (is_known && !written && written.error().code == Code::unavailable) written = write_each(q, git, trees, commit);
  auto made = TRY(std::move(written));
  auto wanted = static_cast<size_t>(std::ranges::count_if(trees, [](const auto& each) { return !each.empty(); }));
  if (made.trees.size() != wanted || made.commit.empty() == commit.has_value())
    return fail(Code::protocol, "git did not write all objects");
  for (size_t i = 0; i < trees.size(); ++i)
    if (trees[i].empty()) made.trees.insert(made.trees.begin() + static_cast<long>(i), empty_tree(q.format));
  return made;
}

Result<Entries> add_files(const Quarantine& q, const git::Runner& git, const Conversions& conversions,
                          const std::string& tree, const Entries& tracked, bool all) {
  git::Runner::Options options{.in = q.repository, .work_tree = tree, .index = q.index()};
  TRY(write_index(q.index(), tracked, q.format));
  std::vector<std::string> words = conversions.options;
  // Makes one pack instead of a file for each object. git searches the whole list of a new pack's objects for each
  // further one, so for many files, separate files are faster.
  auto is_written = [](const auto& each) { return std::holds_alternative<Quarantine::Written>(each.second); };
  if (std::ranges::count_if(q.paths, is_written) <= kMostInOnePack)
    words.insert(words.end(), {"-c", "core.bigFileThreshold=1"});
  // One file that git refuses must not stop the others. The caller names what is missing in the index.
  words.insert(words.end(), {"add", "-A", "--ignore-errors"});
  if (all) words.emplace_back("-f");
  words.insert(words.end(), {"--", "."});
  auto added = TRY(git.run(words, options));
  // Status 1 means that some files were refused.
  if (added.status > 1) return fail(Code::unavailable, "git add: " + folded(added.complaint, 500));
  Entries entries;
  auto bytes = read_file(q.index(), kLargestIndex);
  // git writes no index if there is nothing to add.
  if (!bytes && bytes.error().code == Code::not_found) return entries;
  auto index = TRY(git::parse_index(TRY(std::move(bytes)), q.format));
  for (auto& entry : index.entries) entries[entry.path] = {entry.path, std::move(entry.mode), std::move(entry.object)};
  return entries;
}

namespace {

// Returns whether git may find rules for one of these files: in the directories above it or in the git directory.
// Without any, no file has attributes.
bool may_have_attributes(const Quarantine& q, const std::string& tree, const std::vector<std::string>& paths) {
  struct stat st{};
  // An error may hide rules that git reads: its paths are shorter, so it also reaches files that are too deep for
  // these.
  auto may_exist = [&](const std::string& path) {
    return ::lstat(path.c_str(), &st) == 0 || (errno != ENOENT && errno != ENOTDIR);
  };
  if (may_exist(q.rules.path() + "/info/attributes")) return true;
  std::set<std::string> directories = {""};
  for (const auto& path : paths)
    for (size_t slash = path.rfind('/'); slash != std::string::npos && slash > 0; slash = path.rfind('/', slash - 1))
      if (!directories.insert(path.substr(0, slash + 1)).second) break;  // its parents are there as well
  return std::ranges::any_of(
      directories, [&](const auto& directory) { return may_exist(tree + "/" + directory + ".gitattributes"); });
}

}  // namespace

Result<std::map<std::string, std::string>> prepare_files(Quarantine& q, const git::Runner& git, const std::string& tree,
                                                         const std::vector<std::string>& paths, bool name_them) {
  std::map<std::string, std::string> filtered;
  if (paths.empty() || !may_have_attributes(q, tree, paths)) return filtered;
  git::Runner::Options options{.in = q.rules, .work_tree = tree, .index = q.root + "/no-index"};
  for (const auto& path : paths) options.input += path + '\0';
  for (const auto& [path, attribute, value] : TRY(git::attributes(git, {"working-tree-encoding", "filter"}, options))) {
    if (attribute == "filter") {
      // Without a definition, git does not convert the file. The agent can name any filter in its .gitattributes.
      if (!q.filters.contains(value) && !q.may_have_filters) continue;
      // Reading fails if the file is longer than any pointer.
      auto text = TRY(Beneath::open(tree)).read(path, kLongestPointer);
      bool converted = value == "lfs" && text && *text && is_lfs_pointer(**text);
      if (!converted) filtered[path] = value;
      continue;
    }
    bool done = TRY(convert_file(tree, path, [&](std::string_view bytes) { return to_utf8(value, bytes); }));
    if (!done && name_them) q.flagged.emplace_back(path, "bottle could not convert it from " + one_line(value, 100));
  }
  return filtered;
}

Result<KeyedSet<std::string>> filtered_of(const Quarantine& q, const git::Runner& git,
                                          const std::vector<std::string>& paths) {
  KeyedSet<std::string> found;
  if (paths.empty() || (q.filters.empty() && !q.may_have_filters)) return found;
  git::Runner::Options options{.in = q.rules, .work_tree = q.tree(), .index = q.root + "/no-index"};
  for (const auto& path : paths) options.input += path + '\0';
  for (const auto& [path, attribute, value] : TRY(git::attributes(git, {"filter"}, options)))
    if (q.filters.contains(value) || q.may_have_filters) found.insert(path);
  return found;
}

namespace {

// Returns the highest directory above this path that came back as a link, or the path itself if there is none.
std::string link_above(const Quarantine& q, const std::string& path) {
  for (size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
    if (std::string above = path.substr(0, slash); q.is<Quarantine::Link>(above)) return above;
  return path;
}

}  // namespace

Result<KeyedSet<std::string>> ignored_of(const Quarantine& q, const git::Runner& git,
                                         const std::vector<std::string>& paths) {
  KeyedSet<std::string> found;
  if (paths.empty()) return found;
  auto options = q.with_tree();
  // git answers with an error if it is asked about a path below a link.
  std::map<std::string, std::vector<std::string>> by_link;
  for (const auto& path : paths) {
    std::string asked = link_above(q, path);
    options.input += "./" + asked + '\0';  // so that no path begins like pathspec magic
    if (asked != path) by_link[asked].push_back(path);
  }
  // check-ignore does not accept --literal-pathspecs.
  options.literal_paths = false;
  // Status 1 means that none is ignored.
  auto answer = TRY(git.run({"check-ignore", "--no-index", "-z", "--stdin"}, options));
  if (answer.status > 1) return fail(Code::unavailable, "git check-ignore: " + folded(answer.complaint, 500));
  for (std::string_view path : each_record(answer.out, '\0'))
    found.emplace(path.substr(std::min<size_t>(2, path.size())));
  for (const auto& [link, below] : by_link)
    if (found.contains(link)) found.insert(below.begin(), below.end());
  return found;
}

}  // namespace bottle::workspace
