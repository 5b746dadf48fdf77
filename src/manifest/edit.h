// Adds a rule or limits to the operator's own file and keeps everything else, including comments, order and
// indentation.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "manifest/manifest.h"

namespace bottle::manifest {

// Writes a rule as an item of egress.allow: "example.org", or
// "{host: example.org, ports: [8443], methods: [GET], paths: [\"/a/**\"]}". With `json`, it is quoted for JSON.
std::string rule_yaml(const AllowRule& rule, bool json = false);
// Parses such a rule from one line, by the grammar of the manifest.
Result<AllowRule> rule_from_yaml(const std::string& item);

// Returns the text of the file with `rule` added to bottles.<bottle>.egress.allow. The result is parsed again, and
// must contain exactly this one additional rule. Returns the text as it is if the bottle itself has the rule. Fails
// with Code::not_found if the file does not define the bottle, and with Code::unavailable if it has a form that this
// cannot edit (an alias, a one-line map, version 1).
Result<std::string> with_rule(const File& file, const std::string& bottle, const AllowRule& rule);

// Holds a limit as an operator writes it, such as {"bytes_up", "10m"}.
struct LimitText {
  std::string name, amount;
};

// Returns the text of the file with these limits in bottles.<bottle>.egress.limit, or if `host` is set, in `limit` of
// its rule in egress.allow. Parses the result again, and checks that nothing else differs. Fails with Code::not_found
// if the file does not define the bottle, and with Code::unavailable if the bottle itself has no such rule or it has a
// form that this cannot edit. Ignores the rest of the file, whose meaning may depend on other files.
Result<std::string> with_limits(const File& file, const std::string& bottle, const std::string& host,
                                const std::vector<LimitText>& limits);

}  // namespace bottle::manifest
