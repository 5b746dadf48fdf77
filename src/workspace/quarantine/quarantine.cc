// Sorts an untrusted archive as it arrives, in one pass. Each entry goes to the innermost repository that contains
// it: to its TreeFiller, or to its GitFiller if it is in a .git. All repositories share one budget for bytes, entries
// and memory.
//
// An archive contains a file with several names only under the name that comes first. Each other name is a hard link to
// that one. A clone on the same disk shares its objects with the original in this way, and the clone may come first.
#include "workspace/quarantine/quarantine.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <filesystem>
#include <optional>

#include "base/defer.h"
#include "base/files/beneath.h"
#include "base/files/entries.h"
#include "base/files/file.h"
#include "base/keyed_hash.h"
#include "base/os/deadline.h"
#include "base/unique_fd.h"
#include "workspace/files/paths.h"
#include "workspace/files/untar.h"
#include "workspace/quarantine/budget.h"
#include "workspace/quarantine/git_filler.h"
#include "workspace/quarantine/names.h"
#include "workspace/quarantine/tree_filler.h"

namespace bottle::workspace {
namespace {

constexpr size_t kMostPacks = 1000, kEntryCost = 512, kMostInUse = 3;
// The limit in bytes for the path of a directory in the archive. A file below a longer one may have a path of more than
// the 4095 bytes that a system call accepts. The engine leaves out such a file without an error.
constexpr size_t kLongestWhole = 3500;
constexpr uint64_t kMostFirstCopies = 256 << 20;  // in bytes
constexpr int kPackPatience = 600;                // seconds for all packs together

// Returns a source that reads the file. It keeps a reference to the descriptor.
Source source_of_file(const UniqueFd& fd) {
  return [&fd](char* to, size_t room) -> Result<size_t> {
    ssize_t n = ::read(fd.get(), to, room);
    if (n < 0) return fail_errno("reading a file that came back");
    return static_cast<size_t>(n);
  };
}

// Keeps files of git directories that are left out, because a hard link in another git directory may lead to them. The
// copies are in one directory that belongs to bottle.
class FirstCopies {
 public:
  static Result<FirstCopies> make(const std::string& directory) {
    TRY(make_directories(directory));
    return FirstCopies(directory, TRY(Tree::open(directory)));
  }

  // Keeps a copy of the file and opens it. Returns no descriptor if the file does not fit.
  Result<UniqueFd> keep(const Path& path, const TarEntry& e, const Source& body) {
    if (e.size > bytes_left_ || !TRY(tree_.file({name_of(path)}, false, body, &bytes_left_))) return UniqueFd{};
    return open(path);
  }

  // Opens the copy of the file with this path. Returns no descriptor if none was kept.
  UniqueFd open(const Path& path) const {
    return UniqueFd(::open((directory_ + "/" + name_of(path)).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  }

 private:
  FirstCopies(std::string directory, Tree tree) : directory_(std::move(directory)), tree_(std::move(tree)) {}
  static std::string name_of(const Path& path) { return std::to_string(keyed_hash(join(path))); }

  std::string directory_;
  Tree tree_;
  uint64_t bytes_left_ = kMostFirstCopies;
};

// Unpacks the archive of the whole workspace.
class Unpacker {
 public:
  Unpacker(const Incoming& limits, FirstCopies first)
      : budget_{limits.max_bytes, limits.max_bytes, limits.max_bytes, limits.max_held},
        entries_left_(limits.max_entries),
        first_(std::move(first)) {}

  Result<> add(Quarantine& q) {
    Tree tree = TRY(Tree::open(q.tree()));
    tree.keep_other_spellings();
    Part part{&q,
              q.place.empty() ? Path{} : split_path(q.place),
              split_path(q.git_at),
              {q, budget_, std::move(tree)},
              {q, budget_, TRY(Tree::open(q.repository.path()))}};
    part.rest();
    trees_[q.place] = parts_.size();
    if (!q.git_at.empty()) repositories_[q.git_at] = parts_.size();
    parts_.push_back(std::move(part));
    return {};
  }

  Result<> entry(const TarEntry& e, const Source& body) {
    TRY(size_.add(e));
    if (entries_left_-- <= implied_)
      return fail(Code::limit, "the workspace that came back has more entries than the limit");
    // Each entry also takes an inode, so even empty ones are charged.
    TRY(budget_.charge_entry(kEntryCost + e.path.size() + e.target.size()));
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
      Count count(implied_, *part);
      use(*part);
      return git_entry(*part, Path(path->begin() + static_cast<long>(part->git.size()), path->end()), e, body);
    }
    Part& part = tree_of(*path);
    Count count(implied_, part);
    use(part);
    Path own(path->begin() + static_cast<long>(part.place.size()), path->end());
    if (own.empty()) {  // the top of the repository
      if (e.kind != TarEntry::Kind::directory)
        part.q->leave("the directory", "not brought home, because it is no longer one");
      return {};
    }
    if (auto git = std::ranges::find_if(own, is_git_directory); git != own.end()) {
      UniqueFd kept;
      if (e.kind == TarEntry::Kind::file && may_be_linked(Path(git + 1, own.end())))
        kept = TRY(first_.keep(*path, e, body));
      return part.in_tree.leave(own, e, kept ? source_of_file(kept) : body);
    }
    if (e.kind == TarEntry::Kind::directory && e.path.size() > kLongestWhole) {
      TRY(part.in_tree.entry(own, e, body, std::nullopt));
      part.in_tree.note_cut_off(own);
      return {};
    }
    return part.in_tree.entry(own, e, body, e.kind == TarEntry::Kind::hardlink ? target_of(e, part) : std::nullopt);
  }

  Result<> finish() {
    for (auto& part : parts_) {
      part.in_git.end();
      part.in_tree.end();
    }
    return {};
  }

 private:
  struct Part {
    Quarantine* q;
    Path place, git;
    TreeFiller in_tree;
    GitFiller in_git;

    uint64_t implied() const { return in_tree.implied() + in_git.implied(); }
    void rest() {
      in_tree.rest();
      in_git.rest();
    }
  };

  // Notes that the part is used, and closes the directories of the part that was used before the last few. The number
  // of descriptors of a process is limited, and an archive has the files of one repository after another.
  void use(Part& part) {
    if (std::ranges::find(in_use_, &part) != in_use_.end()) return;
    in_use_.push_back(&part);
    if (in_use_.size() <= kMostInUse) return;
    in_use_.front()->rest();
    in_use_.pop_front();
  }

  // Adds the directories that an entry implies to the sum over all parts, of which there may be thousands.
  class Count {
   public:
    Count(uint64_t& sum, const Part& part) : sum_(sum), part_(part), before_(part.implied()) {}
    ~Count() { sum_ += part_.implied() - before_; }

   private:
    uint64_t& sum_;
    const Part& part_;
    uint64_t before_;
  };

  using Places = KeyedMap<std::string, size_t>;  // path in the workspace → index in parts_

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

  // Returns whether the GitFiller of any repository would take a file of this path, which is relative to a git
  // directory. A link to the file may be in any of them.
  bool may_be_linked(const Path& path) const {
    if (path.empty() || path[0] == "hooks" || path[0] == "modules" || path[0] == "lfs") return false;
    return std::ranges::any_of(parts_, [&](const Part& part) {
      return !part.q->known_objects.empty() && (path[0] != "objects" || is_new_object(*part.q, path));
    });
  }

  // Handles an entry of the part's git directory. A hard link counts as a file if its content is known.
  Result<> git_entry(Part& part, const Path& path, const TarEntry& e, const Source& body) {
    UniqueFd fd;
    struct stat st{};
    if (e.kind == TarEntry::Kind::hardlink) fd = TRY(first_copy_of(e));
    if (!fd || ::fstat(fd.get(), &st) != 0) return part.in_git.entry(path, e, body);
    TarEntry file = e;
    file.kind = TarEntry::Kind::file;
    file.size = static_cast<uint64_t>(st.st_size);
    // Many links may lead to one large file, so the budget is charged for each of them.
    if (file.size > budget_.git) {
      part.q->leave(".git/" + join(path), kTooLarge);
      return {};
    }
    budget_.git -= file.size;
    return part.in_git.entry(path, file, source_of_file(fd));
  }

  // Opens the target of a hard link if it is a new file in a tree, or in a git directory that is left out. Returns no
  // descriptor otherwise.
  Result<UniqueFd> first_copy_of(const TarEntry& e) {
    auto target = safe_components(e.target);
    if (!target || target->size() < 2 || (*target)[0] != prefix_) return UniqueFd{};
    target->erase(target->begin());
    if (UniqueFd kept = first_.open(*target)) return kept;
    const Part& part = tree_of(*target);
    std::string own = join(Path(target->begin() + static_cast<long>(part.place.size()), target->end()));
    if (!part.q->is<Quarantine::Written>(own)) return UniqueFd{};
    auto file = TRY(Beneath::open(part.q->tree())).file(own);
    return file && *file ? std::move(**file) : UniqueFd{};
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
  SizeOfAll size_;
  FirstCopies first_;
  std::string prefix_;
  std::vector<Part> parts_;
  std::deque<Part*> in_use_;  // of parts_, which has all parts by now
  Places trees_, repositories_;
};

// Adds the packs with index-pack, which checks them.
Result<> index_packs(Quarantine& q, const git::Runner& git) {
  std::error_code error;
  auto deadline = Deadline::in(std::chrono::seconds(kPackPatience));
  size_t seen = 0;
  const std::string incoming = q.repository.path() + "/incoming";
  for (const auto& pack : TRY(names_in(incoming))) {
    if (++seen > kMostPacks || deadline.is_over()) {
      q.leave(".git/objects/pack/" + pack,
              "not brought home, because there are too many packs to read, or they are too large");
      continue;
    }
    UniqueFd fd(::open((incoming + "/" + pack).c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd) return fail_errno("opening a pack");
    auto options = q.at();
    options.input_fd = fd.get();
    options.timeout_s = std::max(deadline.ms_left() / 1000, 1);
    if (!TRY(git.agrees({"index-pack", "--stdin"}, options)))
      q.leave(".git/objects/pack/" + pack, "not brought home, because the pack is broken");
  }
  std::filesystem::remove_all(incoming, error);
  return {};
}

}  // namespace

bool Quarantine::is_in_nested(const std::string& path) const {
  for (size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1))
    if (nested.contains(path.substr(0, slash))) return true;
  return false;
}

void Quarantine::leave(const std::string& path, const std::string& why) {
  ++skipped;
  std::pair<std::string, std::string> flag(path, why);
  if (flagged.size() < kMostFlagged && (flagged.empty() || flagged.back() != flag)) flagged.push_back(std::move(flag));
}

Result<> fill(const std::vector<std::unique_ptr<Quarantine>>& all, const git::Runner& git, const Incoming& incoming,
              const Source& source) {
  const std::string first = all[0]->root + "/first";
  Defer clean([&] {
    std::error_code ignored;
    std::filesystem::remove_all(first, ignored);
  });
  Unpacker unpacker(incoming, TRY(FirstCopies::make(first)));
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
