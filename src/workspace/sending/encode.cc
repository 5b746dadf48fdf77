// git would encode these files with iconv(3). A repository chooses the encoding and the bytes, and the modules of iconv
// must not read what a stranger wrote, so git checks the files out in UTF-8 and this file encodes them.
#include "workspace/sending/encode.h"

#include "base/files/beneath.h"
#include "base/keyed_hash.h"
#include "git/run/attributes.h"
#include "workspace/files/encoding.h"

namespace bottle::workspace {
namespace {

constexpr size_t kLargestRules = 1 << 20;

// Returns whether a .gitattributes in the tree may name an encoding.
bool may_encode(const Beneath& tree, const std::vector<git::Entry>& entries) {
  for (const auto& entry : entries) {
    if (entry.path != ".gitattributes" && !entry.path.ends_with("/.gitattributes")) continue;
    auto text = tree.read(entry.path, kLargestRules);
    // git may be able to read a file that this code cannot read.
    if (!text || (*text && (*text)->find("encoding") != std::string::npos)) return true;
  }
  return false;
}

}  // namespace

Result<std::vector<std::string>> encode_files(const git::Runner& git, const git::Directory& made,
                                              const std::string& tree, const std::vector<git::Entry>& entries) {
  std::vector<std::string> unknown;
  if (!may_encode(TRY(Beneath::open(tree)), entries)) return unknown;
  git::Runner::Options options{.in = made, .work_tree = tree};
  KeyedMap<std::string_view, const git::Entry*> files;
  for (const auto& entry : entries) {
    if (!entry.mode.starts_with("100")) continue;
    files[entry.path] = &entry;
    options.input += entry.path + '\0';
  }
  std::string lines;
  for (const auto& [path, name, value] : TRY(git::attributes(git, {"working-tree-encoding"}, options))) {
    const std::string& encoding = value;
    auto encode = [&](std::string_view text) { return from_utf8(encoding, text); };
    if (!TRY(convert_file(tree, path, encode))) unknown.push_back(path);
    else if (auto file = files.find(path); file != files.end())
      lines += file->second->mode + " " + file->second->object + "\t" + path + '\0';
  }
  // The index has the sizes of the files in UTF-8, and git treats a file of another size as changed without reading it.
  // This command replaces the entries with new ones that have no size.
  if (!lines.empty()) TRY(git.ask({"update-index", "-z", "--index-info"}, {.in = made, .input = std::move(lines)}));
  return unknown;
}

}  // namespace bottle::workspace
