#include "workspace/receiving/homecoming.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "base/files/full_disk.h"
#include "base/keyed_hash.h"
#include "base/text/line.h"
#include "base/text/parse.h"
#include "base/text/words.h"
#include "git/formats/modes.h"
#include "git/refs.h"
#include "git/run/attributes.h"
#include "workspace/files/blob_id.h"
#include "workspace/files/paths.h"
#include "workspace/files/untar.h"
#include "workspace/quarantine/work_files.h"
#include "workspace/receiving/keep_files.h"
#include "workspace/receiving/ref_names.h"
#include "workspace/receiving/unreferenced_commits.h"

namespace bottle::workspace {
namespace {

constexpr size_t kLongestTarget = 4096, kMostTaken = 1000, kMostLeft = 200, kShortId = 12;
// Begins the name of a stash without a ref. No ref of the agent can have such a name, because git does not allow "@{"
// in it.
constexpr std::string_view kStash = "refs/stash@{";

// Adds a commit without a ref as a branch of this name. Appends the commit's id to the name if the agent has such a
// branch.
void add_branch(std::map<std::string, std::string>& wanted, std::string name, const std::string& id) {
  auto is_taken = [&] {
    auto same = wanted.find(name), below = wanted.lower_bound(name + "/");
    return (same != wanted.end() && same->second != id) ||
           (below != wanted.end() && below->first.starts_with(name + "/"));
  };
  while (is_taken()) name += "-" + id.substr(0, kShortId);
  wanted.emplace(std::move(name), id);
}

void add_stash(std::map<std::string, std::string>& wanted, const std::string& name, const std::string& id) {
  wanted.emplace(std::string(kStash) + name + "}", id);
}

}  // namespace

// Makes the quarantine's repository. It uses the objects and the shallow boundary of the operator's repository.
Result<> Homecoming::prepare(const std::optional<Sent>& sent, const git::OperatorsConfiguration& configuration) {
  git::Directory::Content content{.attributes = git::kNoConversions};
  git::Directory::Content rules;
  if (const auto& original = origin_.repository) {
    auto operators = git::operators_settings(configuration, {original->git_dir, "", original->settings.remotes});
    std::string attributes = TRY(git::own_attributes(*original));
    content.format = q_.format = original->settings.format;
    content.alternates = original->objects;
    content.shallow = original->shallow;
    content.exclude = git::ignore_rules(operators) + TRY(git::own_ignore_rules(*original));
    content.attributes = attributes + "\n" + git::kNoConversions;
    rules = {.format = content.format, .attributes = attributes};
    q_.known_objects = original->objects[0];
    q_.git_dir = original->git_dir;
    settings_ = git::settings_in(*original, std::move(operators));
    q_.filters = settings_.filters;
    q_.may_have_filters = settings_.includes;
    unwritable_ = why_unwritable(*original);
  }
  q_.repository = TRY(git::Directory::make(q_.root + "/repository", content));
  q_.rules = TRY(git::Directory::make(q_.root + "/rules", rules));
  base_ = origin_.base;
  compared_with_ = base_.substr(0, kShortId);
  q_.is_unborn = origin_.repository && base_.empty();
  if (!origin_.repository && !sent) base_ = TRY(commit_directory(q_, git_, q_.source));
  if (base_.empty()) {
    compared_with_ = empty_tree(q_.format);
    base_ = TRY(git_.ask({"commit-tree", compared_with_, "-m", "nothing"}, q_.at()));
  }
  head_ = base_;
  auto entries = git::list_tree(git_, base_, q_.at(), &q_.base_trees);
  if (!entries && entries.error().code == Code::unavailable && !origin_.base.empty())
    return fail(Code::not_found, "the repository " + one_line(q_.source, 4096) + " no longer has the commit " +
                                     origin_.base.substr(0, kShortId) + ", from which the work started");
  for (auto& entry : TRY(std::move(entries))) q_.base.emplace(entry.path, entry);
  if (origin_.repository) {
    auto [commits, has_sent] = TRY(known_commits(q_, git_, *origin_.repository, base_, origin_.refs));
    known_ = std::move(commits);
    // What a clone was given need not be read again: its packs may be large.
    if (has_sent) q_.known_packs.insert(origin_.packs.begin(), origin_.packs.end());
  }
  return read_sent_files(sent);
}

std::unique_ptr<Homecoming> Homecoming::without_repository(const std::string& error) {
  Quarantine empty;
  empty.root = q_.root + "-files";
  empty.source = q_.source;
  empty.place = q_.place;
  empty.git_at = q_.git_at;
  empty.inside = q_.inside;
  empty.nested = std::move(q_.nested);
  empty.sent = std::move(q_.sent);
  empty.is_unreadable = true;
  q_ = std::move(empty);
  return std::make_unique<Homecoming>(in_, git_, q_, Origin{.repository = {}, .base = {}, .refs = {}, .error = error},
                                      prefix_, results_);
}

// Reads what was sent, except for the files of a record. Without a record, the files are those of a checkout of the
// base.
Result<> Homecoming::read_sent_files(const std::optional<Sent>& sent) {
  if (sent) {
    q_.record = in_.record;
    start_ = sent->start;
    std::string below = q_.git_at + "/";
    for (auto file = sent->settings.lower_bound(below); file != sent->settings.end(); ++file) {
      if (!file->first.starts_with(below)) break;
      if (std::string name = file->first.substr(below.size()); is_settings_file(name)) q_.settings[name] = file->second;
    }
    return {};
  }
  std::vector<std::string> links;
  for (const auto& [path, entry] : q_.base)
    if (entry.mode == git::kSymlink) links.push_back(entry.object);
  auto targets = TRY(git::small_blobs(git_, links, kLongestTarget, q_.at()));
  for (const auto& [path, entry] : q_.base) {
    if (entry.mode == git::kSubmodule) continue;
    // Such a link was never sent, so its absence is not a change.
    if (entry.mode == git::kSymlink && !stays_inside(path, targets[entry.object])) continue;
    q_.sent.emplace(path, SentFile{entry.mode, entry.object, true});
  }
  return {};
}

// Makes the links. They come last, when nothing else will be written.
Result<> Homecoming::make_links() {
  Tree tree = TRY(Tree::open(q_.tree()));
  for (const auto& path : q_.all<Quarantine::Link>()) {
    const std::string& target = q_.as<Quarantine::Link>(path)->target;
    auto entry = q_.base.find(path);
    bool same = entry != q_.base.end() && entry->second.mode == git::kSymlink &&
                entry->second.object == blob_id(q_.format, target);
    bool inside = (stays_inside(path, target) && !goes_back(target)) || same;
    if (!inside) {
      std::string shown = path;
      q_.leave(shown.append(" → ").append(target), "not brought home, because the link points out of the tree" +
                                                       std::string(stays_inside(path, target) ? ", or may do so" : ""));
    }
    if (inside && TRY(tree.link(*safe_components(path), target))) continue;
    if (inside) q_.leave(path, "not brought home, because it cannot be created at this path");
    if (same) q_.paths[path] = Quarantine::AsSent{};
    else q_.paths.erase(path);
  }
  return {};
}

Result<> Homecoming::prepare_inspection(uint64_t& room) {
  auto written = q_.all<Quarantine::Written>();
  auto filtered = TRY(prepare_files(q_, git_, q_.tree(), written, origin_.repository.has_value()));
  if (origin_.repository) q_.filtered = std::move(filtered);
  TRY(make_links());
  sort_indexes(q_);
  inspection_.emplace(TRY(Inspection::make(q_, git_)));
  if (!origin_.error.empty()) inspection_->flag("the repository", "it can no longer be read: " + origin_.error);
  if (!origin_.repository) return {};
  room_.emplace(Room{room, TRY(size_of(q_.known_objects))});
  return {};
}

// Returns the refs of the agent that the copy did not have, and the object of each.
std::map<std::string, std::string> Homecoming::wanted_refs() const {
  std::map<std::string, std::string> wanted;
  git::Refs own = origin_.refs;
  if (own.empty())
    if (auto refs = git::read_refs(*origin_.repository, "refs/")) own = *refs;
  for (const auto& [name, id] : q_.refs) {
    auto same = own.find(name);
    bool known = same != own.end() && same->second == id;
    bool is_sent = origin_.refs.empty() && id == base_ && name.starts_with("refs/heads/");
    if (!known && !is_sent) wanted[name] = id;
  }
  bool stashed = wanted.contains("refs/stash");
  for (size_t i = 0; stashed && i + 1 < q_.stashes.size(); ++i)
    add_stash(wanted, std::to_string(q_.stashes.size() - 1 - i), q_.stashes[i]);
  if (git::is_object_id(q_.head) && q_.head != base_) add_branch(wanted, "refs/heads/bottle-detached", q_.head);
  return wanted;
}

// Adds the commits and stashes of the agent that no ref of the agent names.
Result<> Homecoming::add_unnamed(std::map<std::string, std::string>& wanted) {
  std::set<std::string> brought;
  for (const auto& [name, id] : TRY(git::read_refs(*origin_.repository, prefix_))) brought.insert(id);
  for (const auto& [name, id] : origin_.refs) brought.erase(id);
  brought.erase(base_);
  std::vector<std::string> reached;
  for (const auto& [name, id] : wanted) reached.push_back(id);
  for (const auto& id : known_)
    if (!brought.contains(id)) reached.push_back(id);
  std::vector<std::string> detached;
  for (const auto& id : q_.detached)
    if (std::ranges::find(reached, id) == reached.end()) detached.push_back(id);
  auto made = TRY(made_by_agent(q_, git_, detached, brought));
  auto left = TRY(unreferenced_commits(q_, git_, std::move(made), reached, kMostLeft + 1));
  if (left.size() > kMostLeft) {
    left.pop_back();
    q_.leave(".git/logs", "older commits on no branch were not brought home, because there are more than the limit");
  }
  for (const auto& id : left) add_branch(wanted, "refs/heads/bottle-detached-" + id.substr(0, kShortId), id);
  for (const auto& id : TRY(made_by_agent(q_, git_, {q_.autostashes.begin(), q_.autostashes.end()}, brought)))
    add_stash(wanted, "autostash-" + id.substr(0, kShortId), id);
  return {};
}

// Finds the refs that the agent's copy had when it was sent and no longer has.
void Homecoming::find_removed_refs() {
  for (const auto& [name, id] : origin_.refs)
    for (const char* kind : {"refs/heads/", "refs/tags/", "refs/notes/", "refs/stash"})
      if (name.starts_with(kind) && !q_.refs.contains(name) && !q_.other_names.contains(name))
        removed_refs_.push_back(name);
}

// Chooses the names below the prefix for refs of the agent. Where the file system ignores case, a ref whose name
// differs from an earlier one only in its case gets another name, because it would replace that one.
std::map<std::string, std::string> Homecoming::names_of(const std::map<std::string, std::string>& wanted) const {
  bool folds = origin_.repository->settings.capitals == git::Settings::Capitals::ignored;
  std::set<std::string> taken;
  std::map<std::string, std::string> names;
  for (const auto& [from, id] : wanted) {
    std::string name = from.starts_with(kStash) ? "stash/" + from.substr(kStash.size(), from.size() - kStash.size() - 1)
                                                : name_for(from);
    if (folds && !taken.insert(lower(name)).second) name = distinct_name_for(from);
    names[from] = std::move(name);
  }
  return names;
}

// Removes old refs before anything is brought: a new branch may need the name of an old one as its directory. If this
// fails, the next pull tries again. A checkpoint removes only refs whose names are in the way: the agent's git may be
// packing its refs while they are read, and the commits that an earlier checkpoint brought must keep their refs.
void Homecoming::drop_refs(const std::map<std::string, std::string>& but) {
  std::set<std::string> kept;
  for (const auto& [from, name] : but) kept.insert(prefix_ + name);
  const bool is_checkpoint = in_.room != nullptr;
  auto is_in_the_way = [&](const std::string& old) {
    if (auto below = kept.lower_bound(old + "/"); below != kept.end() && below->starts_with(old + "/")) return true;
    for (size_t slash = old.rfind('/'); slash > prefix_.size() && slash != old.npos; slash = old.rfind('/', slash - 1))
      if (kept.contains(old.substr(0, slash))) return true;
    return false;
  };
  std::vector<std::string> gone;
  for (const char* kind : {"heads/", "tags/", "notes/", "stash/", "other/", "encoded/"})
    if (auto refs = git::read_refs(*origin_.repository, prefix_ + kind))
      for (const auto& [name, id] : *refs)
        if (!kept.contains(name) && (!is_checkpoint || is_in_the_way(name))) gone.push_back(name);
  (void)git::delete_refs(*origin_.repository, gone);
}

// If the agent's repository is gone or unreadable, the refs of an earlier call are the only ones, so they stay.
bool Homecoming::refs_known() const { return q_.unread_refs.empty() && (!q_.head.empty() || !q_.refs.empty()); }

// Takes each ref separately, so that a broken one does not affect the others.
Result<> Homecoming::take_refs() {
  if (!origin_.repository) return {};
  auto wanted = wanted_refs();
  TRY(add_unnamed(wanted));
  auto names = names_of(wanted);
  if (refs_known()) {
    drop_refs(names);
    find_removed_refs();
  }
  TRY(bring_together(wanted));
  size_t taken = 0;
  for (const auto& [from, id] : wanted) {
    if (++taken > kMostTaken) {
      q_.leave(".git/" + from, "not brought home, because there are more refs than the limit");
    } else if (!TRY(take_ref(from, names[from], id))) {
      q_.leave(".git/" + from, "not brought home, because it is broken or incomplete");
    } else if (is_head(from, id)) {
      head_ = id;
    }
  }
  lists_.clear();
  TRY(inspect_untracked());
  if (head_ == base_) head_ = known_head();
  return count_commits();
}

// Lists the changes first: a commit that cannot be listed must not come into the operator's repository either.
Result<bool> Homecoming::take_ref(const std::string& from, const std::string& name, const std::string& id) {
  if (auto listed = lists_.find(id); listed != lists_.end()) {
    listed_ = {id, id, listed->second};
  } else if (listed_.id != id) {
    auto list = changes(q_, git_, base_, id);
    auto commit = then(
        list, [&](const auto&) { return git_.ask({"rev-parse", "--verify", "--quiet", id + "^{commit}"}, q_.at()); });
    if (!commit && commit.error().code != Code::unavailable) return std::unexpected(std::move(commit.error()));
    listed_ = {id, commit.value_or(""), list.value_or(std::vector<Change>())};
  }
  bool fits = from.starts_with("refs/heads/") ? listed_.commit == id : git::is_object_id(listed_.commit);
  if (!fits || !TRY(bring(prefix_ + name, id))) return false;
  constexpr std::string_view kHeads = "refs/heads/";
  TRY(inspection_->take(listed_.changes, from.starts_with(kHeads) ? from.substr(kHeads.size()) : from));
  if (name.starts_with("stash/")) stashes_.emplace_back(from, id);
  if (name.starts_with("encoded/")) encoded_.push_back({prefix_ + name, id, from});
  ids_.push_back(id);
  return true;
}

// Inspects the untracked files of the stashes that came home. They are in the third parent of a stash, and `git stash
// apply` writes them to the working tree. A stash without such files has no third parent.
Result<> Homecoming::inspect_untracked() {
  if (stashes_.empty()) return {};
  auto options = q_.at();
  for (const auto& [from, id] : stashes_) options.input += id + "^3\n";
  auto answer = TRY(git_.run({"cat-file", "--batch-check", "--buffer"}, options));
  size_t read = 0;
  // There is a line for each stash: "ID commit SIZE", or that it has no such parent.
  for (std::string_view line : each_line(answer.out)) {
    if (read == stashes_.size()) break;
    const auto& from = stashes_[read++].first;
    std::string third(line.substr(0, line.find(' ')));
    if (!git::is_object_id(third)) continue;
    auto list = TRY(changes(q_, git_, base_, third));
    std::erase_if(list, [](const Change& change) { return change.mode == git::kNone; });
    TRY(inspection_->take(list, from));
  }
  for (; read < stashes_.size(); ++read)
    inspection_->flag(stashes_[read].first, "its untracked files were not checked");
  return {};
}

// Brings the objects and writes the ref. Returns false if the objects do not pass git's checks. What the repository
// cannot accept goes into the bundle.
Result<bool> Homecoming::bring(const std::string& name, const std::string& id) {
  std::string why = unwritable_;
  if (why.empty()) {
    auto brought = bring_objects(q_, git_, *origin_.repository, known_, {id}, *room_);
    if (!brought && brought.error().code != Code::denied) return brought;
    if (brought && !*brought) return false;
    auto written = then(brought, [&](bool) { return git::write_ref(*origin_.repository, name, id); });
    if (written) {
      refs_.push_back(name);
      return true;
    }
    TRY(check_room(written));  // the operator can free space, and the work then comes home as refs
    why = written.error().what;
    if (!brought) unwritable_ = why;  // the repository will not accept the next one either
  }
  unplaced_.push_back({name, id, why});
  return true;
}

Conversions Homecoming::conversions() const {
  Conversions how;
  how.ignores = origin_.repository.has_value();
  if (!origin_.repository) return how;
  auto is = [&](const char* name, std::string_view value) {
    auto set = settings_.core.find(name);
    return set != settings_.core.end() && set->second == value;
  };
  how.modes = !is("core.filemode", "false");
  // git commits the same content with either setting.
  if (is("core.autocrlf", "true") || is("core.autocrlf", "input")) how.options = {"-c", "core.autocrlf=input"};
  return how;
}

// Finds the directories without files that the agent created, which git cannot store. The permissions of a new
// directory are not known.
Result<> Homecoming::find_empty_directories() {
  std::erase_if(q_.permissions, [&](const std::string& path) {
    struct stat st{};
    return !q_.sent.contains(path) && ::lstat((q_.source + "/" + path).c_str(), &st) != 0;
  });
  std::vector<std::string> made;
  for (const auto& path : q_.empty_directories) {
    struct stat st{};
    if (!q_.base.contains(path) && q_.shown(path) != start_ && ::lstat((q_.source + "/" + path).c_str(), &st) != 0)
      made.push_back(path);
  }
  KeyedSet<std::string> ignored;
  if (origin_.repository) ignored = TRY(ignored_of(q_, git_, made));
  for (auto& path : made)
    if (!ignored.contains(path)) empty_directories_.push_back(q_.shown(path) + "/");
  return {};
}

Result<> Homecoming::take_files(const std::map<std::string, std::string>& submodules, uint64_t& entries) {
  std::string message = "What session " + in_.session + " left in its workspace";
  TRY(leave_out_work_trees(entries));
  // The refs came first, so that nothing that fails here keeps the commits from coming home.
  const auto* committed = listed_.commit == head_ ? &listed_.changes : nullptr;
  auto left = compare(q_, git_, conversions(), base_, head_, committed, submodules, message);
  TRY(check_room(left));
  if (!left && head_ != base_) left = compare(q_, git_, conversions(), base_, base_, nullptr, submodules, message);
  changes_ = TRY(std::move(left));
  TRY(find_empty_directories());
  auto changes = changes_.changes, copies = changes_.filtered;
  copies.insert(copies.end(), changes_.unpatched.begin(), changes_.unpatched.end());
  changes.insert(changes.end(), copies.begin(), copies.end());
  TRY(inspection_->take(changes, ""));
  for (const auto& [path, why] : q_.flagged) inspection_->flag(path, why);
  TRY(write_patch());
  // The operator's git runs the filters when these files are added to the index.
  bool is_repository = origin_.repository.has_value();
  std::erase_if(copies, [](const Change& file) { return !file.mode.starts_with("100"); });
  TRY(copy_files(q_, git_, copies, results_ + "/filtered", in_.max_bytes, leave()));
  if (!copies.empty()) filtered_ = results_ + "/filtered";
  for (const auto& file : changes_.unpatched)
    if (file.mode == git::kSymlink && !is_repository)
      leave()(file.path, "not brought home, because it is a link, and bottle has no copy of what it replaced");
  if (!is_repository) TRY(copy_files(q_, git_, changes_.changes, results_ + "/files", in_.max_bytes, leave()));
  if (is_repository && changes_.worktree != base_) {
    whole_ = prefix_ + "worktree";
    if (!TRY(bring(whole_, changes_.worktree))) {
      whole_.clear();
      std::string only = patch_.empty() ? "" : ", so they are only in the patch";
      inspection_->flag("the files as they were left", "they did not pass git's checks" + only);
    }
  } else if (is_repository && refs_known()) {
    // The agent has undone what an earlier call brought. If this fails, the next pull tries again.
    (void)git::delete_refs(*origin_.repository, {prefix_ + "worktree"});
  }
  // A ref cannot show that the agent undid changes of the operator, or that it removed files that were not committed.
  bool needs_patch = !changes_.changes.empty() && (whole_.empty() || changes_.was_changed);
  if (needs_patch && patch_.empty()) ++q_.skipped;
  if (is_repository) TRY(take_staged());
  if (!unplaced_.empty()) TRY(write_bundle());
  return {};
}

// Lists the changes first, as take_ref() does.
Result<bool> Homecoming::bring_staged(const Staged& staged, const std::string& name) {
  if (staged.commit.empty()) return false;
  auto list = changes(q_, git_, base_, staged.commit);
  TRY(check_room(list));
  if (!list) return false;
  auto brought = bring(name, staged.commit);
  TRY(check_room(brought));
  if (!brought && brought.error().code != Code::limit) return brought;
  if (!brought || !*brought) return false;
  TRY(inspection_->take(*list, "staged"));
  return true;
}

// Brings what is in the agent's indexes, and in no file and no commit that came home.
Result<> Homecoming::take_staged() {
  std::string name = prefix_ + "staged";
  auto old = git::read_refs(*origin_.repository, prefix_).value_or(git::Refs());
  std::erase_if(old, [&](const auto& ref) { return ref.first != name && !ref.first.starts_with(name + "-"); });
  CameHome home{.base = base_, .head = head_, .commits = ids_, .contents = changes_.contents};
  if (changes_.worktree != base_) home.commits.push_back(changes_.worktree);
  for (const auto& [ref, id] : old) home.earlier.push_back(id);
  std::string message = "What session " + in_.session + " staged in its workspace";
  auto found = only_staged(q_, git_, *origin_.repository, home, message);
  TRY(check_room(found));
  if (!found && found.error().code == Code::canceled) return std::unexpected(std::move(found.error()));
  if (!found) {
    inspection_->flag(".git/index", "what is only staged was not brought home: " + found.error().what);
    ++q_.skipped;
    return {};
  }
  for (auto& staged : *found) {
    staged.ref = name + (staged.work_tree.empty() ? "" : "-" + encoded_component(staged.work_tree));
    if (TRY(bring_staged(staged, staged.ref))) {
      old.erase(staged.ref);
    } else {
      staged.left.insert(staged.left.end(), staged.paths.begin(), staged.paths.end());
      staged.paths.clear();
    }
    for (const auto& path : staged.left)
      inspection_->flag(path, "it is only staged, in no file and no commit, and was not brought home");
    q_.skipped += staged.left.size();
    if (!staged.paths.empty()) staged_.push_back(std::move(staged));
  }
  if (!refs_known()) return {};
  std::vector<std::string> gone;
  for (const auto& [ref, id] : old) gone.push_back(ref);
  (void)git::delete_refs(*origin_.repository, gone);  // if this fails, the next pull tries again
  return {};
}

}  // namespace bottle::workspace
