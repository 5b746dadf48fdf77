// Each finding has a code, which stays the same for programs, a sentence that states the fact, and advice. A failure
// keeps all sessions from starting; if only some sessions are affected, the finding is a warning. This file queries
// nothing, so a test can judge any machine.
#include <algorithm>

#include "app/doctor/doctor.h"
#include "app/output/output.h"
#include "base/text/words.h"
#include "base/units.h"
#include "git/run/git.h"
#include "session/box/machine_findings.h"

namespace bottle::app {
namespace {

// Judges the engine: its limits, the guard's image and the runtimes. Without an engine, nothing else can be judged.
void engine(const Health& h, Findings& found) {
  if (h.engine_error) return found.fail("engine", h.engine_error->what, h.engine_error->todo);
  found.ok("engine", "engine " + h.version + ", API " + h.api + (h.rootless ? ", rootless" : "") + ", at " + h.socket +
                         (h.origin == h.socket || h.origin.empty() ? "" : " (from " + h.origin + ")"));
  session::judge_limits(found, h.limits, h.rootless, "the engine");
  session::judge_seccomp(found, h.seccomp, "the engine");
  if (h.guard_image_error) return found.fail("guard_image", h.guard_image_error->what, h.guard_image_error->todo);
  found.ok("guard_image", "the engine has the guard's image");
  // Without any runtime that works, the advice to add a sandbox would not help.
  bool works = false, sandboxed = false;
  for (const auto& trial : h.runtimes) {
    if (trial.problem.empty()) {
      works = works || trial.name == h.default_runtime;
      sandboxed = sandboxed || trial.name.starts_with("runsc") || trial.name.starts_with("kata");
      found.ok("runtime", "runtime " + trial.name + " works (" + std::to_string(trial.milliseconds) + " ms)" +
                              (trial.name == h.default_runtime ? ", the default" : ""));
    } else if (trial.name == h.default_runtime) {
      found.fail("runtime", "the default runtime " + trial.name + " does not work: " + trial.problem,
                 "set another default-runtime in the engine's daemon.json");
    } else {
      found.warn("runtime", "runtime " + trial.name + " does not work: " + trial.problem,
                 "do not name it in `runtime:`, or take it out of the engine's daemon.json");
    }
  }
  if (works && !sandboxed)
    found.warn("sandbox", "no runtime gives the agent its own kernel",
               "install gVisor (apt-get install runsc) and add it to the engine's daemon.json");
}

// Returns text such as "1 agent" or "2 agents".
std::string counted(size_t count, const std::string& what) {
  return std::to_string(count) + " " + what + (count == 1 ? "" : "s");
}

// Judges the space on disks and in memory.
void room(const Health& h, Findings& found) {
  // `docker system prune` would also remove the containers of sessions that are held, and those have work in them.
  constexpr const char* kFree =
      "free some space with `bottle image prune`, `docker image prune` or `docker builder prune`, and keep the "
      "containers of sessions that `bottle list` calls held: they have the work";
  auto disk = [&](const char* code, const std::optional<uint64_t>& free, const std::string& where) {
    // The engine is on another machine, or the directory is not known.
    if (!free) return;
    std::string text = decimal_size(*free) + " free " + where;
    // Below this, not even one image fits.
    if (*free < 1'000'000'000) found.fail(code, text + ", but one image takes 0.6 GB", kFree);
    else session::judge_disk(found, code, *free, text, kFree);
  };
  disk("disk", h.engine_disk, "for the engine");
  if (h.state_error) found.fail("state_disk", h.state_error->what, h.state_error->todo);
  else disk("state_disk", h.state_disk, "for the results of sessions");
  if (!h.memory) return;
  session::judge_memory(found, h.memory,
                        decimal_size(h.memory) + " of memory, " + decimal_size(h.memory_available) + " available",
                        "lower `resources: {memory: …}` in the bottle, or use another machine");
}

bool uses(const Health& h, const char* provider) {
  return std::ranges::find(h.providers, provider) != h.providers.end();
}

// Returns whether an image contains a package from npm.
bool uses_npm(const Health& h) { return uses(h, "claude") || uses(h, "codex"); }

// Judges the programs that build images and carry workspaces.
void tools(const Health& h, Findings& found) {
  if (!h.tools.debian) {
    found.warn("image_tools", "bottle cannot build images on this machine, because it runs neither Debian nor Ubuntu",
               "set `image:` or `dockerfile:` in the bottle");
  } else if (!h.tools.mmdebstrap) {
    bool needs_npm = !h.tools.npm && uses_npm(h);
    found.warn(
        "image_tools", std::string("bottle cannot build images without mmdebstrap") + (needs_npm ? " and npm" : ""),
        std::string("apt-get install mmdebstrap") + (needs_npm ? " npm" : "") + ", or set `image:` in the bottle");
  } else if (!h.tools.npm && uses_npm(h)) {
    found.warn("image_tools", "bottle cannot build the images of claude and codex without npm",
               "apt-get install npm, or set `image:` in the bottle");
  } else if (!h.tools.npm) {
    found.ok("image_tools",
             "mmdebstrap is installed, so bottle can build images; those of claude and codex would also need npm");
  } else {
    found.ok("image_tools", "mmdebstrap and npm are installed, so bottle can build images");
  }
  auto version = git::version_in(h.tools.git);
  if (h.tools.git.empty())
    found.fail("git", "git is missing; bottle needs it to clone workspaces and to bring work back",
               "apt-get install git");
  else if (!version || *version < git::Version{2, 30})
    found.warn("git", h.tools.git + " is too old", "upgrade to git 2.30 or later");
  else found.ok("git", h.tools.git);
}

// Judges the manifest, the values that agents sign in with, and what earlier sessions left.
void policy(const Health& h, Findings& found) {
  if (h.manifest_error) found.fail("manifest", h.manifest_error->what, h.manifest_error->todo);
  else if (h.policy_files.empty())
    found.warn("manifest",
               "there is no manifest; the built-in agents claude and codex can reach only their API, and shell nothing",
               "run `bottle init` to write one");
  else
    found.ok("manifest",
             joined(h.policy_files) + ": " + counted(h.agents, "agent") + ", " + counted(h.bottles, "bottle"));
  // Checks only whether there is a value, and never shows it.
  if (h.keys.claude_token) found.ok("token", "CLAUDE_BOTTLE_OAUTH_TOKEN is set");
  else if (h.keys.anthropic) found.ok("token", "ANTHROPIC_API_KEY is set");
  else if (uses(h, "claude"))
    found.warn("token", "neither CLAUDE_BOTTLE_OAUTH_TOKEN nor ANTHROPIC_API_KEY is set, so Claude cannot sign in",
               "run `claude setup-token` on any machine that has Claude Code, then export "
               "CLAUDE_BOTTLE_OAUTH_TOKEN=<the token it prints>; or export ANTHROPIC_API_KEY=<your key>");
  if (h.keys.openai) found.ok("openai_key", "OPENAI_API_KEY is set");
  else if (uses(h, "codex") && !h.policy_files.empty())
    found.warn("openai_key", "OPENAI_API_KEY is not set, so Codex cannot sign in", "export OPENAI_API_KEY=<your key>");
  if (h.orphans.empty()) found.ok("leftovers", "no dead session left anything");
  else found.warn("leftovers", "dead sessions left: " + joined(h.orphans), "run `bottle cleanup`");
  if (!h.unrecorded.empty())
    found.warn("unrecorded", "these have labels of a dead session but are in no ledger: " + joined(h.unrecorded),
               "run `bottle cleanup --dry-run` to see more");
}

}  // namespace

std::vector<Finding> diagnose(const Health& health) {
  Findings found;
  engine(health, found);
  room(health, found);
  tools(health, found);
  policy(health, found);
  return found.take();
}

}  // namespace bottle::app
