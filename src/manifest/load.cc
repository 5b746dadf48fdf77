// Reads all files into a draft before anything is resolved, because a bottle may extend one in a later file.
// Inheritance applies the bases, one after the other, and then the bottle itself; each sets the fields that it
// mentions. Names are unique across all files. Agents from a repository are read last and have the fewest rights:
// they can choose one of the operator's bottles and add a prompt, but cannot define or replace anything.

#include <algorithm>
#include <map>
#include <optional>

#include "base/text/json.h"
#include "base/text/path_parts.h"
#include "manifest/check.h"
#include "manifest/format/document.h"
#include "manifest/manifest.h"
#include "manifest/read.h"

namespace bottle::manifest {
namespace {

constexpr size_t kMaxFrontMatter = 64 << 10;

// Holds a bottle as its file defines it. `extends` is resolved after all files have been read.
struct Definition {
  Node node;
  std::string at, path;
  bool v1 = false, wrong = false;  // wrong: a mistake in it was reported, so its values must not be used
};

// Holds what the files define, before anything in it is resolved, and the mistakes so far.
struct Draft {
  std::map<std::string, Definition> bottles;
  std::map<std::string, Agent> agents;
  std::map<std::string, Vm> vms;
  std::vector<Error> mistakes = {};
  std::vector<Unusable> unusable = {};
  bool unread = false;  // a file was not readable, so names that it defines are not known

  // Adds a mistake, unless there are too many. The same one is found again where a bottle extends another.
  void add(Error error) {
    bool known = std::ranges::any_of(mistakes, [&](const Error& other) { return other.what == error.what; });
    if (!known && mistakes.size() < kMostMistakes) mistakes.push_back(std::move(error));
  }
  // Adds an agent of the repository that cannot be used, unless there are too many.
  void add_unusable(const std::string& name, Error why) {
    if (unusable.size() < kMostMistakes) unusable.push_back({name, std::move(why)});
  }
  template <class T>
  bool note(Result<T>& result) {
    if (!result) add(std::move(result.error()));
    return result.has_value();
  }
};

bool holds(const std::vector<std::string>& names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

bool is_v1(const std::string& path) { return name_in(path) == "claude-bottle.json"; }

std::unexpected<Error> twice(const std::string& at, const std::string& what, const std::string& first) {
  return fail_at(at, what + " is defined twice", "rename or remove one of the two; the other is at " + first);
}

void add_agent(Draft& draft, Agent agent) {
  std::string name = agent.name, at = agent.positions[""];
  if (auto other = draft.agents.find(name); other != draft.agents.end())
    return draft.add(twice(at, "agent '" + name + "'", other->second.positions[""]).error());
  draft.agents.emplace(name, std::move(agent));
}

// Adds what a file defines. The document is kept, because bases may be in files that come later.
void add_file(Draft& draft, const File& file, bool v1) {
  auto document = read_document(file.path, file.text);
  if (!draft.note(document)) {
    draft.unread = true;
    return;
  }
  auto found = mistakes_in(*document, v1 ? "v1" : "manifest");
  bool clean = found.empty();
  for (auto& mistake : found) draft.add(std::move(mistake));
  // A definition is used only if the mistakes are all elsewhere.
  auto wrong = [&](const Node& node, const char* section) { return !clean && !check(node, section); };
  if (const Node* bottles = document->find("bottles"))
    for (const auto& [name, node] : bottles->entries) {
      Definition definition{node, name.at, file.path, v1, wrong(node, v1 ? "v1_bottle" : "bottle")};
      auto [other, fresh] = draft.bottles.try_emplace(name.text, std::move(definition));
      if (!fresh) draft.add(twice(name.at, "bottle '" + name.text + "'", other->second.at).error());
    }
  if (const Node* agents = document->find("agents"))
    for (const auto& [name, node] : agents->entries) {
      if (wrong(node, v1 ? "v1_agent" : "agent")) continue;
      if (auto agent = read_agent(name.text, node, name.at); draft.note(agent)) add_agent(draft, std::move(*agent));
    }
  if (const Node* vms = document->find("vms"))
    for (const auto& [name, node] : vms->entries)
      if (!wrong(node, "vm") && !draft.vms.emplace(name.text, read_vm(name.text, node)).second)
        draft.add(fail_at(name.at, "vm '" + name.text + "' is defined twice").error());
}

// Applies bases before the bottle itself, depth first. `chain` holds the bottles whose bases are being applied; meeting
// one of them again is a cycle. A base that is reached twice is applied once, so that its rules do not appear twice.
Result<> apply_chain(const Draft& draft, const std::string& name, std::vector<std::string>& chain,
                     std::vector<std::string>& done, Bottle& bottle) {
  const Definition& definition = draft.bottles.at(name);
  chain.push_back(name);
  const Node* bases = definition.node.find("extends");
  if (bases)
    for (const Node& base : bases->items) {
      if (holds(done, base.text)) continue;
      // The message names the whole circle, because its beginning may be in another file.
      if (holds(chain, base.text)) {
        std::string circle;
        for (auto at = std::ranges::find(chain, base.text); at != chain.end(); ++at) circle += *at + " → ";
        return fail_at(base.at, "extends has a cycle: " + circle + base.text, "remove one of these");
      }
      if (!draft.bottles.contains(base.text)) {
        std::vector<std::string> known;
        for (const auto& [other, unused] : draft.bottles)
          if (other != name) known.push_back(other);
        return fail_at(base.at, "extends: there is no bottle '" + base.text + "'", suggest(base.text, known));
      }
      TRY(apply_chain(draft, base.text, chain, done, bottle));
    }
  // Two bases may extend the same third one, which does not make a cycle.
  chain.pop_back();
  done.push_back(name);
  return definition.v1 ? apply_v1_bottle(bottle, definition.node, definition.path)
                       : apply_bottle(bottle, definition.node, definition.path);
}

// Returns whether the bottle, or one that it extends, has a mistake that was already reported.
bool follows_mistake(const Draft& draft, const std::string& name, std::vector<std::string>& seen) {
  auto definition = draft.bottles.find(name);
  // A base that does not exist may be in a file that was not readable.
  if (definition == draft.bottles.end()) return draft.unread;
  if (definition->second.wrong) return true;
  if (holds(seen, name)) return false;
  seen.push_back(name);
  const Node* bases = definition->second.node.find("extends");
  return bases &&
         std::ranges::any_of(bases->items, [&](const Node& base) { return follows_mistake(draft, base.text, seen); });
}

// Resolves the draft: bottles with their bases, then the bottles that agents name.
Examined finish(Draft draft) {
  Manifest manifest;
  for (const auto& [name, definition] : draft.bottles) {
    Bottle bottle;
    std::vector<std::string> chain, done, seen;
    if (follows_mistake(draft, name, seen)) continue;
    auto applied = apply_chain(draft, name, chain, done, bottle);
    if (!draft.note(applied)) continue;
    // Applying does not set the name, because a bottle would get that of its last base.
    bottle.name = name;
    bottle.positions[""] = definition.at;
    manifest.bottles.emplace(name, std::move(bottle));
  }
  // Agents without a bottle work in `default`, which must exist even if no file defines it.
  manifest.bottles.try_emplace("default", builtin().bottles.at("default"));
  std::vector<std::string> known;
  for (const auto& [bottle, unused] : draft.bottles) known.push_back(bottle);
  if (!holds(known, "default")) known.insert(std::ranges::lower_bound(known, "default"), "default");
  for (const auto& [name, agent] : draft.agents) {
    if (!holds(known, agent.bottle) && !draft.unread) {
      // An agent without the key `bottle` has no position for it, so the error is at the agent itself.
      auto at = agent.positions.find("bottle");
      auto wrong =
          fail_at((at == agent.positions.end() ? agent.positions.find("") : at)->second,
                  "agent '" + name + "': there is no bottle '" + agent.bottle + "'", suggest(agent.bottle, known));
      if (agent.from_repository) {
        draft.add_unusable(name, std::move(wrong.error()));
        continue;
      }
      draft.add(std::move(wrong.error()));
    }
    manifest.agents.emplace(name, agent);
  }
  manifest.vms = draft.vms;
  manifest.unusable = std::move(draft.unusable);
  return {std::move(manifest), std::move(draft.mistakes)};
}

// Returns the manifest, or the first mistake.
Result<Manifest> whole(Examined examined) {
  if (!examined.mistakes.empty()) return std::unexpected(std::move(examined.mistakes.front()));
  return std::move(examined.manifest);
}

}  // namespace

Result<Manifest> parse(const File& bottle_yaml) {
  Draft draft;
  add_file(draft, bottle_yaml, false);
  return whole(finish(std::move(draft)));
}

Result<Manifest> import_v1(const File& json) {
  Draft draft;
  add_file(draft, json, true);
  return whole(finish(std::move(draft)));
}

Result<Bottle> parse_guard(const File& file) {
  Node document = TRY(read_document(file.path, file.text));
  TRY(check(document, "guard"));
  Bottle bottle;
  bottle.name = "guard";
  TRY(apply_bottle(bottle, document, file.path));
  return bottle;
}

namespace {

// Returns the name of an agent whose file does not give one.
std::string name_of_file(const std::string& path) {
  std::string_view name = name_in(path);
  if (name.ends_with(".md")) name.remove_suffix(3);
  return std::string(name);
}

// Parses an agent's file, and adds to `more` what is wrong with its keys beyond the error that it returns. The format
// is that of Claude Code's agent files, so those work unchanged.
Result<Agent> parse_agent(const File& markdown, std::vector<Error>& more) {
  std::string text = markdown.text;
  // The file may come from Windows.
  std::erase(text, '\r');
  // Some editors write a byte order mark.
  if (text.starts_with("\xef\xbb\xbf")) text.erase(0, 3);
  std::string start = markdown.path + ":1:1";
  // The prompt becomes an argument and JSON. An argument cannot contain NUL, and JSON must be UTF-8.
  if (!is_utf8(text) || text.find('\0') != std::string::npos) return fail_at(start, "not a text file in UTF-8");
  if (!text.starts_with("---\n"))
    return fail_at(start, "an agent's file begins with front matter",
                   "write a line ---, then keys such as name: and bottle:, then --- again, then the prompt");
  size_t end = text.find("\n---", 3);
  // A line that only begins with three dashes does not end the front matter.
  while (end != std::string::npos && end + 4 < text.size() && text[end + 4] != '\n') end = text.find("\n---", end + 1);
  if (end == std::string::npos)
    return fail_at(start, "the front matter has no end", "add a line --- before the prompt");
  if (end > kMaxFrontMatter) return fail_at(start, "the front matter is longer than 64 KB");
  // The first line is blanked and not removed, so that positions match the file.
  Node front = TRY(read_document(markdown.path, "\n" + text.substr(4, end - 3)));
  if (auto found = mistakes_in(front, "agent_file"); !found.empty()) {
    more.assign(found.begin() + 1, found.end());
    return std::unexpected(std::move(found.front()));
  }
  std::string name = name_of_file(markdown.path), at = start;
  for (const auto& [key, value] : front.entries)
    if (key.text == "name") name = value.text, at = value.at;
  // The name may come from the file's name, so it is checked as if it had been written in the file.
  TRY(check(
      Node{.kind = Node::Kind::map,
           .entries = {{Node{.text = "name", .at = at}, Node{.kind = Node::Kind::scalar, .text = name, .at = at}}},
           .at = at},
      "agent_file"));
  Agent agent = TRY(read_agent(name, front, at));
  // The line of three dashes and its line end have five characters from `end` on.
  std::string prompt = end + 5 <= text.size() ? text.substr(end + 5) : "";
  size_t first = prompt.find_first_not_of("\n"), last = prompt.find_last_not_of(" \n\t");
  agent.prompt = first == std::string::npos || last == std::string::npos ? "" : prompt.substr(first, last + 1 - first);
  return agent;
}

// Adds one of the operator's agents, or the mistakes in its file.
void add_own_agent(Draft& draft, const File& markdown) {
  std::vector<Error> more;
  auto agent = parse_agent(markdown, more);
  if (draft.note(agent)) return add_agent(draft, std::move(*agent));
  for (auto& mistake : more) draft.add(std::move(mistake));
}

// Adds the repository's agents. None of them replaces another one, or one of the operator's agents, which the draft
// already has.
void add_repository_agents(Draft& draft, const std::vector<File>& files) {
  for (const auto& file : files) {
    std::vector<Error> more;
    auto agent = parse_agent(file, more);
    if (!agent) {
      draft.add_unusable(name_of_file(file.path), std::move(agent.error()));
      for (auto& mistake : more) draft.add_unusable(name_of_file(file.path), std::move(mistake));
      continue;
    }
    agent->from_repository = true;
    const std::string name = agent->name, at = agent->positions[""];
    auto [other, fresh] = draft.agents.try_emplace(name, std::move(*agent));
    if (fresh) continue;
    const std::string& first = other->second.positions[""];
    // Otherwise, `bottle start NAME` could start an agent of the repository where the operator means one of their own.
    auto wrong = other->second.from_repository
                     ? twice(at, "agent '" + name + "'", first)
                     : fail_at(at, "agent '" + name + "' of the repository has the same name as one of yours",
                               "rename it in the repository; yours is at " + first);
    draft.add_unusable(name, std::move(wrong.error()));
  }
  // Of two agents with one name, neither can be used.
  for (const auto& each : draft.unusable)
    if (auto found = draft.agents.find(each.name); found != draft.agents.end() && found->second.from_repository)
      draft.agents.erase(found);
}

}  // namespace

Result<Agent> parse_agent(const File& markdown) {
  std::vector<Error> more;
  return parse_agent(markdown, more);
}

// The operator's files are read first. Their names must be unique among each other.
Examined examine(const std::vector<File>& home_policy, const std::vector<File>& home_agents,
                 const std::vector<File>& repository_agents) {
  Draft draft;
  for (const auto& file : home_policy) add_file(draft, file, is_v1(file.path));
  for (const auto& file : home_agents) add_own_agent(draft, file);
  if (home_policy.empty() && home_agents.empty())
    for (auto& [name, agent] : builtin().agents) add_agent(draft, agent);
  add_repository_agents(draft, repository_agents);
  return finish(std::move(draft));
}

std::string described(const Agent& agent) {
  if (!agent.from_repository) return agent.description;
  return "from this repository" + (agent.description.empty() ? "" : ": " + agent.description);
}

Result<Manifest> load(const std::vector<File>& home_policy, const std::vector<File>& home_agents,
                      const std::vector<File>& repository_agents) {
  return whole(examine(home_policy, home_agents, repository_agents));
}

Manifest builtin() {
  Manifest manifest;
  manifest.bottles["default"].name = "default";
  for (const char* name : {"claude", "codex", "shell"}) {
    Agent agent;
    agent.name = agent.provider = name;
    agent.bottle = "default";
    agent.positions[""] = "(built in)";
    manifest.agents.emplace(name, agent);
  }
  return manifest;
}

}  // namespace bottle::manifest
