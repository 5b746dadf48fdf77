// This program is the guard, the only way out of a bottle. See docs/guard.md.
#include <cstdio>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include "base/os/hardening.h"
#include "base/text/parse.h"
#include "guard/net/tls.h"
#include "guard/server.h"
#include "measure/measure.h"

namespace bottle::guard {
namespace {

// Returns nothing if the arguments are not valid.
std::optional<Mode> mode_of(std::span<char*> args) {
  if (args.empty()) return Supervised{};
  if (args.size() == 1 && std::strcmp(args[0], "broker") == 0) return AsBroker{UniqueFd(2)};  // as `bottle broker`
  Alone alone;
  for (size_t i = 0; i < args.size(); i += 2) {
    std::string_view name = args[i], value = i + 1 < args.size() ? args[i + 1] : "";
    UniqueFd* to = name == "--config-fd"   ? &alone.config
                   : name == "--audit-fd"  ? &alone.audit
                   : name == "--ca-out-fd" ? &alone.ca_out
                                           : nullptr;
    auto fd = number_in<int>(value);
    if (!to || !fd || *fd < 0) return std::nullopt;
    to->reset(*fd);
  }
  return alone.config ? std::optional<Mode>(std::move(alone)) : std::nullopt;
}

}  // namespace
}  // namespace bottle::guard

int main(int argc, char** argv) {
  bottle::restore_randomization(argv);
  // Exits immediately with success. `bottle doctor` tries a container runtime with this option.
  if (argc == 2 && std::strcmp(argv[1], "--try") == 0) return 0;
  if (argc >= 2 && std::strcmp(argv[1], "--measure") == 0) return bottle::measure::run({argv + 2, argv + argc});
  auto mode = bottle::guard::mode_of({argv + 1, argv + argc});
  if (!mode) {
    std::fputs("usage: guard [broker | --config-fd N [--audit-fd N] [--ca-out-fd N]]\n", stderr);
    return 2;
  }
  bottle::guard::start_tls();
  return bottle::guard::Server(std::move(*mode)).run();
}
