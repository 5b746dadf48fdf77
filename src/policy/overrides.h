// Recognizes headers and parameters that override the method or path of the request line. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace bottle::policy {

// Returns whether some servers take the method, the path or the host of the request from a header of this name. A "_"
// or another character instead of "-" makes no difference, because gateways turn both into the same variable.
bool overrides_request(std::string_view header);

// Returns whether a header of this name contains a second path that the request reads or writes, such as WebDAV's
// Destination or the source of a copy in an object store. Its value is a path, with or without a leading slash, or a
// URL.
bool names_other_path(std::string_view header);

// The most methods that a query may ask for. A client needs one.
inline constexpr size_t kMostQueryMethods = 8;

// Returns the methods that the query of a request target asks for, in capitals and without repetitions:
// "/a?_method=delete" asks for DELETE. If there are more than kMostQueryMethods, returns at least one more than that,
// but not all.
std::vector<std::string> methods_in_query(std::string_view target);

}  // namespace bottle::policy
