// Converts documents into structs. Takes only nodes that check() has accepted.
#pragma once

#include "manifest/format/document.h"
#include "manifest/manifest.h"

namespace bottle::manifest {

// Sets the fields that the node mentions and keeps the others, so that applying the base first implements `extends`.
// Relative paths start at the directory of `path`. Fails for problems that the table cannot express, such as a secret
// without hosts, or `inspect: false` with methods.
Result<> apply_bottle(Bottle& bottle, const Node& node, const std::string& path);
Result<> apply_v1_bottle(Bottle& bottle, const Node& node, const std::string& path);
// Read an agent or a VM from its section. `at` is the position of its name. read_agent() fails with Code::invalid if
// keys do not fit together, such as a command without `provider: command`.
Result<Agent> read_agent(const std::string& name, const Node& node, const std::string& at);
Vm read_vm(const std::string& name, const Node& node);

}  // namespace bottle::manifest
