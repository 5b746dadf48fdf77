// Reads a directory of small files that git may be changing at the same moment, without any lock: git replaces each
// file by a rename, so each read sees the old or the new value. Only a ref that moves from its own file into
// packed-refs could be missed, and the order of reading prevents that. If a ref has both a loose and a packed value,
// the loose one is newer.

#include "git/refs.h"

#include <dirent.h>

#include <algorithm>

#include "base/files/beneath.h"
#include "base/text/line.h"
#include "base/text/words.h"
#include "git/run/git.h"

namespace bottle::git {
namespace {

// A symbolic ref contains the name of a ref, which has at most 1024 bytes here.
constexpr size_t kLargestRef = 4096, kMostRefs = 1'000'000;
constexpr int kDeepestRef = 60, kMostSymbolic = 5;

constexpr std::string_view kSymbolic = "ref:";

// Returns the name after "ref:", or an empty string.
std::string target_of(const std::string& content) {
  if (!content.starts_with(kSymbolic)) return "";
  size_t at = content.find_first_not_of(" \t", kSymbolic.size());
  return at == std::string::npos ? "" : content.substr(at);
}

class Reader {
 public:
  Reader(const Beneath& common, Refs& found, Refs& symbolic) : common_(common), found_(found), symbolic_(symbolic) {}

  Result<> directory(const std::string& path, int depth) {
    // The recursion needs a descriptor for each level.
    if (depth > kDeepestRef) return fail(Code::limit, common_.root() + "/" + path + " is nested too deeply");
    TRY(common_.each(path, kMostRefs, [&](const std::string& name, unsigned char type) -> Result<> {
      std::string ref = path + "/" + name;
      // A lock is another writer's temporary file.
      if (name.starts_with('.') || name.ends_with(".lock")) return {};
      if (type == DT_DIR) return directory(ref, depth + 1);
      if (!is_ref_name(ref)) return {};
      if (++seen_ > kMostRefs) return fail(Code::limit, common_.root() + " has too many refs");
      auto content = TRY(common_.read(ref, kLargestRef));
      if (!content) return {};  // it was removed meanwhile
      std::string id(trimmed_end(*content, " \t\r\n"));
      // A file that is neither an id nor a symbolic ref is broken, and git ignores it in lists.
      if (is_object_id(id)) found_[ref] = id;
      else if (auto target = target_of(id); is_ref_name(target)) symbolic_[ref] = target;
      return {};
    }));
    return {};
  }

 private:
  const Beneath& common_;
  Refs &found_, &symbolic_;
  size_t seen_ = 0;
};

// Returns the content of a loose ref, or nothing if there is none.
Result<std::optional<std::string>> loose(const Beneath& directory, const std::string& name) {
  auto content = TRY(directory.read(name, kLargestRef));
  if (content) content = std::string(trimmed_end(*content, " \t\r\n"));
  return content;
}

}  // namespace

// Symbolic refs are resolved last, when the values of all others are known.
Result<Refs> read_refs(const Repository& repository, const std::string& below) {
  Beneath common = TRY(Beneath::open(repository.common_dir));
  // Reads loose refs first: a ref that is packed meanwhile is then found among the packed refs.
  Refs found, symbolic;
  Reader reader(common, found, symbolic);
  TRY(reader.directory(below.substr(0, below.size() - 1), 0));
  auto text = TRY(common.read("packed-refs", kLargestPackedRefs));
  // merge() keeps what is already there, which is the newer loose value.
  found.merge(parse_packed_refs(text.value_or(""), below));
  for (const auto& [name, target] : symbolic) {
    std::string at = target;
    // git follows at most five symbolic refs (SYMREF_MAXDEPTH). The bound also ends a circle.
    for (int i = 0; i < kMostSymbolic && symbolic.contains(at); ++i) at = symbolic[at];
    if (auto same = found.find(at); same != found.end()) found[name] = same->second;
    else found.erase(name);
  }
  return found;
}

// Follows HEAD through symbolic refs until there is an object id, or until a ref does not exist.
Result<Head> read_head(const Repository& repository) {
  Beneath own = TRY(Beneath::open(repository.git_dir)), common = TRY(Beneath::open(repository.common_dir));
  auto broken = [&](const std::string& what) {
    return fail(Code::protocol, one_line(repository.git_dir, 4096) + "/" + one_line(what) + " is broken");
  };
  // HEAD belongs to the work tree, and the branches belong to the shared directory.
  std::string content = TRY(loose(own, "HEAD")).value_or(""), name = "HEAD";
  Head head;
  for (int i = 0; i <= kMostSymbolic; ++i) {
    if (is_object_id(content)) {
      head.commit = content;
      return head;
    }
    std::string target = target_of(content);
    if (!is_ref_name(target)) return broken(name);
    name = target;
    // The branch is what HEAD itself names. A branch that is a symbolic ref leads on to another one.
    if (i == 0 && name.starts_with("refs/heads/")) head.branch = name;
    if (auto there = TRY(loose(common, name))) {
      content = *there;
      continue;
    }
    auto text = TRY(common.read("packed-refs", kLargestPackedRefs));
    auto refs = parse_packed_refs(text.value_or(""), name);
    if (auto same = refs.find(name); same != refs.end()) head.commit = same->second;
    return head;  // without a commit if the branch has none yet
  }
  return broken(name);
}

}  // namespace bottle::git
