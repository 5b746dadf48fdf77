// Judges paths of the archive and targets of links as text. It does not look at the disk, because what is there may
// change. Even a path that is harmless as text is later opened without following links (untar.h).
#include "workspace/files/paths.h"

#include "base/text/words.h"

namespace bottle::workspace {

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> out;
  for (size_t from = 0;;) {
    size_t slash = path.find('/', from);
    out.emplace_back(path.substr(from, slash == std::string_view::npos ? slash : slash - from));
    if (slash == std::string_view::npos) return out;
    from = slash + 1;
  }
}

std::optional<std::vector<std::string>> safe_components(std::string_view path) {
  // PATH_MAX and NAME_MAX of Linux, without the NUL that ends a path.
  if (path.size() > 4095 || path.starts_with('/') || path.find('\0') != std::string_view::npos) return std::nullopt;
  std::vector<std::string> out;
  for (auto& part : split_path(path)) {
    if (part == ".." || part.size() > 255) return std::nullopt;
    if (!part.empty() && part != ".") out.push_back(std::move(part));
  }
  // Each component costs a system call, in this program and in every tool that handles the path.
  if (out.size() > 256) return std::nullopt;
  return out;
}

std::string join(const std::vector<std::string>& components, size_t from) {
  std::string out;
  for (size_t i = from; i < components.size(); ++i) out += (i > from ? "/" : "") + components[i];
  return out;
}

void add_directories_above(const std::string& path, std::set<std::string>& directories) {
  for (size_t slash = path.rfind('/'); slash != std::string::npos && slash > 0; slash = path.rfind('/', slash - 1))
    if (!directories.insert(path.substr(0, slash)).second) return;
}

bool is_git_directory(std::string_view component) {
  std::string name;
  for (size_t i = 0; i < component.size(); ++i) {
    // HFS+ ignores these characters (U+200B..U+200F, U+202A..U+202E, U+2060..U+206F, U+FEFF).
    auto at = [&](size_t k) { return i + k < component.size() ? static_cast<unsigned char>(component[i + k]) : 0; };
    if ((at(0) == 0xe2 && (at(1) == 0x80 || at(1) == 0x81)) || (at(0) == 0xef && at(1) == 0xbb && at(2) == 0xbf)) {
      i += 2;
      continue;
    }
    name += component[i];
  }
  // APFS, NTFS and HFS+ do not distinguish capitals.
  name = lower(name);
  // On NTFS, everything after ':' is a stream name, and a backslash separates components.
  for (size_t from = 0; from <= name.size();) {
    size_t end = std::min(name.find('\\', from), name.size());
    std::string part = name.substr(from, end - from);
    part = part.substr(0, part.find(':'));
    while (!part.empty() && (part.back() == '.' || part.back() == ' ')) part.pop_back();
    if (part == ".git" || part == "git~1") return true;
    from = end + 1;
  }
  return false;
}

bool stays_inside(std::string_view path, std::string_view target) {
  if (target.empty() || target.starts_with('/') || target.size() > 4095 || target.find('\0') != std::string_view::npos)
    return false;
  // Counts levels below the tree's top. At no point may the target be above it, even if it comes back.
  auto depth = static_cast<long>(split_path(path).size()) - 1;
  for (const auto& part : split_path(target)) {
    if (part == "..") --depth;
    // A link into a git directory would let a write to a file of the tree change settings or hooks.
    else if (is_git_directory(part)) return false;
    else if (!part.empty() && part != ".") ++depth;
    if (depth < 0) return false;
  }
  return true;
}

bool goes_back(std::string_view target) {
  bool named = false;
  for (const auto& part : split_path(target)) {
    if (part == ".." && named) return true;
    named |= !part.empty() && part != "." && part != "..";
  }
  return false;
}

}  // namespace bottle::workspace
