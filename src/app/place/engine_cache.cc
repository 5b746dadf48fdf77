#include "app/place/engine_cache.h"

#include "app/world/world.h"
#include "base/files/file.h"
#include "base/ids.h"
#include "docker/answers.h"

namespace bottle::app {
namespace {

using nlohmann::json;

constexpr size_t kLargest = 1 << 20;  // in bytes

std::string directory() { return directories().cache + "/engines"; }

std::string path_of(const std::string& socket) { return directory() + "/" + content_hash(socket) + ".json"; }

}  // namespace

json facts_of(const json& info) {
  json facts = json::object();
  for (const char* name : {"ID", "ServerVersion", "KernelVersion", "Architecture", "DefaultRuntime", "Runtimes",
                           "SecurityOptions", "Driver", "DockerRootDir"})
    if (const auto& value = docker::member(info, name); !value.is_null()) facts[name] = value;
  // The other rows say how full the disk is.
  if (const auto& status = docker::member(info, "DriverStatus"); status.is_array())
    for (const auto& row : status)
      if (row.is_array() && !row.empty() && row[0] == "Backing Filesystem") facts["DriverStatus"] = json::array({row});
  return facts;
}

std::optional<json> recall_engine(const std::string& socket) {
  auto text = read_file(path_of(socket), kLargest);
  auto facts = text ? json::parse(*text, nullptr, false) : json();
  if (!facts.is_object()) return std::nullopt;
  return facts;
}

void remember_engine(const std::string& socket, const json& facts) {
  if (recall_engine(socket) == facts || !make_directories(directory())) return;
  (void)write_file_atomically(path_of(socket), facts.dump(-1, ' ', true, json::error_handler_t::replace));
}

}  // namespace bottle::app
