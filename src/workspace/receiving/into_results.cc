// Writes the part of a homecoming that goes into the session's results instead of the operator's repository.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <set>
#include <utility>

#include "base/files/durable.h"
#include "base/files/file.h"
#include "base/files/full_disk.h"
#include "base/text/line.h"
#include "base/unique_fd.h"
#include "git/formats/modes.h"
#include "workspace/files/paths.h"
#include "workspace/receiving/homecoming.h"
#include "workspace/receiving/keep_files.h"

namespace bottle::workspace {
namespace {

constexpr size_t kMostTops = 1000;

// Names the highest directory that contains only such files, such as "dist/", instead of each file below it. `shared`
// has the directories with other files.
std::vector<std::string> top_directories_of(const std::vector<Change>& files, const std::set<std::string>& shared) {
  std::set<std::string> tops;
  for (const auto& [path, mode, object] : files) {
    size_t slash = path.find('/');
    while (slash != std::string::npos && shared.contains(path.substr(0, slash))) slash = path.find('/', slash + 1);
    if (tops.size() < kMostTops) tops.insert(slash == std::string::npos ? path : path.substr(0, slash + 1));
  }
  return {tops.begin(), tops.end()};
}

}  // namespace

// Replaces or removes the patch of an earlier call, because `bottle apply` must not apply what the agent has undone.
Result<> Homecoming::write_patch() {
  std::string path = results_ + "/changes.patch", beside = path + ".new";
  if (changes_.changes.empty()) {
    ::unlink(path.c_str());
    return {};
  }
  TRY(make_directories(results_));
  UniqueFd fd(::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("creating " + beside);
  auto options = q_.at();
  options.output_fd = fd.get();
  // One large file under ten thousand names would make a patch ten thousand times as large.
  options.most_written = in_.max_bytes;
  auto written = git_.ask({"diff-tree", "-p", "--binary", "--full-index", "--no-renames", "--no-ext-diff",
                           "--no-textconv", "--no-color", changes_.before, changes_.after, "--"},
                          options);
  if (written) {
    if (::fsync(fd.get()) != 0) return fail_errno("flushing " + beside);
    if (::rename(beside.c_str(), path.c_str()) != 0) return fail_errno("renaming " + beside);
    patch_ = path;
    return {};
  }
  ::unlink(beside.c_str());
  TRY(check_room(written));
  if (written.error().code != Code::limit) return std::unexpected(std::move(written.error()));
  ::unlink(path.c_str());
  inspection_->flag("the patch", "it could not be made: " + written.error().what);
  return {};
}

// Returns whether the object is the commit that the work started from, or one before it.
Result<bool> Homecoming::is_in_base(const std::string& id) const {
  if (q_.is_unborn || TRY(git_.run({"cat-file", "-t", id}, q_.at())).out != "commit\n") return false;
  return git_.agrees({"merge-base", "--is-ancestor", id, base_}, q_.at());
}

// Writes the bundle. Its objects are checked like those that come into a repository.
Result<> Homecoming::write_bundle() {
  auto checked = TRY(git::Directory::make(q_.root + "/checked", {.format = origin_.repository->settings.format,
                                                                 .alternates = origin_.repository->objects,
                                                                 .shallow = origin_.repository->shallow}));
  git::Repository to = *origin_.repository;
  to.objects.insert(to.objects.begin(), checked.path() + "/objects");
  std::string known_objects = std::exchange(q_.known_objects, to.objects[0]);
  std::vector<std::string> words = {"bundle", "create", "--quiet", results_ + "/work.bundle"};
  for (const auto& ref : unplaced_) {
    // git leaves out a ref to a commit that it excludes, and only warns.
    if (TRY(is_in_base(ref.id))) {
      inspection_->flag(ref.name, "it is in no bundle, because your repository has its commit " + ref.id +
                                      ", and it could not be written: " + ref.from);
      ++q_.skipped;
      continue;
    }
    auto brought = bring_objects(q_, git_, to, known_, {ref.id}, *room_);
    if (unwritable_.empty()) unwritable_ = ref.from;
    TRY(check_room(brought));
    if (!brought || !*brought) {
      inspection_->flag(ref.name, "not brought home, because it is broken or incomplete");
      ++q_.skipped;
      continue;
    }
    TRY(git_.ask({"update-ref", ref.name, ref.id}, {.in = checked}));
    words.push_back(ref.name);
  }
  q_.known_objects = known_objects;
  if (words.size() == 4) return {};
  if (!q_.is_unborn) words.push_back("^" + base_);
  TRY(make_directories(results_));
  auto made = git_.ask(words, {.in = checked});
  TRY(check_room(made));
  if (made) {
    TRY(flush(words[3]));
    bundle_ = words[3];
    return {};
  }
  // The commits are nowhere else, so the whole workspace is kept.
  inspection_->flag("the commits", "they could not be kept: " + one_line(made.error().what));
  ++q_.skipped;
  return {};
}

Leave Homecoming::leave() {
  return [this](const std::string& path, const std::string& why) {
    inspection_->flag(path, why);
    ++q_.skipped;
  };
}

// Copies ignored files that no pattern asked to keep. They are not part of the work, so a failure must not keep the
// work from coming home.
void Homecoming::copy_ignored(const std::vector<Change>& files) {
  std::vector<Change> list;
  for (const auto& file : files) {
    if (const auto* link = q_.as<Quarantine::Link>(file.path))
      uncopied_links_.push_back(file.path + " → " + link->target);
    else if (file.mode == git::kSymlink) uncopied_links_.push_back(file.path);
    else if (!file.object.empty() || !q_.is<Quarantine::Alias>(file.path)) list.push_back(file);
  }
  std::string to = results_ + "/ignored";
  auto copied = copy_files(q_, git_, list, to, ignored_bytes_, [](const auto&, const auto&) {});
  if (!copied)
    inspection_->flag("files that git ignores", "they could not be copied: " + one_line(copied.error().what));
  else if (!list.empty()) ignored_copy_ = to;
}

// Adds up and names only what is not kept.
Result<> Homecoming::keep_ignored(uint64_t& room) {
  std::vector<Change> list, rest;
  auto shared = std::move(changes_.shared_directories);
  for (const auto& file : changes_.ignored) {
    const std::string& path = file.path;
    bool named =
        std::ranges::any_of(in_.keep, [&](const auto& pattern) { return git::is_named(pattern, q_.shown(path)); });
    if (!in_.keep_ignored && !named) {
      rest.push_back(file);
      struct stat st{};
      if (::lstat((q_.tree() + "/" + path).c_str(), &st) == 0) ignored_bytes_ += static_cast<uint64_t>(st.st_size);
      continue;
    }
    add_directories_above(path, shared);
    // A link among the files could make a later copy of them write somewhere else.
    if (const auto* link = q_.as<Quarantine::Link>(path)) ignored_links_.push_back(path + " → " + link->target);
    else if (file.mode == git::kSymlink) ignored_links_.push_back(path);
    else if (file.object.empty() && q_.is<Quarantine::Alias>(path)) leave()(path, kUnknownTarget);
    else list.push_back(file);
  }
  TRY(copy_files(q_, git_, list, results_ + "/kept", in_.max_bytes, leave()));
  if (!list.empty()) kept_ = results_ + "/kept";
  TRY(inspection_->take_kept(list));
  bool fits = ignored_bytes_ <= room;
  if (fits) room -= ignored_bytes_;
  copy_ignored(fits ? rest : std::vector<Change>());
  ignored_tops_ = top_directories_of(rest, shared);
  changes_.ignored = std::move(rest);
  return {};
}

}  // namespace bottle::workspace
