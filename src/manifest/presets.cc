// Each preset allows only the methods and paths that a usual client of the service needs for reading. All of its
// hosts are inspected, because the guard cannot check methods and paths otherwise. None of them allows publishing,
// except where that is the purpose (`github-repo`).

#include "manifest/presets.h"

#include <algorithm>
#include <optional>

namespace bottle::manifest {
namespace {

constexpr std::string_view kRead = "GET HEAD";

constexpr PresetRule kNpm[] = {
    {"registry.npmjs.org", kRead, "/**"},
    // `npm audit` sends the names of packages.
    {"registry.npmjs.org", "POST", "/-/npm/v1/security/advisories/bulk /-/npm/v1/security/audits/quick"},
};
constexpr PresetRule kPypi[] = {
    {"pypi.org", kRead, "/simple /simple/** /pypi/**"},
    {"files.pythonhosted.org", kRead, "/packages/**"},
};
constexpr PresetRule kCrates[] = {
    {"index.crates.io", kRead, "/**"},
    {"static.crates.io", kRead, "/crates/**"},
    {"crates.io", kRead, "/api/v1/crates /api/v1/crates/**"},
};
constexpr PresetRule kGo[] = {
    {"proxy.golang.org", kRead, "/**"},
    {"sum.golang.org", kRead, "/**"},
    // proxy.golang.org redirects large modules to this place.
    {"storage.googleapis.com", kRead, "/proxy-golang-org-prod/**"},
};
constexpr PresetRule kMaven[] = {
    {"repo.maven.apache.org", kRead, "/maven2/**"},
    {"repo1.maven.org", kRead, "/maven2/**"},
};
// apt checks the signatures of what it downloads, so its sources may use http://.
constexpr PresetRule kDebian[] = {
    {"deb.debian.org", kRead, "/debian/** /debian-security/**", true},
    {"security.debian.org", kRead, "/debian-security/**", true},
};
// These paths do not allow a push. git requests info/refs before it pushes, but the push itself is a POST to
// git-receive-pack.
constexpr PresetRule kGithubRead[] = {
    {"github.com", kRead, "/**"},
    {"github.com", "POST", "/*/*/git-upload-pack"},
    {"api.github.com", kRead, "/**"},
    {"raw.githubusercontent.com", kRead, "/**"},
    {"objects.githubusercontent.com", kRead, "/**"},
    {"release-assets.githubusercontent.com", kRead, "/**"},
    {"codeload.github.com", kRead, "/**"},
};
// Each path contains OWNER/NAME, so other repositories on the same host stay closed.
constexpr PresetRule kGithubRepo[] = {
    {"github.com", kRead, "/{} /{}/** /{}.git/**"},
    {"github.com", "POST", "/{}/git-upload-pack /{}.git/git-upload-pack /{}/git-receive-pack /{}.git/git-receive-pack"},
    {"api.github.com", kRead, "/repos/{} /repos/{}/**"},
    {"api.github.com", "POST PATCH", "/repos/{}/issues /repos/{}/issues/** /repos/{}/pulls /repos/{}/pulls/**"},
    {"raw.githubusercontent.com", kRead, "/{}/**"},
    {"codeload.github.com", kRead, "/{}/**"},
};
constexpr PresetRule kAnthropic[] = {
    {"api.anthropic.com", "POST", "/v1/messages /v1/messages/count_tokens"},
    {"api.anthropic.com", kRead, "/v1/models /v1/models/*"},
};
constexpr PresetRule kOpenai[] = {
    {"api.openai.com", "POST",
     "/v1/responses /v1/responses/*/cancel /v1/chat/completions /v1/completions /v1/embeddings /v1/moderations"},
    {"api.openai.com", kRead, "/v1/models /v1/models/* /v1/responses/**"},
};
constexpr PresetRule kGemini[] = {
    {"generativelanguage.googleapis.com", "POST",
     "/v1/models/*:generateContent /v1/models/*:streamGenerateContent /v1/models/*:countTokens "
     "/v1/models/*:embedContent /v1/models/*:batchEmbedContents /v1beta/models/*:generateContent "
     "/v1beta/models/*:streamGenerateContent /v1beta/models/*:countTokens /v1beta/models/*:embedContent "
     "/v1beta/models/*:batchEmbedContents"},
    {"generativelanguage.googleapis.com", kRead, "/v1/models /v1/models/* /v1beta/models /v1beta/models/*"},
};

constexpr Preset kPresets[] = {
    {"npm", "", 1, "packages of the npm registry, and their advisories; no publishing", kNpm},
    {"pypi", "", 1, "packages of PyPI; no uploads", kPypi},
    {"crates", "", 1, "crates of crates.io; no publishing", kCrates},
    {"go", "", 1, "Go modules and their checksums, from any host: the proxy fetches modules that it does not have",
     kGo},
    {"maven", "", 1, "artifacts of Maven Central", kMaven},
    {"debian", "", 1, "packages of Debian, also over http://", kDebian},
    {"github-read", "", 1, "clone and fetch from GitHub, and read its API; no push", kGithubRead},
    {"github-repo", "OWNER/NAME", 1,
     "one repository on GitHub: clone, fetch and push, read its API, open and edit its issues and pull requests",
     kGithubRepo},
    {"anthropic", "", 1, "messages and models of the Anthropic API", kAnthropic},
    {"openai", "", 1, "responses, completions, embeddings and models of the OpenAI API", kOpenai},
    {"gemini", "", 1, "content, embeddings and models of the Gemini API", kGemini},
};

// Splits a text at its spaces, and puts the argument in the place of {}.
std::vector<std::string> words(std::string_view text, std::string_view argument) {
  std::vector<std::string> all;
  while (!text.empty()) {
    std::string word(text.substr(0, text.find(' ')));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    if (size_t at = word.find("{}"); at != word.npos) word.replace(at, 2, argument);
    all.push_back(std::move(word));
  }
  return all;
}

// Returns whether the text is "owner/name" as GitHub accepts it: without dot segments, and without characters that have
// a meaning in a glob or a URL.
bool is_repository(std::string_view text) {
  auto plain = [](std::string_view part) {
    return !part.empty() && part.size() <= 100 && part != "." && part != ".." && !part.ends_with(".git") &&
           std::ranges::all_of(part, [](char c) {
             return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                    c == '_' || c == '.';
           });
  };
  size_t slash = text.find('/');
  return slash != text.npos && plain(text.substr(0, slash)) && plain(text.substr(slash + 1));
}

std::string known_names() {
  std::string all;
  for (const Preset& each : kPresets) {
    all.append(all.empty() ? "" : ", ").append(each.name);
    if (!each.argument.empty()) all.append(":").append(each.argument);
  }
  return all;
}

}  // namespace

std::span<const Preset> presets() { return kPresets; }

// The text is NAME, NAME:ARGUMENT, or either with @VERSION.
Result<std::vector<AllowRule>> preset_rules(std::string_view text) {
  std::string shown(text.substr(0, 200));
  // The part after the last "@" is the version. The argument cannot contain one.
  size_t at = std::min(text.rfind('@'), text.size());
  std::string_view before = text.substr(0, at), version = text.substr(std::min(at + 1, text.size()));
  size_t colon = std::min(before.find(':'), before.size());
  std::string_view name = before.substr(0, colon), argument = before.substr(std::min(colon + 1, before.size()));
  auto preset = std::ranges::find(kPresets, name, &Preset::name);
  if (preset == std::end(kPresets))
    return fail(Code::invalid, "there is no preset '" + shown + "'", "the presets are " + known_names());
  if (at != text.size() && version != std::to_string(preset->version))
    return fail(Code::invalid, "there is no version '" + std::string(version) + "' of the preset " + std::string(name),
                "this bottle has version " + std::to_string(preset->version));
  // A preset without an argument must not have a colon, and one with an argument must have a valid one.
  if (preset->argument.empty() ? colon != before.size() : !is_repository(argument))
    return fail(Code::invalid, "'" + shown + "' is not a valid form of the preset",
                "write " + std::string(name) +
                    (preset->argument.empty() ? "" : ":" + std::string(preset->argument) + ", as in a URL of GitHub"));
  // Rules carry the version that was in effect, even if the manifest names none, so that the plan can show it.
  std::string full = std::string(before) + "@" + std::to_string(preset->version);
  std::vector<AllowRule> rules;
  for (const PresetRule& rule : preset->rules)
    rules.push_back({.host = std::string(rule.host),
                     .ports = rule.plain ? std::vector<uint16_t>{443, 80} : std::vector<uint16_t>{443},
                     .methods = words(rule.methods, argument),
                     .paths = words(rule.paths, argument),
                     .inspect = true,
                     .preset = full});
  return rules;
}

bool is_of_model(std::string_view preset) {
  std::string_view name = preset.substr(0, preset.find('@'));
  return name == "anthropic" || name == "openai" || name == "gemini";
}

}  // namespace bottle::manifest
