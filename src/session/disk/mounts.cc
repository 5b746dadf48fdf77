// An engine keeps layers and volumes one or two levels below its directory, such as in overlay2/ and volumes/, where an
// operator may have mounted another disk. What the engine mounts for its containers is deeper or is an overlay.
#include "session/disk/mounts.h"

#include <algorithm>
#include <sstream>
#include <vector>

#include "base/text/words.h"

namespace bottle::session {
namespace {

struct Mount {
  std::string device, at, type;
};

// The kernel writes spaces, tabs, line breaks and backslashes as three octal digits after a backslash.
std::string unescaped(const std::string& text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); ++i) {
    bool is_escape = text[i] == '\\' && i + 3 < text.size() &&
                     std::all_of(&text[i + 1], &text[i + 4], [](char c) { return c >= '0' && c <= '7'; });
    plain +=
        is_escape ? static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + text[i + 3] - '0') : text[i];
    if (is_escape) i += 3;
  }
  return plain;
}

// Reads one line: two numbers, the device, the root, the mount point, options and any number of tags, then a hyphen and
// the type.
Mount read_mount(const std::string& line) {
  std::istringstream words(line);
  Mount mount;
  std::string word;
  words >> word >> word >> mount.device >> word >> mount.at;
  while (words >> word && word != "-") {
  }
  words >> mount.type;
  mount.at = unescaped(mount.at);
  return mount;
}

// Returns how many levels `path` is below `directory`, 0 if it is the same, or -1 if it is elsewhere.
int levels_below(const std::string& directory, const std::string& path) {
  std::string prefix = directory.ends_with('/') ? directory : directory + "/";
  if (path + "/" == prefix || path == prefix) return 0;
  if (!path.starts_with(prefix)) return -1;
  return 1 + static_cast<int>(std::count(path.begin() + static_cast<ptrdiff_t>(prefix.size()), path.end(), '/'));
}

}  // namespace

bool is_on_one_disk(const std::string& directory, std::string_view mount_list) {
  std::string own, own_at;  // the device of the directory, and where it is mounted
  std::vector<Mount> below;
  for (std::string_view line : each_line(mount_list)) {
    Mount mount = read_mount(std::string(line));
    int levels = levels_below(directory, mount.at);
    if ((levels == 1 || levels == 2) && mount.type != "overlay" && mount.type != "nsfs") below.push_back(mount);
    // Of two mounts at one place, the later one is visible.
    if (levels_below(mount.at, directory) >= 0 && mount.at.size() >= own_at.size())
      own = mount.device, own_at = mount.at;
  }
  return std::ranges::all_of(below, [&](const Mount& mount) { return mount.device == own; });
}

}  // namespace bottle::session
