// What the program is told by its surroundings, gathered in one place: environment, manifest files, engine.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/directories.h"
#include "base/error.h"
#include "docker/engine.h"
#include "manifest/manifest.h"
#include "plan/plan.h"

namespace bottle::app {

std::map<std::string, std::string> environment();
// Takes the variables that hold secrets out of this process's environment: what it starts from now on (ssh, which stays
// behind for its connection) does not inherit them. A copy of environment() must have been made before.
void withhold_secrets(const manifest::Manifest& manifest);
session::Directories directories();
// What a provider's hooks may see: the operator's environment without the agents' own credentials.
std::map<std::string, std::string> hook_environment();

// Goes to the operator's home directory. Programs that are started from now on (a secret's command, a hook, npm) do not
// find themselves in a repository: many read settings, or load code, from the directory they are in.
void leave_directory();

// Takes entries that are no absolute paths out of PATH: they would be looked up in the directory we are in.
void forget_relative_programs();

// bottle.yaml, bottle.json, version 1's claude-bottle.json: those that are there.
Result<std::vector<manifest::File>> policy_files();

// The operator's policy and agents, and the repository's agents, which may not bring policy.
Result<manifest::Manifest> load_manifest(const std::string& workspace);

// What this machine tells; where the bottle will run adds its own (Place::describe).
// The operator's home, and where bottle keeps what is his: absolute, without links.
std::vector<std::string> precious_directories();
plan::Facts gather_facts(const std::string& workspace);
// `architecture`: the engine's, or empty for this machine's.
plan::ImageFacts image_facts(const manifest::Manifest& manifest, const std::string& architecture);
Result<docker::Engine> connect_engine();

// This machine's public roots as PEM; empty where none is found.
std::string public_roots();
Result<std::string> concatenated(const std::vector<std::string>& files);
std::string path_to_self();

// `bottle far WORDS` (remote/far/far.h): the exit status.
int run_far(const std::vector<std::string>& words);

}  // namespace bottle::app
