// Defines the plan, which says what will exist in a session. A plan is complete: the session follows it without asking
// the operator. It contains no values of secrets. Its JSON (wire/start/plan.h) is a stable format (docs/plan.md), which
// `bottle start --dry-run --json` prints.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/text/line.h"
#include "manifest/manifest.h"

namespace bottle::plan {

// Lists the ingredients of an image besides the provider and packages. If one of them changes, so does the image's tag.
struct ImageFacts {
  std::string bootstrap_hash;  // content hash of the bootstrap script
  std::string architecture;    // the engine's, such as x86_64 or aarch64
  std::map<std::string, std::string>
      dockerfiles;  // path as in the manifest → content hash, for the files that can be read
};

// Holds everything about the outside world that make() depends on. `app` gathers these facts, and tests invent them.
struct Facts {
  std::string session;                             // chosen by the caller: [a-z0-9-]{1,40}
  std::string workspace;                           // absolute path of the operator's directory
  uint32_t uid = 0, gid = 0;                       // the operator's
  std::map<std::string, std::string> environment;  // the operator's, to see which ${HOST_VAR} exist
  std::string time_zone;                           // the operator's, in the form of TZ; empty means UTC or unknown
  std::vector<std::string> runtimes;               // those that the engine lists, such as runc and runsc
  std::vector<std::string> borrows;                // object directories of other repositories that the repository needs
  std::string repository;             // the git directory of the repository that contains `workspace`, or empty
  std::string top;                    // the top directory of that work tree
  std::vector<std::string> precious;  // directories that a workspace must not be or contain
  // Lists the files and directories that no agent may be able to change. Called only if the agent can write to the
  // workspace, because the list is long: it contains each link in the directories of PATH.
  std::function<Result<std::vector<std::string>>()> trusted = [] { return std::vector<std::string>(); };
  std::map<std::string, std::string> skills;  // name → absolute path of its directory
  std::string skills_error;                   // why there may be more of them, or empty
  ImageFacts images;
};

// Holds the operator's options on the command line of `bottle start`. An empty text leaves the decision to the
// manifest.
struct Options {
  std::string agent;
  std::string prompt;  // -p TEXT
  bool headless = false;
  std::vector<std::string> agent_args;  // after --
  std::string workspace_mode;           // if not empty, overrides the manifest
  std::string runtime;                  // likewise
  std::string image;                    // likewise
  bool record = false;                  // allows every public host, to learn which hosts the agent needs
  bool keep_ignored = false;            // brings home also the files that git ignores
  std::string really;                   // the workspace, if bottle would refuse it and the operator confirms it
  enum class IfUnset { fail, warn } if_unset = IfUnset::fail;  // if a variable that the agent needs is not set
};

// Says where a value comes from. The session reads the value at launch; it is never part of a plan.
struct Source {
  enum class Kind { literal, env, file, cmd, prompt, locale } kind = Kind::literal;
  std::string text;  // the literal, variable name, path, command line, question, or the name of a locale, which the
                     // agent gets if its image has that locale
};

// Describes a variable that the agent sees. Its value reaches the agent through the gate, not through the container's
// settings.
struct EnvVar {
  std::string name;
  Source source;
  bool secret = false;  // the agent sees the value, but the value must not leave
};

// The name of the login at egress.parent_proxy among a plan's secrets. That secret has no hosts and no placeholder,
// because only the guard uses it.
inline constexpr std::string_view kParentLogin = "egress.parent_proxy_login";

// Describes a secret of the session. The agent holds only the placeholder, and the guard inserts the value into
// requests to `hosts`.
struct Secret {
  std::string name;
  Source source;
  std::vector<std::string> hosts;
  std::string header;       // "Authorization: Bearer {}"; empty: replaces the placeholder in Authorization
  std::string placeholder;  // what the agent holds
  std::string env;          // the agent's variable that holds the placeholder; may be empty
  bool optional = false;    // whether a missing value means no secret instead of an error (the provider's own token)
  std::vector<std::string> in = {"header"};  // where the guard inserts the value: header | query | body
  std::vector<std::string> beside;           // headers with the agent's own credentials that may go with it
  bool exposed = false;                      // the agent gets the value itself, so answers may contain it
};

// Describes the image of the agent's container, and how to build it if the engine does not have it.
struct Image {
  std::string reference;  // an image that the engine has, or the tag that `recipe` builds
  // `none` means that the engine must have it; `bootstrap` is mmdebstrap and npm.
  enum class Recipe { none, bootstrap, dockerfile } recipe = Recipe::none;
  std::string dockerfile;  // path, for Recipe::dockerfile
  std::string provider;    // claude | codex | shell | command
  std::vector<std::string> packages;
  manifest::Pin pin;  // of the provider's program
};

// Holds the plan of one session. make() or for_guard() makes it. The launcher shows it, the job carries it to the
// supervisor, and the ledger of a remote session keeps it. Everything in it may therefore be printed or written to a
// disk.
struct Plan {
  std::string session, agent, bottle, provider;
  Image image;
  std::string runtime;  // "auto" or an engine runtime
  manifest::Resources resources;
  manifest::WorkspaceMode workspace_mode = manifest::WorkspaceMode::clone;
  std::string workspace;               // host path
  std::string repository;              // host path of the git directory that is sent, perhaps outside `workspace`
  std::string workdir = "/workspace";  // path in the bottle
  std::string start;                   // the directory below workdir in which the agent starts; empty means workdir
  std::vector<std::string> include;    // patterns of uncommitted files that are sent with a clone
  bool keep_ignored = false;           // whether files that git ignores come home
  std::vector<std::string> keep;       // patterns of ignored files that come home
  uint32_t uid = 1000, gid = 1000;     // of the agent in the bottle; never 0 unless bind needs it
  std::vector<EnvVar> env;
  std::vector<Secret> secrets;
  manifest::Scan scan;
  manifest::Egress egress;
  std::vector<manifest::SshHost> ssh;
  std::vector<std::string> skills;   // host paths of skill directories
  std::string system_prompt;         // the agent's prompt from the manifest
  std::string prompt;                // the operator's prompt for this session; passed on stdin if headless
  std::vector<std::string> command;  // argv inside the bottle
  bool headless = false;
  bool record = false;  // whether egress.allow ends with a "*" that the manifest does not have
  std::vector<std::string> warnings;
};

// Returns whether the agent has the secret's value, through `expose` or in a variable from the same source. Pure.
bool is_exposed(const Plan& plan, const Secret& secret);

// Makes a plan. Errors say what is wrong in the manifest and how to correct it. Pure.
Result<Plan> make(const manifest::Manifest& manifest, const Options& options, const Facts& facts);

// Makes a plan that contains only what the guard needs, for `bottle guard run`.
Result<Plan> for_guard(const manifest::Bottle& policy, const Facts& facts = {});

// Returns the image made for a provider. Its tag depends on provider, packages, version, recipe and architecture.
Image bootstrap_image(const std::string& provider, const std::vector<std::string>& packages, const manifest::Pin& pin,
                      const ImageFacts& facts);

// Returns the references of all images made by bottle that an agent of this manifest may need.
std::vector<std::string> current_images(const manifest::Manifest& manifest, const ImageFacts& facts);

// Returns the summary that is shown before a start. It contains names of variables and secrets, never values.
std::vector<Line> explain(const Plan& plan);

}  // namespace bottle::plan
