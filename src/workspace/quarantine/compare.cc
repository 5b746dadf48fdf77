// Compares three versions of each changed file: as the base has it, as it was sent, and as it came back. The base and
// what was sent differ where the operator had uncommitted changes; those must not count as the agent's work, and must
// not appear on a ref.
//
// Two results are made. The patch is the difference between what was sent and what came back, so it applies to the
// operator's files. The commit `worktree` is the agent's own commit plus what it left uncommitted; where the operator
// had changed the same file, a merge applies only the agent's change to the committed version. If that conflicts, the
// file is `mixed`.
//
// git reads all files in its own form (line ends, encodings), because a comparison of bytes would find differences that
// no commit has. Filters are never run.
#include "workspace/quarantine/compare.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/files/file.h"
#include "base/text/line.h"
#include "git/formats/modes.h"
#include "workspace/files/lfs_pointer.h"
#include "workspace/files/paths.h"
#include "workspace/files/untar.h"
#include "workspace/quarantine/work_files.h"

namespace bottle::workspace {
namespace {

constexpr size_t kMostMerged = 200, kLargestMerged = 1 << 20, kLargestRules = 1 << 20;

bool is_submodule(const git::Entry& entry) { return entry.mode == git::kSubmodule; }
bool is_file(const std::string& mode) { return mode.starts_with("100"); }
bool same(const git::Entry& a, const git::Entry& b) { return a.mode == b.mode && a.object == b.object; }

const git::Entry* find(const Entries& entries, const std::string& path) {
  auto found = entries.find(path);
  return found == entries.end() ? nullptr : &found->second;
}

class Comparison {
 public:
  Comparison(Quarantine& q, const git::Runner& git, const Conversions& conversions)
      : q_(q), git_(git), conversions_(conversions) {}

  // Each step needs the results of the ones before it. They read the files as they are, find out which of them are
  // ignored, read the same files as they were sent, and then decide what goes where.
  Result<AgentChanges> run(const std::string& base, const std::string& head, const std::vector<Change>* committed,
                           const std::map<std::string, std::string>& submodules, const std::string& message) {
    base_ = base;
    std::vector<Change> moved;
    if (head != base) moved = committed ? *committed : TRY(workspace::changes(q_, git_, base, head));
    for (const auto& change : moved) moved_[change.path] = {change.path, change.mode, change.object};
    for (const auto& [path, entry] : q_.base)
      if (is_submodule(entry)) submodules_.insert(path);
    for (const auto& [path, entry] : moved_) {
      if (is_submodule(entry)) submodules_.insert(path);
      // The agent has replaced the submodule with something else.
      else submodules_.erase(path);
    }
    TRY(read_now());
    TRY(sort_out_ignored());
    TRY(read_before());
    find_unpatched();
    TRY(settle());
    for (const auto& [path, id] : submodules) settle_submodule(path, id);
    return write(head, message);
  }

 private:
  // Returns what the agent committed at a path, or what was there at the start. Returns null if there is nothing.
  const git::Entry* committed(const std::string& path) const {
    if (auto moved = moved_.find(path); moved != moved_.end())
      return moved->second.mode == git::kNone ? nullptr : &moved->second;
    return base(path);
  }
  const git::Entry* base(const std::string& path) const {
    auto found = q_.base.find(path);
    return found == q_.base.end() ? nullptr : &found->second;
  }

  // Returns whether the path is a submodule or below one. Files of a submodule that was sent are in another quarantine.
  bool is_in_submodule(const std::string& path) const {
    for (size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
      if (submodules_.contains(path.substr(0, slash))) return true;
    return submodules_.contains(path);
  }

  // Reads the files that differ from what was sent, as git would commit them.
  Result<> read_now() {
    Entries tracked;
    std::vector<std::string> on_disk;
    for (const auto& path : q_.all<Quarantine::Written>())
      if (!is_in_submodule(path)) on_disk.push_back(path);
      else q_.leave(path, "not brought home, because it is in a submodule that was not sent");
    for (const auto& path : q_.all<Quarantine::Link>())
      if (!is_in_submodule(path)) on_disk.push_back(path);
      else q_.leave(path, "not brought home, because it is in a submodule that was not sent");
    for (const auto& path : on_disk)
      if (const auto* entry = committed(path); entry && !is_submodule(*entry)) tracked[path] = *entry;
    if (!on_disk.empty()) {
      // The index starts with what is committed at these paths: git adds a file that is tracked even if a rule ignores
      // it.
      now_ = TRY(add_files(q_, git_, conversions_, q_.tree(), tracked, !conversions_.ignores));
    }
    // Some entries were in the index only because they are committed. They did not come back as files.
    std::erase_if(now_, [&](const auto& each) {
      const auto& path = each.first;
      return (!q_.is<Quarantine::Written>(path) && !q_.is<Quarantine::Link>(path)) || is_in_submodule(path);
    });
    for (const auto& path : on_disk)
      if (!now_.contains(path)) missing_.push_back(path);
    // The repository has the filtered content of a file of which only the mode changed.
    std::erase_if(q_.filtered, [&](const auto& each) {
      const auto* written = q_.as<Quarantine::Written>(each.first);
      bool only_mode = written && written->only_mode && now_.contains(each.first) && base(each.first);
      if (only_mode) only_mode_.push_back(each.first);
      return only_mode;
    });
    for (const auto& [path, filter] : q_.filtered)
      if (auto found = now_.find(path); found != now_.end()) {
        changes_.filtered.push_back({path, found->second.mode, found->second.object});
        now_.erase(found);
      }
    for (const auto& [path, file] : q_.sent)
      if (!q_.paths.contains(path) && !q_.hidden.contains(path)) gone_.insert(path);
    // The agent did not hide a file that is on the disk or was never sent.
    std::erase_if(q_.hidden, [&](const auto& path) { return !q_.sent.contains(path) || q_.paths.contains(path); });
    return {};
  }

  // Handles files that are on the disk and not in git's index: either they are ignored, or git would not accept them.
  Result<> sort_out_ignored() {
    // A plain directory has no rules, so git must have had another reason, such as a name that it does not store.
    if (!conversions_.ignores) {
      for (const auto& path : missing_) q_.leave(path, "not brought home, because git does not accept it");
      return {};
    }
    auto asked = missing_, aliases = q_.all<Quarantine::Alias>();
    std::ranges::copy_if(aliases, std::back_inserter(asked), [&](const auto& path) { return !committed(path); });
    for (const auto& path : gone_)
      // A committed file is not ignored, whatever the rules say.
      if (!committed(path)) asked.push_back(path);
    for (const auto& [path, entry] : moved_)
      if (entry.mode == git::kNone && q_.is<Quarantine::AsSent>(path)) asked.push_back(path);
    ignored_ = TRY(ignored_of(q_, git_, asked));
    for (const auto& path : missing_) {
      if (!ignored_.contains(path)) {
        q_.leave(path, "not brought home, because git does not accept it");
        continue;
      }
      changes_.ignored.push_back({path, git::kFile, ""});
    }
    // The agent took these files out of git with a new rule. They are neither changed nor removed.
    for (const auto& path : ignored_)
      if (moved_.contains(path)) untracked_.insert(path);
    // Removed files that git ignores, such as build results, are only counted.
    changes_.ignored_gone = std::erase_if(gone_, [&](const auto& path) { return ignored_.contains(path); });
    return {};
  }

  std::set<std::string> changed() const {
    std::set<std::string> paths = gone_;
    for (const auto& [path, entry] : now_) paths.insert(path);
    return paths;
  }

  // Reads the changed files as they were sent, in git's form. A file that the operator had changed is made from its
  // recorded bytes.
  Result<> read_before() {
    std::set<std::string> wanted = changed();
    // A hard link to an unchanged file has that file's content, so that file is needed, too, and so is what was
    // sent in place of the link.
    auto aliases = q_.all<Quarantine::Alias>();
    for (const auto& path : aliases) wanted.insert({path, q_.as<Quarantine::Alias>(path)->path});
    for (const auto& [path, entry] : moved_)
      if (q_.is<Quarantine::AsSent>(path)) wanted.insert(path);
    for (const auto& path : q_.to_convert)
      if (wanted.insert(path).second) only_staged_.insert(path);
    std::vector<std::string> dirty;
    for (const auto& path : wanted) {
      auto sent = q_.sent.find(path);
      if (sent == q_.sent.end()) continue;
      const auto* was = base(path);
      if (sent->second.committed && was) {
        before_[path] = *was;
        // The operator may have changed only the mode.
        if (conversions_.modes && is_file(was->mode)) before_[path].mode = sent->second.mode;
      } else {
        dirty.push_back(path);
      }
    }
    if (!dirty.empty()) TRY(make_before(dirty));
    for (const auto& path : only_mode_)
      if (const auto* was = find(before_, path)) now_.at(path).object = was->object;
    for (auto& [path, entry] : now_) {
      auto sent = q_.sent.find(path);
      const auto* was = find(before_, path);
      // If the agent did not change the mode, the mode is not a change, whatever the disk reports.
      if (was && sent != q_.sent.end() && sent->second.mode == entry.mode) entry.mode = was->mode;
    }
    for (const auto& path : aliases) {
      const auto* was = find(before_, q_.as<Quarantine::Alias>(path)->path);
      if (ignored_.contains(path))
        changes_.ignored.push_back({path, was ? was->mode : git::kFile, was ? was->object : ""});
      else if (!was) q_.leave(path, kUnknownTarget);
      else now_[path] = {path, was->mode, was->object};
    }
    if (changes_.ignored.empty()) return {};
    for (const auto& [path, entry] : now_) add_directories_above(path, changes_.shared_directories);
    for (const auto& [path, entry] : q_.base) add_directories_above(path, changes_.shared_directories);
    return {};
  }

  // Finds the files whose bytes, as they were sent, can no longer be found: large files that the operator has changed
  // since. Without the earlier version of such a file, a patch would add it, and would then not apply to the operator's
  // files. The same holds for what came in the place of such a file, or of a directory with one.
  void find_unpatched() {
    std::set<std::string> unknown, above, around;
    for (const auto& path : changed())
      if (q_.sent.contains(path) && !before_.contains(path)) unknown.insert(path);
    for (const auto& path : unknown) add_directories_above(path, above);
    for (const auto& path : changed()) {
      around = {path};
      add_directories_above(path, around);
      if (!above.contains(path) && std::ranges::none_of(around, [&](const auto& at) { return unknown.contains(at); }))
        continue;
      const auto *now = find(now_, path), *was = base(path), *head = committed(path);
      changes_.unpatched.push_back({path, now ? now->mode : git::kNone, now ? now->object : ""});
      if (now && was && head && same(*was, *head)) changes_.mixed.push_back(path);
      changes_.was_changed = true;
    }
  }

  Result<> make_before(const std::vector<std::string>& dirty) {
    std::string was = q_.root + "/was";
    Entries tracked;
    TRY(make_directories(was));
    Tree tree = TRY(Tree::open(was));
    // These are the rules as they were sent, because the agent may have changed .gitattributes since then.
    TRY(write_rules(tree));
    std::vector<std::string> written;
    std::map<std::string, std::string> links;
    for (const auto& path : dirty) {
      auto bytes = sent_bytes(q_.record, q_.source, path, q_.sent.at(path));
      auto parts = safe_components(path);
      if (!bytes || !parts) continue;  // see find_unpatched()
      if (q_.sent.at(path).mode == git::kSymlink) links[path] = *bytes;
      else if (TRY(put(tree, *parts, q_.sent.at(path).mode == git::kExecutable, *bytes))) written.push_back(path);
      if (const auto* entry = base(path); entry && !is_submodule(*entry)) tracked[path] = *entry;
    }
    auto filtered = TRY(prepare_files(q_, git_, was, written, false));
    // Links come last, as in every tree that this room writes, so that nothing is written through one. Their
    // directories come before them, because a link makes none.
    for (const auto& [path, target] : links) {
      auto above = *safe_components(path);
      above.pop_back();
      if (!above.empty()) (void)TRY(tree.directory(above));
    }
    for (const auto& [path, target] : links) (void)TRY(tree.link(*safe_components(path), target));
    auto entries = TRY(add_files(q_, git_, conversions_, was, tracked, true));
    for (const auto& path : dirty)
      if (auto* entry = find(entries, path)) {
        before_[path] = *entry;
        const auto* committed = base(path);
        if (filtered.contains(path)) {  // the filter's result is unknown, but most likely what was committed
          if (committed) before_[path] = *committed;
          continue;
        }
        // The operator may have put a link in the place of the file.
        if (!conversions_.modes && committed && is_file(committed->mode) && is_file(entry->mode))
          before_[path].mode = committed->mode;
        if (only_staged_.contains(path)) continue;  // not a file that the agent made
        changes_.was_changed |= !committed || !same(*committed, before_[path]);
      }
    return {};
  }

  // Writes bytes from memory to a file.
  static Result<bool> put(Tree& tree, const std::vector<std::string>& path, bool executable, std::string_view bytes) {
    uint64_t room = bytes.size() + 1;
    return tree.file(path, executable, source_of(bytes), &room);
  }

  // Writes the attributes that applied to those files when they were sent.
  Result<> write_rules(Tree& tree) {
    std::vector<std::string> ids;
    auto each = [&](auto use) -> Result<> {
      for (const auto& [path, file] : q_.sent)
        if (path == ".gitattributes" || path.ends_with("/.gitattributes")) TRY(use(path, file));
      return {};
    };
    TRY(each([&](const std::string& path, const SentFile& file) -> Result<> {
      if (const auto* was = base(path); file.committed && was) ids.push_back(was->object);
      return {};
    }));
    auto texts = TRY(git::small_blobs(git_, ids, kLargestRules, q_.at()));
    return each([&](const std::string& path, const SentFile& file) -> Result<> {
      const auto* was = base(path);
      auto text = file.committed && was ? texts.find(was->object) : texts.end();
      auto bytes = text != texts.end() ? std::optional(text->second) : sent_bytes(q_.record, q_.source, path, file);
      if (auto parts = safe_components(path); parts && bytes) (void)TRY(put(tree, *parts, false, *bytes));
      return {};
    });
  }

  // Sets or removes an entry of the tree that is based on the agent's commit.
  void set(const git::Entry& entry) {
    const auto* there = committed(entry.path);
    if (!there || !same(*there, entry)) edits_[entry.path] = entry;
  }
  void remove(const std::string& path) {
    if (committed(path)) edits_[path] = std::nullopt;
  }

  // Decides which entries go into that tree.
  Result<> settle() {
    TRY(merge());
    for (const auto& path : gone_)
      if (const auto* entry = committed(path); entry && !is_submodule(*entry)) remove(path);
    for (const auto& [path, entry] : now_) {
      auto merged = merged_.find(path);
      set(merged == merged_.end() ? entry : merged->second);
    }
    TRY(settle_filtered());
    for (const auto& [path, entry] : moved_) {
      if (gone_.contains(path) || now_.contains(path) || untracked_.contains(path) || is_submodule(entry)) continue;
      if (q_.filtered.contains(path)) continue;
      const auto *was = base(path), *sent = find(before_, path);
      bool there = entry.mode != git::kNone;
      if (q_.is<Quarantine::AsSent>(path)) {
        // Either the agent committed another version and put the file back, or the operator had not committed the
        // change.
        if (sent && (!there || !same(*sent, entry)) && !(was && same(*was, entry)) &&
            (there || (was && same(*was, *sent))))
          set(*sent);
      } else if (there && !q_.sent.contains(path) && !was && !q_.is_in_nested(path)) {
        remove(path);  // committed, then removed again
      }
    }
    return {};
  }

  // Reverts files that the agent committed without their filter, but keeps pointers of git-lfs. Without the filter, git
  // commits the content of a file instead of the filter's result.
  Result<> settle_filtered() {
    std::vector<std::string> ids;
    for (const auto& [path, mode, object] : changes_.filtered)
      if (auto moved = moved_.find(path); moved != moved_.end()) ids.push_back(moved->second.object);
    auto texts = TRY(git::small_blobs(git_, ids, kLongestPointer, q_.at()));
    for (const auto& [path, mode, object] : changes_.filtered) {
      auto moved = moved_.find(path);
      if (moved == moved_.end() || moved->second.mode == git::kNone) continue;
      auto text = texts.find(moved->second.object);
      if (text != texts.end() && is_lfs_pointer(text->second)) continue;
      const auto* was = base(path);
      if (was) set(*was);
      else remove(path);
    }
    return {};
  }

  // Merges files that both the operator and the agent changed and that the agent did not commit: applies the agent's
  // change to the committed version.
  Result<> merge() {
    std::vector<std::string> paths, ids;
    for (const auto& [path, entry] : now_) {
      const auto *was = base(path), *sent = find(before_, path), *head = committed(path);
      if (!was || !sent || !head || !same(*was, *head) || same(*was, *sent)) continue;
      // Links and submodules cannot be merged.
      if (!is_file(entry.mode) || !is_file(was->mode) || !is_file(sent->mode)) continue;
      if (was->object == sent->object) {  // only the mode changed
        merged_[path] = {path, entry.mode == sent->mode ? was->mode : entry.mode, entry.object};
        continue;
      }
      // Each merge takes two git processes.
      if (paths.size() >= kMostMerged) {
        changes_.mixed.push_back(path);
        continue;
      }
      paths.push_back(path);
      ids.insert(ids.end(), {was->object, sent->object, entry.object});
    }
    auto texts = TRY(git::small_blobs(git_, ids, kLargestMerged, q_.at()));
    for (size_t i = 0; i < paths.size(); ++i) {
      const git::Entry &now = now_.at(paths[i]), &sent = before_.at(paths[i]), &was = *base(paths[i]);
      std::string id = TRY(merged(texts, {ids[3 * i], ids[3 * i + 1], ids[3 * i + 2]}));
      if (id.empty()) changes_.mixed.push_back(paths[i]);
      else merged_[paths[i]] = {paths[i], now.mode == sent.mode ? was.mode : now.mode, id};
    }
    return {};
  }

  // Returns a blob that merges two changes of the first of these, or an empty string if they conflict.
  Result<std::string> merged(const std::map<std::string, std::string>& texts, const std::vector<std::string>& ids) {
    for (const auto& id : ids)
      if (!texts.contains(id)) return std::string();
    // merge-file takes the versions as ours, base and theirs. The base is what was sent, so the agent's change is
    // applied to the committed version.
    const std::string files[] = {q_.root + "/committed", q_.root + "/sent", q_.root + "/left"};
    for (size_t i = 0; i < 3; ++i) TRY(write_file_atomically(files[i], texts.at(ids[i])));
    auto answer = TRY(git_.run({"merge-file", "-p", "--quiet", files[0], files[1], files[2]}, q_.at()));
    // merge-file returns the number of conflicts.
    if (answer.status != 0) return std::string();
    auto options = q_.at();
    options.input = answer.out;
    return git_.ask({"hash-object", "-w", "--stdin"}, options);
  }

  void settle_submodule(const std::string& path, const std::string& id) {
    const auto* entry = committed(path);
    if (!entry || !is_submodule(*entry) || entry->object == id) return;
    git::Entry moved{path, git::kSubmodule, id};
    set(moved);
    moved_[path] = moved;
  }

  void note_contents() {
    for (const Entries* all : {&moved_, &before_, &now_, &merged_})
      for (const auto& [path, entry] : *all) changes_.contents.insert(entry.object);
    for (const auto& file : changes_.filtered) changes_.contents.insert(file.object);
  }

  // Lists what differs between the two trees, as `git diff-tree` would.
  void note_changes(const Entries& before, const Entries& after) {
    std::set<std::string> paths;
    for (const Entries* all : {&before, &after})
      for (const auto& [path, entry] : *all) paths.insert(path);
    for (const auto& path : paths) {
      const auto *was = find(before, path), *now = find(after, path);
      if (!now) changes_.changes.push_back({path, git::kNone, git::null_id(q_.format)});
      else if (!was || !same(*was, *now)) changes_.changes.push_back({path, now->mode, now->object});
    }
  }

  Result<AgentChanges> write(const std::string& head, const std::string& message) {
    note_contents();
    Entries before, after;
    for (const auto& path : changed()) {
      if (const auto* entry = find(before_, path)) before[path] = *entry;
      if (const auto* entry = find(now_, path)) after[path] = *entry;
    }
    for (const auto& file : changes_.unpatched) before.erase(file.path), after.erase(file.path);
    for (const auto& path : submodules_) {
      const auto *was = base(path), *now = committed(path);
      if (was && now && same(*was, *now)) continue;
      if (was && is_submodule(*was)) before[path] = *was;
      if (now && is_submodule(*now)) after[path] = *now;
    }
    // Without any uncommitted change, the agent's own commit is the whole work.
    changes_.worktree = head;
    if (before.empty() && after.empty() && edits_.empty()) return std::move(changes_);
    std::optional<NewCommit> commit;
    // Without edits, everything is committed already, so the agent's own commit is the work. In a repository without
    // commits, bottle's own empty commit stands for the start. It must not get into that repository.
    if (!edits_.empty())
      commit = {.start = head,
                .is_child = !q_.is_unborn || head != base_,
                .edits = std::move(edits_),
                .message = message,
                .moved = &moved_};
    auto made = TRY(write_objects(q_, git_, {before, after}, commit));
    changes_.before = made.trees[0], changes_.after = made.trees[1];
    if (changes_.before != changes_.after) note_changes(before, after);
    if (commit) changes_.worktree = made.commit;
    return std::move(changes_);
  }

  Quarantine& q_;
  const git::Runner& git_;
  const Conversions& conversions_;
  Entries moved_;  // entries of the agent's commit that differ from the base; mode "000000" means removed
  std::set<std::string> submodules_, gone_, untracked_, only_staged_;
  KeyedSet<std::string> ignored_;
  std::vector<std::string> missing_, only_mode_;
  Entries now_, before_, merged_;
  std::string base_;
  Edits edits_;  // of the tree that is based on the agent's commit
  AgentChanges changes_;
};

}  // namespace

Result<AgentChanges> compare(Quarantine& q, const git::Runner& git, const Conversions& conversions,
                             const std::string& base, const std::string& head, const std::vector<Change>* committed,
                             const std::map<std::string, std::string>& submodules, const std::string& message) {
  return Comparison(q, git, conversions).run(base, head, committed, submodules, message);
}

Result<std::string> commit_directory(const Quarantine& q, const git::Runner& git, const std::string& directory) {
  Conversions none{{}, true, false};
  NewCommit commit{.start = {}, .edits = {}, .message = "as it was"};
  for (auto& [path, entry] : TRY(add_files(q, git, none, directory, {}, true))) commit.edits[path] = entry;
  return TRY(write_objects(q, git, {}, commit)).commit;
}

}  // namespace bottle::workspace
