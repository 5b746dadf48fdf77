// Decides by name which files of the agent's git directory are needed: objects, packs and indexes. The checks are
// exact, because a file with any other name is not brought into the quarantine.
#include "workspace/quarantine/names.h"

#include <algorithm>

#include "git/formats/formats.h"
#include "workspace/files/paths.h"

namespace bottle::workspace {
namespace {

bool hex(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

bool is_loose_object(const Path& p) {  // components: objects, xx, yyyy…
  return p.size() == 3 && p[0] == "objects" && p[1].size() == 2 && hex(p[1]) &&
         (p[2].size() == 38 || p[2].size() == 62) && hex(p[2]);
}

bool is_pack(const Path& p) {
  return p.size() == 3 && p[0] == "objects" && p[1] == "pack" && p[2].starts_with("pack-") && p[2].ends_with(".pack") &&
         p[2].size() < 100 && hex(std::string_view(p[2]).substr(5, p[2].size() - 10));
}

bool is_index(const Path& p) {
  constexpr std::string_view kShared = "sharedindex.";
  std::string_view name = p.back();
  bool is_shared = name.starts_with(kShared) && git::is_object_id(name.substr(kShared.size()));
  // The index of a submodule belongs to the submodule's own quarantine.
  return (name == "index" || is_shared) && (p.size() == 1 || (p.size() == 3 && p[0] == "worktrees"));
}

const char* why_unsafe(std::string_view path) {
  bool leads_out = path.starts_with('/') || std::ranges::count(split_path(path), "..") > 0;
  return leads_out ? "not brought home, because the path leads out of the workspace"
                   : "not brought home, because the path is too long or too deep";
}

}  // namespace bottle::workspace
