// What will exist. A Plan is complete: session acts on it and asks the operator nothing. No secret value is in it. As
// JSON (wire/start/plan.h) it is a documented, stable contract (docs/plan.md), shown by `bottle start --dry-run
// --json`.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text/line.h"
#include "manifest/manifest.h"

namespace bottle::plan {

// What an image made here follows from, besides provider and packages: when it changes, so does the image's tag.
struct ImageFacts {
  std::string recipe;        // content hash of the bootstrap script
  std::string architecture;  // the engine's: x86_64, aarch64
  std::map<std::string, std::string>
      dockerfiles;  // path as the manifest has it → content hash, of those that can be read
};

// What make() must be told about the world; gathered by app, faked by tests.
struct Facts {
  std::string session;                             // chosen by the caller: [a-z0-9-]{1,40}
  std::string workspace;                           // absolute path of the operator's directory
  uint32_t uid = 0, gid = 0;                       // the operator's
  std::map<std::string, std::string> environment;  // the operator's, to know which ${HOST_VAR} exist
  std::string time_zone;                           // the operator's, as TZ has it; empty: UTC, or unknown
  std::vector<std::string> runtimes;               // what the engine lists, e.g. runc, runsc
  std::vector<std::string> borrows;                // object directories of other repositories that it needs
  std::string repository;  // the git directory of the repository whose work tree workspace is in; empty: none
  std::string top;         // that work tree's, of which workspace may be a directory
  std::vector<std::string> precious;          // directories that no workspace may be, or be above
  std::map<std::string, std::string> skills;  // name → absolute path of its directory
  ImageFacts images;
};

struct Options {
  std::string agent;
  std::string prompt;  // -p TEXT
  bool headless = false;
  std::vector<std::string> agent_args;                         // after --
  std::string workspace_mode;                                  // overrides the manifest's when not empty
  std::string runtime;                                         // same
  std::string image;                                           // same
  bool record = false;                                         // every public host, to learn what is needed
  bool keep_ignored = false;                                   // files that git ignores come home, too
  std::string really;                                          // the workspace, even if bottle refuses it
  enum class IfUnset { fail, warn } if_unset = IfUnset::fail;  // for a variable that the agent needs
};

// Where a value comes from; resolved by session at launch, and never part of a Plan.
struct Source {
  enum class Kind { literal, env, file, cmd, prompt, locale } kind = Kind::literal;
  std::string text;  // the literal, variable name, path, command line, question, or the name of a locale, which the
                     // agent gets if its image has that locale
};

struct EnvVar {
  std::string name;
  Source source;
  bool secret = false;  // the agent sees the value, but the value must not leave
};

// The name among a plan's secrets of the login at egress.parent_proxy. It is no secret of the agent's: it has no hosts
// and no placeholder.
inline constexpr std::string_view kParentLogin = "egress.parent_proxy_login";

struct Secret {
  std::string name;
  Source source;
  std::vector<std::string> hosts;
  std::string header;       // "Authorization: Bearer {}"; empty: replace the placeholder in Authorization
  std::string placeholder;  // what the agent holds
  std::string env;          // the agent's variable that holds the placeholder; may be empty
  bool optional = false;    // missing value: no secret rather than an error (the provider's own token)
  std::vector<std::string> in = {"header"};  // header | query | body: where the guard puts the value in
  std::vector<std::string> beside;           // headers with credentials of the agent's own that may go with it
};

struct Image {
  std::string reference;   // an image the engine has, or the tag that `recipe` builds
  std::string recipe;      // "" | "bootstrap" (mmdebstrap + npm) | "dockerfile"
  std::string dockerfile;  // path, for recipe == "dockerfile"
  std::string provider;    // claude | codex | shell | command
  std::vector<std::string> packages;
  manifest::Pin pin;  // of the provider's program
};

struct Plan {
  std::string session, agent, bottle, provider;
  Image image;
  std::string runtime;  // "auto" or an engine runtime
  manifest::Resources resources;
  manifest::WorkspaceMode workspace_mode = manifest::WorkspaceMode::clone;
  std::string workspace;               // host path
  std::string repository;              // host path of the git directory that goes along, perhaps not below workspace
  std::string workdir = "/workspace";  // inside
  std::string start;                   // the directory below workdir in which the agent begins; empty: workdir
  std::vector<std::string> include;    // patterns: files that go along with a clone though they are not committed
  bool keep_ignored = false;           // files that git ignores come home
  std::vector<std::string> keep;       // patterns: these of them
  uint32_t uid = 1000, gid = 1000;     // of the agent, inside (never 0 unless bind needs it)
  std::vector<EnvVar> env;
  std::vector<Secret> secrets;
  manifest::Scan scan;
  manifest::Egress egress;
  std::vector<manifest::SshHost> ssh;
  std::vector<std::string> skills;   // host paths of skill directories
  std::string system_prompt;         // the agent's prompt from the manifest
  std::string prompt;                // what the operator asks now; given on stdin when headless
  std::vector<std::string> command;  // argv inside the bottle
  bool headless = false;
  bool record = false;  // egress.allow ends with a "*" that the manifest does not have
  std::vector<std::string> warnings;
};

// Pure. Errors name what in the manifest is wrong and how to mend it.
Result<Plan> make(const manifest::Manifest& manifest, const Options& options, const Facts& facts);

// A plan that holds only what the guard needs, for `bottle guard run`.
Result<Plan> for_guard(const manifest::Bottle& policy, const Facts& facts = {});

// The image made here for a provider: its tag changes with provider, packages, version, recipe and architecture.
Image bootstrap_image(const std::string& provider, const std::vector<std::string>& packages, const manifest::Pin& pin,
                      const ImageFacts& facts);

// The references of all images made here that some agent of this manifest could ask for now.
std::vector<std::string> current_images(const manifest::Manifest& manifest, const ImageFacts& facts);

// The preflight text shown before y/N: names of variables and secrets, never values.
std::vector<Line> explain(const Plan& plan);

}  // namespace bottle::plan
