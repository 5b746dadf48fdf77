// Implements what remote machines and VMs share: the check for plans that cannot leave this machine, and how another
// machine is reached.
#include "app/place/place.h"

#include <utility>

#include "remote/link/far_side.h"

namespace bottle::app {

Result<> check_elsewhere(const plan::Plan& plan, const std::string& where, const Transport& transport) {
  if (plan.workspace_mode == manifest::WorkspaceMode::bind)
    return fail(Code::invalid, "workspace: bind needs this machine's own files, and they are not on " + where,
                "use clone or copy, for example with --workspace clone");
  // mosh can carry only a terminal.
  if (transport.is_mosh() && plan.headless)
    return fail(Code::invalid, "--transport mosh needs a terminal, and --headless has none",
                "leave out --transport mosh");
  return {};
}

Result<wire::MachineAddress> address_without_target() {
  wire::MachineAddress address;
  address.program = TRY(remote::own_hash());
  return address;
}

Result<wire::MachineAddress> address_of(const std::string& target) {
  auto parsed = ssh::parse_target(target);
  if (!parsed)
    return fail(parsed.error().code, parsed.error().what, "write it as me@vm.example.org or me@vm.example.org:2222");
  wire::MachineAddress address = TRY(address_without_target());
  address.target = std::move(*parsed);
  return address;
}

}  // namespace bottle::app
