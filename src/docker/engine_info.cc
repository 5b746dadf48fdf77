#include "docker/engine_info.h"

#include <algorithm>
#include <string_view>

#include <nlohmann/json.hpp>

#include "docker/answers.h"

namespace bottle::docker {
namespace {

using Json = nlohmann::json;

// Returns whether the answer lists a security option such as "rootless" or "seccomp".
bool has_option(const Json& answer, std::string_view name) {
  const Json& options = member(answer, "SecurityOptions");
  return std::any_of(options.begin(), options.end(), [&](const Json& option) {
    // An option is text such as "name=seccomp,profile=builtin".
    return option.is_string() && option.get<std::string>().find("name=" + std::string(name)) != std::string::npos;
  });
}

// Returns the file system below the storage driver, from rows such as ["Backing Filesystem", "xfs"].
std::string backing_file_system(const Json& answer) {
  if (const Json& status = member(answer, "DriverStatus"); status.is_array())
    for (const auto& row : status)
      if (row.is_array() && row.size() == 2 && row[0] == "Backing Filesystem" && row[1].is_string())
        return row[1].get<std::string>();
  return "";
}

std::map<std::string, EngineInfo::Runtime> runtimes(const Json& answer) {
  std::map<std::string, EngineInfo::Runtime> all;
  if (const Json& listed = member(answer, "Runtimes"); listed.is_object())
    for (const auto& [name, runtime] : listed.items())
      all[name] = {text_of(runtime, "path"), runtime.dump(-1, ' ', true, Json::error_handler_t::replace)};
  return all;
}

}  // namespace

std::vector<std::string> EngineInfo::runtime_names() const {
  std::vector<std::string> names;
  for (const auto& [name, unused] : runtimes) names.push_back(name);
  return names;
}

std::string EngineInfo::identity() const { return id.empty() || data_id.empty() ? id : id + "/" + data_id; }

bool EngineInfo::is_of(const std::string& identity) const {
  return !id.empty() && (identity == id || identity.starts_with(id + "/"));
}

bool names_data(const std::string& identity) { return identity.contains('/'); }

EngineInfo read_info(const Json& answer) {
  auto text = [&](const char* name) { return text_of(answer, name); };
  auto can = [&](const char* limit) { return member(answer, limit) != false; };
  bool is_rootless = has_option(answer, "rootless");
  return {.id = text("ID"),
          .version = text("ServerVersion"),
          .architecture = text("Architecture"),
          .kernel = text("KernelVersion"),
          .root_directory = text("DockerRootDir"),
          .storage_driver = text("Driver"),
          .backing_file_system = backing_file_system(answer),
          .cgroup_version = text("CgroupVersion"),
          .cgroup_driver = text("CgroupDriver"),
          .default_runtime = text_of(answer, "DefaultRuntime", "runc"),
          .runtimes = runtimes(answer),
          .is_rootless = is_rootless,
          .has_seccomp = has_option(answer, "seccomp"),
          .remaps_users = is_rootless || has_option(answer, "userns"),
          .limits = {can("MemoryLimit"), can("CpuCfsQuota"), can("PidsLimit")}};
}

}  // namespace bottle::docker
