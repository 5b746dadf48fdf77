// Lists the headers and parameters by which frameworks let a request override its own request line. A rule with methods
// or paths judges the request line, so such a request must not reach the server unchanged. Names are compared in the
// form in which a program behind a gateway sees them (policy/header_name.h).
#include "policy/overrides.h"

#include <algorithm>

#include "policy/header_name.h"
#include "policy/path.h"

namespace bottle::policy {
namespace {

// Headers that name another method, in Rack, Symfony, Express, ASP.NET Core, Google's APIs, OData and ArangoDB.
constexpr std::string_view kMethodHeaders[] = {"x_http_method_override", "x_http_method", "x_method_override",
                                               "x_http_verb_override",   "x_http_verb",   "x_original_method",
                                               "x_forwarded_method"};

// Headers in which a proxy passes on the original request, and which frameworks behind it trust: IIS, Zend, Symfony,
// nginx, Envoy, Traefik.
constexpr std::string_view kTargetHeaders[] = {
    "x_original_url",  "x_original_uri",  "x_rewrite_url",    "x_rewrite_uri",
    "x_forwarded_url", "x_forwarded_uri", "x_forwarded_path", "x_envoy_original_path",
    "x_request_uri",   "x_request_url",   "x_original_path",  "x_original_request_uri",
    "x_rewrite_path",  "x_override_url",  "x_override_uri",   "x_waws_unencoded_url"};

// Headers with a second path that a request reads or writes: the target of copies and moves in WebDAV, and the source
// of copies, links and large objects in Swift.
constexpr std::string_view kOtherPathHeaders[] = {"destination", "x_copy_from", "x_symlink_target",
                                                  "x_object_manifest"};

// The last words of other such headers. Each object store has its own for the source of a copy or move, such as
// X-Amz-Copy-Source and X-Ms-File-Rename-Source.
constexpr std::string_view kOtherPathEnds[] = {"_copy_source", "_rename_source"};

// Headers in which a proxy passes on the original host. A server with many sites chooses one by it.
constexpr std::string_view kHostHeaders[] = {"forwarded", "x_forwarded_host", "x_host", "x_original_host",
                                             "x_forwarded_server"};

// The last word of other headers that override a part of the request, such as X-HTTP-Host-Override.
constexpr std::string_view kOverrideEnd = "_override";

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }

// Decodes application/x-www-form-urlencoded. A broken escape stays as it is.
std::string form_decoded(std::string_view text) {
  std::string spaced(text);
  std::ranges::replace(spaced, '+', ' ');
  return percent_decoded(spaced);
}

}  // namespace

bool overrides_request(std::string_view header) {
  std::string name = folded_header(header);
  auto among = [&](const auto& names) { return std::ranges::find(names, name) != std::end(names); };
  return name.ends_with(kOverrideEnd) || among(kMethodHeaders) || among(kTargetHeaders) || among(kHostHeaders);
}

bool names_other_path(std::string_view header) {
  std::string name = folded_header(header);
  return std::ranges::find(kOtherPathHeaders, name) != std::end(kOtherPathHeaders) ||
         std::ranges::any_of(kOtherPathEnds, [&](std::string_view end) { return name.ends_with(end); });
}

std::vector<std::string> methods_in_query(std::string_view target) {
  std::vector<std::string> methods;
  size_t query = target.find('?');
  if (query == target.npos) return methods;
  for (std::string_view rest = target.substr(query + 1); !rest.empty() && methods.size() <= kMostQueryMethods;) {
    // Some servers also separate parameters at a semicolon.
    size_t end = std::min(rest.find_first_of("&;"), rest.size());
    std::string_view pair = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    size_t equals = std::min(pair.find('='), pair.size());
    std::string name = form_decoded(pair.substr(0, equals));
    name.erase(0, std::min(name.find_first_not_of(' '), name.size()));  // drops leading spaces, as PHP does
    // PHP reads "_method[]" as an element of "_method", and ends a name at a NUL byte.
    name.resize(std::min(name.find_first_of(std::string_view("[\0", 2)), name.size()));
    name = folded_header(name);
    // These are the names in WordPress, Symfony, Rack and Spring, in Yesod and Slim, and in Salesforce and Google's
    // APIs. The names of the headers count too.
    bool asks = name == "_method" || name == "_method_override" || name == "_httpmethod" ||
                std::ranges::find(kMethodHeaders, name) != std::end(kMethodHeaders);
    if (!asks) continue;
    std::string method = form_decoded(pair.substr(std::min(equals + 1, pair.size())));
    // Frameworks that take a method from the query convert it to capitals.
    std::ranges::transform(method, method.begin(), upper);
    bool fresh = std::ranges::find(methods, method) == methods.end();
    if (fresh && !method.empty()) methods.push_back(method);
  }
  return methods;
}

}  // namespace bottle::policy
