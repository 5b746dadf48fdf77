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
#include "base/text/words.h"
#include "git/formats/index.h"
#include "git/run/attributes.h"
#include "pki/seal.h"
#include "workspace/files/blob_id.h"
#include "workspace/files/encoding.h"
#include "workspace/files/lfs_pointer.h"
#include "workspace/files/paths.h"

namespace bottle::workspace {
namespace {

constexpr long kMostInOnePack = 20'000;
constexpr const char* kEmptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
constexpr const char* kEmptyTreeSha256 = "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321";

}  // namespace

std::string index_line(const git::Entry& entry) { return entry.mode + " " + entry.object + "\t" + entry.path + '\0'; }

std::string removal_line(const Quarantine& q, const std::string& path) {
  return "0 " + git::null_id(q.format) + "\t" + path + '\0';
}

Result<std::string> write_tree(const Quarantine& q, const git::Runner& git, const std::string& start,
                               const std::string& lines) {
  git::Runner::Options options{.in = q.repository, .index = q.root + "/tree-index"};
  std::error_code error;
  std::filesystem::remove(options.index, error);  // a missing index is an empty one
  if (!start.empty()) TRY(git.ask({"read-tree", start}, options));
  if (!lines.empty()) {
    auto with = options;
    with.input = lines;
    TRY(git.ask({"update-index", "-z", "--index-info"}, with));
  }
  return git.ask({"write-tree"}, options);
}

namespace {

// Makes a new index with these entries, as `git update-index --index-info` would. git checks the paths of an index only
// when it adds to one, so they are checked here.
Result<> write_index(const std::string& path, const Entries& entries, git::ObjectFormat format) {
  std::error_code error;
  std::filesystem::remove(path, error);
  if (entries.empty()) return {};  // a missing index is an empty one
  std::vector<git::IndexEntry> list;
  for (const auto& [name, entry] : entries) {
    auto parts = safe_components(name);
    if (!parts || parts->empty() || join(*parts) != name || std::ranges::any_of(*parts, is_git_directory))
      return fail(Code::unavailable, one_line(name, 300) + " is not a path that git stores");
    list.push_back({name, entry.mode, entry.object});
  }
  std::string index = TRY(git::index_of(list));
  pki::Digest checksum = digest_for(format);
  checksum.feed(index);
  return write_new_file(path, index + checksum.finish());
}

}  // namespace

Result<std::string> write_tree_of(const Quarantine& q, const git::Runner& git, const Entries& entries) {
  // git knows the empty tree in every repository.
  if (entries.empty()) return std::string(q.format == git::ObjectFormat::sha1 ? kEmptyTree : kEmptyTreeSha256);
  git::Runner::Options options{.in = q.repository, .index = q.root + "/tree-index"};
  TRY(write_index(options.index, entries, q.format));
  return git.ask({"write-tree"}, options);
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
