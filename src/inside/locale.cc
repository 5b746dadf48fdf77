// Reads the directory and the archive in which glibc looks for locales. Only the names matter, so the archive is
// searched as text between its two offsets.
#include "inside/locale.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>

#include "base/unique_fd.h"

namespace bottle::inside {
namespace {

constexpr uint32_t kMagic = 0xde020109;   // the first bytes of an archive
constexpr uint32_t kMostNames = 1 << 20;  // in bytes

// Returns the name in the form that archives and locale-gen use: "de_DE.UTF-8" becomes "de_DE.utf8".
std::string normalized(const std::string& name) {
  size_t dot = name.find('.'), end = std::min(name.find('@'), name.size());
  if (dot == std::string::npos || dot > end) return name;
  std::string codeset;
  for (unsigned char c : name.substr(dot + 1, end - dot - 1))
    if (std::isalnum(c)) codeset += static_cast<char>(std::tolower(c));
  return name.substr(0, dot + 1) + codeset + name.substr(end);
}

// Returns the names in an archive, each with a NUL before and after it. Its head is `struct locarhead` of glibc's
// locale/locarchive.h.
std::string names_in(const std::string& archive) {
  UniqueFd fd(::open(archive.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<uint32_t, 7> head{};
  if (!fd || ::pread(fd.get(), head.data(), sizeof head, 0) != sizeof head || head[0] != kMagic) return "";
  // These are the fields string_offset and string_used.
  uint32_t offset = head[5], used = head[6];
  if (used > kMostNames) return "";
  std::string names(used, '\0');
  ssize_t n = ::pread(fd.get(), names.data(), names.size(), offset);
  names.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return '\0' + names + '\0';
}

}  // namespace

bool has_locale(const std::string& directory, const std::string& name) {
  // A slash would lead out of the directory, and a NUL would match across the names in the archive.
  if (name.empty() || name.find_first_of(std::string("/\0", 2)) != std::string::npos) return false;
  // localedef(1) may have been told either form as the name of the directory.
  for (const auto& each : {name, normalized(name)})
    if (::access((directory + "/" + each + "/LC_CTYPE").c_str(), F_OK) == 0) return true;
  return names_in(directory + "/locale-archive").find('\0' + normalized(name) + '\0') != std::string::npos;
}

}  // namespace bottle::inside
