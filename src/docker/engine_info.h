// Reads the engine's description of itself, the answer of GET /info. Each fact that other rooms need is a member here,
// so that an answer of an unexpected shape is examined in one place only.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <nlohmann/json_fwd.hpp>

namespace bottle::docker {

// Says which limits of a container the engine can set. Some engines do not report all of them, so a limit that is not
// reported counts as supported.
struct EngineLimits {
  bool memory = true, cpus = true, pids = true;
};

// Holds what an engine says about itself. The texts come from the engine and are not checked; a text that it does not
// give is empty.
struct EngineInfo {
  // A runtime that the engine lists.
  struct Runtime {
    std::string path;         // of its program
    std::string description;  // everything that the engine says about it, as JSON, so that changes can be seen
  };

  std::string id, version, architecture, kernel;
  // Identifies the data that the engine has now. It is the id of the network `none`, which the engine makes when it
  // begins without data. Empty if there is no such network. GET /info does not return it, so only describe() sets it.
  std::string data_id = {};
  std::string root_directory, storage_driver, backing_file_system;
  std::string cgroup_version, cgroup_driver;
  std::string default_runtime = "runc";
  std::map<std::string, Runtime> runtimes;
  bool is_rootless = false, has_seccomp = false;
  bool remaps_users = false;  // users in containers are other users on the machine: it is rootless, or has userns-remap
  EngineLimits limits;

  std::vector<std::string> runtime_names() const;

  // Returns a text that changes when the engine gets other data, for example when it starts without its disk. Its id
  // alone may stay the same then, because Docker 20.10 keeps the id in /etc/docker. No other engine has the same text,
  // except on a copy of the same disk, such as a cloned machine or another VM of one image. Returns an empty text if
  // the engine gives no id.
  std::string identity() const;
  // Returns whether `identity` is that of this engine, whatever data it had then. An identity that an earlier version
  // wrote is only the id.
  bool is_of(const std::string& identity) const;
};

// Returns whether an EngineInfo::identity() says which data the engine had. One that an earlier version wrote does not.
bool names_data(const std::string& identity);

// Reads an answer of any shape. A member that is missing or has another type counts as absent. Pure.
EngineInfo read_info(const nlohmann::json& answer);

}  // namespace bottle::docker
