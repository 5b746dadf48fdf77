// Gathers the facts about this machine: variables, manifest files, and the engine.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files/directories.h"
#include "docker/engine.h"
#include "manifest/manifest.h"
#include "plan/plan.h"

namespace bottle::app {

// Returns this process's environment, including secrets. Do not call it while another thread changes the environment.
std::map<std::string, std::string> environment();
// Removes the variables that hold secrets from this process's environment, so that programs started from now on do not
// inherit them. One of these is ssh, which stays in the background for its connection. Copy environment() before the
// call.
void withhold_secrets(const manifest::Manifest& manifest);
// Returns where bottle keeps its files, according to HOME and the XDG variables.
Directories directories();
// Returns what a provider's hooks may see: the operator's environment without the agents' own credentials.
std::map<std::string, std::string> hook_environment();

// Returns the current directory, or "/" if it was removed.
std::string current_directory();

// Changes to the operator's home directory. Programs that are started from now on (a secret's command, a hook, npm)
// then do not run in a repository. Many programs read settings or load code from the current directory.
void leave_directory();

// Programs that bottle starts get this PATH if the operator's own one is not used.
inline constexpr const char* kUsualPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

// Removes entries that are not absolute paths from PATH, LD_LIBRARY_PATH and similar variables, because programs would
// resolve them in the current directory. If nothing of PATH is left, it becomes kUsualPath.
void forget_relative_programs();
// Removes entries that lead into a directory (leads_into() in own_directories.h) from the same variables, and returns
// them. The agent of a bound workspace could put its own git or ssh there. Call it before there are other threads.
std::vector<std::string> forget_programs_in(const std::string& directory);

// Returns whether there is a file of the operator's with this absolute path, even if it cannot be read. Fails if that
// cannot be found out.
Result<bool> is_there(const std::string& path);
// Returns the existing files among bottle.yaml, bottle.json and version 1's claude-bottle.json. Fails if one exists but
// cannot be read, because the built-in policy would take its place.
Result<std::vector<manifest::File>> policy_files();

// Returns the operator's policy and agents, without those of any repository.
Result<manifest::Manifest> load_own_manifest();
// Returns the operator's policy and agents, and the repository's agents, which may not contain policy.
Result<manifest::Manifest> load_manifest(const std::string& workspace);
// Does the same, but returns all mistakes in the files. Fails only if a file cannot be read.
Result<manifest::Examined> examine_manifest(const std::string& workspace);

// Returns the operator's home and the directories in which bottle keeps the operator's data: absolute, without links.
std::vector<std::string> precious_directories();
// Returns the facts about this machine. The place where the bottle will run adds more facts (Place::describe).
plan::Facts gather_facts(const std::string& workspace);
// `architecture` is the engine's; if it is empty, this machine's is used.
plan::ImageFacts image_facts(const manifest::Manifest& manifest, const std::string& architecture);
// Connects to the engine that DOCKER_HOST, the docker command's context or the usual sockets name. Blocks. A stop ends
// every wait for the engine with Code::canceled.
Result<std::unique_ptr<docker::Engine>> connect_engine(const std::stop_token& stop = {});

// Returns this machine's public roots as PEM, or an empty string if none are found.
std::string public_roots();
// Returns the texts of the files of egress.extra_ca, one after the other. Fails if one cannot be read or is over 4 MB.
Result<std::string> concatenated(const std::vector<std::string>& files);

}  // namespace bottle::app
