// Parses short text formats as git's sources and manual pages describe them. No parser here fails. Each leaves out
// invalid lines, as git does, so a broken or hostile file can only lead to fewer refs or places. All loops move
// forward over a string that is already in memory and bounded by the caller.

#include "git/formats/formats.h"

#include <algorithm>

#include "base/text/parse.h"
#include "base/text/words.h"
#include "git/formats/object_format.h"

namespace bottle::git {
namespace {

// Accepts the same text as unquote_c_style() in git's quote.c. Returns false if the text is not quoted like that.
bool unquote(std::string_view text, std::string& out) {
  static constexpr std::string_view kFrom = "abfnrtv\\\"", kTo = "\a\b\f\n\r\t\v\\\"";
  // The first character is the opening quote. Text after the closing one is ignored.
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') return true;
    if (text[i] != '\\') {
      out += text[i];
      continue;
    }
    if (++i >= text.size()) return false;
    if (size_t which = kFrom.find(text[i]); which != std::string_view::npos) {
      out += kTo[which];
    } else {
      std::string_view digits = text.substr(i, 3);
      auto byte = number_in<uint8_t>(digits, 8);
      if (digits.size() < 3 || !byte) return false;
      out += static_cast<char>(*byte);
      i += 2;
    }
  }
  return false;
}

}  // namespace

bool is_object_id(std::string_view text) {
  return format_of_id(text) && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_branch_name(std::string_view name) {
  // A branch named HEAD would be ambiguous, and "@" is short for HEAD.
  if (name.empty() || name.size() > 200 || name == "HEAD" || name == "@") return false;
  for (size_t from = 0; from <= name.size();) {
    size_t slash = std::min(name.find('/', from), name.size());
    std::string_view part = name.substr(from, slash - from);
    from = slash + 1;
    // A name ending with .lock would collide with the file that locks the ref of the name without it.
    if (part.empty() || part.front() == '.' || part.front() == '-' || part.back() == '.' || part.ends_with(".lock"))
      return false;
    for (char c : part)
      if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
            std::string_view("._-+@=#").find(c) != std::string_view::npos))
        return false;
  }
  // `..` and `@{` mean something else where git expects a revision.
  return name.find("..") == std::string_view::npos && name.find("@{") == std::string_view::npos;
}

bool is_ref_name(std::string_view name) {
  if (!name.starts_with("refs/") || name.size() > 1024 || name.ends_with('/') || name.ends_with('.')) return false;
  // The rules and their order are those of git-check-ref-format(1).
  if (name.find("..") != std::string_view::npos || name.find("@{") != std::string_view::npos) return false;
  for (unsigned char c : name)
    if (c <= 0x20 || c == 0x7f || std::string_view("~^:?*[\\").find(static_cast<char>(c)) != std::string_view::npos)
      return false;
  for (size_t from = 0; from <= name.size();) {
    size_t slash = std::min(name.find('/', from), name.size());
    std::string_view part = name.substr(from, slash - from);
    if (part.empty() || part.front() == '.' || part.ends_with(".lock")) return false;
    from = slash + 1;
  }
  return true;
}

// The names of one file are unique, so emplace() does not have to decide between two values.
Refs parse_packed_refs(std::string_view text, std::string_view below) {
  Refs refs;
  for (std::string_view line : each_line(text)) {
    size_t space = line.find(' ');
    if (space == std::string_view::npos || !is_object_id(line.substr(0, space)))
      continue;  // skips lines that begin with "#" or "^"
    std::string_view name = line.substr(space + 1);
    if (name.starts_with(below) && is_ref_name(name)) refs.emplace(name, line.substr(0, space));
  }
  return refs;
}

// A map is sorted by name, which git expects of a packed-refs file that says so, and accepts of any other.
std::string packed(const Refs& refs) {
  std::string text;
  for (const auto& [name, id] : refs) text += id + " " + name + "\n";
  return text;
}

std::vector<std::string> alternates_in(std::string_view text) {
  std::vector<std::string> paths;
  for (std::string_view line : each_line(text)) {
    std::string path;
    // If the quotes are broken, git takes the line as it is.
    if (line.starts_with('"') && !unquote(line, path)) path.clear();
    if (path.empty() && !line.starts_with('#')) path = line;
    if (!path.empty() && path.find('\0') == std::string::npos) paths.push_back(std::move(path));
  }
  return paths;
}

}  // namespace bottle::git
