// Takes over a few settings by name, and ignores all others. A list of what is dangerous could never be complete,
// because git gains settings with each version, and names of drivers and remotes are free. Apart from
// core.excludesFile, each value is a boolean or a word without quotes and slashes, so no parser finds a command in
// the copy, even if it reads the copy differently. The repository's includes are not followed. The operator's own
// are, because git reads those files without any repository, so the conditions of an `includeIf`, which depend on the
// repository, are evaluated here.

#include "git/settings.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

#include "base/text/line.h"
#include "base/text/parse.h"
#include "git/run/git.h"

namespace bottle::git {
namespace {

// Each of these numbers is far above real files. They bound what a hostile file costs in memory.
constexpr size_t kLargestConfig = 4 << 20, kMostRemotes = 100, kMostBranches = 10'000, kLongestValue = 4096,
                 kMostIncludes = 20, kMostFilters = 1000;

// The settings that control how files are compared and written. Each is a boolean or a word; core.excludesFile, a path,
// is also read as data.
constexpr std::string_view kData[] = {"core.autocrlf",
                                      "core.eol",
                                      "core.filemode",
                                      "core.ignorecase",
                                      "core.symlinks",
                                      "core.precomposeunicode",
                                      "core.checkstat",
                                      "core.trustctime",
                                      "core.sparsecheckout",
                                      "core.protecthfs",
                                      "core.protectntfs",
                                      "core.sparsecheckoutcone",
                                      "core.checkroundtripencoding"};

bool is_word(const std::string& value) {
  return value.size() < 100 && std::ranges::all_of(
                                   value,
                                   [](char c) {
                                     return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                                            (c >= '0' && c <= '9') || c == '-' || c == ',' || c == ' ';
                                   });
}

// Returns whether the path is a regular file. git would wait for the writer of a FIFO.
bool is_regular(std::string path) {
  const char* home = std::getenv("HOME");
  if (path.starts_with("~/") && home) path = home + path.substr(1);
  struct stat st{};
  return path.starts_with('/') && ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode);
}

// Returns the mode bits that core.sharedRepository adds to a file, as git_config_perm() in git's path.c does.
int shared_bits(const std::string& value) {
  if (value == "group" || value == "true" || value == "1") return 0660;
  if (value == "all" || value == "world" || value == "everybody" || value == "2") return 0664;
  if (value.size() == 4 && value[0] == '0') return number_in<int>(value, 8).value_or(0) & 0666;
  return 0;
}

// Reads branch.NAME.remote and branch.NAME.merge.
void take_upstream(Settings& settings, const Setting& setting) {
  constexpr std::string_view kBefore = "branch.", kRemote = ".remote", kMerge = ".merge";
  std::string_view name = setting.name;
  bool remote = name.ends_with(kRemote), merge = name.ends_with(kMerge);
  if (!name.starts_with(kBefore) || (!remote && !merge) || !setting.value || setting.value->size() > kLongestValue)
    return;
  auto& map = remote ? settings.followed : settings.merged;
  name.remove_prefix(kBefore.size());
  name.remove_suffix(std::min(name.size(), (remote ? kRemote : kMerge).size()));
  if (map.size() < kMostBranches) map[std::string(name)] = *setting.value;
}

// Records the name of a filter that filter.NAME.clean or filter.NAME.process defines, but not what it runs.
void take_filter(Settings& settings, std::string_view name) {
  constexpr std::string_view kBefore = "filter.";
  if (!name.starts_with(kBefore)) return;
  for (std::string_view key : {".clean", ".process"})
    if (name.ends_with(key) && name.size() > kBefore.size() + key.size() && settings.filters.size() < kMostFilters)
      settings.filters.emplace(name.substr(kBefore.size(), name.size() - kBefore.size() - key.size()));
}

// Reads the settings that are only data, from any source.
void take(Settings& settings, const Setting& setting) {
  std::string value = setting.value.value_or("true");
  if (value.size() > kLongestValue) return;
  take_filter(settings, setting.name);
  if (setting.name == "user.name") settings.name = value;
  if (setting.name == "user.email") settings.email = value;
  if (setting.name == "core.excludesfile" && is_regular(value)) settings.core[setting.name] = value;
  if (std::ranges::find(kData, setting.name) != std::end(kData) && is_word(value)) settings.core[setting.name] = value;
}

// Accepts the extensions that do not change how refs, the index and loose files are read.
Result<> check_extension(const Setting& setting, Settings& settings, bool& own_config) {
  std::string name = setting.name.substr(std::string_view("extensions.").size()), value = setting.value.value_or("");
  if (name == "objectformat") {
    auto format = object_format(value);
    if (!format) return fail(Code::invalid, "its object ids have an unknown format, " + one_line(value, 50));
    settings.format = *format;
  } else if (name == "refstorage") {
    if (value != "files")
      return fail(Code::invalid,
                  "it keeps its refs in the format " + one_line(value, 50) + ", which bottle cannot read",
                  "git refs migrate --ref-format=files   (git 2.46 or newer)");
  } else if (name == "partialclone") {
    settings.partial = true;
  } else if (name == "worktreeconfig") {
    own_config = as_bool(setting).value_or(false);
  } else if (name != "noop" && name != "noop-v1" && name != "preciousobjects" && name != "relativeworktrees" &&
             name != "compatobjectformat") {
    // The format itself demands this: a program that does not support an extension must not touch the repository.
    return fail(Code::invalid, "it uses an extension of git's that bottle does not know: " + one_line(name, 50));
  }
  return {};
}

// Reads the few settings that matter to us from one file. Fails if git itself would not use the repository.
Result<> read(const Beneath& directory, const char* file, Settings& settings, bool& own_config) {
  auto text = TRY(directory.read(file, kLargestConfig));
  if (!text) return {};
  auto all = TRY(during("its configuration " + directory.root() + "/" + file, parse_config(*text)));
  for (const auto& setting : all) {
    const std::string& name = setting.name;
    bool of_remote = name.starts_with("remote.");
    // git refuses such a repository as well: a newer format may mean that its files have another meaning.
    if (name == "core.repositoryformatversion" && setting.value != "0" && setting.value != "1")
      return fail(Code::invalid, "its format is newer than bottle supports");
    if (name.starts_with("extensions.")) TRY(check_extension(setting, settings, own_config));
    if (name == "core.bare") settings.bare = as_bool(setting).value_or(false);
    if (name == "core.ignorecase" && as_bool(setting).value_or(false)) settings.capitals = Settings::Capitals::ignored;
    if (name == "core.worktree") settings.work_tree = setting.value.value_or("");
    if (name == "core.sharedrepository") settings.shared = shared_bits(setting.value.value_or("true"));
    // A remote can be a promisor without the extension, in repositories of older versions of git.
    if (of_remote && name.ends_with(".promisor") && as_bool(setting).value_or(true)) settings.partial = true;
    if (of_remote && name.ends_with(".url") && setting.value && settings.remotes.size() < kMostRemotes)
      settings.remotes.push_back(*setting.value);
    take_upstream(settings, setting);
    // The repository's includes are only noted, as a sign that filters may be missing.
    settings.includes |= name == "include.path" || (name.starts_with("includeif.") && name.ends_with(".path"));
    take(settings, setting);
  }
  return {};
}

// Returns whether one of git's conditions is met (git-config(1), "Conditional includes"). `file` is the file that
// contains it. Each form of a condition has a prefix, which `after` takes off if it is there.
bool holds(std::string_view condition, const std::string& file, const Place& place) {
  auto after = [&](std::string_view what) {
    if (!condition.starts_with(what)) return false;
    condition.remove_prefix(what.size());
    return true;
  };
  if (after("hasconfig:remote.*.url:"))
    return std::ranges::any_of(
        place.remotes, [&](const std::string& url) { return url.size() <= kLongestValue && matches(condition, url); });
  if (after("onbranch:")) {
    std::string pattern(condition), prefix = "refs/heads/";
    if (pattern.ends_with('/')) pattern += "**";
    return place.branch.starts_with(prefix) && matches(pattern, place.branch.substr(prefix.size()));
  }
  bool ignore_case = after("gitdir/i:");
  if (!ignore_case && !after("gitdir:")) return false;
  // These are the three forms of git-config(1): below the home, beside the file, and at any depth.
  std::string pattern(condition);
  const char* home = std::getenv("HOME");
  if (pattern.starts_with("~/") && home) pattern = home + pattern.substr(1);
  else if (pattern.starts_with("./")) pattern = file.substr(0, file.rfind('/')) + pattern.substr(1);
  else if (!pattern.starts_with('/')) pattern = "**/" + pattern;
  if (pattern.ends_with('/')) pattern += "**";
  // An unknown condition, including one of a newer git, counts as not met.
  return matches(pattern, place.git_dir, ignore_case);
}

// Parses entries of the form "FILE\0NAME\nVALUE\0", such as "file:/home/me/.gitconfig\0user.name\nAda\0". Calls `visit`
// with the file and the setting. The form is that of `git config --null --show-origin`. Text that is cut off at the end
// is ignored.
template <class Visit>
void each_setting(const std::string& out, Visit visit) {
  for (size_t at = 0, end; (end = out.find('\0', at)) != std::string::npos;) {
    std::string origin = out.substr(at, end - at);
    size_t stop = out.find('\0', end + 1);
    if (stop == std::string::npos) return;
    std::string_view entry = std::string_view(out).substr(end + 1, stop - end - 1);
    at = stop + 1;
    size_t line = entry.find('\n');
    Setting setting{std::string(entry.substr(0, line)), std::nullopt};
    if (line != std::string_view::npos) setting.value = entry.substr(line + 1);
    visit(origin.starts_with("file:") ? origin.substr(5) : "", setting);
  }
}

// Takes the settings of an included file. Conditional includes inside that file are not followed.
void take_included(Settings& settings, const std::string& path) {
  auto included = ask_operators_configuration({"--file", path, "--show-origin", "--list"});
  if (included && included->status == 0)
    each_setting(included->out, [&](const std::string&, const Setting& setting) { take(settings, setting); });
}

}  // namespace

Result<Settings> settings_of(const Beneath& common, const Beneath& own) {
  Settings settings;
  bool own_config = false, ignored = false;
  TRY(read(common, "config", settings, own_config));
  if (own.root() != common.root()) {  // these two settings apply to the main work tree
    settings.work_tree.clear();
    settings.bare = false;
  }
  if (own_config) TRY(read(own, "config.worktree", settings, ignored));
  return settings;
}

OperatorsConfiguration read_operators_configuration() {
  auto listed = ask_operators_configuration({"--show-origin", "--list"});
  if (!listed || listed->status != 0) return {};
  return {std::move(listed->out)};
}

Settings operators_settings(const OperatorsConfiguration& configuration, const Place& place) {
  Settings settings;
  size_t includes = 0;
  each_setting(configuration.listed, [&](const std::string& file, const Setting& setting) {
    constexpr std::string_view kInclude = "includeif.", kPath = ".path";
    const std::string& name = setting.name;
    // git has followed plain includes itself. It cannot follow conditional ones, because it runs outside the
    // repository.
    if (!name.starts_with(kInclude) || !name.ends_with(kPath) || !setting.value) return take(settings, setting);
    std::string_view condition = std::string_view(name).substr(
        kInclude.size(), name.size() - std::min(name.size(), kInclude.size() + kPath.size()));
    if (!holds(condition, file, place) || ++includes > kMostIncludes) return;
    std::string path = *setting.value;
    const char* home = std::getenv("HOME");
    if (path.starts_with("~/") && home) path = home + path.substr(1);
    else if (!path.starts_with('/')) path = file.substr(0, file.rfind('/') + 1) + path;
    take_included(settings, path);
  });
  return settings;
}

std::string Settings::lines() const {
  std::string text;
  for (const auto& [name, value] : core) text += config_line(name, value);
  return text;
}

}  // namespace bottle::git
