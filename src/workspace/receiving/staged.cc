// Most indexes have no content that is not elsewhere, because a staged file is usually in the tree or in a commit as
// well. The examination therefore starts with the staged blobs and drops, cheapest check first, what the base, the
// sent files, the files that came back, the commits and the operator's repository have. The index becomes a commit
// only if something is left. The indexes are read as data: git would follow a split index to any file.
#include "workspace/receiving/staged.h"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "base/files/beneath.h"
#include "base/files/file.h"
#include "base/files/full_disk.h"
#include "base/keyed_hash.h"
#include "base/text/path_parts.h"
#include "base/text/words.h"
#include "git/formats/index.h"
#include "git/formats/modes.h"
#include "workspace/files/blob_id.h"
#include "workspace/files/lfs_pointer.h"
#include "workspace/files/paths.h"
#include "workspace/quarantine/work_files.h"

namespace bottle::workspace {
namespace {

constexpr size_t kLargestFile = 64 << 20;  // in bytes

bool is_content(const git::IndexEntry& entry) { return entry.mode != git::kSubmodule; }

// Returns whether the entry is as it was at the start.
bool is_as_sent(const Quarantine& q, const git::IndexEntry& entry) {
  if (auto was = q.base.find(entry.path); was != q.base.end() && was->second.object == entry.object) return true;
  auto sent = q.sent.find(entry.path);
  return sent != q.sent.end() && sent->second.id == entry.object;
}

bool is_shared(std::string_view name) { return name_in(name).starts_with("sharedindex."); }

// Reads one of q.indexes.
Result<git::Index> read_index(const Quarantine& q, const std::string& name) {
  std::string bytes = TRY(read_file(q.indexes.at(name), kLargestIndex));
  return git::parse_index(bytes, q.format, [&](const std::string& id) -> Result<std::string> {
    auto other = q.indexes.find(name.substr(0, name.rfind('/') + 1) + "sharedindex." + id);
    if (other == q.indexes.end()) return fail(Code::not_found, "the shared index that it is based on is missing");
    return read_file(other->second, kLargestIndex);
  });
}

bool operator_has_identical(const Quarantine& q, const std::string& index) {
  auto bytes = read_file(q.indexes.at(index), kLargestIndex);
  auto directory = Beneath::open(q.git_dir);
  auto own = directory ? directory->read(index, kLargestIndex).value_or(std::nullopt) : std::nullopt;
  return bytes && own && *own == *bytes;
}

// Returns which of the ids are blobs there.
Result<KeyedSet<std::string>> blobs_in(const git::Runner& git, const std::vector<std::string>& ids,
                                       git::Runner::Options where) {
  KeyedSet<std::string> found;
  for (const auto& id : ids) where.input += id + "\n";
  // Each line is "ID blob SIZE", or says that there is none.
  std::string out = TRY(git.ask({"cat-file", "--batch-check", "--buffer"}, where));
  for (std::string_view line : each_line(out)) {
    size_t space = std::min(line.find(' '), line.size());
    if (line.substr(space).starts_with(" blob ")) found.emplace(line.substr(0, space));
  }
  return found;
}

// Examines one index.
class Examination {
 public:
  Examination(const Quarantine& q, const git::Runner& git, const git::Repository& repository, const CameHome& home,
              git::Index index)
      : q_(q), git_(git), repository_(repository), home_(home), index_(std::move(index)) {}

  // Returns nothing if all of the content is somewhere else.
  Result<std::optional<Staged>> run(const std::string& message) {
    for (const auto& entry : index_.entries)
      if (is_content(entry) && !is_as_sent(q_, entry)) found_[entry.object][entry.path] = entry.size;
    drop_known();
    if (!found_.empty()) TRY(drop_existing());
    if (!found_.empty()) TRY(read_head());
    if (!found_.empty()) TRY(drop_filtered());
    if (found_.empty()) return std::nullopt;
    Staged staged;
    std::set<std::string> paths, left;
    for (const auto& [id, names] : found_)
      for (const auto& [path, size] : names) (is_allowed(path) ? paths : left).insert(path);
    staged.paths.assign(paths.begin(), paths.end());
    staged.left.assign(left.begin(), left.end());
    // If git does not accept something in the index, there is no commit, and the caller names the paths.
    if (!paths.empty()) {
      auto made = commit(message);
      TRY(check_room(made));
      staged.commit = made.value_or("");
    }
    return staged;
  }

 private:
  bool is_allowed(const std::string& path) const {
    auto parts = safe_components(path);
    return parts && !filtered_.contains(path) && std::ranges::none_of(*parts, is_git_directory);
  }

  void drop_known() {
    std::erase_if(found_, [&](const auto& each) { return home_.contents.contains(each.first); });
    if (found_.empty()) return;
    for (const auto& [path, entry] : q_.base) found_.erase(entry.object);
    for (const auto& [path, file] : q_.sent) found_.erase(file.id);
    // Ignored files, and files that a filter converts, are reported elsewhere.
    auto tree = Beneath::open(q_.tree());
    std::vector<std::string> on_disk;
    for (const auto& [id, paths] : found_)
      for (const auto& [path, size] : paths) {
        if (!tree || !q_.is<Quarantine::Written>(path)) continue;
        auto bytes = tree->read(path, kLargestFile);
        if (bytes && *bytes) on_disk.push_back(blob_id(q_.format, **bytes));
      }
    for (const auto& id : on_disk) found_.erase(id);
  }

  std::vector<std::string> ids() const {
    std::vector<std::string> all;
    for (const auto& [id, paths] : found_) all.push_back(id);
    return all;
  }

  // Drops what the operator's repository or a commit has, and what does not exist.
  Result<> drop_existing() {
    if (!home_.commits.empty()) {
      auto listed = q_.at();
      for (const auto& id : home_.commits) listed.input += id + "\n";
      listed.input += "^" + home_.base + "\n";
      auto objects = git_.run({"rev-list", "--objects", "--no-object-names", "--stdin"}, listed);
      if (objects)
        for (std::string_view id : each_line(objects->out)) found_.erase(std::string(id));
    }
    // The operator's repository has what an earlier call brought, so finding a blob there does not prove that it was
    // the operator's.
    KeyedSet<std::string> earlier;
    for (const auto& id : home_.earlier)
      for (const auto& entry : git::list_tree(git_, id, q_.at()).value_or(std::vector<git::Entry>()))
        earlier.insert(entry.object);
    if (!earlier.empty())
      if (auto index = git::read_index(repository_))
        for (const auto& entry : index->entries) found_.erase(entry.object);
    auto own = q_.at();
    own.objects = repository_.objects[0];  // without the objects that the agent made
    auto known = TRY(blobs_in(git_, ids(), own)), existing = TRY(blobs_in(git_, ids(), q_.at()));
    std::erase_if(found_, [&](const auto& each) {
      return !existing.contains(each.first) || (known.contains(each.first) && !earlier.contains(each.first));
    });
    return {};
  }

  // Finds what differs from the agent's HEAD, and which of it a filter converts.
  Result<> read_head() {
    if (home_.head == home_.base) head_ = q_.base;
    else
      for (auto& entry : TRY(git::list_tree(git_, home_.head, q_.at()))) head_.emplace(entry.path, entry);
    std::vector<std::string> paths;
    for (const auto& entry : index_.entries)
      if (!is_in_head(entry)) paths.push_back(entry.path);
    filtered_ = TRY(filtered_of(q_, git_, paths));
    return {};
  }

  bool is_in_head(const git::IndexEntry& entry) const {
    auto at = head_.find(entry.path);
    return at != head_.end() && at->second.object == entry.object && at->second.mode == entry.mode;
  }

  // Drops what a filter made of a file that comes home: its result cannot be compared, but if the file still has the
  // size that git recorded, it is most likely the same file. The content of a pointer of git-lfs is in .git/lfs,
  // which is named elsewhere.
  Result<> drop_filtered() {
    std::vector<std::string> asked;
    for (auto& [id, paths] : found_) {
      std::erase_if(
          paths, [&](const auto& each) { return filtered_.contains(each.first) && has_size(each.first, each.second); });
      if (std::ranges::any_of(paths, [&](const auto& each) { return filtered_.contains(each.first); }))
        asked.push_back(id);
    }
    for (const auto& [id, text] : TRY(git::small_blobs(git_, asked, kLongestPointer, q_.at())))
      if (is_lfs_pointer(text)) found_.erase(id);
    std::erase_if(found_, [](const auto& each) { return each.second.empty(); });
    return {};
  }

  // Returns whether the file has this size. The size of a file that came back as it was sent is not known.
  bool has_size(const std::string& path, uint32_t size) const {
    struct stat st{};
    if (q_.is<Quarantine::AsSent>(path)) return q_.to_convert.contains(path);
    return q_.is<Quarantine::Written>(path) && ::lstat((q_.tree() + "/" + path).c_str(), &st) == 0 &&
           static_cast<uint32_t>(st.st_size) == size;
  }

  // Commits the index on top of the agent's HEAD. A tree cannot hold an unresolved merge, so the versions that exist
  // nowhere else get additional names.
  Result<std::string> commit(const std::string& message) {
    constexpr std::array<const char*, 4> kVersions = {"", "~base", "~ours", "~theirs"};
    NewCommit commit{.start = home_.head, .edits = {}, .message = message};
    // Starts from the tree of HEAD: what the index lacks is removed, and what differs is set.
    KeyedSet<std::string_view> names;
    for (const auto& entry : index_.entries) names.insert(entry.path);
    // An index of a sparse checkout may have an entry for a whole directory. What such an entry stands for is not
    // removed.
    if (!index_.has_directories)
      for (const auto& [path, entry] : head_)
        if (!names.contains(path)) commit.edits[path] = std::nullopt;
    for (const auto& entry : index_.entries) {
      // Paths in an index are unchecked, and a tree with "../x" or ".git/x" must never be made.
      if (!is_allowed(entry.path) || (entry.stage ? !found_.contains(entry.object) : is_in_head(entry))) continue;
      std::string name = entry.path + kVersions[static_cast<size_t>(entry.stage)];
      while (entry.stage && names.contains(name)) name += "~";
      commit.edits[name] = git::Entry{name, entry.mode, entry.object};
    }
    // git fast-import needs to know all entries that stay.
    const Entries none;
    if (home_.head == home_.base && !index_.has_directories) commit.moved = &none;
    // Bottle's own empty commit must not come into the repository.
    commit.is_child = !q_.is_unborn || home_.head != home_.base;
    return TRY(write_objects(q_, git_, {}, commit)).commit;
  }

  const Quarantine& q_;
  const git::Runner& git_;
  const git::Repository& repository_;
  const CameHome& home_;
  git::Index index_;
  // Blob → its paths in the index, and the size of the file when it was staged.
  std::map<std::string, std::map<std::string, uint32_t>> found_;
  KeyedMap<std::string, git::Entry> head_;
  KeyedSet<std::string> filtered_;
};

// Returns "x" for "worktrees/x/index", and an empty text for the repository's own index.
std::string work_tree_of(const std::string& index) {
  size_t first = index.find('/');
  return first == std::string::npos ? "" : index.substr(first + 1, index.rfind('/') - first - 1);
}

}  // namespace

void sort_indexes(Quarantine& q) {
  for (auto each = q.indexes.begin(); each != q.indexes.end();) {
    // A shared index is only a part of other indexes.
    if (is_shared(each->first)) {
      ++each;
      continue;
    }
    auto index = read_index(q, each->first);
    bool has_more = false;
    if (index) {
      if (each->first == "index")
        for (const auto& entry : index->entries)
          if (entry.is_hidden) q.hidden.insert(entry.path);
      for (const auto& entry : index->entries) {
        if (!is_content(entry) || is_as_sent(q, entry)) continue;
        has_more = true;
        auto sent = q.sent.find(entry.path);
        if (sent != q.sent.end() && !sent->second.committed && q.is<Quarantine::AsSent>(entry.path))
          q.to_convert.insert(entry.path);
      }
    } else if (!operator_has_identical(q, each->first)) {
      q.leave(".git/" + each->first, "what is only staged was not brought home: " + index.error().what);
    }
    each = has_more ? std::next(each) : q.indexes.erase(each);
  }
}

Result<std::vector<Staged>> only_staged(const Quarantine& q, const git::Runner& git, const git::Repository& repository,
                                        const CameHome& home, const std::string& message) {
  std::vector<Staged> all;
  for (const auto& [name, path] : q.indexes) {
    if (is_shared(name)) continue;
    // Reads the index again, because keeping all of them since sort_indexes() would take much memory.
    auto index = TRY(read_index(q, name));
    auto staged = TRY(Examination(q, git, repository, home, std::move(index)).run(message));
    if (!staged) continue;
    staged->work_tree = work_tree_of(name);
    all.push_back(std::move(*staged));
  }
  return all;
}

}  // namespace bottle::workspace
