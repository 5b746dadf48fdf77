// One rule into the operator's own file, everything else of it as it was: comments, order, indentation.
#pragma once

#include <string>

#include "base/error.h"
#include "manifest/manifest.h"

namespace bottle::manifest {

// "example.org", or "{host: example.org, ports: [8443], methods: [GET], paths: [\"/a/**\"]}": an item of egress.allow.
// With `json`, quoted as JSON wants it.
std::string rule_yaml(const AllowRule& rule, bool json = false);
// The same read: one line, by the manifest's own grammar.
Result<AllowRule> rule_from_yaml(const std::string& item);

// The file's text with `rule` in bottles.<bottle>.egress.allow. What is written is read again: the result holds exactly
// that one rule more, or it is an error. Code::not_found: the bottle is not defined in this file. Code::unavailable:
// the file is written in a way that is not edited here (an alias, a one-line map, version 1).
Result<std::string> with_rule(const File& file, const std::string& bottle, const AllowRule& rule);

}  // namespace bottle::manifest
