#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <utility>

#include "base/defer.h"
#include "base/file.h"
#include "base/ids.h"
#include "base/line.h"
#include "base/unique_fd.h"
#include "git/refs.h"
#include "workspace/bring.h"
#include "workspace/inspect.h"
#include "workspace/paths.h"
#include "workspace/place.h"
#include "workspace/quarantine.h"
#include "workspace/untar.h"
#include "workspace/workspace.h"

namespace bottle::workspace {
namespace {

constexpr const char* kAttributes =
    "* -filter !working-tree-encoding !diff !merge\n";  // stands above every .gitattributes of the tree
constexpr size_t kLongestTarget = 4096;

// Its own repository, whose objects and shallow boundary (both the operator's) are known to it.
Result<> prepare(Quarantine& q, const std::optional<git::Repository>& original) {
  git::Directory::Content content{.attributes = kAttributes};
  if (original) {
    content.format = original->settings.format;
    content.alternates = original->objects;
    content.shallow = original->shallow;
    q.known_objects = original->objects[0];
  }
  q.repository = TRY(git::Directory::make(q.root + "/repository", content));
  return {};
}

// Links last, when nothing is written any more. One that leads out is made only if the operator's own tree has the very
// same.
Result<> make_links(Quarantine& q, const git::Runner& git) {
  Tree tree = TRY(Tree::open(q.tree()));
  std::map<std::string, std::string> original;  // of those that lead out
  std::vector<std::string> ids;
  for (const auto& [path, entry] : q.base)
    if (entry.mode == "120000") ids.push_back(entry.object);
  auto targets = TRY(git::small_blobs(git, ids, kLongestTarget, q.at()));
  for (const auto& [path, entry] : q.base)
    if (entry.mode == "120000" && !stays_inside(path, targets[entry.object])) original[path] = targets[entry.object];
  for (const auto& [path, target] : q.links) {
    auto same = original.find(path);
    bool allowed = stays_inside(path, target) || (same != original.end() && same->second == target);
    if (!allowed && q.flagged.size() < kMostFlagged)
      q.flagged.push_back({path + " → " + target, "a link out of the tree: left behind"});
    if (!allowed || !TRY(tree.link(*safe_components(path), target))) ++q.skipped;
  }
  // Those were never sent: their absence says nothing. If the agent put something in their place, this fails, rightly.
  for (const auto& [path, target] : original)
    if (auto parts = safe_components(path); parts && !target.empty() && !q.links.contains(path))
      (void)TRY(tree.link(*parts, target));
  return {};
}

Result<> write_patch(const Quarantine& q, const git::Runner& git, const std::string& from, const std::string& to,
                     const std::string& path, uint64_t most) {
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("creating " + path);
  auto options = q.at();
  options.output_fd = fd.get();
  options.most_written = most;  // of one large file under ten thousand names it would be ten thousand times its size
  TRY(git.ask({"diff-tree", "-p", "--binary", "--full-index", "--no-renames", "--no-ext-diff", "--no-textconv",
               "--no-color", from, to, "--"},
              options));
  return {};
}

// The changed files themselves, for who has no repository to apply a patch to.
Result<> copy_files(const Quarantine& q, const git::Runner& git, const std::vector<Change>& list, const std::string& to,
                    uint64_t most) {
  std::error_code error;
  std::filesystem::remove_all(to, error);
  TRY(make_directories(to));
  Tree from = TRY(Tree::open(q.tree())), tree = TRY(Tree::open(to));
  for (const auto& change : list) {
    auto path = safe_components(change.path);
    if (!path || !change.mode.starts_with("100")) continue;
    if (q.unchanged.contains(change.path)) {  // another name of a file that is as it was
      size_t at = 0;
      std::string text = TRY(git.run({"cat-file", "blob", change.object}, q.at())).out;
      (void)TRY(tree.file(
          *path, change.mode == "100755",
          [&](char* buffer, size_t room) -> Result<size_t> {
            size_t n = text.copy(buffer, room, at);
            at += n;
            return n;
          },
          &most));
      continue;
    }
    std::error_code ignored;
    UniqueFd in(::open((q.tree() + "/" + change.path).c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat st{};
    if (!in || ::fstat(in.get(), &st) != 0 || !S_ISREG(st.st_mode)) continue;
    // Through a link on the way it would be another file.
    if (std::filesystem::canonical(q.tree() + "/" + change.path, ignored) !=
        std::filesystem::canonical(q.tree(), ignored) / change.path)
      continue;
    (void)TRY(tree.file(
        *path, st.st_mode & 0100,
        [&](char* buffer, size_t room) -> Result<size_t> {
          ssize_t n = ::read(in.get(), buffer, room);
          if (n < 0) return fail_errno("reading a file");
          return static_cast<size_t>(n);
        },
        &most));
  }
  return {};
}

// Before anything is brought: a new branch may have an old one's name as its directory. What fails here, the next pull
// tries again.
void drop_branches(const git::Repository& repository, const std::string& below,
                   const std::map<std::string, std::string>& but) {
  std::vector<std::string> gone;
  if (auto refs = git::read_refs(repository, below))
    for (const auto& [name, id] : *refs)
      if (!but.contains(name.substr(below.size()))) gone.push_back(name);
  (void)git::delete_refs(repository, gone);
}

// Where not all of it is shown, all of it is in a file.
Result<> write_all_flags(const Look& look, const std::string& results, Back& back) {
  std::string text;
  for (const auto& line : look.all()) text += line + "\n";
  back.all_flagged = results + "/look-at-these.txt";
  return write_file_atomically(back.all_flagged, text);
}

std::string counted(uint64_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

std::string advice(const Incoming& in, const Back& back, bool repository, const std::string& whole) {
  std::vector<Line> lines;
  auto add = [&](const std::string& line) { lines.emplace_back(line); };
  if (back.files == 0 && back.commits == 0) {
    add("Nothing changed in the workspace.");
  } else {
    add(counted(back.files, "file") + " changed, " + counted(back.commits, "commit") +
        ". Your working tree is as it was.");
    if (repository) {
      for (const auto& ref : back.refs) add("  " + ref);
      if (!whole.empty()) {
        add("See it:  git diff " + in.base.substr(0, 12) + " " + whole);
        add("Take it: git merge " + whole);
      }
      if (!back.patch.empty()) add("     or: git apply " + back.patch);
    } else {
      if (!back.patch.empty()) {
        add("See it:  " + back.patch);
        add("Take it: git apply " + back.patch + "   (in " + in.source + ")");
      }
      add((back.patch.empty() ? "Take it: " : "     or: ") + ("copy from " + in.results_dir + "/files"));
    }
  }
  if (back.skipped) add(std::to_string(back.skipped) + " entries were not taken.");
  return joined(lines);
}

// One homecoming, step by step.
class Sorting {
 public:
  Sorting(const Incoming& in, git::Runner git, Quarantine& q, std::optional<git::Repository> original)
      : in_(in),
        git_(std::move(git)),
        q_(q),
        original_(std::move(original)),
        own_room_(in.max_bytes),
        room_{in.room ? *in.room : own_room_, 0} {}

  // Lays out what comes beside what the work began from.
  Result<> unpack(const Source& source, git::Limits limits) {
    TRY(prepare(q_, original_));
    base_ = original_ ? in_.base : TRY(commit_files(q_, git_, in_.source, {}, "", "", "as it was"));
    head_ = base_;
    for (auto& entry : TRY(git::list_tree(git_, base_, q_.at()))) q_.base.emplace(entry.path, entry);
    TRY(fill(q_, git_, in_, source));
    // There may be hundreds of branches, each of them slow.
    limits.until = std::chrono::steady_clock::now() + in_.max_time;
    git_.set_limits(limits);
    TRY(make_links(q_, git_));
    inspection_.emplace(TRY(Inspection::make(q_, git_)));
    for (const auto& [path, why] : q_.flagged) inspection_->flag(path, why);
    if (!original_) return {};
    room_.size = size_of(q_.known_objects);
    known_ = TRY(known_commits(q_, git_, *original_, base_));
    return {};
  }

  // The agent's commits, each branch for itself: a broken one does not take the others along.
  Result<> take_branches() {
    if (!original_) return {};
    auto wanted = q_.branches;
    auto own = TRY(git::read_refs(*original_, "refs/heads/"));
    std::erase_if(wanted, [&](const auto& branch) {
      auto same = own.find("refs/heads/" + branch.first);
      return branch.second == base_ || (same != own.end() && same->second == branch.second);
    });
    if (git::is_object_id(q_.head) && q_.head != base_) wanted["bottle-detached"] = q_.head;
    if (!q_.head.empty() || !q_.branches.empty())
      drop_branches(*original_, prefix() + "heads/",
                    wanted);  // or the agent has no repository any more: then those are all there is
    for (const auto& [name, id] : wanted) {
      if (!TRY(take_branch(name, id))) {
        inspection_->flag(".git/refs/heads/" + name, "broken or incomplete: left behind");
        ++q_.skipped;
      } else if (q_.head == id || q_.head == "ref: refs/heads/" + name) {
        head_ = id;
      }
    }
    if (heads_.empty()) return {};
    std::vector<std::string> count = {"rev-list", "--count"};
    count.insert(count.end(), heads_.begin(), heads_.end());
    count.push_back("^" + base_);
    back_.commits = std::strtoull(git_.ask(count, q_.at()).value_or("0").c_str(), nullptr, 10);
    return {};
  }

  // The files as they were left, committed or not.
  Result<> take_files(const std::string& results) {
    std::string worktree = TRY(commit_worktree());
    auto list = TRY(changes(q_, git_, base_, worktree));
    back_.files = list.size();
    TRY(inspection_->take(list, ""));
    if (list.empty()) return {};
    back_.patch = results + "/changes.patch";
    auto written = write_patch(q_, git_, base_, worktree, back_.patch, in_.max_bytes);
    if (!written && written.error().code != Code::limit) return std::unexpected(std::move(written.error()));
    if (!written) {
      ::unlink(back_.patch.c_str());
      back_.patch.clear();
      inspection_->flag("the patch", "there is none: " + written.error().what);
    }
    if (!original_) return copy_files(q_, git_, list, results + "/files", in_.max_bytes);
    whole_ = prefix() + "worktree";
    if (TRY(bring_objects(q_, git_, *original_, known_, worktree, room_))) {
      TRY(git::write_ref(*original_, whole_, worktree));
      back_.refs.push_back(whole_);
    } else {
      whole_.clear();
      inspection_->flag("the files as they were left", "they did not pass git's checks, and are in the patch only");
    }
    return {};
  }

  Result<Back> finish(const std::string& results) {
    back_.flagged = inspection_->lines();
    if (inspection_->look().is_shortened()) TRY(write_all_flags(inspection_->look(), results, back_));
    back_.skipped = q_.skipped;
    back_.text = advice(in_, back_, original_.has_value(), whole_);
    return std::move(back_);
  }

 private:
  std::string prefix() const { return "refs/bottle/" + in_.session + "/"; }

  // Listed first: what no list can be made of is not for the operator's repository either.
  Result<bool> take_branch(const std::string& name, const std::string& id) {
    auto list = changes(q_, git_, base_, id);
    if (!list && list.error().code != Code::unavailable) return std::unexpected(std::move(list.error()));
    std::string to = prefix() + "heads/" + name;
    bool is_commit =
        list && git_.ask({"rev-parse", "--verify", "--quiet", id + "^{commit}"}, q_.at()).value_or("") == id;
    if (!is_commit || !TRY(bring_objects(q_, git_, *original_, known_, id, room_))) return false;
    if (auto written = git::write_ref(*original_, to, id); !written && written.error().code != Code::conflict)
      return std::unexpected(std::move(written.error()));
    else if (!written) {
      inspection_->flag(to, written.error().what);
      return false;
    }
    TRY(inspection_->take(*list, name));
    back_.refs.push_back(to);
    heads_.push_back(id);
    return true;
  }

  Result<std::string> commit_worktree() {
    std::string message = "What session " + in_.session + " left in its workspace";
    auto left = commit_files(q_, git_, q_.tree(), q_.unchanged, head_, original_ ? head_ : base_, message);
    if (!left && head_ != base_) left = commit_files(q_, git_, q_.tree(), q_.unchanged, base_, base_, message);
    std::string worktree = TRY(std::move(left));
    bool same = TRY(git_.ask({"rev-parse", worktree + "^{tree}"}, q_.at())) ==
                TRY(git_.ask({"rev-parse", head_ + "^{tree}"}, q_.at()));
    return same ? head_ : worktree;
  }

  const Incoming& in_;
  git::Runner git_;
  Quarantine& q_;
  std::optional<git::Repository> original_;
  uint64_t own_room_;
  Room room_;
  std::string base_, head_, whole_;
  std::vector<std::string> heads_, known_;
  std::optional<Inspection> inspection_;
  Back back_;
};

// The repository that the work began from; nothing where it began from none.
Result<std::optional<git::Repository>> original_of(const Incoming& in) {
  if (in.base.empty()) return std::nullopt;
  std::error_code error;
  std::string source = std::filesystem::canonical(in.source, error).string();
  if (error) return fail(Code::not_found, one_line(in.source) + ": " + error.message());
  TRY(check_place(in.source));
  auto found = TRY(git::find(source));
  if (!found) return fail(Code::not_found, one_line(source) + " is no git repository any more");
  return found;
}

}  // namespace

nlohmann::json to_json(const Back& back) {
  nlohmann::json out = {{"text", back.text},      {"refs", back.refs},   {"commits", back.commits},
                        {"files", back.files},    {"patch", back.patch}, {"flagged", back.flagged},
                        {"skipped", back.skipped}};
  if (!back.all_flagged.empty()) out["all_flagged"] = back.all_flagged;
  return out;
}

Result<Back> receive(const Incoming& in, const Source& source) {
  if (in.session.empty() || in.session.size() > 63 ||
      in.session.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos ||
      in.session[0] == '-')
    return fail(Code::invalid, "not a session's name");
  if (!in.base.empty() && !git::is_object_id(in.base)) return fail(Code::invalid, "not a commit: " + one_line(in.base));
  TRY(make_directories(in.results_dir));
  std::error_code error;
  std::string results = std::filesystem::canonical(in.results_dir, error).string();
  if (error) return fail(Code::not_found, in.results_dir + ": " + error.message());
  Quarantine q;
  q.root = in.scratch + "/incoming-" + random_hex(4);
  TRY(make_directories(q.root));
  Defer clean([&] {
    std::error_code ignored;
    std::filesystem::remove_all(q.root, ignored);
  });
  git::Limits limits{.memory = in.max_memory};
  Sorting sorting(in, TRY(git::Runner::make(q.root, limits)), q, TRY(original_of(in)));
  TRY(sorting.unpack(source, limits));
  TRY(sorting.take_branches());
  TRY(sorting.take_files(results));
  return sorting.finish(results);
}

}  // namespace bottle::workspace
