// Sorts an untrusted archive as it arrives, in one pass. Each entry goes to the innermost repository that contains
// it. Of a .git, only loose objects, packs, indexes and a few text files are taken; what git would run or obey
// (hooks, configuration, alternates) is left behind. An unchanged file is only noted by its id, so a large workspace
// with few changes costs few writes. All repositories share one budget for bytes, entries and memory.
#include "workspace/quarantine/quarantine.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>

#include "base/files/entries.h"
#include "base/files/file.h"
#include "base/text/line.h"
#include "base/unique_fd.h"
#include "workspace/files/blob_id.h"
#include "workspace/files/paths.h"
#include "workspace/files/untar.h"
#include "workspace/quarantine/names.h"
#include "workspace/quarantine/ref_files.h"

namespace bottle::workspace {
namespace {

constexpr size_t kMostPacks = 1000, kLongestLink = 4095, kEntryCost = 512, kMostEmpty = 10'000;
constexpr size_t kMostIndexes = 100, kMostPermissions = 1000;
// The limit in bytes for the path of a directory in the archive. A file below a longer one may have a path of more than
// the 4095 bytes that a system call accepts. The engine leaves out such a file without an error.
constexpr size_t kLongestWhole = 3500;
constexpr int kPackPatience = 600;             // seconds for all packs together
constexpr uint64_t kComparedAtMost = 4 << 20;  // a larger file is written before it is known whether it changed

// Holds what all quarantines of one archive together may still use.
struct Budget {
  uint64_t bytes, held;

  Result<> charge(uint64_t more) {
    if (more > bytes) return fail(Code::limit, "the workspace that came back is larger than the limit");
    bytes -= more;
    return {};
  }
  Result<> hold(uint64_t more) {
    if (more > held) return fail(Code::limit, "more links come back than the limit");
    held -= more;
    return {};
  }
};

// Fills the quarantine of one repository.
class Filler {
 public:
  Filler(Quarantine& q, Budget& budget, Tree tree, Tree repository)
      : q_(q), budget_(budget), tree_(std::move(tree)), repository_(std::move(repository)), refs_(q) {}

  uint64_t implied() const { return tree_.implied() + repository_.implied(); }

  // Handles a file of the tree. `target` is what a hard link leads to.
  Result<> entry(const Path& path, const TarEntry& e, const Source& body, const std::optional<Path>& target) {
    bool done = false;
    std::string name = join(path);
    note_in_use(name);
    switch (e.kind) {
      case TarEntry::Kind::directory:
        q_.untouched.erase(name);
        done = TRY(tree_.directory(path));
        if (done && q_.empty_directories.size() < kMostEmpty) q_.empty_directories.insert(name);
        note_permissions(name, e, 0755);
        break;
      case TarEntry::Kind::file:
        done = TRY(file(path, e, body));
        if (done) q_.links.erase(name);
        break;
      case TarEntry::Kind::symlink:
        return symlink(path, e.target);
      case TarEntry::Kind::hardlink:
        done = target && TRY(hardlink(path, *target));
        break;
      case TarEntry::Kind::other:
        q_.leave(name, "a socket, pipe or device: left behind");
        return {};
    }
    if (!done) q_.leave(name, "not brought home, because it cannot be created at this path");
    return {};
  }

  // Reports a directory whose content may be missing in the archive. Reports nothing for directories below it.
  void note_cut_off(const Path& path) {
    std::string name = join(path);
    q_.empty_directories.erase(name);
    if (!cut_off_.empty() && name.starts_with(cut_off_ + "/")) return;
    cut_off_ = name;
    q_.leave(name.substr(0, 200) + "…",
             "what lies below it may be missing, because the engine leaves out paths of more than 4095 bytes");
  }

  // Reports an entry that is left behind, unless the operator has an identical one.
  Result<> leave(const Path& path, const TarEntry& e, const Source& body, const char* why) {
    std::string name = join(path);
    note_in_use(name);
    if (TRY(is_the_operators(name, e, body))) return {};
    if (size_t git = name.find("/.git/"); git != std::string::npos) leave_repository(name.substr(0, git + 5), why);
    else q_.leave(name, why);
    return {};
  }

  // Handles an entry of the git directory. `path` is relative to it.
  Result<> git_entry(const Path& path, const TarEntry& e, const Source& body) {
    if (path.empty()) {
      if (e.kind != TarEntry::Kind::directory) return leave({".git"}, e, body, "not a directory: left behind");
      return {};
    }
    if (e.kind == TarEntry::Kind::directory) return {};
    std::string name = join(path);
    auto leave_it = [&](const char* why) {
      Path whole = path;
      whole.insert(whole.begin(), ".git");
      return leave(whole, e, body, why);
    };
    if (path.size() >= 2 && path[0] == "hooks" && !name.ends_with(".sample")) return leave_it("a hook: left behind");
    if (name == "objects/info/alternates" || name == "objects/info/http-alternates")
      return leave_it("points at other repositories: left behind");
    if (path[0] == "modules" && path.size() > 2) return leave_it("a repository of a submodule: left behind");
    // Without a repository on this side, none of it can be taken. If its objects were read anyway, one whose content
    // does not match its name could appear in the patch.
    if (q_.known_objects.empty()) {
      if (!TRY(is_the_operators(".git/" + name, e, body)))
        leave_repository(".git", "not brought home, because the agent made this repository");
      return {};
    }
    if (e.kind == TarEntry::Kind::hardlink) return hardlinked_object(path, e);
    if (e.kind != TarEntry::Kind::file) {
      q_.leave(".git/" + name, "not brought home, because it is a link or a device in .git");
      return {};
    }
    if (path.size() > 2 && path[0] == "lfs" && path[1] == "objects") {
      if (!has_large_file(name, e.size)) q_.leave(".git/lfs", "files of git-lfs that you do not have: left behind");
      return {};
    }
    if (is_loose_object(path) || is_pack(path)) return object(path, name, body);
    if (is_index(path)) return index(name, e, body);
    return refs_.take(name, body);
  }

  void end() { refs_.end(); }

 private:
  // Reports a whole repository once, not each of its files.
  void leave_repository(const std::string& git, const char* why) {
    if (q_.flagged.empty() || q_.flagged.back() != std::pair(git, std::string(why))) q_.leave(git, why);
  }

  // Records permissions that a commit cannot hold. Everything that is sent has those of a checkout.
  void note_permissions(const std::string& name, const TarEntry& e, int sent) {
    if (e.mode == sent) q_.permissions.erase(name);
    else if (q_.permissions.size() < kMostPermissions) q_.permissions.insert(name);
  }

  // Notes that the directory of this path is not empty.
  void note_in_use(const std::string& path) {
    if (size_t slash = path.rfind('/'); slash != std::string::npos) q_.empty_directories.erase(path.substr(0, slash));
  }

  // Keeps the link as text. If it existed on the disk, later entries of the archive could be written through it.
  Result<> symlink(const Path& path, const std::string& target) {
    std::string name = join(path);
    if (target.size() > kLongestLink) {
      q_.leave(name, "a link that is too long: left behind");
      return {};
    }
    auto was = q_.sent.find(name);
    bool same = was != q_.sent.end() && was->second.mode == "120000" &&
                was->second.id == blob_id(target, was->second.id_size());
    q_.aliases.erase(name);
    q_.links.erase(name);
    if (same) {
      (void)TRY(tree_.absent(path));
      q_.written.erase(name);
      q_.untouched.insert(name);
      return {};
    }
    TRY(budget_.hold(name.size() + target.size()));
    q_.untouched.erase(name);
    q_.links[name] = target;
    return {};
  }

  Result<bool> hardlink(const Path& path, const Path& target) {
    std::string name = join(path), other = join(target);
    if (auto link = q_.links.find(other); link != q_.links.end()) {
      TRY(budget_.hold(name.size() + link->second.size()));
      std::string text = link->second;
      TRY(symlink(path, text));
      return true;
    }
    // An alias of an alias leads to the same unchanged file.
    auto known = q_.aliases.find(other);
    std::string from = known == q_.aliases.end() ? other : known->second;
    if (!q_.untouched.contains(from)) {
      bool done = TRY(tree_.hardlink(path, target));
      q_.untouched.erase(name);
      if (done) q_.written.insert(name);
      return done;
    }
    auto was = q_.sent.find(name);
    const auto& same = q_.sent.at(from);
    if (was != q_.sent.end() && was->second.id == same.id && was->second.mode == same.mode) {
      q_.untouched.insert(name);
      return true;
    }
    TRY(budget_.hold(name.size()));
    q_.untouched.erase(name);
    q_.aliases[name] = from;
    return true;
  }

  // Writes the file unless it is as it was sent. Always writes files of rules, because git reads those from the disk.
  Result<bool> file(const Path& path, const TarEntry& e, const Source& body) {
    std::string name = join(path);
    auto was = q_.sent.find(name);
    bool known = was != q_.sent.end() && was->second.mode != "120000";
    bool comparable = known && was->second.mode == (e.mode & 0100 ? "100755" : "100644");
    bool rules = path.back() == ".gitignore" || path.back() == ".gitattributes";
    q_.untouched.erase(name);
    q_.aliases.erase(name);
    q_.only_mode.erase(name);
    bool done = false, same = false;
    if (!comparable || e.size > kComparedAtMost) {
      BlobHash hash(e.size, known ? was->second.id_size() : 20);
      done = TRY(tree_.file(
          path, e.mode & 0100,
          [&](char* to, size_t room) -> Result<size_t> {
            size_t n = TRY(body(to, room));
            if (known) hash.add({to, n});
            return n;
          },
          &budget_.bytes));
      bool same_content = done && known && hash.end() == was->second.id;
      same = same_content && comparable && TRY(tree_.absent(path));
      if (same_content && !comparable) q_.only_mode.insert(name);
    } else {
      content_.clear();
      while (size_t n = TRY(body(chunk_.data(), chunk_.size()))) content_.append(chunk_, 0, n);
      same = blob_id(content_, was->second.id_size()) == was->second.id && TRY(tree_.absent(path));
      if (!same || rules) done = TRY(write(path, e.mode & 0100));
    }
    q_.written.erase(name);
    if (same) q_.untouched.insert(name);
    else if (done) q_.written.insert(name);
    if (same) note_permissions(name, e, was->second.mode == "100755" ? 0755 : 0644);
    return done || same;
  }

  Result<bool> write(const Path& path, bool executable) {
    size_t at = 0;
    return tree_.file(
        path, executable,
        [&](char* to, size_t room) -> Result<size_t> {
          size_t n = content_.copy(to, room, at);
          at += n;
          return n;
        },
        &budget_.bytes);
  }

  Result<bool> is_the_operators(const std::string& name, const TarEntry& e, const Source& body) {
    // The git directory of a submodule or of a linked work tree is elsewhere.
    std::string path =
        name.starts_with(".git/") && !q_.git_dir.empty() ? q_.git_dir + name.substr(4) : q_.source + "/" + name;
    struct stat st{};
    if (::lstat(path.c_str(), &st) != 0) return false;
    if (e.kind == TarEntry::Kind::directory) return S_ISDIR(st.st_mode);
    if (e.kind == TarEntry::Kind::symlink) {
      std::string target(e.target.size() + 1, '\0');
      ssize_t n = ::readlink(path.c_str(), target.data(), target.size());
      return n == static_cast<ssize_t>(e.target.size()) && target.starts_with(e.target);
    }
    if (e.kind != TarEntry::Kind::file || !S_ISREG(st.st_mode) || static_cast<uint64_t>(st.st_size) != e.size)
      return false;
    if (e.size > kComparedAtMost)
      return name.find(".git/") != std::string::npos && name.find("/pack/") != std::string::npos;
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!fd) return false;
    auto own = read_all(fd.get(), path, kComparedAtMost);
    if (!own) return false;
    content_.clear();
    while (size_t n = TRY(body(chunk_.data(), chunk_.size()))) content_.append(chunk_, 0, n);
    return content_ == *own;
  }

  // Returns whether the operator's git-lfs keeps this file. Its name is the hash of its content.
  bool has_large_file(const std::string& name, uint64_t size) const {
    struct stat st{};
    std::string path = q_.known_objects.substr(0, q_.known_objects.rfind('/') + 1) + name;
    return ::lstat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && static_cast<uint64_t>(st.st_size) == size;
  }

  Result<> object(const Path& path, const std::string& name, const Source& body) {
    // If the operator's repository has the object, the agent's version is ignored.
    if (::access((q_.known_objects + name.substr(std::string_view("objects").size())).c_str(), F_OK) == 0) return {};
    Path to = is_pack(path) ? Path{"incoming", path[2]} : path;
    if (!TRY(repository_.file(to, false, body, &budget_.bytes)))
      q_.leave(".git/" + name, "not brought home, because it cannot be created at this path");
    return {};
  }

  // Keeps an index on the disk, because there may be many large ones. They are read later, one at a time.
  Result<> index(const std::string& name, const TarEntry& e, const Source& body) {
    auto known = q_.indexes.find(name);
    Path to{"indexes", std::to_string(q_.indexes.size())};
    if (known != q_.indexes.end()) to = {"indexes", known->second.substr(known->second.rfind('/') + 1)};
    bool fits = e.size <= kLargestIndex && (known != q_.indexes.end() || q_.indexes.size() < kMostIndexes);
    if (fits && TRY(repository_.file(to, false, body, &budget_.bytes)))
      q_.indexes[name] = q_.repository.path() + "/" + join(to);
    else
      q_.leave(".git/" + name, "what is only staged was not brought home, because the index is larger than the limit");
    return {};
  }

  Result<> hardlinked_object(const Path& path, const TarEntry& e) {
    auto target = safe_components(e.target);
    bool done = false;
    if (target && target->size() > 3) {
      Path end(target->end() - 3, target->end());
      if (is_loose_object(path) && is_loose_object(end)) done = TRY(repository_.hardlink(path, end));
    }
    if (!done) q_.leave(".git/" + join(path), "not brought home, because it is a link or a device in .git");
    return {};
  }

  Quarantine& q_;
  Budget& budget_;
  Tree tree_, repository_;
  RefFiles refs_;
  std::string cut_off_;  // the last directory whose content may be missing
  std::string content_, chunk_ = std::string(65536, '\0');
};

// Unpacks the archive of the whole workspace.
class Unpacker {
 public:
  Unpacker(const Incoming& limits) : budget_{limits.max_bytes, limits.max_held}, entries_left_(limits.max_entries) {}

  Result<> add(Quarantine& q) {
    Part part{&q, q.place.empty() ? Path{} : split_path(q.place), split_path(q.git_at), nullptr};
    part.filler = std::make_unique<Filler>(q, budget_, TRY(Tree::open(q.tree())), TRY(Tree::open(q.repository.path())));
    trees_[q.place] = parts_.size();
    if (!q.git_at.empty()) repositories_[q.git_at] = parts_.size();
    parts_.push_back(std::move(part));
    return {};
  }

  Result<> entry(const TarEntry& e, const Source& body) {
    if (entries_left_-- <= implied_)
      return fail(Code::limit, "the workspace that came back has more entries than the limit");
    // Each entry also takes an inode, so even empty ones are charged.
    TRY(budget_.charge(kEntryCost + e.path.size() + e.target.size()));
    auto path = safe_components(e.path);
    // Every path in the engine's archive begins with the name of the directory itself.
    if (path && prefix_.empty() && !path->empty()) prefix_ = (*path)[0];
    if (!path || path->empty() || (*path)[0] != prefix_) {
      parts_[0].q->leave(e.path.substr(0, 200), why_unsafe(e.path));
      return {};
    }
    path->erase(path->begin());
    if (path->empty()) return {};
    if (Part* part = deepest(repositories_, *path)) {
      Count count(implied_, *part->filler);
      return part->filler->git_entry(Path(path->begin() + static_cast<long>(part->git.size()), path->end()), e, body);
    }
    Part& part = tree_of(*path);
    Count count(implied_, *part.filler);
    Path own(path->begin() + static_cast<long>(part.place.size()), path->end());
    if (own.empty()) {  // the top of the repository
      if (e.kind != TarEntry::Kind::directory)
        part.q->leave("the directory", "not brought home, because it is no longer one");
      return {};
    }
    for (const auto& component : own)
      if (is_git_directory(component))
        return part.filler->leave(own, e, body, "not brought home, because it belongs to a repository within the tree");
    if (e.kind == TarEntry::Kind::directory && e.path.size() > kLongestWhole) {
      TRY(part.filler->entry(own, e, body, std::nullopt));
      part.filler->note_cut_off(own);
      return {};
    }
    return part.filler->entry(own, e, body, e.kind == TarEntry::Kind::hardlink ? target_of(e, part) : std::nullopt);
  }

  Result<> finish() {
    for (auto& part : parts_) part.filler->end();
    return {};
  }

 private:
  struct Part {
    Quarantine* q;
    Path place, git;
    std::unique_ptr<Filler> filler;
  };

  // Adds the directories that an entry implies to the sum over all parts, of which there may be thousands.
  class Count {
   public:
    Count(uint64_t& sum, const Filler& filler) : sum_(sum), filler_(filler), before_(filler.implied()) {}
    ~Count() { sum_ += filler_.implied() - before_; }

   private:
    uint64_t& sum_;
    const Filler& filler_;
    uint64_t before_;
  };

  using Places = std::unordered_map<std::string, size_t>;  // path in the workspace → index in parts_

  // Returns the part whose place is the longest that the path is at or below, or null.
  Part* deepest(const Places& places, const Path& path) {
    Part* found = nullptr;
    std::string at;
    for (size_t i = 0; i <= path.size(); ++i) {
      if (auto place = places.find(at); place != places.end()) found = &parts_[place->second];
      if (i < path.size()) at += (i ? "/" : "") + path[i];
    }
    return found;
  }

  Part& tree_of(const Path& path) {
    Part* found = deepest(trees_, path);
    return found ? *found : parts_[0];
  }

  // Returns the target of a hard link if it is in the same repository and not part of a .git.
  std::optional<Path> target_of(const TarEntry& e, const Part& part) {
    auto target = safe_components(e.target);
    if (!target || target->size() < 2 || (*target)[0] != prefix_) return std::nullopt;
    target->erase(target->begin());
    if (&tree_of(*target) != &part || target->size() == part.place.size()) return std::nullopt;
    target->erase(target->begin(), target->begin() + static_cast<long>(part.place.size()));
    for (const auto& component : *target)
      if (is_git_directory(component)) return std::nullopt;
    return target;
  }

  Budget budget_;
  uint64_t entries_left_, implied_ = 0;
  std::string prefix_;
  std::vector<Part> parts_;
  Places trees_, repositories_;
};

// Adds the packs with index-pack, which checks them.
Result<> index_packs(Quarantine& q, const git::Runner& git) {
  std::error_code error;
  auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(kPackPatience);
  size_t seen = 0;
  const std::string incoming = q.repository.path() + "/incoming";
  for (const auto& pack : TRY(names_in(incoming))) {
    auto left = std::chrono::duration_cast<std::chrono::seconds>(deadline - std::chrono::steady_clock::now()).count();
    if (++seen > kMostPacks || left <= 0) {
      q.leave(".git/objects/pack/" + pack, "not brought home, because there are too many or too large packs to read");
      continue;
    }
    UniqueFd fd(::open((incoming + "/" + pack).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return fail_errno("opening a pack");
    auto options = q.at();
    options.input_fd = fd.get();
    options.timeout_s = static_cast<int>(left);
    if (!TRY(git.agrees({"index-pack", "--stdin"}, options)))
      q.leave(".git/objects/pack/" + pack, "not brought home, because the pack is broken");
  }
  std::filesystem::remove_all(incoming, error);
  return {};
}

}  // namespace

void Quarantine::leave(const std::string& path, const std::string& why) {
  ++skipped;
  std::pair<std::string, std::string> flag(path, why);
  if (flagged.size() < kMostFlagged && (flagged.empty() || flagged.back() != flag)) flagged.push_back(std::move(flag));
}

Result<> fill(const std::vector<std::unique_ptr<Quarantine>>& all, const git::Runner& git, const Incoming& incoming,
              const Source& source) {
  Unpacker unpacker(incoming);
  for (const auto& q : all) {
    TRY(make_directories(q->tree()));
    TRY(unpacker.add(*q));
  }
  TRY(read_tar(source, [&](const TarEntry& e, const Source& body) { return unpacker.entry(e, body); }));
  TRY(unpacker.finish());
  for (const auto& q : all) TRY(index_packs(*q, git));
  return {};
}

}  // namespace bottle::workspace
