// An unchanged file is only noted by its id, so a large workspace with few changes costs few writes. Links are kept as
// text and made last.
#include "workspace/quarantine/tree_filler.h"

#include <utility>

#include "base/stream.h"
#include "base/text/path_parts.h"
#include "git/formats/modes.h"
#include "workspace/files/blob_id.h"
#include "workspace/files/paths.h"
#include "workspace/quarantine/leave_behind.h"

namespace bottle::workspace {
namespace {

constexpr size_t kLongestLink = 4095, kMostEmpty = 10'000, kMostPermissions = 1000, kLongestGitFile = 8192,
                 kMostGitFiles = 1000;

}  // namespace

Result<> TreeFiller::entry(const Path& path, const TarEntry& e, const Source& body, const std::optional<Path>& target) {
  bool done = false;
  std::string name = join(path);
  note_in_use(name);
  switch (e.kind) {
    case TarEntry::Kind::directory:
      done = TRY(tree_.directory(path));
      if (done || q_.is<Quarantine::AsSent>(name)) q_.paths.erase(name);
      if (done && q_.empty_directories.size() < kMostEmpty) q_.empty_directories.insert(name);
      note_permissions(name, e, 0755);
      break;
    case TarEntry::Kind::file:
      done = TRY(file(path, e, body));
      break;
    case TarEntry::Kind::symlink:
      return symlink(path, e.target);
    case TarEntry::Kind::hardlink:
      done = target && TRY(hardlink(path, *target));
      break;
    case TarEntry::Kind::other:
      q_.leave(name, "not brought home, because it is a socket, pipe or device");
      return {};
  }
  if (!done) q_.leave(name, "not brought home, because it cannot be created at this path");
  return {};
}

void TreeFiller::note_cut_off(const Path& path) {
  std::string name = join(path);
  q_.empty_directories.erase(name);
  if (!cut_off_.empty() && name.starts_with(cut_off_ + "/")) return;
  cut_off_ = name;
  q_.leave(name.substr(0, 200) + "…",
           "what lies below it may be missing, because the engine leaves out paths of more than 4095 bytes");
}

Result<> TreeFiller::leave(const Path& path, const TarEntry& e, const Source& body) {
  std::string name = join(path);
  note_in_use(name);
  bool may_be_work_tree = path.back() == ".git" && e.kind == TarEntry::Kind::file && e.size <= kLongestGitFile &&
                          q_.git_files.size() < kMostGitFiles;
  if (!may_be_work_tree) return leave_behind(q_, name, e, body, kOfRepository);
  if (!TRY(operator_has_identical(q_, name, e, body))) q_.git_files.insert(name);
  return {};
}

void TreeFiller::end() {
  std::erase_if(q_.inner_work_trees, [&](const auto& each) {
    return each.second.head.empty() || !q_.git_files.contains(each.second.place + "/.git");
  });
  auto unknown = std::move(q_.git_files);
  for (const auto& [name, tree] : q_.inner_work_trees) unknown.erase(tree.place + "/.git");
  for (const auto& path : unknown) q_.leave(path, kOfRepository);
}

// Records permissions that a commit cannot hold. Everything that is sent has those of a checkout.
void TreeFiller::note_permissions(const std::string& name, const TarEntry& e, int sent) {
  if (e.mode == sent) q_.permissions.erase(name);
  else if (q_.permissions.size() < kMostPermissions) q_.permissions.insert(name);
}

// Notes that the directory of this path is not empty.
void TreeFiller::note_in_use(const std::string& path) {
  if (std::string parent = parent_of(path); !parent.empty()) q_.empty_directories.erase(parent);
}

// Notes how a path came back. A file that an earlier entry wrote there goes.
Result<> TreeFiller::note(const Path& path, const std::string& name, Quarantine::CameBack how) {
  auto& now = q_.paths[name];
  if (std::holds_alternative<Quarantine::Written>(now) && !std::holds_alternative<Quarantine::Written>(how))
    (void)TRY(tree_.absent(path));
  now = std::move(how);
  return {};
}

// Keeps the link as text. If it existed on the disk, later entries of the archive could be written through it.
Result<> TreeFiller::symlink(const Path& path, const std::string& target) {
  std::string name = join(path);
  if (target.size() > kLongestLink) {
    q_.leave(name, "not brought home, because the link is too long");
    return {};
  }
  auto was = q_.sent.find(name);
  bool same = was != q_.sent.end() && was->second.mode == git::kSymlink &&
              was->second.id == blob_id(was->second.format(), target);
  if (same) return note(path, name, Quarantine::AsSent{});
  TRY(budget_.hold(name.size() + target.size()));
  return note(path, name, Quarantine::Link{target});
}

Result<bool> TreeFiller::hardlink(const Path& path, const Path& target) {
  std::string name = join(path), other = join(target);
  if (const auto* link = q_.as<Quarantine::Link>(other)) {
    std::string text = link->target;
    TRY(budget_.hold(name.size() + text.size()));
    TRY(symlink(path, text));
    return true;
  }
  // An alias of an alias leads to the same unchanged file.
  const auto* known = q_.as<Quarantine::Alias>(other);
  std::string from = known ? known->path : other;
  if (!q_.is<Quarantine::AsSent>(from)) {
    bool done = TRY(tree_.hardlink(path, target));
    if (done) TRY(note(path, name, Quarantine::Written{}));
    else if (q_.is<Quarantine::AsSent>(name)) q_.paths.erase(name);
    return done;
  }
  auto was = q_.sent.find(name);
  const auto& same = q_.sent.at(from);
  if (was != q_.sent.end() && was->second.id == same.id && was->second.mode == same.mode) {
    TRY(note(path, name, Quarantine::AsSent{}));
    return true;
  }
  TRY(budget_.hold(name.size()));
  TRY(note(path, name, Quarantine::Alias{from}));
  return true;
}

// Writes the file unless it is as it was sent. Always writes files of rules, because git reads those from the disk.
Result<bool> TreeFiller::file(const Path& path, const TarEntry& e, const Source& body) {
  std::string name = join(path);
  auto was = q_.sent.find(name);
  bool known = was != q_.sent.end() && was->second.mode != git::kSymlink;
  bool comparable = known && was->second.mode == git::mode_of_file(e.mode & 0100);
  bool rules = path.back() == ".gitignore" || path.back() == ".gitattributes";
  bool done = false, same = false, only_mode = false;
  bool is_whole = comparable && e.size <= kComparedAtMost;  // it is compared in memory before it is written
  if (!is_whole && e.size > budget_.tree) {
    TRY(leave_large(path, name, e, body));
    return true;
  }
  if (!is_whole) {
    BlobHash hash(known ? was->second.format() : kRecorded, e.size);
    done = TRY(tree_.file(
        path, e.mode & 0100,
        [&](char* to, size_t room) -> Result<size_t> {
          size_t n = TRY(body(to, room));
          if (known) hash.add({to, n});
          return n;
        },
        &budget_.tree));
    bool same_content = done && known && hash.end() == was->second.id;
    same = same_content && comparable && TRY(tree_.absent(path));
    if (same) budget_.tree += e.size;
    only_mode = same_content && !comparable;
  } else {
    content_.clear();
    while (size_t n = TRY(body(chunk_.data(), chunk_.size()))) content_.append(chunk_, 0, n);
    same = blob_id(was->second.format(), content_) == was->second.id && TRY(tree_.absent(path));
    if (!same && e.size > budget_.tree) {
      TRY(leave_large(path, name, e, source_of("")));
      return true;
    }
    if (!same || (rules && e.size <= budget_.tree)) done = TRY(write(path, e.mode & 0100));
  }
  if (same) q_.paths[name] = Quarantine::AsSent{};
  else if (done) q_.paths[name] = Quarantine::Written{only_mode};
  else q_.paths.erase(name);
  if (same) note_permissions(name, e, was->second.mode == git::kExecutable ? 0755 : 0644);
  return done || same;
}

// Leaves a file behind for which no room is left, unless it is as it was sent. One that was sent counts as unchanged,
// because the patch must not remove it.
Result<> TreeFiller::leave_large(const Path& path, const std::string& name, const TarEntry& e, const Source& body) {
  auto was = q_.sent.find(name);
  (void)TRY(tree_.absent(path));
  if (was == q_.sent.end()) {
    q_.paths.erase(name);
    q_.leave(name, kTooLarge);
    return {};
  }
  q_.paths[name] = Quarantine::AsSent{};
  if (was->second.mode == git::mode_of_file(e.mode & 0100)) {
    BlobHash hash(was->second.format(), e.size);
    while (size_t n = TRY(body(chunk_.data(), chunk_.size()))) hash.add({chunk_.data(), n});
    if (hash.end() == was->second.id) return {};
  }
  q_.leave(name, kTooLarge);
  return {};
}

Result<bool> TreeFiller::write(const Path& path, bool executable) {
  return tree_.file(path, executable, source_of(content_), &budget_.tree);
}

}  // namespace bottle::workspace
