// Finds the ways in which a request can ask for another method or path than its request line says. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace bottle::policy {

// Whether some servers take the method, the path or the host of the request from a header of this name. Written with
// "_" or another sign for "-" it is the same: gateways make one variable of both.
bool overrides_request(std::string_view header);

// Whether a header of this name names a second path that the request works on: WebDAV's Destination, what object stores
// copy from. Its value is a path, with or without a slash before it, or a URL.
bool names_other_path(std::string_view header);

// The beginning of the reason for refusing a request because of the method in its query.
inline constexpr std::string_view kQueryRefused = "the query asks for the method ";

// Returns the methods that the query of a request target asks for, in capitals and without repetitions:
// "/a?_method=delete" asks for DELETE.
std::vector<std::string> methods_in_query(std::string_view target);

}  // namespace bottle::policy
