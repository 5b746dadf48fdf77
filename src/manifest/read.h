// Checked documents into structs. Only for nodes that check() has passed.
#pragma once

#include "manifest/document.h"
#include "manifest/manifest.h"

namespace bottle::manifest {

// Sets what the node mentions and leaves the rest: applied base first, this is `extends`. Relative paths are taken from
// the directory of `path`. Errors: what the table cannot say (a secret without hosts, inspect: false with methods …).
Result<> apply_bottle(Bottle& bottle, const Node& node, const std::string& path);
Result<> apply_v1_bottle(Bottle& bottle, const Node& node, const std::string& path);
Result<Agent> read_agent(const std::string& name, const Node& node, const std::string& at);
Vm read_vm(const std::string& name, const Node& node);

}  // namespace bottle::manifest
