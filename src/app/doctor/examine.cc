// Facts are gathered one after the other. A fact that is not available stays unknown, or becomes an error that
// diagnose() shows, and the others are gathered nevertheless. Only the guard's image and the trials of runtimes
// create something on the engine, because only a trial shows whether they work.
#include "app/doctor/doctor.h"

#include <unistd.h>

#include <cerrno>

#include "app/world/world.h"
#include "base/files/file.h"
#include "base/files/full_disk.h"
#include "base/os/process.h"
#include "base/os/system_facts.h"
#include "base/text/path_parts.h"
#include "docker/client/endpoint.h"
#include "docker/client/http_engine.h"
#include "git/run/git.h"
#include "session/images/guard_image.h"
#include "session/sweep/sweep.h"
#include "session/sweep/unrecorded.h"

namespace bottle::app {
namespace {

// Gathers what the engine says about itself, and tries its runtimes.
Result<> engine_facts(docker::Engine& engine, Health& health) {
  docker::EngineInfo info = TRY(engine.info());
  health.socket = engine.socket();
  health.api = engine.api_version();
  health.version = info.version.empty() ? "of unknown version" : info.version;
  health.default_runtime = info.default_runtime;
  health.limits = info.limits;
  health.rootless = info.is_rootless;
  health.seccomp = info.has_seccomp;
  if (info.root_directory.starts_with("/")) health.engine_disk = free_bytes(info.root_directory);
  auto image = session::ensure_guard_image(engine);
  if (!image) {
    health.guard_image_error = image.error();
    return {};
  }
  for (const auto& name : info.runtime_names())
    // Engines list these other names of runc as well.
    if (name != "io.containerd.runc.v2" && name != "io.containerd.runtime.v1.linux")
      health.runtimes.push_back(session::try_runtime(engine, directories(), *image, name));
  return {};
}

// Loads the manifest as a start in `workspace` would.
void policy(const std::string& workspace, Health& health) {
  auto files = policy_files();
  if (files)
    for (const auto& file : *files) health.policy_files.push_back(file.path);
  auto manifest = load_manifest(workspace);
  if (!manifest) {
    health.manifest_error = manifest.error();
    return;
  }
  health.agents = manifest->agents.size();
  health.bottles = manifest->bottles.size();
  for (const auto& [name, agent] : manifest->agents) health.providers.push_back(agent.provider);
}

// Returns why nothing can be written to a directory, which may not exist yet.
std::optional<Error> why_not_writable(std::string path) {
  while (path.size() > 1 && ::access(path.c_str(), F_OK) != 0 && errno == ENOENT) path = parent_of(path);
  if (::access(path.c_str(), W_OK | X_OK) == 0) return {};
  Error error = fail_errno("writing the results of sessions to " + path).error();
  error.todo = "make that directory writable for you, or set XDG_STATE_HOME to another one";
  return error;
}

}  // namespace

Health examine() {
  Health health;
  std::string workspace = current_directory();
  leave_directory();
  auto variables = environment();
  auto set = [&](const char* name) { return variables.contains(name) && !variables[name].empty(); };
  auto endpoint = docker::find_endpoint(variables);
  auto engine = then(endpoint, docker::connect);
  // Counts what dead owners left before the trials create anything.
  for (const auto& orphan : session::find_orphans(directories()))
    health.orphans.push_back(orphan.session.empty() ? orphan.view.error().what : orphan.session);
  if (engine)
    if (auto found = session::find_unrecorded(directories(), **engine))
      for (const auto& each : *found) health.unrecorded.push_back(word_of(each.thing.kind) + " " + each.thing.name);
  if (endpoint) health.origin = endpoint->origin;
  if (!engine) health.engine_error = engine.error();
  else if (auto asked = engine_facts(**engine, health); !asked) health.engine_error = asked.error();
  health.state_disk = free_bytes(directories().results);
  health.state_error = why_not_writable(directories().results);
  auto memory = memory_facts();
  health.memory = memory.total;
  health.memory_available = memory.available;
  // The format is os-release(5). The build script supports Debian and Ubuntu.
  std::string release = read_file("/etc/os-release", 1 << 16).value_or("");
  health.tools.debian = release.find("\nID=debian") != std::string::npos || release.starts_with("ID=debian") ||
                        release.find("\nID=ubuntu") != std::string::npos;
  health.tools.mmdebstrap = is_in_path("mmdebstrap");
  health.tools.npm = is_in_path("npm");
  health.tools.git = git::version().value_or("");
  health.keys.claude_token = set("CLAUDE_BOTTLE_OAUTH_TOKEN");
  health.keys.anthropic = set("ANTHROPIC_API_KEY");
  health.keys.openai = set("OPENAI_API_KEY");
  policy(workspace, health);
  return health;
}

}  // namespace bottle::app
