// Other rooms do not read the environment; this file gathers the facts that they need and passes them on. It
// separates two kinds of sources. The operator's variables and files are trusted, and some of the variables are
// withheld from programs that are started. Files of a repository are not trusted: an agent may have written them, so
// they are read without following links out of the tree, within limits, and may not contain policy.
#include "app/world/world.h"

#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <functional>

#include "app/world/own_directories.h"
#include "base/files/beneath.h"
#include "base/files/durable.h"
#include "base/files/entries.h"
#include "base/files/file.h"
#include "base/ids.h"
#include "base/os/this_program.h"
#include "base/text/path_parts.h"
#include "docker/answers.h"
#include "docker/client/endpoint.h"
#include "docker/client/http_engine.h"
#include "git/repository.h"
#include "session/images/agent_image.h"

extern char** environ;

namespace bottle::app {
namespace {

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

// Returns the sorted paths of the entries of one of the operator's directories, without hidden ones.
Result<std::vector<std::string>> entries(const std::string& directory, const std::string& suffix) {
  std::vector<std::string> paths;
  for (const auto& name : TRY(names_in(directory)))
    if (!name.starts_with('.') && name.ends_with(suffix)) paths.push_back(directory + "/" + name);
  return paths;
}

// The content of a repository is untrusted: only regular files in the tree are read, within these limits on number and
// size.
constexpr size_t kMostAgents = 200, kMostEntries = 2000, kLargestAgent = 256 << 10, kLargestAgents = 4 << 20;

// Adds the agents that cannot be read to `unusable`.
Result<std::vector<manifest::File>> repository_agents(const std::string& workspace,
                                                      std::vector<manifest::Unusable>& unusable) {
  std::vector<manifest::File> files;
  if (!exists(workspace)) return files;
  const std::string place = ".bottle/agents";
  // A link may lead to another place of the same tree, but not out of it.
  Beneath tree = TRY(Beneath::open(workspace, Beneath::Links::inside));
  std::vector<std::string> names;
  TRY(tree.each(place, kMostEntries, [&](const std::string& name, unsigned char) -> Result<> {
    if (!name.starts_with('.') && name.ends_with(".md")) names.push_back(name);
    return {};
  }));
  if (names.size() > kMostAgents)
    return fail(Code::limit, workspace + "/" + place + " holds more than " + std::to_string(kMostAgents) + " agents",
                "remove some of them");
  std::ranges::sort(names);
  size_t left = kLargestAgents;
  for (const auto& name : names) {
    auto text = tree.read(place + "/" + name, std::min(kLargestAgent, left));
    if (!text) {
      unusable.push_back({name.substr(0, name.size() - 3), std::move(text.error())});
      continue;
    }
    if (!*text) continue;  // it is a directory, or it was removed meanwhile
    left -= (*text)->size();
    files.push_back({workspace + "/" + place + "/" + name, std::move(**text)});
  }
  return files;
}

Result<std::vector<manifest::File>> read_all(const std::vector<std::string>& paths) {
  std::vector<manifest::File> files;
  for (const auto& path : paths) {
    // An agent's file decides what the agent is told to do, and in which bottle.
    TRY(check_own_path(path));
    files.push_back({path, TRY(read_file(path, 1 << 20))});
  }
  return files;
}

}  // namespace

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; *entry; ++entry) {
    std::string text = *entry;
    if (size_t eq = text.find('='); eq != std::string::npos) variables[text.substr(0, eq)] = text.substr(eq + 1);
  }
  return variables;
}

// A provider's hook needs its own credentials, which may be in any variable, so only those of agents are removed.
std::map<std::string, std::string> hook_environment() {
  auto all = environment();
  std::erase_if(all, [](const auto& variable) {
    for (const char* prefix : {"CLAUDE_", "ANTHROPIC_", "OPENAI_", "CODEX_"})
      if (variable.first.starts_with(prefix)) return true;
    return variable.first == "GEMINI_API_KEY";
  });
  return all;
}

void leave_directory() {
  const char* home = std::getenv("HOME");
  if (!home || *home != '/' || ::chdir(home) != 0) (void)!::chdir("/");
}

using Keeps = std::function<bool(const std::string& entry)>;

// Returns the entries of a variable that are to be kept. If `names` is true, an entry without a slash is a name that is
// looked up elsewhere, and is kept.
static std::string kept_entries(std::string_view list, const char* separators, bool names, const Keeps& keeps) {
  std::string kept;
  for (size_t from = 0; from <= list.size();) {
    size_t end = std::min(list.find_first_of(separators, from), list.size());
    std::string entry(list.substr(from, end - from));
    bool is_name = names && !entry.empty() && entry.find('/') == entry.npos;
    if (is_name || keeps(entry)) kept.append(kept.empty() ? "" : ":").append(entry);
    from = end + 1;
  }
  return kept;
}

// Keeps these entries of the variables that decide which programs and libraries are loaded. A process that has no other
// threads yet may change its environment.
static void keep_programs(const Keeps& keeps) {
  const char* path = std::getenv("PATH");
  std::string kept = kept_entries(path ? path : "", ":", false, keeps);
  // An empty PATH would mean the current directory, too. Without a PATH, shells use one of their own, which may have
  // relative entries.
  if (kept.empty()) kept = kUsualPath;
  if (!path || kept != path) ::setenv("PATH", kept.c_str(), 1);
  auto filter = [&](const char* variable, const char* separators, bool names) {
    const char* value = std::getenv(variable);
    if (!value) return;
    if (auto rest = kept_entries(value, separators, names, keeps); rest.empty()) ::unsetenv(variable);
    else if (rest != value) ::setenv(variable, rest.c_str(), 1);
  };
  // These are for ld.so(8) and dyld, the C library, and the languages of programs that bottle starts.
  for (const char* each :
       {"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FALLBACK_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH",
        "DYLD_FALLBACK_FRAMEWORK_PATH", "GCONV_PATH", "LOCPATH", "PERL5LIB", "PERLLIB", "PYTHONPATH", "NODE_PATH"})
    filter(each, std::string_view(each) == "LD_LIBRARY_PATH" ? ":;" : ":", false);
  for (const char* each : {"LD_PRELOAD", "LD_AUDIT", "DYLD_INSERT_LIBRARIES"}) filter(each, ": ", true);
}

void forget_relative_programs() {
  // An empty entry stands for the current directory.
  keep_programs([](const std::string& entry) { return entry.starts_with('/'); });
}

std::vector<std::string> forget_programs_in(const std::string& directory) {
  std::vector<std::string> forgotten;
  keep_programs([&](const std::string& entry) {
    if (!entry.starts_with('/')) return false;
    if (!leads_into(entry, directory)) return true;
    if (std::ranges::find(forgotten, entry) == forgotten.end()) forgotten.push_back(entry);
    return false;
  });
  return forgotten;
}

void withhold_secrets(const manifest::Manifest& manifest) {
  for (const char* known : {"CLAUDE_BOTTLE_OAUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY",
                            "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY"})
    ::unsetenv(known);
  // The manifest says in which other variables there are secrets.
  auto withhold = [](const std::string& from) {
    if (from.starts_with("env:")) ::unsetenv(from.substr(4).c_str());
  };
  for (const auto& [name, bottle] : manifest.bottles) {
    for (const auto& [secret_name, secret] : bottle.secrets) withhold(secret.from);
    withhold(bottle.egress.parent_proxy_login);
  }
}

Directories directories() { return Directories::from(environment()); }

std::string current_directory() {
  char path[PATH_MAX];
  return ::getcwd(path, sizeof path) ? path : "/";
}

// A link that leads nowhere counts as being there. The operator has made it, for example to a disk that is not mounted
// now. If a directory is such a link, nothing is known about the files in it.
Result<bool> is_there(const std::string& path) {
  for (std::string at = path; at.size() > 1; at = parent_of(at)) {
    struct stat st{};
    if (::lstat(at.c_str(), &st) == 0) {
      if (at == path || ::stat(at.c_str(), &st) == 0) return at == path;
      return fail(Code::invalid, "looking for " + path + ": the link " + at + " leads nowhere",
                  "restore what it leads to, or remove it");
    }
    if (errno != ENOENT && errno != ENOTDIR) return fail_errno("looking for " + path);
  }
  return false;
}

Result<std::vector<manifest::File>> policy_files() {
  auto d = directories();
  // Silently ignoring a policy would be worse than an error.
  if (TRY(is_there(d.config + "/bottle.yml")))
    return fail(Code::invalid, d.config + "/bottle.yml is not read; the manifest is called bottle.yaml",
                "rename it to bottle.yaml, or remove it");
  std::vector<std::string> policy;
  for (const std::string& path : {d.config + "/bottle.yaml", d.config + "/bottle.json", d.home + "/claude-bottle.json"})
    if (TRY(is_there(path))) policy.push_back(path);
  return read_all(policy);
}

namespace {

// The three lists are kept apart, because they are trusted differently: policy, the operator's agents, the
// repository's.
Result<manifest::Examined> examine_with(const std::vector<manifest::File>& agents_of_repository) {
  return manifest::examine(TRY(policy_files()), TRY(read_all(TRY(entries(directories().config + "/agents", ".md")))),
                           agents_of_repository);
}

Result<manifest::Manifest> without_mistakes(manifest::Examined examined) {
  if (!examined.mistakes.empty()) return std::unexpected(std::move(examined.mistakes.front()));
  return std::move(examined.manifest);
}

}  // namespace

Result<manifest::Examined> examine_manifest(const std::string& workspace) {
  std::vector<manifest::Unusable> unusable;
  auto agents = repository_agents(workspace, unusable);
  if (!agents) unusable = {{"", std::move(agents.error())}};
  auto examined = TRY(examine_with(agents ? *agents : std::vector<manifest::File>()));
  std::ranges::move(unusable, std::back_inserter(examined.manifest.unusable));
  return examined;
}

Result<manifest::Manifest> load_own_manifest() { return without_mistakes(TRY(examine_with({}))); }

Result<manifest::Manifest> load_manifest(const std::string& workspace) {
  return without_mistakes(TRY(examine_manifest(workspace)));
}

plan::ImageFacts image_facts(const manifest::Manifest& manifest, const std::string& architecture) {
  plan::ImageFacts facts{content_hash(session::bootstrap_script()), architecture, {}};
  if (utsname machine; architecture.empty() && ::uname(&machine) == 0) facts.architecture = machine.machine;
  for (const auto& [name, bottle] : manifest.bottles) {
    const std::string& path = bottle.dockerfile;
    auto text = read_file(path.starts_with("~/") ? directories().home + path.substr(1) : path, 1 << 20);
    if (!path.empty() && text) facts.dockerfiles[path] = content_hash(*text);
  }
  return facts;
}

namespace {

// Returns the operator's time zone: TZ, or the name of the file that /etc/localtime links to. Does not pass on a TZ
// that names a file, because that file is not in the bottle (tzset(3)).
std::string time_zone() {
  if (const char* own = std::getenv("TZ"); own && *own) {
    std::string zone = *own == ':' ? own + 1 : own;
    return zone.starts_with('/') ? "" : zone;
  }
  char target[PATH_MAX];
  ssize_t size = ::readlink("/etc/localtime", target, sizeof target);
  std::string_view path(target, size > 0 ? static_cast<size_t>(size) : 0);
  constexpr std::string_view kDirectory = "/zoneinfo/";
  size_t at = path.find(kDirectory);
  std::string zone(at == path.npos ? "" : path.substr(at + kDirectory.size()));
  return zone == "UTC" || zone == "Etc/UTC" ? "" : zone;
}

}  // namespace

// A workspace that contains one of these would give the agent the operator's keys or bottle's own policy.
std::vector<std::string> precious_directories() {
  auto d = directories();
  std::vector<std::string> all;
  for (const auto& path : {d.home, d.config, d.sessions, d.results, d.vms}) {
    char real[PATH_MAX];
    // A path that does not exist yet is resolved by its nearest existing parent.
    for (std::string at = path; at.starts_with('/') && at.size() > 1; at = parent_of(at))
      if (::realpath(at.c_str(), real)) {
        all.push_back(real + path.substr(at.size()));
        break;
      }
  }
  return all;
}

plan::Facts gather_facts(const std::string& workspace) {
  plan::Facts facts;
  auto d = directories();
  // This is the name of the session unless the operator gives another one.
  facts.session = random_hex(4);
  facts.workspace = workspace;
  facts.uid = ::getuid();
  facts.gid = ::getgid();
  facts.environment = environment();
  facts.time_zone = time_zone();
  // Ignores errors: a start reports them when it uses the repository, and not every bottle includes it.
  auto found = git::find(workspace);
  // If the home directory is a repository, the directories below it do not count as parts of it.
  auto is_home = [&](const std::string& top) {
    auto precious = precious_directories();
    return top != workspace && std::ranges::find(precious, top) != precious.end();
  };
  if (found && *found && !is_home((*found)->top)) {
    facts.repository = (*found)->common_dir;
    facts.top = (*found)->top;
    // The first directory is the repository's own; the others are those whose objects it borrows.
    facts.borrows.assign((*found)->objects.begin() + 1, (*found)->objects.end());
  }
  // A skill of bottle's own directory comes before one of the same name that the operator's Claude has (emplace).
  for (const std::string& base : {d.config + "/skills", d.home + "/.claude/skills"})
    if (auto paths = entries(base, ""); !paths) facts.skills_error = paths.error().what;
    else
      for (const auto& path : *paths) facts.skills.emplace(name_in(path), path);
  return facts;
}

Result<std::unique_ptr<docker::Engine>> connect_engine(const std::stop_token& stop) {
  auto endpoint = TRY(docker::find_endpoint(environment()));
  endpoint.stop = stop;
  return docker::connect(endpoint);
}

// Replaces what is not ASCII. Certificates are ASCII, but the comments of a bundle may be in any encoding, and a
// session gets the bundle as a part of JSON.
static std::string ascii(std::string bundle) {
  for (char& c : bundle)
    if (static_cast<unsigned char>(c) >= 0x80) c = '?';
  return bundle;
}

std::string public_roots() {
  // These are the bundles of Debian, Fedora, Alpine and macOS, and openSUSE.
  std::vector<std::string> places = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                                     "/etc/ssl/cert.pem", "/etc/ssl/ca-bundle.pem"};
  if (const char* own = std::getenv("SSL_CERT_FILE")) places.insert(places.begin(), own);
  for (const auto& path : places)
    // A file that cannot be read is treated like one that does not exist; the next one may be readable.
    if (auto text = read_file(path, 8 << 20)) return ascii(std::move(*text));
  return "";
}

Result<std::string> concatenated(const std::vector<std::string>& files) {
  std::string all;
  for (const auto& file : files) all += ascii(TRY(during("egress.extra_ca", read_file(file, 4 << 20)))) + "\n";
  return all;
}

}  // namespace bottle::app
