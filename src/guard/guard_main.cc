// This program is the guard, the only way out of a bottle. See docs/guard.md.
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "base/os/hardening.h"
#include "guard/net/tls.h"
#include "guard/server.h"
#include "measure/measure.h"

int main(int argc, char** argv) {
  bottle::restore_randomization(argv);
  // Exits immediately with success. `bottle doctor` tries a container runtime with this option.
  if (argc == 2 && std::strcmp(argv[1], "--try") == 0) return 0;
  if (argc >= 2 && std::strcmp(argv[1], "--measure") == 0) return bottle::measure::run({argv + 2, argv + argc});
  bottle::guard::Options options;
  bool is_broker = argc == 2 && std::strcmp(argv[1], "broker") == 0;  // as `bottle broker`
  if (is_broker) options.connections_fd = 2;
  for (int i = is_broker ? argc : 1; i < argc; ++i) {
    std::string_view name = argv[i];
    int* fd = name == "--config-fd"        ? &options.config_fd
              : name == "--audit-fd"       ? &options.audit_fd
              : name == "--ca-out-fd"      ? &options.ca_out_fd
              : name == "--connections-fd" ? &options.connections_fd
                                           : nullptr;
    const char* value = fd && i + 1 < argc ? argv[++i] : nullptr;
    if (!value || std::from_chars(value, value + std::strlen(value), *fd).ec != std::errc() || *fd < 0) {
      std::fputs("usage: guard [--config-fd N [--audit-fd N] [--ca-out-fd N]] [--connections-fd N]\n", stderr);
      return 2;
    }
  }
  bottle::guard::start_tls();
  bottle::guard::Server server(options);
  return server.run();
}
