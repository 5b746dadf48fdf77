// Keeps each hello in a file whose name is a hash of everything by which a machine is reached, and of this program.
// Another user name, port or version of bottle is therefore another entry.
#include "app/place/machine_cache.h"

#include <unistd.h>

#include <chrono>

#include "app/world/world.h"
#include "base/files/file.h"
#include "base/ids.h"

namespace bottle::app {
namespace {

int64_t now_ms() {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string directory() { return directories().cache + "/machines"; }

std::string path_of(const wire::MachineAddress& address) {
  wire::MachineAddress identity = address;  // encode() needs an address that is not const
  return directory() + "/" + content_hash(wire::encode(identity));
}

}  // namespace

std::optional<wire::Hello> recall(const wire::MachineAddress& address) {
  auto text = read_file(path_of(address), wire::KnownMachine::kMost);
  auto known = then(text, [](const auto& json) { return wire::decode<wire::KnownMachine>(json, wire::From::foreign); });
  if (!known) return std::nullopt;
  known->hello.clock_ms += now_ms() - known->learned_ms;  // the machine's clock has advanced since then
  return std::move(known->hello);
}

void remember(const wire::MachineAddress& address, const wire::Hello& hello) {
  if (!make_directories(directory())) return;
  (void)write_file_atomically(path_of(address), wire::encode(wire::KnownMachine{now_ms(), hello}));
}

void forget(const wire::MachineAddress& address) { ::unlink(path_of(address).c_str()); }

}  // namespace bottle::app
