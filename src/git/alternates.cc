// git itself reads objects from these directories, so a list of names is not enough: what git will find under each
// name must be what was checked here. That is why links and special files in the places below are refused, and why the
// lists in `info/alternates` are followed here before git follows them.

#include "git/alternates.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <functional>

#include "git/formats/formats.h"
#include "git/run/owner.h"

namespace bottle::git {
namespace {

// One million entries are far more than a pack directory has, and a list of a megabyte names thousands of places.
constexpr size_t kMostStores = 64, kMostEntries = 1'000'000, kLargestList = 1 << 20;
constexpr int kLongestChain = 6;

// Returns whether git keeps objects in a directory of this name. Where the file system ignores case, capitals name the
// same directory.
bool holds_loose_objects(const std::string& name) {
  return name.size() == 2 && name.find_first_not_of("0123456789abcdefABCDEF") == std::string::npos;
}

// Fails if an object directory contains a symbolic link, because a link could show the objects of another repository
// under names that the link's author chose.
Result<> check_store(const Beneath& objects) {
  auto plain = [&](const std::string& below, const std::function<bool(const std::string&, unsigned char)>& allowed) {
    return objects.each(below, kMostEntries, [&](const std::string& name, unsigned char type) -> Result<> {
      if (allowed(name, type)) return {};
      std::string path = objects.root() + "/" + (below.empty() ? "" : below + "/") + name;
      return fail(Code::denied, path + (type == DT_LNK ? " is a symbolic link, which bottle does not follow"
                                                       : " is not a regular file"));
    });
  };
  auto is_plain = [](const std::string&, unsigned char type) { return type == DT_DIR || type == DT_REG; };
  std::vector<std::string> loose;
  // git reads no plain files at the top, so one there does no harm.
  TRY(plain("", [&](const std::string& name, unsigned char type) {
    if (holds_loose_objects(name)) loose.push_back(name);
    return type != DT_LNK;
  }));
  for (const char* below : {"pack", "info", "info/commit-graphs"}) TRY(plain(below, is_plain));
  for (const auto& below : loose) {
    // git cannot read this directory either, and it may need nothing from it.
    if (::access((objects.root() + "/" + below).c_str(), R_OK | X_OK) != 0 && errno == EACCES) continue;
    TRY(plain(below, is_plain));
  }
  return {};
}

// Adds an object directory and then, depth first, those that it borrows from. The directory is checked before its list
// is read, and each directory of the list before it is opened.
Result<> add(const std::string& path, int depth, std::vector<std::string>& stores) {
  // Repositories may borrow from each other in a circle.
  if (std::ranges::find(stores, path) != stores.end()) return {};
  if (stores.size() >= kMostStores)
    return fail(Code::limit, "it borrows objects from more than " + std::to_string(kMostStores) + " places");
  Beneath objects = TRY(Beneath::open(path));
  TRY(check_store(objects));
  stores.push_back(path);
  auto list = TRY(objects.read("info/alternates", kLargestList));
  if (!list) return {};
  for (const auto& line : alternates_in(*list)) {
    // git resolves a relative path against the object directory that contains the list.
    char* real = ::realpath((line.starts_with('/') ? line : path + "/" + line).c_str(), nullptr);
    std::string other = real ? real : "";
    std::free(real);
    // The path leads nowhere. git prints a warning and goes on as well.
    if (other.empty()) continue;
    if (depth >= kLongestChain)
      return fail(Code::limit, "it borrows objects through a chain of more than six repositories");
    // A list can name any directory of this machine, such as one that another user fills.
    TRY(check_owner_of_objects(other));
    TRY(add(other, depth + 1, stores));
  }
  return {};
}

}  // namespace

Result<std::vector<std::string>> object_directories(const Beneath& common) {
  std::vector<std::string> stores;
  TRY(add(common.root() + "/objects", 0, stores));
  return stores;
}

}  // namespace bottle::git
