// The record is written before anything is created and removed after everything is gone, and each change replaces the
// whole file, so a reader never sees half a record. Its content has direct consequences: processes are signaled,
// hooks are called with its paths, and machines are destroyed. Reading therefore refuses a file that another user
// could have written, and paths other than those that this program makes.

#include "machine/record.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <filesystem>

#include "base/files/entries.h"
#include "base/files/file.h"
#include "base/files/own_file.h"
#include "base/ids.h"
#include "base/lock/file_lock.h"
#include "base/os/deadline.h"
#include "wire/machine/vm_record.h"

namespace bottle::machine {
namespace {

// Returns whether the record's paths are the ones that were made for this VM. They are passed to hooks, so no others
// may be used.
bool is_at_home(const wire::VmRecord& vm, const std::string& directory) {
  auto at = [&](const std::string& path, const char* name) { return path.empty() || path == directory + name; };
  return at(vm.state_dir, "/provider") && at(vm.user_data, "/user-data") && at(vm.ssh_public_key, "/key.pub") &&
         (vm.session.empty() || is_session_name(vm.session));
}

wire::VmRecord as_wire(const Record& r) {
  const VmRequest& vm = r.vm;
  return {.name = vm.name,
          .id = vm.id,
          .session = vm.session,
          .owner = vm.owner,
          .provider = vm.wanted.provider,
          .second_owner = r.second_owner,
          .cpus = static_cast<uint64_t>(vm.cpus()),
          .memory_mb = static_cast<uint64_t>(vm.memory_mb()),
          .disk_gb = static_cast<uint64_t>(vm.disk_gb()),
          .ttl = vm.wanted.ttl,
          .idle = vm.wanted.idle,
          .user_data = vm.user_data,
          .ssh_public_key = vm.ssh_public_key,
          .state_dir = vm.state_dir,
          .options = vm.wanted.options,
          .owner_process = {r.owner.pid, r.owner.start_time, r.owner.boot_id},
          .hook = {r.hook.pid, r.hook.start_time, r.hook.boot_id},
          .keep = r.keep,
          .held = r.held,
          .made = r.made,
          .until = r.until,
          .cost_per_hour = r.cost_per_hour};
}

// The units differ: the file has megabytes and gigabytes, which an operator can read, and the struct has bytes.
Record as_record(const wire::VmRecord& vm) {
  Record r;
  r.vm = {vm.name, vm.id, vm.session, vm.owner, {}, vm.user_data, vm.ssh_public_key, vm.state_dir};
  r.vm.wanted = {.provider = vm.provider,
                 .ttl = vm.ttl,
                 .idle = vm.idle,
                 .memory = vm.memory_mb << 20,
                 .disk = vm.disk_gb << 30,
                 .cpus = static_cast<double>(vm.cpus),
                 .options = vm.options};
  r.owner = {vm.owner_process.pid, vm.owner_process.start, vm.owner_process.boot};
  r.keep = vm.keep;
  r.held = vm.held;
  r.made = vm.made;
  r.until = vm.until;
  r.cost_per_hour = vm.cost_per_hour;
  r.second_owner = vm.second_owner;
  r.hook = {vm.hook.pid, vm.hook.start, vm.hook.boot};
  return r;
}

}  // namespace

int64_t now_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

Result<> save(const Record& r, const Directories& directories) {
  // A path that was changed would lead a later command to nothing, and the VM would stay.
  auto text = TRY(wire::encode_exactly(as_wire(r), wire::Layout::pretty));
  return write_file_atomically(directories.vm(r.vm.name) + "/vm.json", text);
}

bool is_gone(const Result<Record>& loaded) { return !loaded && loaded.error().code == Code::not_found; }

Result<Record> load(const std::string& name, const Directories& directories) {
  if (!is_session_name(name)) return fail(Code::invalid, "'" + name + "' is not a valid name for a VM");
  std::string path = directories.vm(name) + "/vm.json";
  // Things that a record names are destroyed, signaled and passed to programs, so this user must have written it.
  auto opened = open_own_directory(directories.vm(name));
  if (!opened && opened.error().code == Code::not_found) return fail(Code::not_found, path + " does not exist");
  if (!opened) return std::unexpected(std::move(opened.error()));
  auto text = TRY(read_own_file(*opened, directories.vm(name), "vm.json", wire::VmRecord::kMost));
  auto record = wire::decode<wire::VmRecord>(text, wire::From::ours);
  // The name in the record must be that of its directory, or a copied directory would destroy the VM of the original.
  if (!record || record->name != name || !is_at_home(*record, directories.vm(name)))
    return fail(Code::protocol, path + " is not the record of a VM",
                "destroy the VM with the provider's own tools, then remove " + directories.vm(name));
  return as_record(*record);
}

Result<std::vector<std::string>> recorded(const Directories& directories) {
  // Every directory counts, even one without a record: load() and forget_unfinished() find out which kind it is.
  auto names = names_in(directories.vms);
  if (names) std::erase_if(*names, [](const std::string& name) { return !is_session_name(name); });
  return names;
}

bool is_recorded(const std::string& name, const Directories& directories) {
  struct stat st{};
  // After any other error, there may be one.
  return is_session_name(name) && (::lstat((directories.vm(name) + "/vm.json").c_str(), &st) == 0 || errno != ENOENT);
}

// `lock` (lock_vm()) is another file, because `create` holds it for minutes.
Result<Record> change(const std::string& name, const Directories& directories,
                      const std::function<Result<>(Record&)>& act) {
  if (!is_session_name(name)) return fail(Code::invalid, "'" + name + "' is not a valid name for a VM");
  auto lock = TRY(FileLock::take(directories.vm(name) + "/record-lock", {O_RDWR | O_CREAT}, Deadline::in_ms(10000)));
  Record record = TRY(load(name, directories));
  TRY(act(record));
  TRY(save(record, directories));
  return record;
}

Result<> take_over(const std::string& name, const Directories& directories) {
  (void)TRY(change(name, directories, [](Record& record) -> Result<> {
    record.owner = ProcessIdentity::self();
    record.held = false;
    return {};
  }));
  return {};
}

// Keeps the owner in the record, so that the VM remains ownerless and every sweep tries to fetch its work. If an owner
// lives, it decides, and its death must count again.
Result<> hold(const std::string& name, const Directories& directories) {
  (void)TRY(change(name, directories, [&](Record& record) -> Result<> {
    if (!record.owner.dead() && record.owner.pid != ::getpid())
      return fail(Code::conflict, "VM " + name + " is in use again");
    record.held = true;
    return {};
  }));
  return {};
}

void forget(const std::string& name, const Directories& directories) {
  if (!is_session_name(name)) return;
  std::string directory = directories.vm(name);
  auto entries = names_in(directory);
  if (!entries) return;
  // The record is removed last, so that the next command still finds the directory if this process dies here.
  std::error_code error;
  for (const auto& entry : *entries) {
    if (entry != "vm.json") std::filesystem::remove_all(directory + "/" + entry, error);
    if (error) return;
  }
  std::filesystem::remove_all(directory, error);
}

void forget_unfinished(const std::string& name, const Directories& directories) {
  struct stat st{};
  std::string directory = directories.vm(name);
  // If the record cannot be read, there may be a VM, and its key is in this directory.
  if (!is_gone(load(name, directories)) || ::lstat(directory.c_str(), &st) != 0) return;
  // A living maker writes its record right after the directory, so a directory that has none after 10 s will never
  // get one.
  if (now_seconds() - st.st_mtime > 10) forget(name, directories);
}

bool ownerless(const Record& record) { return !record.keep && record.owner.dead(); }

// A held VM stays until it expires, so that a later command can still fetch its work.
bool abandoned(const Record& record, int64_t now) { return now >= record.until || (!record.held && ownerless(record)); }

Result<UniqueFd> lock_vm(const std::string& name, const Directories& directories, int timeout_ms) {
  auto lock = FileLock::take(directories.vm(name) + "/lock", {O_RDWR | O_CREAT}, Deadline::in_ms(timeout_ms));
  if (!lock && lock.error().code == Code::timed_out)
    return fail(Code::timed_out, "VM " + name + ": another process is creating or destroying it");
  return TRY(std::move(lock)).release();
}

}  // namespace bottle::machine
