#include "workspace/quarantine.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <set>

#include "base/file.h"
#include "base/line.h"
#include "base/unique_fd.h"
#include "workspace/blob_id.h"
#include "workspace/paths.h"
#include "workspace/untar.h"

namespace bottle::workspace {
namespace {

using Path = std::vector<std::string>;

constexpr size_t kBranchLimit = 256, kMostPacks = 1000, kLongestLink = 4095, kEntryCost = 512;
constexpr int kPackPatience = 600;             // seconds, for all of them
constexpr uint64_t kComparedAtMost = 4 << 20;  // a larger file is written before anybody knows whether it changed

bool hex(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_loose_object(const Path& p) {  // .git objects xx yyyy…
  return p.size() == 4 && p[1] == "objects" && p[2].size() == 2 && hex(p[2]) &&
         (p[3].size() == 38 || p[3].size() == 62) && hex(p[3]);
}

// Indexes are not taken: they are made anew, which reads and checks every object of the pack.
bool is_pack(const Path& p) {
  return p.size() == 4 && p[1] == "objects" && p[2] == "pack" && p[3].starts_with("pack-") && p[3].ends_with(".pack") &&
         p[3].size() < 100 && hex(std::string_view(p[3]).substr(5, p[3].size() - 10));
}

Result<std::string> text_of(const Source& body, size_t limit) {
  std::string out;
  char buffer[4096];
  while (size_t n = TRY(body(buffer, sizeof buffer))) {
    out.append(buffer, n);
    if (out.size() > limit) return std::string();  // read_tar passes over the rest
  }
  return out;
}

void take_branch(Quarantine& q, const std::string& name, std::string id) {
  while (!id.empty() && (id.back() == '\n' || id.back() == '\r' || id.back() == ' ')) id.pop_back();
  if (git::is_branch_name(name) && git::is_object_id(id) && q.branches.size() < kBranchLimit) q.branches[name] = id;
  else ++q.skipped;
}

class Filler {
 public:
  Filler(Quarantine& q, const Incoming& limits, Tree tree, Tree repository)
      : q_(q),
        source_(limits.source),
        tree_(std::move(tree)),
        repository_(std::move(repository)),
        bytes_left_(limits.max_bytes),
        entries_left_(limits.max_entries),
        held_left_(limits.max_held) {}

  Result<> entry(const TarEntry& e, const Source& body) {
    if (entries_left_-- <= tree_.implied() + repository_.implied())
      return fail(Code::limit, "more entries come back than the limit");
    // What an entry takes beside its content: an inode.
    TRY(charge(kEntryCost + e.path.size() + e.target.size()));
    auto path = safe_components(e.path);
    // The engine puts the directory's own name in front of everything.
    if (path && !prefix_known_ && !path->empty()) {
      prefix_ = (*path)[0];
      prefix_known_ = true;
    }
    if (!path || path->empty() || (*path)[0] != prefix_) return skip();
    path->erase(path->begin());
    if (path->empty()) return {};
    if ((*path)[0] == ".git") return git_entry(*path, e, body);
    for (const auto& part : *path)
      if (is_git_directory(part)) return leave(*path, e, body, "a repository within the tree: left behind");
    bool done = false;
    switch (e.kind) {
      case TarEntry::Kind::directory:
        q_.unchanged.erase(join(*path));
        done = TRY(tree_.directory(*path));
        break;
      case TarEntry::Kind::file:
        done = TRY(file(*path, e, body));
        if (done) q_.links.erase(join(*path));
        break;
      case TarEntry::Kind::symlink:
        if (e.target.size() > kLongestLink) return skip();
        TRY(hold(*path, e.target));
        q_.unchanged.erase(join(*path));
        q_.links[join(*path)] = e.target;
        return {};
      case TarEntry::Kind::hardlink: {
        auto target = safe_components(e.target);
        if (!target || target->size() < 2 || (*target)[0] != prefix_ || is_git_directory((*target)[1])) return skip();
        target->erase(target->begin());
        if (auto link = q_.links.find(join(*target)); link != q_.links.end()) {
          TRY(hold(*path, link->second));
          q_.links[join(*path)] = link->second;
          return {};
        }
        q_.unchanged.erase(join(*path));
        if (auto same = q_.unchanged.find(join(*target)); same != q_.unchanged.end()) {
          TRY(hold(*path, ""));
          q_.unchanged[join(*path)] = {join(*path), same->second.mode, same->second.object};
          return {};
        }
        done = TRY(tree_.hardlink(*path, *target));
        break;
      }
      case TarEntry::Kind::other:
        break;
    }
    return done ? Result<>{} : skip();
  }

  Result<> late_branches() {
    // A loose ref is newer than a packed one.
    for (auto& [name, id] : packed_)
      if (!q_.branches.contains(name)) take_branch(q_, name, id);
    return {};
  }

 private:
  Result<> charge(uint64_t bytes) {
    if (bytes > bytes_left_) return fail(Code::limit, "what comes back is larger than the limit");
    bytes_left_ -= bytes;
    return {};
  }

  Result<> hold(const Path& path, std::string_view target) {
    uint64_t bytes = join(path).size() + target.size();
    if (bytes > held_left_) return fail(Code::limit, "more links come back than the limit");
    held_left_ -= bytes;
    return {};
  }

  Result<> skip() {
    ++q_.skipped;
    return {};
  }

  // Written, unless it is as it was. git asks the disk for its rules, so those are always there.
  Result<bool> file(const Path& path, const TarEntry& e, const Source& body) {
    std::string name = join(path);
    auto was = q_.base.find(name);
    bool comparable = was != q_.base.end() && was->second.mode == (e.mode & 0100 ? "100755" : "100644") &&
                      e.size <= kComparedAtMost && was->second.object.size() == 40 && path.back() != ".gitignore" &&
                      path.back() != ".gitattributes";
    q_.unchanged.erase(name);
    if (!comparable) return tree_.file(path, e.mode & 0100, body, &bytes_left_);
    content_.clear();
    while (size_t n = TRY(body(chunk_.data(), chunk_.size()))) content_.append(chunk_, 0, n);
    if (blob_id(content_) == was->second.object && TRY(tree_.absent(path))) {
      q_.unchanged[name] = was->second;
      return true;
    }
    size_t at = 0;
    return tree_.file(
        path, e.mode & 0100,
        [&](char* to, size_t room) -> Result<size_t> {
          size_t n = content_.copy(to, room, at);
          at += n;
          return n;
        },
        &bytes_left_);
  }

  // What stays where it is. Of what the operator has himself, just so, nothing needs to be said.
  Result<> leave(const Path& where, const TarEntry& e, const Source& body, const char* why) {
    if (TRY(is_the_operators(where, e, body))) return {};
    std::string path = join(where);
    ++q_.skipped;
    if (q_.flagged.size() < kMostFlagged) {
      // One line for a whole foreign repository, not one for each of its files.
      std::string top = path.substr(
          0, std::min(path.find("/.git/") == std::string::npos ? path.size() : path.find("/.git/") + 5, path.size()));
      std::pair<std::string, std::string> flag(top, why);
      if (q_.flagged.empty() || q_.flagged.back() != flag) q_.flagged.push_back(flag);
    }
    return {};
  }

  Result<bool> is_the_operators(const Path& where, const TarEntry& e, const Source& body) {
    std::string path = source_ + "/" + join(where);
    struct stat st{};
    if (::lstat(path.c_str(), &st) != 0) return false;
    if (e.kind == TarEntry::Kind::directory) return S_ISDIR(st.st_mode);
    if (e.kind == TarEntry::Kind::symlink) {
      std::string target(e.target.size() + 1, '\0');
      ssize_t n = ::readlink(path.c_str(), target.data(), target.size());
      return n == static_cast<ssize_t>(e.target.size()) && target.starts_with(e.target);
    }
    if (e.kind != TarEntry::Kind::file || !S_ISREG(st.st_mode) || static_cast<uint64_t>(st.st_size) != e.size ||
        e.size > kComparedAtMost)
      return false;
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd) return false;
    auto own = read_all(fd.get(), path, kComparedAtMost);
    if (!own) return false;
    content_.clear();
    while (size_t n = TRY(body(chunk_.data(), chunk_.size()))) content_.append(chunk_, 0, n);
    return content_ == *own;
  }

  Result<> git_entry(const Path& path, const TarEntry& e, const Source& body) {
    if (path.size() == 1 && e.kind != TarEntry::Kind::directory)
      return leave(path, e, body, "not a directory: left behind");
    if (e.kind == TarEntry::Kind::directory) return {};
    std::string name = join(path, 1);
    if (path.size() >= 3 && path[1] == "hooks" && !name.ends_with(".sample"))
      return leave(path, e, body, "a hook: left behind");
    if (name == "objects/info/alternates" || name == "objects/info/http-alternates")
      return leave(path, e, body, "points at other repositories: left behind");
    // Without a repository here nothing of it is wanted, and an object that is not what its name says would show in the
    // patch.
    if (q_.known_objects.empty()) return {};
    if (e.kind != TarEntry::Kind::file) return e.kind == TarEntry::Kind::hardlink ? hardlinked_object(path, e) : skip();
    if ((is_loose_object(path) || is_pack(path)) && is_known(name)) return {};
    if (is_loose_object(path))
      return TRY(repository_.file(Path(path.begin() + 1, path.end()), false, body, &bytes_left_)) ? Result<>{} : skip();
    if (is_pack(path))
      return TRY(repository_.file({"incoming", path[3]}, false, body, &bytes_left_)) ? Result<>{} : skip();
    if (name == "HEAD") {
      q_.head = TRY(text_of(body, 1024));
      while (!q_.head.empty() && q_.head.back() == '\n') q_.head.pop_back();
      return {};
    }
    if (path.size() > 3 && path[1] == "refs" && path[2] == "heads") {
      take_branch(q_, join(path, 3), TRY(text_of(body, 128)));
      return {};
    }
    if (name == "packed-refs") {
      std::string text = TRY(text_of(body, 16 << 20));
      for (size_t from = 0; from < text.size();) {
        size_t end = std::min(text.find('\n', from), text.size());
        std::string line = text.substr(from, end - from);
        from = end + 1;
        size_t space = line.find(" refs/heads/");
        if (space == std::string::npos || packed_.size() >= kBranchLimit) continue;
        if (std::string name = line.substr(space + 12); git::is_branch_name(name))
          packed_[name] = line.substr(0, std::min<size_t>(space, 64));
      }
    }
    return {};  // config, index, logs, info: never taken
  }

  // The operator's repository has an object or a pack of that name: what the agent says of it is not wanted.
  bool is_known(const std::string& name) const {  // objects/…
    return !q_.known_objects.empty() && ::access((q_.known_objects + name.substr(7)).c_str(), F_OK) == 0;
  }

  Result<> hardlinked_object(const Path& path, const TarEntry& e) {
    auto target = safe_components(e.target);
    if (!target || target->size() != 5 || (*target)[1] != ".git") return skip();
    target->erase(target->begin());
    if (!is_loose_object(path) || !is_loose_object(*target)) return skip();
    return TRY(repository_.hardlink(Path(path.begin() + 1, path.end()), Path(target->begin() + 1, target->end())))
               ? Result<>{}
               : skip();
  }

  Quarantine& q_;
  std::string source_;
  Tree tree_, repository_;
  uint64_t bytes_left_, entries_left_, held_left_;
  std::string content_, chunk_ = std::string(65536, '\0');
  std::string prefix_;
  bool prefix_known_ = false;
  std::map<std::string, std::string> packed_;
};

// Packs go in through the front door.
Result<> index_packs(Quarantine& q, const git::Runner& git) {
  std::error_code error;
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(kPackPatience);
  size_t seen = 0;
  for (const auto& pack : std::filesystem::directory_iterator(q.repository.path() + "/incoming", error)) {
    auto left = std::chrono::duration_cast<std::chrono::seconds>(deadline - std::chrono::steady_clock::now()).count();
    if (++seen > kMostPacks || left <= 0) {
      ++q.skipped;
      continue;
    }
    UniqueFd fd(::open(pack.path().c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return fail_errno("opening a pack");
    auto options = q.at();
    options.input_fd = fd.get();
    options.timeout_s = static_cast<int>(left);
    if (!TRY(git.agrees({"index-pack", "--stdin"}, options))) {
      ++q.skipped;
      if (q.flagged.size() < kMostFlagged)
        q.flagged.push_back({".git/objects/pack/" + pack.path().filename().string(), "a broken pack: left behind"});
    }
  }
  std::filesystem::remove_all(q.repository.path() + "/incoming", error);
  return {};
}

}  // namespace

Result<> fill(Quarantine& q, const git::Runner& git, const Incoming& incoming, const Source& source) {
  TRY(make_directories(q.tree()));
  Filler filler(q, incoming, TRY(Tree::open(q.tree())), TRY(Tree::open(q.repository.path())));
  TRY(read_tar(source, [&](const TarEntry& e, const Source& body) { return filler.entry(e, body); }));
  TRY(filler.late_branches());
  return index_packs(q, git);
}

Result<std::vector<Change>> changes(const Quarantine& q, const git::Runner& git, const std::string& from,
                                    const std::string& to) {
  std::string out =
      TRY(git.ask({"diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", from, to, "--"}, q.at()));
  std::vector<Change> list;
  // ":oldmode newmode oldid newid STATUS\0path\0"
  for (size_t at = 0; at < out.size();) {
    size_t end = out.find('\0', at), stop = end == std::string::npos ? end : out.find('\0', end + 1);
    if (stop == std::string::npos) break;
    std::string_view head = std::string_view(out).substr(at, end - at);
    auto next = [&] {
      size_t space = std::min(head.find(' '), head.size());
      std::string word(head.substr(0, space));
      head.remove_prefix(std::min(space + 1, head.size()));
      return word;
    };
    next();
    std::string mode = next();
    next();
    list.push_back({out.substr(end + 1, stop - end - 1), mode, next()});
    at = stop + 1;
  }
  return list;
}

namespace {

// Which of these paths the tree's .gitignore files name.
Result<std::set<std::string>> ignored(const git::Runner& git, const std::vector<std::string>& paths,
                                      git::Runner::Options options) {
  std::set<std::string> found;
  if (paths.empty()) return found;
  for (const auto& path : paths)
    options.input += "./" + path + '\0';  // so that none of them begins like pathspec magic
  options.literal_paths = false;
  auto answer = TRY(git.run({"check-ignore", "--no-index", "-z", "--stdin"}, options));  // its status: 1 for none
  for (size_t at = 0, end; (end = answer.out.find('\0', at)) != std::string::npos; at = end + 1)
    found.insert(answer.out.substr(at + 2, end - at - 2));
  return found;
}

Result<> add_to_index(const git::Runner& git, const std::string& lines, git::Runner::Options options) {
  options.input = lines;
  TRY(git.ask({"update-index", "-z", "--index-info"}, options));
  return {};
}

std::string index_line(const git::Entry& entry) { return entry.mode + " " + entry.object + "\t" + entry.path + '\0'; }

}  // namespace

Result<std::string> commit_files(const Quarantine& q, const git::Runner& git, const std::string& tree,
                                 const std::map<std::string, git::Entry>& unchanged, const std::string& start,
                                 const std::string& parent, const std::string& message) {
  auto options = q.with_tree();
  options.work_tree = tree;
  std::error_code error;
  std::filesystem::remove(q.index(), error);
  // `git add` sees what is on the disk, beside the index of what should be there. Files that are not on the disk come
  // after it.
  std::string before, after;
  std::vector<std::string> untracked;
  if (!start.empty()) {
    std::set<std::string_view> tracked;
    auto entries = TRY(git::list_tree(git, start, q.at()));
    for (const auto& entry : entries) {
      tracked.insert(entry.path);
      if (!unchanged.contains(entry.path)) before += index_line(entry);
    }
    for (const auto& [path, entry] : unchanged)
      if (!tracked.contains(path)) untracked.push_back(path);
  }
  TRY(git.ask({"read-tree", "--empty"}, options));
  TRY(add_to_index(git, before, options));
  auto left_out = TRY(ignored(git, untracked, options));
  // One pack rather than a file for each object.
  auto added = TRY(git.run({"-c", "core.bigFileThreshold=1", "add", "-A", "--ignore-errors", "--", "."}, options));
  if (added.status > 1) return fail(Code::unavailable, "git add: " + folded(added.complaint, 500));
  for (const auto& [path, entry] : unchanged)
    if (!left_out.contains(path)) after += index_line(entry);
  TRY(add_to_index(git, after, options));
  std::string id = TRY(git.ask({"write-tree"}, options));
  std::vector<std::string> arguments = {"commit-tree", id, "-m", message};
  if (!parent.empty()) arguments.insert(arguments.end(), {"-p", parent});
  return git.ask(arguments, q.at());
}

}  // namespace bottle::workspace
