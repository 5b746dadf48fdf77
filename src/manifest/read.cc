// The document has been checked against the table, so this code takes values without checking their types again. It
// checks only what concerns several keys together, such as methods that need inspection. Applying a node to a struct
// sets the fields that the node mentions and joins lists. Inheritance consists of nothing else.

#include "manifest/read.h"

#include <algorithm>
#include <cstdlib>
#include <span>

#include "base/text/parse.h"
#include "base/text/words.h"
#include "manifest/format/kinds.h"
#include "manifest/presets.h"

namespace bottle::manifest {
namespace {

// Returns the text of a key, or `otherwise` if it is absent, empty or not a scalar.
std::string text(const Node& node, std::string_view key, std::string otherwise = {}) {
  const Node* value = node.find(key);
  return value && value->kind == Node::Kind::scalar ? value->text : otherwise;
}

// Returns the enumerator whose word this is, or nothing for other text. `words` are in the order of the enumerators.
template <class E>
std::optional<E> one_of(std::span<const char* const> words, std::string_view word) {
  auto found = std::ranges::find(words, word);
  return found == words.end() ? std::nullopt : std::optional(static_cast<E>(found - words.begin()));
}
std::optional<policy::OnSecret> on_secret(std::string_view word) {
  return one_of<policy::OnSecret>(policy::kOnSecret, word);
}
std::optional<policy::OnInjection> on_injection(std::string_view word) {
  return one_of<policy::OnInjection>(policy::kOnInjection, word);
}

// Returns the items of a list. An absent list is empty.
std::vector<std::string> texts(const Node& node, std::string_view key) {
  std::vector<std::string> values;
  if (const Node* list = node.find(key))
    for (const auto& item : list->items) values.push_back(item.text);
  return values;
}

std::vector<std::string> all_lower(std::vector<std::string> texts) {
  for (auto& t : texts) t = lower(t);
  return texts;
}

uint16_t port(const std::string& text) { return number_in<uint16_t>(text).value_or(0); }

// Makes the path in `value` absolute. Keeps "~/", because only the caller has the operator's home directory.
std::string from_file(const std::string& value, const std::string& path) {
  if (value.empty() || value.starts_with("/") || value.starts_with("~/")) return value;
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? value : path.substr(0, slash + 1) + value;
}

// Appends a list to an inherited one.
template <typename T>
void join(std::vector<T>& to, std::vector<T> more) {
  to.insert(to.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
}

const Node& child(const Node& node, std::string_view key) {
  // Returns an empty section for an absent one, so that callers need no special case.
  static const Node nothing;
  const Node* found = node.find(key);
  return found ? *found : nothing;
}

double number(const std::string& text) { return std::strtod(text.c_str(), nullptr); }

// Changes only the limits that the node sets.
Result<> read_limit(Limit& limit, const Node& node) {
  if (auto most = text(node, "requests"); !most.empty()) limit.requests = to_amount(most);
  if (auto most = text(node, "bytes_up"); !most.empty()) limit.bytes_up = to_size(most);
  if (auto most = text(node, "names"); !most.empty()) limit.names = to_amount(most);
  if (auto most = text(node, "tokens"); !most.empty()) limit.tokens = to_amount(most);
  if (auto most = text(node, "cost"); !most.empty()) limit.cost = number(most);
  // The table has only a general limit for this kind of value.
  if (limit.names > kMostNames)
    return fail_at(node.find("names")->at,
                   "names: the guard can count at most " + std::to_string(kMostNames) + " hosts",
                   "choose a lower limit, or remove it");
  return {};
}

// If the manifest has no price for tokens of a cache, they cost as much as others.
Price read_price(const Node& node) {
  Price price{number(text(node, "input")), number(text(node, "output"))};
  price.cache_read = number(text(node, "cache_read", text(node, "input")));
  price.cache_write = number(text(node, "cache_write", text(node, "input")));
  return price;
}

// Inspection follows from the other keys of a rule. If they need it and `inspect: false` forbids it, that is an
// error.
Result<AllowRule> read_rule(const Node& node) {
  AllowRule rule;
  if (node.kind == Node::Kind::scalar) {
    // Names of hosts ignore case, and the guard compares them in lower case.
    rule.host = lower(node.text);
    return rule;
  }
  rule.host = lower(text(node, "host"));
  for (const auto& p : texts(node, "ports")) rule.ports.push_back(port(p));
  rule.methods = texts(node, "methods");
  rule.paths = texts(node, "paths");
  bool narrow = !rule.methods.empty() || !rule.paths.empty();
  // Methods and paths are visible only inside TLS, so a rule with them needs inspection, which `inspect: false`
  // contradicts.
  std::string inspect = text(node, "inspect", narrow ? "true" : "false");
  if (narrow && inspect == "false")
    return fail_at(node.find("inspect")->at, "inspect: the guard cannot check methods and paths without inspection",
                   "remove `inspect: false`, or the methods and paths");
  rule.on_secret = on_secret(text(node, "on_secret"));
  rule.on_injection = on_injection(text(node, "on_injection"));
  TRY(read_limit(rule.limit, child(node, "limit")));
  bool counts_tokens = rule.limit.tokens || rule.limit.cost > 0;
  if (counts_tokens && text(node, "inspect") == "false")
    return fail_at(node.find("inspect")->at, "inspect: the guard cannot count tokens without inspection",
                   "remove `inspect: false`, or the limits of tokens and cost");
  // A rule with its own `on_secret` or `on_injection` also needs to see the content.
  bool reacts = rule.on_secret || rule.on_injection;
  if (reacts && text(node, "inspect") == "false")
    return fail_at(node.find("inspect")->at, "inspect: the guard cannot look for secrets or instructions without it",
                   "remove `inspect: false`, or on_secret and on_injection");
  rule.inspect = counts_tokens || inspect != "false" || reacts;
  return rule;
}

// Secrets are replaced as a whole and not merged, because a value must not go to hosts that were meant for another
// one.
Result<Secret> read_secret(const std::string& name, const Node& node, const std::string& path) {
  Secret secret{name,
                text(node, "from"),
                all_lower(texts(node, "hosts")),
                text(node, "header"),
                text(node, "env"),
                text(node, "placeholder"),
                text(node, "expose") == "true"};
  if (auto in = texts(node, "in"); !in.empty()) secret.in = in;
  secret.beside = texts(node, "beside");
  if (!secret.header.empty() && std::ranges::find(secret.in, "header") == secret.in.end())
    return fail_at(node.find("header")->at, "secret '" + name + "' has a header, but `in` does not have `header`",
                   "add it: in: [header, " + secret.in.front() + "], or remove one of the two");
  if (secret.from.starts_with("file:")) secret.from = "file:" + from_file(secret.from.substr(5), path);
  // A secret without hosts would never be used, which the operator would notice only from failing requests.
  if (secret.hosts.empty() && !secret.expose)
    return fail_at(node.at, "secret '" + name + "' is not bound to any host",
                   "add its hosts, such as hosts: [api.example.org]");
  // The agent could then send the value to a host of its choice.
  if (std::ranges::find(secret.hosts, "*") != secret.hosts.end())
    return fail_at(node.find("hosts")->at, "secret '" + name + "' is bound to every host", "name the hosts it is for");
  return secret;
}

// Lists are joined, single values are replaced, and maps are merged by key, as `extends` promises.
Result<> apply_egress(Egress& egress, const Node& node, const std::string& path) {
  for (const auto& item : child(node, "allow").items) egress.allow.push_back(TRY(read_rule(item)));
  for (const auto& item : child(node, "presets").items) {
    auto rules = preset_rules(item.text);
    if (!rules) return fail_at(item.at, "presets: " + rules.error().what, rules.error().todo);
    // Rules of presets follow those of `allow`.
    join(egress.allow, std::move(*rules));
  }
  for (const auto& item : child(node, "lan").items)
    egress.lan.push_back({lower(text(item, "name")), text(item, "to"), texts(item, "methods"), texts(item, "paths"),
                          text(item, "tls") == "true"});
  egress.on_secret = on_secret(text(node, "on_secret")).value_or(egress.on_secret);
  for (const auto& [name, value] : child(node, "on_secret_for").entries)
    egress.on_secret_for[name.text] = on_secret(value.text).value_or(policy::OnSecret::block);
  egress.on_injection = on_injection(text(node, "on_injection")).value_or(egress.on_injection);
  TRY(read_limit(egress.limit, child(node, "limit")));
  for (const auto& [name, value] : child(node, "prices").entries) egress.prices[name.text] = read_price(value);
  for (const auto& print : texts(node, "allowed_secrets")) egress.allowed_secrets.push_back(print);
  for (const auto& [name, value] : child(node, "hosts").entries) {
    auto& addresses = egress.hosts[lower(name.text)];
    // A bottle's own addresses replace those that it inherits.
    addresses.clear();
    if (value.kind == Node::Kind::scalar) addresses.push_back(value.text);
    for (const auto& item : value.items) addresses.push_back(item.text);
    if (addresses.empty())
      return fail_at(name.at, "hosts." + name.text + ": the list has no address", "add one, or remove the line");
  }
  // A login must not go to another proxy than the one that it was meant for.
  std::string proxy = text(node, "parent_proxy", egress.parent_proxy);
  if (!egress.parent_proxy.empty() && proxy != egress.parent_proxy) egress.parent_proxy_login.clear();
  egress.parent_proxy = proxy;
  egress.parent_proxy_login = text(node, "parent_proxy_login", egress.parent_proxy_login);
  for (const auto& file : texts(node, "extra_ca")) egress.extra_ca.push_back(from_file(file, path));
  egress.resolver = text(node, "resolver", egress.resolver);
  egress.http2 = text(node, "http2", egress.http2 ? "true" : "false") == "true";
  return {};
}

void put_ssh(Bottle& bottle, SshHost host, const std::string& at) {
  bottle.positions["ssh." + host.host] = at;
  // The same host in a base is replaced, because only one key can be used for it.
  std::erase_if(bottle.ssh, [&](const SshHost& other) { return other.host == host.host; });
  bottle.ssh.push_back(std::move(host));
}

// Adds the variables of a bottle to those that it inherits.
void apply_env(Bottle& bottle, const Node& node) {
  for (const auto& [name, value] : child(node, "env").entries) {
    bool plain = value.kind == Node::Kind::scalar;
    bottle.env[name.text] = plain ? value.text : text(value, "value");
    bottle.positions["env." + name.text] = value.at;
    // A variable that replaces an inherited one is secret only if it says so itself.
    bottle.secret_env.erase(name.text);
    if (!plain && text(value, "secret") == "true") bottle.secret_env.insert(name.text);
  }
}

}  // namespace

Result<> apply_bottle(Bottle& bottle, const Node& node, const std::string& path) {
  // Later errors are reported at the definition that took effect, which may be that of a base.
  for (const auto& [key, value] : node.entries) bottle.positions[key.text] = value.at;
  if (node.find("image") && node.find("dockerfile"))
    return fail_at(node.find("dockerfile")->at, "image and dockerfile cannot be combined", "keep one of them");
  // An image replaces an inherited Dockerfile, and the reverse.
  if (node.find("image")) bottle.image = text(node, "image"), bottle.dockerfile.clear();
  if (node.find("dockerfile")) bottle.dockerfile = from_file(text(node, "dockerfile"), path), bottle.image.clear();
  join(bottle.packages, texts(node, "packages"));
  // Sorted and without repetitions, the same set of packages always makes the same image.
  std::ranges::sort(bottle.packages);
  bottle.packages.erase(std::ranges::unique(bottle.packages).begin(), bottle.packages.end());
  bottle.runtime = text(node, "runtime", bottle.runtime);
  const Node& resources = child(node, "resources");
  if (std::string memory = text(resources, "memory"); !memory.empty()) bottle.resources.memory = to_size(memory);
  if (std::string cpus = text(resources, "cpus"); !cpus.empty())
    bottle.resources.cpus = std::strtod(cpus.c_str(), nullptr);
  if (std::string pids = text(resources, "pids"); !pids.empty())
    bottle.resources.pids = number_in<int>(pids).value_or(0);
  if (std::string disk = text(resources, "disk"); !disk.empty()) bottle.resources.disk = to_size(disk);
  if (std::string shm = text(resources, "shm"); !shm.empty()) bottle.resources.shm = to_size(shm);
  if (std::string mode = text(node, "workspace"); !mode.empty()) bottle.workspace = TRY(workspace_mode(mode));
  // These lists replace those of a base, so that a bottle can also send or keep less.
  if (node.find("include")) bottle.include = texts(node, "include");
  if (node.find("keep")) bottle.keep = texts(node, "keep");
  apply_env(bottle, node);
  for (const auto& [name, value] : child(node, "secrets").entries) {
    bottle.secrets[name.text] = TRY(read_secret(name.text, value, path));
    bottle.positions["secrets." + name.text] = name.at;
  }
  const Node& scan = child(node, "scan");
  for (const auto& file : texts(scan, "secrets")) bottle.scan.secrets.push_back(from_file(file, path));
  for (const auto& file : texts(scan, "rules")) bottle.scan.rules.push_back(from_file(file, path));
  TRY(apply_egress(bottle.egress, child(node, "egress"), path));
  for (const auto& item : child(node, "ssh").items)
    put_ssh(bottle,
            {lower(text(item, "host")), from_file(text(item, "identity_file"), path), lower(text(item, "hostname")),
             text(item, "user"), text(item, "host_key"), port(text(item, "port", "22"))},
            item.at);
  return {};
}

// These are the only keys of version 1. Everything else keeps the defaults of the current version.
Result<> apply_v1_bottle(Bottle& bottle, const Node& node, const std::string& path) {
  apply_env(bottle, node);
  for (const auto& item : child(node, "ssh").items)
    put_ssh(bottle,
            {lower(text(item, "Host")), from_file(text(item, "IdentityFile"), path), lower(text(item, "Hostname")),
             text(item, "User"), text(item, "KnownHostKey"), port(text(item, "Port", "22"))},
            item.at);
  const Node& egress = child(node, "egress");
  for (const auto& host : texts(egress, "allowlist")) bottle.egress.allow.push_back({.host = lower(host)});
  bottle.egress.on_secret = on_secret(text(egress, "dlp_action")).value_or(bottle.egress.on_secret);
  return {};
}

Result<Agent> read_agent(const std::string& name, const Node& node, const std::string& at) {
  Agent agent;
  agent.name = name;
  agent.bottle = text(node, "bottle", "default");
  agent.provider = text(node, "provider", "claude");
  agent.prompt = text(node, "prompt");
  agent.command = texts(node, "command");
  agent.description = text(node, "description");
  agent.pin = {text(node, "version"), text(node, "integrity")};
  agent.positions[""] = at;
  for (const auto& [key, value] : node.entries) agent.positions[key.text] = value.at;
  agent.skills = texts(node, "skills");
  const Node& skills = child(node, "skills");
  if (skills.kind == Node::Kind::scalar) {
    std::string word;
    // Claude Code's agent files separate names with commas.
    for (char c : skills.text + ",") {
      if (c != ',' && c != ' ') word += c;
      else if (!word.empty()) agent.skills.push_back(std::exchange(word, {}));
    }
    for (const auto& skill : agent.skills)
      if (!valid(Type::name, skill))
        return fail_at(skills.at, "skills: expected " + std::string(kind(Type::name).expect));
  }
  if (agent.provider == "command" && agent.command.empty())
    return fail_at(at, "agent '" + name + "': provider command needs a command", "add command: [program, argument]");
  if (agent.provider != "command" && !agent.command.empty())
    return fail_at(agent.positions["command"], "agent '" + name + "': command needs provider: command",
                   "add provider: command, or remove the command");
  if (!agent.pin.version.empty() && agent.provider != "claude" && agent.provider != "codex")
    return fail_at(agent.positions["version"],
                   "agent '" + name + "': version is for the programs of claude and codex, not for " + agent.provider,
                   "remove version");
  if (agent.pin.version.empty() && !agent.pin.integrity.empty())
    return fail_at(agent.positions["integrity"], "agent '" + name + "': integrity needs version",
                   "add version, or remove integrity");
  return agent;
}

Vm read_vm(const std::string& name, const Node& node) {
  Vm vm{name, text(node, "provider")};
  auto size = [&](const char* key) { return node.find(key) ? to_size(text(node, key)) : 0; };
  auto time = [&](const char* key) { return node.find(key) ? to_duration(text(node, key)) : 0; };
  vm.ttl = time("ttl");
  vm.idle = time("idle");
  vm.memory = size("memory");
  vm.disk = size("disk");
  vm.cpus = std::strtod(text(node, "cpus", "0").c_str(), nullptr);
  vm.allow_vpn = text(node, "allow_vpn") == "true";
  for (const auto& [key, value] : child(node, "options").entries) vm.options[key.text] = value.text;
  return vm;
}

Result<uint64_t> duration(const std::string& text) {
  if (!valid(Type::duration, text))
    return fail(Code::invalid, "'" + text + "' is not a valid time", "write it as 90s, 30m, 2h or 1d");
  return to_duration(text);
}

Result<WorkspaceMode> workspace_mode(const std::string& text) {
  if (text == "none") return WorkspaceMode::none;
  if (text == "copy") return WorkspaceMode::copy;
  if (text == "clone") return WorkspaceMode::clone;
  if (text == "bind") return WorkspaceMode::bind;
  return fail(Code::invalid, "unknown workspace mode '" + text + "'", suggest(text, {"none", "copy", "clone", "bind"}));
}

std::string_view to_string(WorkspaceMode mode) {
  switch (mode) {
    case WorkspaceMode::none:
      return "none";
    case WorkspaceMode::copy:
      return "copy";
    case WorkspaceMode::clone:
      return "clone";
    case WorkspaceMode::bind:
      return "bind";
  }
  return "none";
}

}  // namespace bottle::manifest
