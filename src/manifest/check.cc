// Walks the document and the table of keys side by side. Refuses whatever is not in the table, because a misspelled
// key in a security policy must not count as absent. The code that reads values afterward therefore needs no checks.
// Each error names the position and, for common mistakes, what was probably meant, because operators learn the format
// from these errors.

#include "manifest/check.h"

#include <algorithm>

#include "manifest/format/keys.h"
#include "manifest/manifest.h"

namespace bottle::manifest {
namespace {

using Is = Node::Kind;

// Describes a node for a message: its kind, or the beginning of its text.
std::string found(const Node& node) {
  switch (node.kind) {
    case Is::nothing:
      return "nothing";
    case Is::list:
      return "a list";
    case Is::map:
      return "keys and values";
    case Is::scalar:
      break;
  }
  std::string text;
  // A value may be long and have line ends, and the error is one line.
  for (char c : node.text.substr(0, 60)) text += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  return "'" + text + (node.text.size() > 60 ? "…'" : "'");
}

// Returns the error for a value of the wrong kind.
Error wrong(const Node& node, const std::string& key, std::string_view expect, std::string todo = {}) {
  return fail_at(node.at, key + ": expected " + std::string(expect) + ", found " + found(node), std::move(todo))
      .error();
}

// Suggests what was probably meant by an invalid host.
std::string host_advice(const std::string& text) {
  if (size_t scheme = text.find("://"); scheme != std::string::npos) {
    std::string rest = text.substr(scheme + 3);
    return "write only the host: " + rest.substr(0, rest.find_first_of(":/"));
  }
  if (text.find('/') != std::string::npos)
    return "write {host: " + text.substr(0, text.find('/')) + ", paths: [\"" + text.substr(text.find('/')) + "\"]}";
  // With several colons, it is an IPv6 address.
  if (size_t colon = text.find(':'); colon != std::string::npos && colon == text.rfind(':'))
    return "write {host: " + text.substr(0, colon) + ", ports: [" + text.substr(colon + 1) + "]}";
  if (text.ends_with(".")) return "leave out the dot at the end";
  if (std::ranges::any_of(text, [](unsigned char c) { return c >= 0x80; }))
    return "write the name in its ASCII form (xn--…)";
  if (text.find('*') != std::string::npos) return "a star replaces whole labels at the front, as in *.example.org";
  return "";
}

// Returns what an operator probably meant by an unknown key.
std::string advice_for_unknown(std::string_view section, const std::string& name,
                               const std::vector<std::string>& known) {
  if (section == "bottle" && name == "git")
    return "list the git server under `ssh`; its key stays outside the bottle there, too";
  return suggest(name, known);
}

// Walks a node and collects its mistakes. Goes on after each one, and looks below a value only if it has the right
// shape.
class Checker {
 public:
  void section(const Node& node, std::string_view name);
  std::vector<Error> mistakes() { return std::move(mistakes_); }

 private:
  void key(const Node& node, const Key& key);
  void list(const Node& node, const Key& key, const std::string& label);
  void value(const Node& node, const Key& key, const std::string& label);
  void scalar(const Node& node, const Key& key, const std::string& label);
  bool full() const { return mistakes_.size() >= kMostMistakes; }
  void add(Error error) {
    if (!full()) mistakes_.push_back(std::move(error));
  }

  std::vector<Error> mistakes_;
};

// Checks one value by its type. `label` is its name in messages, such as "env.STAGE".
void Checker::scalar(const Node& node, const Key& key, const std::string& label) {
  // The values of a choice are in the table, not in its kind.
  bool choice = key.type == Type::choice;
  std::string expect = choice ? "one of " + std::string(key.of) : std::string(kind(key.type).expect);
  if (node.kind != Is::scalar) return add(wrong(node, label, expect));
  if (choice) {
    auto values = choices(key);
    if (std::ranges::find(values, node.text) == values.end())
      add(wrong(node, label, expect, suggest(node.text, values)));
    return;
  }
  if (valid(key.type, node.text)) return;
  bool host = key.type == Type::host || key.type == Type::pattern;
  add(wrong(node, label, expect, host ? host_advice(node.text) : ""));
}

// Checks a value against the type of its key. `label` names the value in errors.
void Checker::value(const Node& node, const Key& key, const std::string& label) {
  if (key.type == Type::section) return section(node, key.of);
  if (key.type == Type::rule || key.type == Type::variable) {
    if (node.kind == Is::map) return section(node, key.of);
    if (node.kind != Is::scalar) return add(wrong(node, label, kind(key.type).expect));
    // Both kinds may be written as one value or as a section.
    Type type = key.type == Type::rule ? Type::pattern : Type::env_value;
    if (!valid(type, node.text))
      add(wrong(node, label, kind(type).expect, key.type == Type::rule ? host_advice(node.text) : ""));
    return;
  }
  scalar(node, key, label);
}

// Checks a list. An empty one may mean "any" to the guard, so it is refused where a reader would understand "none".
void Checker::list(const Node& node, const Key& key, const std::string& label) {
  if (node.kind == Is::nothing && !key.filled) return;
  if (node.kind != Is::list)
    return add(wrong(node, label, "a list", node.kind == Is::scalar ? "write [" + node.text.substr(0, 60) + "]" : ""));
  if (node.items.empty() && key.filled)
    add(fail_at(node.at, label + ": the list is empty",
                label == "hosts" ? "name at least one host"
                                 : "leave out the key to allow any; to forbid the host, remove the rule")
            .error());
  for (const auto& item : node.items) value(item, key, label);
}

// Checks the shape of a key's value, and then each value in it.
void Checker::key(const Node& node, const Key& key) {
  std::string label(key.name);
  switch (key.shape) {
    case Shape::one:
      return value(node, key, label);
    case Shape::list:
      return list(node, key, label);
    case Shape::words:
      // read.cc splits a text with commas.
      if (node.kind != Is::scalar) list(node, key, label);
      return;
    case Shape::map:
    case Shape::map_of_lists:
      break;
  }
  if (node.kind == Is::nothing) return;
  if (node.kind != Is::map) return add(wrong(node, label, "keys and values"));
  for (const auto& [name, entry] : node.entries) {
    // Names become variables, headers or paths, depending on the key.
    if (!valid(key.names, name.text)) add(wrong(name, label, kind(key.names).expect));
    std::string inner = label + "." + name.text;
    if (key.shape == Shape::map_of_lists && entry.kind != Is::scalar) list(entry, key, inner);
    else value(entry, key, inner);
  }
}

void Checker::section(const Node& node, std::string_view section) {
  auto known = keys_of(section);
  if (full()) return;
  if (node.kind != Is::map && node.kind != Is::nothing)
    return add(wrong(node, std::string(section), "keys and values"));
  bool unknown = false;
  for (const auto& [name, entry] : node.entries) {
    auto found = std::ranges::find(known, name.text, &Key::name);
    if (found != known.end()) {
      key(entry, **found);
      continue;
    }
    unknown = true;
    std::vector<std::string> names;
    for (const Key* k : known) names.emplace_back(k->name);
    add(fail_at(name.at, "unknown key '" + name.text.substr(0, 64) + "'", advice_for_unknown(section, name.text, names))
            .error());
  }
  // An unknown key may be a misspelled required one, so then none is called missing.
  if (unknown) return;
  for (const Key* key : known)
    if (key->required && !node.find(key->name))
      add(fail_at(node.at, "'" + std::string(key->name) + "' is missing", std::string(key->doc)).error());
}

}  // namespace

std::vector<Error> mistakes_in(const Node& node, std::string_view section) {
  Checker checker;
  checker.section(node, section);
  return checker.mistakes();
}

Result<> check(const Node& node, std::string_view section) {
  auto mistakes = mistakes_in(node, section);
  if (mistakes.empty()) return {};
  return std::unexpected(std::move(mistakes.front()));
}

}  // namespace bottle::manifest
