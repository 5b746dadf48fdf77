#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <set>
#include <utility>

#include "base/defer.h"
#include "base/file.h"
#include "base/ids.h"
#include "base/line.h"
#include "base/unique_fd.h"
#include "workspace/paths.h"
#include "workspace/quarantine.h"
#include "workspace/untar.h"
#include "workspace/workspace.h"

namespace bottle::workspace {
namespace {

constexpr const char* kAttributes =
    "* -filter !working-tree-encoding !diff !merge\n";  // stands above every .gitattributes of the tree
constexpr size_t kFlagLimit = 200, kLongestTarget = 4096, kMostInspected = 32;

struct Original {
  bool repository = false;
  std::string top;
};

// Its own repository, whose objects and shallow boundary (both the operator's) are known to it.
Result<> prepare(Quarantine& q, const Git& git, const Original& original) {
  std::string format = "sha1";
  if (original.repository)
    format = git.ask({"rev-parse", "--show-object-format"}, {.directory = original.top}).value_or("sha1");
  TRY(git.ask({"init", "--quiet", "--bare", "--template=", "--object-format=" + format, "--", q.repository()}, {}));
  TRY(make_directories(q.repository() + "/info"));
  TRY(make_directories(q.repository() + "/objects/info"));
  TRY(write_file_atomically(q.repository() + "/info/attributes", kAttributes));
  if (!original.repository) return {};
  auto where = [&](const char* what) {
    return git.ask({"rev-parse", "--path-format=absolute", "--git-path", what}, {.directory = original.top});
  };
  std::string objects = TRY(where("objects"));
  q.known_objects = objects;
  if (objects.find('\n') != std::string::npos || objects.starts_with('"'))
    return fail(Code::invalid, "the repository's path has a newline in it");
  TRY(write_file_atomically(q.repository() + "/objects/info/alternates", objects + "\n"));
  if (auto shallow = read_file(TRY(where("shallow"))))
    TRY(write_file_atomically(q.repository() + "/shallow", *shallow));
  return {};
}

// Links last, when nothing is written any more. One that leads out is made only if the operator's own tree has the very
// same.
Result<> make_links(Quarantine& q, const Git& git) {
  Tree tree = TRY(Tree::open(q.tree()));
  std::map<std::string, std::string> original;  // of those that lead out
  std::vector<std::string> ids;
  for (const auto& [path, entry] : q.base)
    if (entry.mode == "120000") ids.push_back(entry.object);
  auto targets = TRY(small_blobs(git, ids, kLongestTarget, q.at()));
  for (const auto& [path, entry] : q.base)
    if (entry.mode == "120000" && !stays_inside(path, targets[entry.object])) original[path] = targets[entry.object];
  for (const auto& [path, target] : q.links) {
    auto same = original.find(path);
    bool allowed = stays_inside(path, target) || (same != original.end() && same->second == target);
    if (!allowed && q.flagged.size() < kMostFlagged)
      q.flagged.push_back(one_line(path) + ": a link out of the tree, to " + one_line(target, 200) + ": dropped");
    if (!allowed || !TRY(tree.link(*safe_components(path), target))) ++q.skipped;
  }
  // Those were never sent: their absence says nothing. If the agent put something in their place, this fails, rightly.
  for (const auto& [path, target] : original)
    if (auto parts = safe_components(path); parts && !target.empty() && !q.links.contains(path))
      (void)TRY(tree.link(*parts, target));
  return {};
}

// What a person should see before running anything.
Result<> inspect(const Quarantine& q, const Git& git, const std::vector<Change>& list, const std::string& where,
                 std::set<std::string>& flags) {
  std::vector<std::string> links, packages;
  auto is_package = [](const std::string& path) { return path == "package.json" || path.ends_with("/package.json"); };
  for (const auto& change : list) {
    if (change.mode == "120000") links.push_back(change.object);
    else if (change.mode.starts_with("100") && is_package(change.path)) packages.push_back(change.object);
  }
  using Texts = std::map<std::string, std::string>;
  Texts targets = small_blobs(git, links, kLongestTarget, q.at()).value_or(Texts()),
        texts = small_blobs(git, packages, 1 << 20, q.at()).value_or(Texts());
  for (const auto& change : list) {
    if (change.mode == "000000") continue;
    if (flags.size() >= kFlagLimit + q.flagged.size()) {  // those of .git leave room for these
      flags.insert("… and more");
      return {};
    }
    std::string name = one_line(change.path) + where;
    if (change.mode == "160000") flags.insert(name + ": a submodule");
    else if (auto why = reason_to_look(change.path); !why.empty()) flags.insert(name + ": " + std::string(why));
    else if (change.mode == "120000") {
      const std::string& target = targets[change.object];
      if (!stays_inside(change.path, target))
        flags.insert(name + ": a link out of the tree, to " + one_line(target, 200));
    } else if (is_package(change.path)) {
      auto text = texts.find(change.object);
      if (text == texts.end()) flags.insert(name + ": too large to be looked through");
      else if (has_install_script(text->second)) flags.insert(name + ": has install scripts");
    }
  }
  return {};
}

Result<> write_patch(const Quarantine& q, const Git& git, const std::string& from, const std::string& to,
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
Result<> copy_files(const Quarantine& q, const Git& git, const std::vector<Change>& list, const std::string& to,
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

// What the operator's objects take of the disk.
uint64_t size_of(const std::string& objects) {
  uint64_t bytes = 0;
  std::error_code error;
  for (std::filesystem::recursive_directory_iterator file(objects, error), end; !error && file != end;
       file.increment(error)) {
    std::error_code gone;
    if (uint64_t size = file->is_regular_file(gone) ? file->file_size(gone) : 0; !gone) bytes += size;
  }
  return bytes;
}

// What may still come into the operator's objects, and what they take of the disk now.
struct Room {
  uint64_t& left;
  uint64_t size;
};

// Brings one commit over as a ref, every object checked. False: it or something it needs is broken or missing. An
// error: there is no room for it. What it takes of the room is seen there only, where git packs what was small
// otherwise; what failed leaves something too.
Result<bool> fetch(const Quarantine& q, const Git& git, const std::string& top, const std::string& from,
                   const std::string& to, Room& room) {
  if (room.left == 0)
    return fail(Code::limit, "bringing the work into " + one_line(top) + ": it is more than the limit");
  auto ran = git.run({"-c", "fetch.fsckObjects=true", "-c", "transfer.fsckObjects=true", "-c",
                      "fetch.writeCommitGraph=false", "fetch", "--quiet", "--no-tags", "--no-auto-maintenance",
                      "--no-write-fetch-head", "--no-recurse-submodules", "--", q.repository(), "+" + from + ":" + to},
                     {.directory = top, .most_written = room.left});
  bool cut_off = !ran && ran.error().code == Code::limit;
  uint64_t before = std::exchange(room.size, size_of(q.known_objects));
  room.left -= cut_off ? room.left : std::min(room.left, std::max(room.size, before) - before);
  auto answer = TRY(std::move(ran));
  if (answer.status != 0 && answer.complaint.find(std::strerror(ENOSPC)) != std::string::npos)
    return fail(Code::limit, "bringing the work into " + one_line(top) + ": " + std::strerror(ENOSPC));
  return answer.status == 0;
}

// In one transaction, and before anything is brought: a new branch may have an old one's name as its directory.
void drop_branches(const Git& git, const std::string& top, const std::string& below,
                   const std::map<std::string, std::string>& but) {
  std::string refs = git.ask({"for-each-ref", "--format=%(refname)", below}, {.directory = top}).value_or("") + "\n",
              gone;
  for (size_t at = 0, end; (end = refs.find('\n', at)) != std::string::npos; at = end + 1)
    if (std::string ref = refs.substr(at, end - at); ref.starts_with(below) && !but.contains(ref.substr(below.size())))
      gone += "delete " + ref + "\n";
  if (!gone.empty())
    (void)git.ask({"update-ref", "--stdin"}, {.directory = top, .input = gone});  // the next pull tries again
}

std::string counted(uint64_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

std::string advice(const Incoming& in, const Back& back, const Original& original, const std::string& whole) {
  std::vector<Line> lines;
  auto add = [&](const std::string& line) { lines.emplace_back(line); };
  if (back.files == 0 && back.commits == 0) {
    add("Nothing changed in the workspace.");
  } else {
    add(counted(back.files, "file") + " changed, " + counted(back.commits, "commit") +
        ". Your working tree is as it was.");
    if (original.repository) {
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
  if (!back.flagged.empty()) {
    add("Look at these before you run anything:");
    for (const auto& flag : back.flagged) add("  " + flag);
  }
  if (back.skipped) add(std::to_string(back.skipped) + " entries were not taken.");
  return joined(lines);
}

}  // namespace

Result<Back> receive(const Incoming& in, const Source& source) {
  if (in.session.empty() || in.session.size() > 63 ||
      in.session.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") != std::string::npos ||
      in.session[0] == '-')
    return fail(Code::invalid, "not a session's name");
  if (!in.base.empty() && !is_object_id(in.base)) return fail(Code::invalid, "not a commit: " + one_line(in.base));
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

  GitLimits limits{.memory = in.max_memory};
  Original original{!in.base.empty(), in.source};
  Git git = TRY(Git::make(q.root, {in.source}, limits));
  if (original.repository) {
    original.top = TRY(git.ask({"rev-parse", "--show-toplevel"}, {.directory = in.source}));
    git = TRY(Git::make(q.root, {in.source, original.top}, limits));
  }
  TRY(prepare(q, git, original));
  std::string base = in.base;
  if (!original.repository) base = TRY(commit_files(q, git, in.source, {}, "", "", "as it was"));
  for (auto& entry : TRY(list_tree(git, base, q.at()))) q.base.emplace(entry.path, entry);
  TRY(fill(q, git, in, source));
  limits.until =
      std::chrono::steady_clock::now() + in.max_time;  // there may be hundreds of branches, each of them slow
  git.set_limits(limits);
  TRY(make_links(q, git));

  // The agent's commits, each branch for itself: a broken one does not take the others along.
  Back back;
  std::string prefix = "refs/bottle/" + in.session + "/", head = base;
  std::vector<std::string> heads;
  std::set<std::string> flags(q.flagged.begin(), q.flagged.end());
  uint64_t own_room = in.max_bytes;
  Room room{in.room ? *in.room : own_room, original.repository ? size_of(q.known_objects) : 0};
  // Listed first: what no list can be made of is not for the operator's repository either.
  auto bring = [&](const std::string& name, const std::string& id) -> Result<bool> {
    auto list = changes(q, git, base, id);
    if (!list && list.error().code != Code::unavailable) return std::unexpected(std::move(list.error()));
    std::string ref = "refs/heads/" + name, to = prefix + "heads/" + name;
    if (!list || !TRY(git.agrees({"update-ref", "--", ref, id}, q.at())) ||
        !TRY(fetch(q, git, original.top, ref, to, room)))
      return false;
    if (heads.size() < kMostInspected) TRY(inspect(q, git, *list, "", flags));
    back.refs.push_back(to);
    heads.push_back(id);
    return true;
  };
  if (original.repository) {
    auto wanted = q.branches;
    std::erase_if(wanted, [&](const auto& branch) {
      return branch.second == base ||
             git.ask({"rev-parse", "--verify", "--quiet", "refs/heads/" + branch.first + "^{commit}"},
                     {.directory = original.top})
                     .value_or("") == branch.second;
    });
    if (is_object_id(q.head) && q.head != base) wanted["bottle-detached"] = q.head;
    if (!q.head.empty() || !q.branches.empty())
      drop_branches(git, original.top, prefix + "heads/",
                    wanted);  // or the agent has no repository any more: then those are all there is
    for (const auto& [name, id] : wanted) {
      if (!TRY(bring(name, id))) {
        flags.insert(".git/refs/heads/" + name + ": broken or incomplete: left behind");
        ++q.skipped;
      } else if (q.head == id || q.head == "ref: refs/heads/" + name) {
        head = id;
      }
    }
    if (!heads.empty()) {
      std::vector<std::string> count = {"rev-list", "--count"};
      count.insert(count.end(), heads.begin(), heads.end());
      count.push_back("^" + base);
      back.commits = std::strtoull(git.ask(count, q.at()).value_or("0").c_str(), nullptr, 10);
    }
  }

  // The files as they were left, committed or not.
  auto left = commit_files(q, git, q.tree(), q.unchanged, head, original.repository ? head : base,
                           "What session " + in.session + " left in its workspace");
  if (!left && head != base)
    left = commit_files(q, git, q.tree(), q.unchanged, base, base,
                        "What session " + in.session + " left in its workspace");
  std::string worktree = TRY(std::move(left));
  if (TRY(git.ask({"rev-parse", worktree + "^{tree}"}, q.at())) ==
      TRY(git.ask({"rev-parse", head + "^{tree}"}, q.at())))
    worktree = head;
  auto list = TRY(changes(q, git, base, worktree));
  back.files = list.size();
  TRY(inspect(q, git, list, "", flags));
  std::string whole;
  if (!list.empty()) {
    back.patch = results + "/changes.patch";
    auto written = write_patch(q, git, base, worktree, back.patch, in.max_bytes);
    if (!written && written.error().code != Code::limit) return std::unexpected(std::move(written.error()));
    if (!written) {
      ::unlink(back.patch.c_str());
      back.patch.clear();
      flags.insert("there is no patch: " + one_line(written.error().what));
    }
    if (original.repository) {
      TRY(git.ask({"update-ref", "--", "refs/heads/bottle-worktree", worktree}, q.at()));
      whole = prefix + "worktree";
      if (TRY(fetch(q, git, original.top, "refs/heads/bottle-worktree", whole, room))) {
        back.refs.push_back(whole);
      } else {
        whole.clear();
        flags.insert("the files as they were left did not pass git's checks: they are in the patch only");
      }
    } else {
      TRY(copy_files(q, git, list, results + "/files", in.max_bytes));
    }
  }
  back.flagged.assign(flags.begin(), flags.end());
  back.skipped = q.skipped;
  back.text = advice(in, back, original, whole);
  return back;
}

}  // namespace bottle::workspace
