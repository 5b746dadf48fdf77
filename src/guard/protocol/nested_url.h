// Finds the hosts of a URL within the target of another request. Programs that fetch URLs read them in different
// ways, so a URL may have several hosts. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bottle::guard {

// Returns the hosts of the URL that `value` begins with, in lower case and without user, port and final dots. There is
// one for each way in which programs read the URL: they treat `\` as `/`, ignore spaces before the URL, and line ends
// and tabs within it, accept any number of slashes, and disagree about where the host of `http://a\@b` or `http://a#@b`
// begins. Characters that stand for letters, digits and dots in names (such as full-width ones) are replaced with
// these. Returns nothing if `value` begins with no URL. A name without a dot counts only after a scheme of the Web.
std::vector<std::string> hosts_of_url(std::string_view value);

// Returns the scheme, in lower case, of the URL in which hosts_of_url() looks for hosts: the inner one of
// "view-source:http://…". Returns an empty string if that URL has no scheme.
std::string innermost_scheme(std::string_view value);

// Returns whether programs connect to the host in a URL with this scheme, which is in lower case.
bool is_of_web(std::string_view scheme);

// Returns the hosts of a URL without its scheme, such as `169.254.169.254/latest`. Only addresses, `localhost` and
// disguised hosts count.
std::vector<std::string> hosts_of_bare_url(std::string_view value);

// Returns whether a host that these functions return has characters that some programs replace with others, such as a
// number in a circle or a ligature. It may then be any address or name.
bool is_disguised(std::string_view host);

}  // namespace bottle::guard
