// The facts are kept as hashes, because the directory may be on a server. O_EXCL decides which of two processes creates
// the file, even on NFS. The other process waits until the file has its content.
#include "machine/provider/state_owner.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>
#include <sstream>
#include <thread>

#include "base/files/entries.h"
#include "base/files/file.h"
#include "base/files/own_file.h"
#include "base/ids.h"
#include "base/os/descriptors.h"
#include "base/text/line.h"
#include "base/unique_fd.h"

namespace bottle::machine {
namespace {

constexpr const char* kName = "machine";
constexpr size_t kMost = 4096, kMostAddresses = 16;
constexpr int kTries = 100;  // in a second

std::string directory_of(const Directories& directories) {
  return directories.sessions.substr(0, directories.sessions.rfind('/'));
}

// Returns the first line of a small file, or an empty string.
std::string line_of(const std::string& path) {
  std::string text = read_file(path, kMost).value_or("");
  return text.substr(0, text.find('\n'));
}

// Holds what the file says. Its lines are the id, the hash of the machine's id and host, the name of the host for
// messages, and the hashes of addresses.
struct Bound {
  std::string id, machine, host;
  std::vector<std::string> addresses;
};

Bound bound_to(const MachineFacts& here) {
  Bound bound{random_hex(8), content_hash(here.id + "\n" + here.host), one_line(here.host, 100), {}};
  for (const auto& address : here.addresses)
    if (bound.addresses.size() < kMostAddresses) bound.addresses.push_back(content_hash(address));
  return bound;
}

std::string text_of(const Bound& bound) {
  std::string text = bound.id + "\n" + bound.machine + "\n" + bound.host + "\n";
  for (const auto& address : bound.addresses) text += address + "\n";
  return text;
}

Result<Bound> read_bound(const std::string& directory) {
  // The directory may be a link.
  TRY(check_own_directory(directory));
  UniqueFd opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened) return fail_errno("opening " + directory);
  std::string text;
  for (int tries = 0; text.empty() && tries < kTries; ++tries) {
    if (tries) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    text = TRY(read_own_file(opened, directory, kName, kMost));
  }
  std::istringstream lines(text);
  Bound bound;
  for (std::string* each : {&bound.id, &bound.machine, &bound.host}) std::getline(lines, *each);
  auto is_hex = [](const std::string& text) {
    return !text.empty() && text.find_first_not_of("0123456789abcdef") == text.npos;
  };
  if (!lines || !is_hex(bound.id) || !is_hex(bound.machine))
    return fail(Code::invalid, directory + "/" + kName + " does not name a machine",
                "remove it if only this machine uses " + directory);
  for (std::string address; std::getline(lines, address);) bound.addresses.push_back(address);
  return bound;
}

// Returns whether both may be the same machine. Some devices may be missing at times, but a machine with a clone of the
// disk has none of them.
bool may_be_same(const Bound& one, const Bound& other) {
  if (one.machine != other.machine) return false;
  if (one.addresses.empty() || other.addresses.empty()) return true;
  return std::ranges::any_of(one.addresses,
                             [&](const auto& each) { return std::ranges::count(other.addresses, each) > 0; });
}

}  // namespace

MachineFacts MachineFacts::read() {
  MachineFacts facts{line_of("/etc/machine-id"), line_of("/etc/hostname"), {}};
  const std::string devices = "/sys/class/net";
  for (const auto& name : names_in(devices).value_or(std::vector<std::string>())) {
    std::error_code error;
    std::string bus = std::filesystem::canonical(devices + "/" + name + "/device", error).string();
    // A virtual device has no bus, and someone may move a USB device to another machine. 0 stands for an address that
    // nobody has set.
    if (error || bus.find("/usb") != bus.npos || line_of(devices + "/" + name + "/addr_assign_type") != "0") continue;
    if (auto address = line_of(devices + "/" + name + "/address"); !address.empty()) facts.addresses.push_back(address);
  }
  return facts;
}

Result<> bind_state(const Directories& directories, const MachineFacts& here) {
  const std::string directory = directory_of(directories), path = directory + "/" + kName;
  Bound own = bound_to(here);
  auto bound = read_bound(directory);
  if (!bound && bound.error().code == Code::not_found) {
    if (!make_directories(directory)) return {};
    UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd && errno != EEXIST) return {};
    if (fd) {
      bool written = write_all(fd.get(), text_of(own)) && flush_data(fd.get()) == 0;
      if (!written) ::unlink(path.c_str());
      return {};
    }
    bound = read_bound(directory);
  }
  if (!bound) return std::unexpected(std::move(bound.error()));
  if (may_be_same(*bound, own)) return {};
  std::string other = bound->host.empty() ? "another machine" : "another machine (" + one_line(bound->host, 100) + ")";
  return fail(Code::conflict,
              "the state directory " + directory + " belongs to " + other +
                  ", and this machine cannot tell which of its sessions and VMs are alive",
              "set XDG_STATE_HOME to a directory for this machine alone; if no other machine uses " + directory +
                  " any more, remove " + path);
}

std::string state_id(const Directories& directories) {
  auto bound = read_bound(directory_of(directories));
  return bound ? bound->id : "";
}

}  // namespace bottle::machine
