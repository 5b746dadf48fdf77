// The agent chooses the names of its refs, and git accepts many characters that are dangerous in a shell or confusing
// in a list. A harmless branch name is kept, so that people recognize it. Any other name is encoded byte by byte and
// moved below `encoded/`, where it cannot collide with a kept one. A name that is too long ends with a hash instead,
// so that two long names never become the same one.
#include "workspace/receiving/ref_names.h"

#include "base/text/path_parts.h"
#include "git/formats/formats.h"
#include "workspace/files/blob_id.h"
#include "workspace/files/paths.h"

namespace bottle::workspace {
namespace {

// The limits are in bytes. git writes a lock file beside a loose ref, and file systems allow 255 bytes for a name.
constexpr size_t kLongestComponent = 180, kLongestName = 800, kCut = 120;

// Returns a hash that tells long names apart.
std::string short_id(std::string_view name) { return blob_id(git::ObjectFormat::sha1, name).substr(0, 16); }

std::string byte_of(char c) {
  constexpr const char* kDigits = "0123456789ABCDEF";
  auto value = static_cast<unsigned char>(c);
  return {'=', kDigits[value >> 4], kDigits[value & 15]};
}

// Encodes everything that could be special to a shell, an option parser or a lock file.
std::string encoded(std::string_view part) {
  std::string out;
  for (size_t i = 0; i < part.size(); ++i) {
    char c = part[i];
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '+';
    bool inner = (c == '.' || c == '-') && i > 0 && i + 1 < part.size() && part[i - 1] != '.';
    if (c == '.' && part.substr(i) == ".lock") inner = false;
    out += plain || inner ? std::string(1, c) : byte_of(c);
  }
  if (out.size() <= kLongestComponent) return out;
  // A single "=" begins a byte, so no other name is encoded like this.
  return out.substr(0, kCut) + "==" + short_id(part);
}

}  // namespace

std::string encoded_component(std::string_view path) { return encoded(path); }

std::string distinct_name_for(std::string_view name) {
  std::string kind = name_for(name);
  if (kind.starts_with("encoded/")) kind = kind.substr(kind.find('/') + 1);
  return "encoded/" + kind.substr(0, kind.find('/')) + "/" + encoded(name_in(name)).substr(0, kCut) +
         "==" + short_id(name);
}

std::string name_for(std::string_view name) {
  std::string_view rest = name.substr(std::string_view("refs/").size());
  if (rest == "stash") return "stash/0";
  std::string_view kind = rest.substr(0, rest.find('/'));
  bool known = kind == "heads" || kind == "tags" || kind == "notes";
  if (!known) kind = "other";
  else rest.remove_prefix(std::min(rest.size(), kind.size() + 1));
  if (git::is_branch_name(rest)) return std::string(kind) + "/" + std::string(rest);
  std::string out;
  for (const auto& part : split_path(rest)) out += "/" + encoded(part);
  if (out.size() > kLongestName) out = "/" + out.substr(1, kCut) + "==" + short_id(rest);
  return "encoded/" + std::string(kind) + out;
}

}  // namespace bottle::workspace
