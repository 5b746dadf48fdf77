// The proxy of the preset `go`, and any other, serves MODULE/@v/… and MODULE/@latest, below any prefix. A checksum
// database serves lookup/MODULE@VERSION, and a proxy may serve a database below its own prefix.
#include "guard/named_hosts/module_proxy.h"

#include <string>
#include <vector>

#include "guard/core/dialer.h"
#include "policy/host.h"
#include "policy/path.h"

namespace bottle::guard {
namespace {

// Returns whether the text, which begins with an "@", follows the path of a module: "@v" and "@latest" are segments of
// their own, and in a lookup, the version follows the "@".
bool follows_module(std::string_view text, bool begins_segment, bool is_lookup) {
  if (!begins_segment) return is_lookup && text.starts_with("@v");
  for (std::string_view name : {"@v", "@latest"})
    if (text.starts_with(name) && (text.size() == name.size() || text[name.size()] == '/')) return true;
  return false;
}

// Returns the segments that may be the host of a module: those with a dot before the "@". Returns nothing if the path
// is not for a module. Looks at each byte of the path only a few times.
std::vector<std::string_view> hosts_in(std::string_view path) {
  constexpr size_t kMost = 64;  // the host is one of the first segments
  const size_t lookup = path.find("lookup/");
  size_t end = path.find('@');
  while (end != path.npos && !follows_module(path.substr(end), end > 0 && path[end - 1] == '/', lookup < end))
    end = path.find('@', end + 1);
  if (end == path.npos) return {};
  path = path.substr(0, end);
  std::vector<std::string_view> hosts;
  for (size_t at = 0; at < path.size() && hosts.size() < kMost;) {
    std::string_view segment = path.substr(at, path.find('/', at) - at);
    if (segment.find('.') != segment.npos) hosts.push_back(segment);
    at += segment.size() + 1;
  }
  return hosts;
}

}  // namespace

std::optional<Refused> judge_module_proxy(const Connection& c, std::string_view target) {
  std::string path = policy::percent_decoded(target.substr(0, target.find('?')));
  for (auto segment : hosts_in(path)) {
    auto host = policy::normalise_host(segment);
    if (!host || host->literal) continue;
    if (auto why = carried(c.context, *c.config, *host); !why.empty())
      return Refused{.code = "name_carries_data",
                     .reason = "the module proxy would look up a name of this path: " + why};
  }
  return std::nullopt;
}

}  // namespace bottle::guard
