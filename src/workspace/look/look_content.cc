// Reads the three formats in which most content is harmless data and a few keys are commands. Such a file is a reason
// to look only if one of those keys is new or has changed. If every new dependency were a reason, people would stop
// reading the reasons. Whatever cannot be parsed is a reason, because the tools that read these files are more
// lenient than this parser.
#include "workspace/look/look_content.h"

#include <algorithm>
#include <optional>

#include "base/text/json.h"
#include "base/text/line.h"

namespace bottle::workspace {
namespace {

using nlohmann::json;

// Real descriptions have a few levels. A deeper one counts as one that cannot be parsed.
constexpr size_t kDeepestPackage = 64, kMostNames = 5;

// Scripts that npm, pnpm, yarn or bun run on install without being named (npm's scripts documentation, "Life Cycle
// Operation Order").
constexpr std::string_view kInstallScripts[] = {"preinstall",    "install",        "postinstall",       "prepublish",
                                                "preprepare",    "prepare",        "postprepare",       "dependencies",
                                                "preprepublish", "postprepublish", "pnpm:devpreinstall"};
// Other members of a package.json that are commands, or that name code which tools, editors and hooks run.
constexpr std::string_view kNpmSettings[] = {
    "simple-git-hooks", "husky",        "lint-staged", "gypfile",   "pnpm",  "trusteddependencies",
    "packagemanager",   "eslintconfig", "prettier",    "stylelint", "babel", "jest",
    "postcss",          "commitlint",   "xo",          "ava",       "mocha"};
constexpr std::string_view kComposerSettings[] = {"scripts", "config", "repositories", "autoload", "autoload-dev"};

bool is_one_of(std::span<const std::string_view> names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

std::optional<json> parse(std::string_view text) {
  // npm accepts a byte order mark.
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  auto value = parse_json(text, kDeepestPackage);
  if (!value || !value->is_object()) return std::nullopt;
  return std::move(*value);
}

// Returns a member, or null if there is none or if this is not an object.
const json& member(const json& object, const std::string& key) {
  static const json none;
  auto it = object.is_object() ? object.find(key) : object.end();
  return object.is_object() && it != object.end() ? *it : none;
}

// Returns the names of the members that are in `names` and differ between the two. A removed member counts only with
// `removed_counts`: a setting may have forbidden something, but a script that is gone runs no more.
std::string changed(const json& now, const json& before, std::span<const std::string_view> names, bool removed_counts) {
  std::string list;
  size_t count = 0;
  auto add_members = [&](const json& object, const char* suffix, const auto& counts) {
    if (!object.is_object()) return;
    for (const auto& [key, value] : object.items())
      // Compares folded names, although the tools do not, because a false finding costs less than a missed one.
      if (is_one_of(names, folded_name(key)) && counts(key, value) && ++count <= kMostNames)
        list += (list.empty() ? "" : ", ") + one_line(key, 40) + suffix;
  };
  add_members(now, "", [&](const auto& key, const json& value) { return value != member(before, key); });
  if (removed_counts)
    add_members(before, " (removed)", [&](const auto& key, const json&) { return !now.contains(key); });
  return list;
}

std::vector<std::string> in_npm(const json& now, const json& before) {
  std::vector<std::string> reasons;
  if (auto names = changed(member(now, "scripts"), member(before, "scripts"), kInstallScripts, false); !names.empty())
    reasons.push_back("npm runs its scripts on install: " + names);
  if (auto names = changed(now, before, kNpmSettings, true); !names.empty())
    reasons.push_back("tools, editors and hooks follow it: " + names);
  return reasons;
}

// Compares two versions of a package's file. Returns a reason for each part that makes tools run something and has
// changed.
std::vector<std::string> in_json(Content kind, std::string_view text, std::string_view before) {
  auto now = parse(text);
  if (!now) return {"it is not valid JSON, so bottle cannot tell what it runs"};
  // If the earlier text cannot be parsed, everything counts as new.
  json was = parse(before).value_or(json());
  if (kind == Content::npm) return in_npm(*now, was);
  auto names = changed(*now, was, kComposerSettings, true);
  return names.empty() ? std::vector<std::string>{} : std::vector<std::string>{"composer runs or follows it: " + names};
}

// Returns whether the text may cause code to run in a build. TOML allows escapes in quoted keys, so a key with an
// escape may be any key.
bool may_build(std::string_view text) {
  // Looks for words instead of parsing TOML, because too many findings are better than a difference between two
  // parsers.
  for (std::string_view word : {"build", "proc", "\\", "linker", "runner", "[patch", "[replace", "path"})
    if (text.find(word) != std::string_view::npos) return true;
  return false;
}

}  // namespace

std::vector<std::string> reasons_in(Content kind, std::string_view text, std::string_view before) {
  // A file that only moved or changed its mode runs what it ran before.
  if (text == before) return {};
  switch (kind) {
    case Content::none:
      return {};
    case Content::npm:
    case Content::composer:
      return in_json(kind, text, before);
    case Content::cargo:
      if (!may_build(text)) return {};
      return {"cargo runs its build script or macros, and rust-analyzer starts cargo"};
  }
  return {};
}

}  // namespace bottle::workspace
