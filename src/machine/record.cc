#include "machine/record.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>

#include "base/files/file.h"
#include "base/files/own_file.h"
#include "base/ids.h"

namespace bottle::machine {
namespace {

using nlohmann::json;

json to_json(const ProcessIdentity& process) {
  return {{"pid", process.pid}, {"start", process.start_time}, {"boot", process.boot_id}};
}

ProcessIdentity process_from(const json& j) { return {j.value("pid", 0), j.value("start", ""), j.value("boot", "")}; }

// Checks the shape of a record. No other user can have written it, but an incomplete file must not throw.
bool shaped(const json& j) {
  for (const char* key :
       {"name", "id", "session", "owner", "provider", "user_data", "ssh_public_key", "state_dir", "cost_per_hour"})
    if (!j.contains(key) || !j[key].is_string()) return false;
  for (const char* key : {"cpus", "memory_mb", "disk_gb", "ttl", "idle"})
    if (!j.contains(key) || !j[key].is_number_unsigned()) return false;
  for (const char* key : {"made", "until"})
    if (!j.contains(key) || !j[key].is_number_integer()) return false;
  for (const char* key : {"owner_process", "hook"}) {
    if (!j.contains(key) || !j[key].is_object()) return false;
    const json& p = j[key];
    if (!p.contains("pid") || !p["pid"].is_number_integer() || !p.contains("start") || !p["start"].is_string() ||
        !p.contains("boot") || !p["boot"].is_string())
      return false;
  }
  if (j.contains("held") && !j["held"].is_boolean()) return false;
  if (!j.contains("keep") || !j["keep"].is_boolean() || !j.contains("options") || !j["options"].is_object())
    return false;
  return std::ranges::all_of(j["options"], [](const json& value) { return value.is_string(); });
}

// Checks that every path in a record, some of which are passed to a hook, is the one that was made for this VM, and
// that the session has a valid name.
bool is_at_home(const json& j, const std::string& directory) {
  auto at = [&](const char* key, const char* name) { return j[key] == "" || j[key] == directory + name; };
  return at("state_dir", "/provider") && at("user_data", "/user-data") && at("ssh_public_key", "/key.pub") &&
         (j["session"] == "" || is_session_name(j["session"].get<std::string>()));
}

}  // namespace

int64_t now_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

Result<> save(const Record& r, const Places& places) {
  json j = {{"name", r.vm.name},
            {"id", r.vm.id},
            {"session", r.vm.session},
            {"owner", r.vm.owner},
            {"cpus", r.vm.cpus()},
            {"memory_mb", r.vm.memory_mb()},
            {"disk_gb", r.vm.disk_gb()},
            {"ttl", r.vm.wanted.ttl},
            {"idle", r.vm.wanted.idle},
            {"user_data", r.vm.user_data},
            {"ssh_public_key", r.vm.ssh_public_key},
            {"state_dir", r.vm.state_dir},
            {"options", r.vm.wanted.options},
            {"provider", r.vm.wanted.provider},
            {"owner_process", to_json(r.owner)},
            {"keep", r.keep},
            {"held", r.held},
            {"made", r.made},
            {"until", r.until},
            {"cost_per_hour", r.cost_per_hour},
            {"hook", to_json(r.hook)}};
  return write_file_atomically(places.directory(r.vm.name) + "/vm.json",
                               j.dump(2, ' ', false, json::error_handler_t::replace) + "\n");
}

bool is_gone(const Result<Record>& loaded) { return !loaded && loaded.error().code == Code::not_found; }

Result<Record> load(const std::string& name, const Places& places) {
  if (!valid_vm_name(name)) return fail(Code::invalid, "'" + name + "' is not a valid name for a VM");
  std::string path = places.directory(name) + "/vm.json";
  // What a record names is destroyed, signaled and passed to programs, so this user must have written it.
  auto opened = open_own_directory(places.directory(name));
  if (!opened && opened.error().code == Code::not_found)
    return fail(Code::not_found, "reading " + path + ": there is none");
  if (!opened) return std::unexpected(std::move(opened.error()));
  auto text = TRY(read_own_file(*opened, places.directory(name), "vm.json", 1 << 20));
  auto j = json::parse(text, nullptr, false);
  if (!j.is_object() || !shaped(j) || j["name"] != name || !is_at_home(j, places.directory(name)))
    return fail(Code::protocol, path + " is not the record of a VM",
                "destroy the VM with the provider's own tools, then remove " + places.directory(name));
  Record r;
  manifest::Vm wanted{.provider = j["provider"],
                      .ttl = j["ttl"],
                      .idle = j["idle"],
                      .memory = j["memory_mb"].get<uint64_t>() << 20,
                      .disk = j["disk_gb"].get<uint64_t>() << 30,
                      .cpus = j["cpus"],
                      .options = j["options"]};
  r.vm = {j["name"], j["id"], j["session"], j["owner"], wanted, j["user_data"], j["ssh_public_key"], j["state_dir"]};
  r.owner = process_from(j["owner_process"]);
  r.keep = j["keep"];
  r.held = j.value("held", false);  // older records do not have this key
  r.made = j["made"];
  r.until = j["until"];
  r.cost_per_hour = j["cost_per_hour"];
  r.hook = process_from(j["hook"]);
  return r;
}

std::vector<std::string> recorded(const Places& places) {
  std::vector<std::string> names;
  if (DIR* dir = ::opendir(places.vms.c_str())) {
    while (dirent* entry = ::readdir(dir))
      if (valid_vm_name(entry->d_name)) names.push_back(entry->d_name);
    ::closedir(dir);
  }
  std::ranges::sort(names);
  return names;
}

bool is_recorded(const std::string& name, const Places& places) {
  return valid_vm_name(name) && ::access((places.directory(name) + "/vm.json").c_str(), F_OK) == 0;
}

Result<> take_over(const std::string& name, const Places& places) {
  Record record = TRY(load(name, places));
  record.owner = ProcessIdentity::self();
  record.held = false;
  return save(record, places);
}

Result<> hold(const std::string& name, const Places& places) {
  Record record = TRY(load(name, places));
  record.held = true;
  return save(record, places);
}

void forget(const std::string& name, const Places& places) {
  if (!valid_vm_name(name)) return;
  std::string directory = places.directory(name);
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(directory, ignored))
    if (entry.path().filename() != "vm.json") std::filesystem::remove_all(entry.path(), ignored);
  std::filesystem::remove_all(directory, ignored);
}

void forget_unborn(const std::string& name, const Places& places) {
  struct stat st{};
  std::string directory = places.directory(name);
  if (is_recorded(name, places) || ::stat(directory.c_str(), &st) != 0) return;
  if (now_seconds() - st.st_mtime > 10) forget(name, places);
}

bool ownerless(const Record& record) { return !record.keep && !record.owner.alive(); }

bool abandoned(const Record& record, int64_t now) { return now >= record.until || (!record.held && ownerless(record)); }

Result<UniqueFd> lock_vm(const std::string& name, const Places& places, int timeout_ms) {
  std::string path = places.directory(name) + "/lock";
  auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  for (;;) {
    UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0600));
    if (!fd) return fail_errno("opening " + path);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
      // The process that had the lock may have removed the directory.
      struct stat mine{}, there{};
      if (::fstat(fd.get(), &mine) == 0 && ::stat(path.c_str(), &there) == 0 && mine.st_ino == there.st_ino) return fd;
      continue;
    }
    if (std::chrono::steady_clock::now() >= until)
      return fail(Code::timed_out, "VM " + name + ": another process is creating or destroying it");
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
  }
}

}  // namespace bottle::machine
