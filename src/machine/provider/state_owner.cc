// The facts are kept as hashes, because the directory may be on a server. O_EXCL decides which of two processes creates
// the file, even on NFS. The other process waits until the file has its content.
//
// The id is a part of the label of VMs, so it stays the same as long as anything may have that label. A directory that
// had VMs before it had an id keeps the label without an id.
#include "machine/provider/state_owner.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <sstream>
#include <thread>

#include "base/files/file.h"
#include "base/files/own_file.h"
#include "base/ids.h"
#include "base/os/descriptors.h"
#include "base/text/line.h"
#include "base/text/path_parts.h"
#include "base/unique_fd.h"

namespace bottle::machine {
namespace {

constexpr const char* kName = "machine";
constexpr size_t kLargestOwner = 4096;
constexpr std::chrono::milliseconds kPause{10};

std::string directory_of(const Directories& directories) { return parent_of(directories.sessions); }

// Returns the first line of a small file, or an empty string.
std::string line_of(const std::string& path) {
  std::string text = read_file(path, kLargestOwner).value_or("");
  return text.substr(0, text.find('\n'));
}

// Holds what the file says. Its lines are the id, the hash of the machine's id and host, and the name of the host for
// messages. Without a hash, the directory belongs to no machine yet.
struct Bound {
  std::string id, machine, host;
};

Bound bound_to(const MachineFacts& here, std::string id) {
  return {std::move(id), content_hash(here.id + "\n" + here.host), one_line(here.host, 100)};
}

std::string text_of(const Bound& bound) { return bound.id + "\n" + bound.machine + "\n" + bound.host + "\n"; }

Result<Bound> read_bound(const std::string& directory, std::chrono::milliseconds patience) {
  UniqueFd opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened && errno == ENOTDIR)
    return fail(Code::invalid, "the state directory " + directory + " cannot be opened: a part of that path is a file",
                "move that file elsewhere, or set XDG_STATE_HOME to another directory");
  if (!opened) return fail_errno("opening " + directory);
  std::string text;
  for (auto waited = 0 * kPause; text.empty() && waited <= patience; waited += kPause) {
    if (waited > 0 * kPause) std::this_thread::sleep_for(kPause);
    text = TRY(read_own_file(opened, directory, kName, kLargestOwner));
  }
  std::istringstream lines(text);
  Bound bound;
  for (std::string* each : {&bound.id, &bound.machine, &bound.host}) std::getline(lines, *each);
  auto is_hex = [](const std::string& text) { return text.find_first_not_of("0123456789abcdef") == text.npos; };
  if (text.empty() || !is_hex(bound.id) || !is_hex(bound.machine))
    return fail(Code::invalid, directory + "/" + kName + " does not name a machine",
                "remove it if only this machine uses " + directory);
  return bound;
}

}  // namespace

MachineFacts MachineFacts::read() { return {line_of("/etc/machine-id"), line_of("/etc/hostname")}; }

Result<> bind_state(const Directories& directories, const MachineFacts& here, std::chrono::milliseconds patience) {
  const std::string directory = directory_of(directories), path = directory + "/" + kName;
  auto bound = read_bound(directory, patience);
  if (!bound && bound.error().code == Code::not_found) {
    if (!make_directories(directory)) return {};
    Bound own = bound_to(here, ::access(directories.vms.c_str(), F_OK) == 0 ? "" : random_hex(8));
    UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!fd && errno != EEXIST) return {};
    if (fd) {
      bool written = write_all(fd.get(), text_of(own)) && flush_data(fd.get()) == 0;
      if (!written) ::unlink(path.c_str());
      return {};
    }
    bound = read_bound(directory, patience);
  }
  if (bound && bound->machine.empty()) {
    // The operator has removed the lines about the machine, as the message below advises.
    if (!write_file_atomically(path, text_of(bound_to(here, bound->id)))) return {};
    bound = read_bound(directory, patience);
  }
  if (!bound) return std::unexpected(std::move(bound.error()));
  if (bound->machine == bound_to(here, "").machine) return {};
  std::string other = bound->host.empty() ? "another machine" : "another machine (" + one_line(bound->host, 100) + ")";
  return fail(Code::conflict,
              "the state directory " + directory + " belongs to " + other +
                  ", and this machine cannot tell which of its sessions and VMs are alive",
              "set XDG_STATE_HOME to a directory for this machine alone; if no other machine uses " + directory +
                  " any more, remove all lines but the first from " + path);
}

std::string state_id(const Directories& directories, std::chrono::milliseconds patience) {
  auto bound = read_bound(directory_of(directories), patience);
  return bound ? bound->id : "";
}

}  // namespace bottle::machine
