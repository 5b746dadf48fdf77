// Before a step makes anything, it writes to the disk what another process would need to undo it: the record before
// the keys, the reaper before `create`, the hook's identity as soon as the hook runs, the id as soon as it is known.
// A crash between any two lines therefore leaves something that the reaper or a sweep can find.

#include "machine/vm.h"

#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/files/file.h"
#include "base/ids.h"
#include "base/os/deadline.h"
#include "base/os/process.h"
#include "base/text/shell_word.h"
#include "machine/reach.h"
#include "machine/reaper.h"
#include "machine/user_data.h"

namespace bottle::machine {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kLockMs = 10000;  // how long to wait for a hook that ends

// Makes a key pair, and returns the public key as one line.
Result<std::string> make_key(const std::string& path, const std::string& comment) {
  // ssh-keygen asks before it overwrites a file, and it has no terminal here.
  ::unlink(path.c_str());
  // The key has no passphrase, because ssh uses it without an operator. It is in a directory that only this user can
  // read.
  auto made = TRY(capture({.argv = {"ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", path}}));
  if (made.status != 0)
    return fail(Code::internal, "ssh-keygen: " + folded(made.err, 400), "check that openssh-client is installed");
  auto text = TRY(read_file(path + ".pub", 4096));
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

// Returns the seconds since `begun`, which is when create_vm() began.
double seconds_since(Clock::time_point begun) { return std::chrono::duration<double>(Clock::now() - begun).count(); }

}  // namespace

std::string new_vm_name(const std::string& session) { return "bottle-" + session; }

Result<Vm> prepare_vm(const VmSpec& spec) {
  if (!is_session_name(spec.name)) return fail(Code::invalid, "'" + spec.name + "' is not a valid name for a VM");
  Directories directories = Directories::from(spec.environment);
  // This comes before anything is written, because without the provider nothing can be made.
  TRY(Provider::find(spec.wanted.provider, directories, spec.environment, spec.limits));

  Vm vm;
  vm.name = spec.name;
  vm.provider = spec.wanted.provider;
  std::string directory = directories.vm(spec.name);
  if (is_recorded(spec.name, directories))
    return fail(Code::conflict, "VM " + spec.name + " already exists", "run `bottle vm destroy " + spec.name + "`");
  TRY(make_directories(directory + "/provider"));

  auto& request = vm.record.vm;
  request.name = spec.name;
  request.session = spec.session;
  request.owner = owner_label(directories);
  request.wanted = spec.wanted;
  if (request.wanted.ttl == 0) request.wanted.ttl = kDefaultTtl;
  if (request.wanted.idle == 0) request.wanted.idle = kDefaultIdle;
  request.user_data = directory + "/user-data";
  request.ssh_public_key = directory + "/key.pub";
  request.state_dir = directory + "/provider";
  vm.record.owner = spec.owner.pid ? spec.owner : ProcessIdentity::self();
  vm.record.made = now_seconds();
  vm.record.until = vm.record.made + static_cast<int64_t>(request.wanted.ttl);
  // The record is written before anything exists, so that a later process knows what to destroy.
  TRY(save(vm.record, directories));

  UserData data;
  data.name = spec.name;
  data.public_key = TRY(make_key(directory + "/key", "bottle"));
  data.host_public = TRY(make_key(directory + "/host", ""));
  data.host_private = TRY(read_file(directory + "/host", 8192));
  // The private host key is only in the user-data from here on, until the VM has replaced it.
  ::unlink((directory + "/host").c_str());
  data.ttl = static_cast<int64_t>(request.wanted.ttl);
  data.idle = static_cast<int64_t>(request.wanted.idle);
  TRY(write_file_atomically(request.user_data, user_data(data)));
  vm.target.user = kUser;
  vm.target.known_hosts = directory + "/known_hosts";
  // The address is not known yet, and another VM may get it later. The name identifies the key instead.
  vm.target.host_key_alias = spec.name;
  vm.target.identity = directory + "/key";
  TRY(write_file_atomically(vm.target.known_hosts, spec.name + " " + data.host_public + "\n"));
  // The reaper must watch before create_vm() can be called.
  if (!spec.path_to_self.empty()) TRY(start_reaper(spec.name, directories, spec.environment, spec.path_to_self));
  return vm;
}

// Two waits follow each other: for the machine, and for its address. The first is one call of a hook, which may take
// minutes; the second calls a hook again and again.
Result<> create_vm(Vm& vm, const VmSpec& spec, const Progress& progress) {
  auto begun = Clock::now();
  auto deadline = Deadline::in_ms(spec.boot_ms);
  Directories directories = Directories::from(spec.environment);
  Provider provider = TRY(Provider::find(spec.wanted.provider, directories, spec.environment, spec.limits));
  {
    // The hook holds the lock too. If this process dies now, no process destroys the VM before the hook has ended.
    UniqueFd lock = TRY(lock_vm(vm.name, directories, kLockMs));
    auto started = [&](int pid) {
      vm.record.hook = ProcessIdentity::of(pid);
      (void)save(vm.record, directories);
    };
    auto created = TRY(provider.create(vm.record.vm, progress, lock.get(), started));
    vm.id = vm.record.vm.id = created.id;
    vm.offline = created.offline;
    vm.cost_per_hour = vm.record.cost_per_hour = created.cost_per_hour;
    // The hook has ended, so there is nothing left to end.
    vm.record.hook = {};
    TRY(save(vm.record, directories));
  }
  vm.timings.created = seconds_since(begun);

  // Starts with short pauses, because some providers report the address immediately.
  for (int pause = 250;; pause = std::min(pause * 3 / 2, 5000)) {
    auto where = provider.ssh_info(vm.record.vm, progress);
    if (where) {
      vm.target.host = where->host;
      vm.target.port = where->port;
      if (!where->user.empty()) vm.target.user = where->user;
      break;
    }
    if (where.error().code != Code::unavailable || deadline.is_over()) return std::unexpected(std::move(where.error()));
    TRY(machine::pause(spec.limits, std::min(pause, spec.limits.backoff_most)));
  }
  vm.timings.address = seconds_since(begun);
  return {};
}

// After this, the host key in the user-data is of no use to a thief.
Result<> reach_vm(Vm& vm, const VmSpec& spec, const Progress& progress) {
  // All timings count from the beginning of create_vm(), which this step has not seen.
  auto begun = Clock::now() - std::chrono::milliseconds(static_cast<int64_t>(vm.timings.address * 1000));
  if (progress) progress("waiting for " + vm.target.to_string());
  vm.timings.ssh = TRY(rotate_host_key(vm.target, spec.boot_ms, progress, spec.limits.stop)) + vm.timings.address;
  // The user-data is no longer needed, and it contains the host key that has just been replaced.
  ::unlink(vm.record.vm.user_data.c_str());
  vm.timings.rotated = seconds_since(begun);
  return {};
}

Result<> wait_for_engine(Vm& vm, const Progress& progress, int timeout_ms, const std::stop_token& stop) {
  auto begun = Clock::now();
  if (progress) progress("waiting for the container engine");
  vm.engine = TRY(ask_engine(vm.target, timeout_ms, stop));
  vm.timings.engine = vm.timings.rotated + seconds_since(begun);
  if (vm.engine == "missing")
    return fail(Code::not_found, "VM " + vm.name + " has no container engine",
                "run `bottle remote setup " + shell_word(vm.target.to_string()) + "`");
  if (vm.engine == "silent") return fail(Code::timed_out, "the container engine of VM " + vm.name + " does not answer");
  return {};
}

Result<> keep_vm(Vm& vm, const VmSpec& spec) {
  if (!spec.keep) return {};
  Directories directories = Directories::from(spec.environment);
  // Another process may have destroyed the VM. A record made from memory would then bring the dead VM back.
  vm.record = TRY(change(vm.name, directories, [](Record& record) -> Result<> {
    record.keep = true;
    return {};
  }));
  return {};
}

Result<std::string> keep_disk(Record& record, const std::string& before, const VmSpec& spec, const Progress& progress) {
  Directories directories = Directories::from(spec.environment);
  Limits patient = spec.limits;
  patient.stop = {};
  Provider provider = TRY(Provider::find(spec.wanted.provider, directories, spec.environment, patient));
  UniqueFd lock = TRY(lock_vm(record.vm.name, directories, kLockMs));
  auto note = [&](const ProcessIdentity& hook) {
    record.hook = hook;
    (void)save(record, directories);
  };
  auto image = provider.bake(record.vm, before, progress, lock.get(), [&](int pid) { note(ProcessIdentity::of(pid)); });
  note({});
  return image;
}

Result<Vm> make_vm(const VmSpec& spec, const Progress& progress) {
  Vm vm = TRY(prepare_vm(spec));
  TRY(create_vm(vm, spec, progress));
  TRY(reach_vm(vm, spec, progress));
  TRY(wait_for_engine(vm, progress, kEnginePatienceMs, spec.limits.stop));
  return vm;
}

}  // namespace bottle::machine
