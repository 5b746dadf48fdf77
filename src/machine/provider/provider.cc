// Translates between the rest of `bottle` and the hooks: a request becomes variables, and an exit status and a line
// of JSON become a Result. A provider must be complete before it is used for anything, because a provider that can
// create but not destroy would leave machines behind. "Not ready yet" is retried here and nowhere else, except for
// ssh-info, whose caller has its own deadline.

#include "machine/provider/provider.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

#include "base/files/entries.h"
#include "base/files/file.h"
#include "base/ids.h"
#include "base/os/deadline.h"
#include "base/os/descriptors.h"
#include "base/unique_fd.h"
#include "machine/provider/carried.h"
#include "ssh/target.h"

namespace bottle::machine {
namespace {

using nlohmann::json;

constexpr size_t kLongestSecret = 32 << 10;

bool executable(const std::string& path) {
  struct stat st{};
  return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

}  // namespace

// Processors and gigabytes of a disk are rounded up, because a provider sells only whole ones, and the manifest
// states the least amount.
int64_t VmRequest::cpus() const { return static_cast<int64_t>(std::ceil(wanted.cpus)); }
int64_t VmRequest::memory_mb() const { return static_cast<int64_t>(wanted.memory >> 20); }
int64_t VmRequest::disk_gb() const { return static_cast<int64_t>((wanted.disk + (1ull << 30) - 1) >> 30); }

Environment VmRequest::environment(Environment base) const {
  // Only a request may set these variables, not the operator's environment.
  std::erase_if(base, [](const auto& entry) {
    return entry.first.starts_with("BOTTLE_VM_") || entry.first.starts_with("BOTTLE_OPT_");
  });
  base["BOTTLE_VM_NAME"] = name;
  base["BOTTLE_VM_ID"] = id;
  base["BOTTLE_SESSION"] = session;
  base["BOTTLE_OWNER"] = owner;
  base["BOTTLE_VM_CPUS"] = std::to_string(cpus());
  base["BOTTLE_VM_MEMORY_MB"] = std::to_string(memory_mb());
  base["BOTTLE_VM_DISK_GB"] = std::to_string(disk_gb());
  base["BOTTLE_VM_TTL_SECONDS"] = std::to_string(wanted.ttl);
  base["BOTTLE_VM_IDLE_SECONDS"] = std::to_string(wanted.idle);
  base["BOTTLE_USER_DATA"] = user_data;
  base["BOTTLE_SSH_USER"] = kUser;
  base["BOTTLE_SSH_PUBLIC_KEY"] = ssh_public_key;
  base["BOTTLE_STATE_DIR"] = state_dir;
  for (const auto& [key, value] : wanted.options) {
    std::string variable = "BOTTLE_OPT_";
    for (char c : key)
      // Names of variables have no other punctuation (POSIX).
      variable += c == '-' || c == '.' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    base[variable] = value;
  }
  return base;
}

Result<> pause(const Limits& limits, int milliseconds) {
  for (auto deadline = Deadline::in_ms(milliseconds); !deadline.is_over() && !limits.stop.stop_requested();)
    std::this_thread::sleep_for(std::chrono::milliseconds(deadline.ms_left(100)));
  if (limits.stop.stop_requested()) return fail(Code::canceled, "the wait for the provider was stopped");
  return {};
}

Result<std::vector<std::string>> Provider::names(const Directories& directories) {
  // A folder of the operator takes the place of a carried provider of the same name, so the name is listed once.
  std::set<std::string> all;
  for (const auto& name : carried_providers()) all.insert(name);
  for (const auto& name : TRY(names_in(directories.config + "/providers")))
    if (is_session_name(name) && name != "lib") all.insert(name);
  return std::vector(all.begin(), all.end());
}

Result<Provider> Provider::find(const std::string& name, const Directories& directories, const Environment& environment,
                                const Limits& limits) {
  if (!is_session_name(name))
    return fail(Code::invalid, "'" + name + "' is not a valid name for a provider",
                "use lowercase letters, digits and -");
  Provider provider;
  provider.name_ = name;
  provider.environment_ = environment;
  provider.limits_ = limits;
  std::string own = directories.config + "/providers/" + name;
  // stat(2) follows a link, because the operator may keep the folder in another place.
  struct stat st{};
  if (::stat(own.c_str(), &st) == 0 || ::lstat(own.c_str(), &st) == 0 || (errno != ENOENT && errno != ENOTDIR)) {
    // Fails if the folder cannot be reached: a carried provider would run other programs than the operator's.
    TRY(only_ours(own));
    provider.directory_ = own;
  } else if (auto carried = carried_providers(); std::ranges::find(carried, name) != carried.end()) {
    provider.directory_ = TRY(unpack_provider(name, directories.cache));
  } else {
    std::string list;
    for (const auto& known : TRY(names(directories))) list += (list.empty() ? "" : ", ") + known;
    return fail(Code::not_found, "there is no provider '" + name + "'",
                "use one of " + list + ", or put your hooks into " + own);
  }
  for (const char* hook : {"create", "ssh-info", "status", "destroy", "list"})
    if (!provider.has(hook))
      return fail(Code::invalid,
                  "provider " + name + " has no executable hook '" + hook + "' in " + provider.directory_,
                  "docs/providers.md explains what a provider needs");
  return provider;
}

bool Provider::has(const std::string& hook) const { return executable(directory_ + "/" + hook); }

Result<json> Provider::call(const std::string& hook, const Environment& environment, const Progress& progress,
                            int timeout_ms, int lock, const std::function<void(int pid)>& started,
                            const std::string& input) const {
  std::string path = directory_ + "/" + hook;
  // The hook itself is checked, not only its directory: another user who can write to it could run programs as the
  // operator.
  TRY(only_ours(path));
  HookCall call{path, environment, timeout_ms, lock, started, input, limits_.stop};
  return run_hook(call, progress);
}

Result<json> Provider::patiently(const std::string& hook, const VmRequest& vm, const Progress& progress, int timeout_ms,
                                 int lock, const std::function<void(int pid)>& started) const {
  auto deadline = Deadline::in_ms(limits_.retry);
  for (int pause = limits_.backoff;; pause = std::min(pause * 2, limits_.backoff_most)) {
    auto answer = call(hook, environment(vm), progress, timeout_ms, lock, started);
    // Only after "try again" can another try help. All other failures would repeat.
    if (answer || answer.error().code != Code::unavailable) return answer;
    if (deadline.ms_left() <= pause) return answer;
    if (progress) progress(name_ + " " + hook + ": not ready, trying again");
    TRY(machine::pause(limits_, pause));
  }
}

Result<Created> Provider::create(const VmRequest& vm, const Progress& progress, int lock,
                                 const std::function<void(int pid)>& started) const {
  auto answer = TRY(patiently("create", vm, progress, limits_.create, lock, started));
  return during(name_ + "/create", read_created(answer));
}

Result<Where> Provider::ssh_info(const VmRequest& vm, const Progress& progress) const {
  auto answer = TRY(call("ssh-info", environment(vm), progress, limits_.other));
  return during(name_ + "/ssh-info", read_where(answer));
}

Result<std::string> Provider::status(const VmRequest& vm, const Progress& progress) const {
  auto answer = TRY(patiently("status", vm, progress, limits_.other));
  return during(name_ + "/status", read_status(answer, StatusOf::status));
}

Result<std::string> Provider::destroy(const VmRequest& vm, const Progress& progress) const {
  auto answer = TRY(patiently("destroy", vm, progress, limits_.other));
  return during(name_ + "/destroy", read_status(answer, StatusOf::destroy));
}

Result<> Provider::can_put_secrets() const {
  if (has("put-secret")) return {};
  return fail(Code::not_found, "provider " + name_ + " cannot store secrets, because it has no hook put-secret",
              "leave out --token-via, or name the file that the provider delivers: --token-file PATH");
}

Result<std::string> Provider::put_secret(const VmRequest& vm, const std::string& name, const std::string& value,
                                         const Progress& progress) const {
  TRY(can_put_secrets());
  if (value.size() > kLongestSecret) return fail(Code::limit, "secret " + name + " is longer than 32 KB");
  auto surroundings = environment(vm);
  surroundings["BOTTLE_SECRET_NAME"] = name;
  // The value goes through a pipe, because other users can see a command line, and other processes of the user can
  // see the environment. The call is not repeated, because the secret may have been stored.
  auto answer = TRY(call("put-secret", surroundings, progress, limits_.other, -1, {}, value));
  return during(name_ + "/put-secret", read_fetch(answer, value));
}

Result<std::string> Provider::bake(const VmRequest& vm, const std::string& before, const Progress& progress, int lock,
                                   const std::function<void(int pid)>& started) const {
  auto surroundings = environment(vm);
  surroundings["BOTTLE_BAKED_BEFORE"] = before;
  // Keeping a disk may take as long as creating a VM.
  auto answer = TRY(call("bake", surroundings, progress, limits_.create, lock, started));
  return during(name_ + "/bake", read_image(answer));
}

Result<std::vector<Listed>> Provider::list(const std::string& owner, const std::map<std::string, std::string>& options,
                                           const Progress& progress) const {
  VmRequest all;
  all.owner = owner;
  all.wanted.options = options;
  auto answer = TRY(patiently("list", all, progress, limits_.other));
  return during(name_ + "/list", read_list(answer));
}

}  // namespace bottle::machine
