// Edits the text and not the tree, because a tree that is written out again loses comments, order and indentation,
// which belong to the operator. YAML has too many forms for an editor that is always right, so this one supports only
// the usual forms. It inserts a line or a few characters, and then proves the result: it parses the new text, makes
// the same change to the old tree, and compares the two. If there is any difference, the file stays as it is.

#include "manifest/edit.h"

#include <algorithm>

#include "base/text/parse.h"
#include "base/text/words.h"
#include "manifest/check.h"
#include "manifest/format/document.h"
#include "manifest/presets.h"
#include "manifest/read.h"

namespace bottle::manifest {
namespace {

struct Place {
  size_t line = 0, column = 0;  // from 0
};

// Returns where a node begins in the text. Its position is kept as "path:line:column", from 1.
Place place_of(const Node& node) {
  // A path may contain colons, so the numbers are taken from the end.
  size_t colon = node.at.rfind(':'), before = node.at.rfind(':', colon - 1);
  std::string_view at = node.at;
  return {number_in<size_t>(at.substr(before + 1, colon - before - 1)).value_or(1) - 1,
          number_in<size_t>(at.substr(colon + 1)).value_or(1) - 1};
}

// Splits the text into lines, which keep their line ends.
std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0; at < text.size();) {
    size_t end = std::min(text.find('\n', at), text.size() - 1);
    lines.push_back(text.substr(at, end + 1 - at));
    at = end + 1;
  }
  // A line may be added after the last one.
  if (!lines.empty() && !lines.back().ends_with('\n')) lines.back() += '\n';
  return lines;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line;
  return text;
}

bool is_json(const File& file) { return file.path.ends_with(".json"); }

std::unexpected<Error> cannot_edit(const File& file) {
  return fail(Code::unavailable, file.path + " is written in a way that bottle cannot edit safely");
}

// Reads a file that defines the bottle. Fails with Code::not_found if it does not, and with Code::unavailable for a
// file of version 1.
Result<Node> read_with_bottle(const File& file, const std::string& bottle) {
  if (file.path.ends_with("/claude-bottle.json"))
    return fail(Code::unavailable, file.path + " has version 1, which bottle does not edit",
                "move the bottle to bottle.yaml, or edit the file yourself");
  Node document = TRY(read_document(file.path, file.text));
  // The edits rely on the file being valid, as the code in read.cc does.
  TRY(check(document, "manifest"));
  const Node* bottles = document.find("bottles");
  if (!bottles || !bottles->find(bottle))
    return fail(Code::not_found, file.path + " does not define the bottle '" + bottle + "'");
  return document;
}

// Returns the character at a place, or NUL if there is none. The first character of a node shows in which form it was
// written.
char at(const std::vector<std::string>& lines, Place place) {
  return place.line < lines.size() && place.column < lines[place.line].size() ? lines[place.line][place.column] : '\0';
}

// Returns the column of the first character. Only spaces count, because YAML allows no tabs there.
size_t indent(const std::string& line) { return std::min(line.find_first_not_of(' '), line.size()); }
// Returns whether a line is empty or a comment.
bool is_blank(const std::string& line) {
  size_t first = line.find_first_not_of(" \t\r\n");
  return first == std::string::npos || line[first] == '#';
}

// Returns the line after the block that begins at `start` and is indented deeper than `column`.
size_t end_of_item(const std::vector<std::string>& lines, size_t start, size_t column) {
  size_t last = start;
  for (size_t i = start + 1; i < lines.size(); ++i) {
    // A comment or an empty line after the item belongs to whatever follows.
    if (is_blank(lines[i])) continue;
    if (indent(lines[i]) <= column) break;
    last = i;
  }
  return last + 1;
}

// Compares values and not positions, and maps without regard to the order of their keys.
bool same(const Node& a, const Node& b) {
  if (a.kind != b.kind || a.text != b.text || a.items.size() != b.items.size() || a.entries.size() != b.entries.size())
    return false;
  for (size_t i = 0; i < a.items.size(); ++i)
    if (!same(a.items[i], b.items[i])) return false;
  return std::ranges::all_of(a.entries, [&](const Entry& entry) {
    const Node* other = b.find(entry.key.text);
    return other && same(entry.value, *other);
  });
}

// Returns the value of a key, and makes it if there is none. An empty value becomes one of this kind.
Node& child(Node& node, const std::string& key, Node::Kind kind) {
  for (auto& [name, value] : node.entries)
    if (name.text == key) {
      if (value.kind == Node::Kind::nothing) value.kind = kind;
      return value;
    }
  Node name, value;
  name.kind = Node::Kind::scalar;
  name.text = key;
  value.kind = kind;
  node.kind = Node::Kind::map;
  node.entries.push_back({name, value});
  return node.entries.back().value;
}

// Inserts the rule into the text. Returns false if the text has a form that this function cannot edit. There are three
// cases: the list exists, `egress` exists without it, or neither exists. Each has a form with brackets or braces and
// one with indentation.
bool insert(std::vector<std::string>& lines, const Node& bottle, const AllowRule& rule, bool json) {
  std::string item = rule_yaml(rule, json);
  const Node* egress = bottle.find("egress");
  const Node* allow = egress ? egress->find("allow") : nullptr;
  auto put = [&](size_t line, const std::string& text) { lines.insert(lines.begin() + static_cast<long>(line), text); };
  auto key = [&](const char* name) { return json ? "\"" + std::string(name) + "\"" : std::string(name); };
  if (allow && allow->kind == Node::Kind::list) {
    Place start = place_of(*allow);
    // In a list in brackets, the new item comes first, because directly after the bracket, no comment or line end can
    // be in the way.
    if (at(lines, start) == '[') {
      lines[start.line].insert(start.column + 1, item + (allow->items.empty() ? "" : ", "));
      return true;
    }
    // The position may be that of an alias or a tag.
    if (at(lines, start) != '-' || allow->items.empty()) return false;
    // Insert in the list's own column, after its last item with all its lines.
    put(end_of_item(lines, place_of(allow->items.back()).line, start.column),
        std::string(start.column, ' ') + "- " + item + "\n");
    return true;
  }
  // Without `egress`, the whole section is added to the bottle. An `egress` without any keys has no form to follow.
  const Node* holder = egress && egress->kind == Node::Kind::map ? egress : egress ? nullptr : &bottle;
  // An empty map has no key that would show the column.
  if (allow || !holder || holder->kind != Node::Kind::map || holder->entries.empty()) return false;
  Place start = place_of(*holder);
  std::string open = holder == egress ? "" : "egress";
  if (at(lines, start) == '{') {
    std::string text = key("allow") + ": [" + item + "]";
    if (!open.empty()) text = key("egress") + ": {" + text + "}";
    lines[start.line].insert(start.column + 1, text + ", ");
    return true;
  }
  // For a block, insert before its first key, in the column of that key.
  Place first = place_of(holder->entries.front().key);
  // The key may follow a dash or something else in its line.
  if (json || indent(lines[first.line]) != first.column) return false;
  std::string pad(first.column, ' ');
  if (open.empty()) put(first.line, pad + "allow:\n" + pad + "  - " + item + "\n");
  else put(first.line, pad + "egress:\n" + pad + "  allow:\n" + pad + "    - " + item + "\n");
  return true;
}

// Returns the length of a scalar in the text, or 0 if its text is not on one line or differs from its value.
size_t length_of(const std::vector<std::string>& lines, const Node& scalar) {
  Place start = place_of(scalar);
  char quote = at(lines, start);
  bool quoted = quote == '"' || quote == '\'';
  // If the text was written with escapes or over several lines, it differs from the value, and the length is unknown.
  std::string text = quoted ? quote + scalar.text + quote : scalar.text;
  return lines[start.line].compare(start.column, text.size(), text) == 0 ? text.size() : 0;
}

// Holds one limit in the forms that are inserted: an entry of `limit`, or the whole `limit`.
struct LimitEdit {
  bool json;
  const LimitText& limit;
  std::string quoted(const std::string& text) const { return json ? "\"" + text + "\"" : text; }
  std::string entry() const {
    // JSON numbers have no unit, so an amount with a unit becomes a string.
    bool number = limit.amount.find_first_not_of("0123456789") == std::string::npos;
    return quoted(limit.name) + ": " + (number ? limit.amount : quoted(limit.amount));
  }
  std::string map() const { return quoted("limit") + ": {" + entry() + "}"; }
};

// Adds an entry to a map that has other entries. Returns false if the map has a form that it cannot edit.
bool add_entry(std::vector<std::string>& lines, const Node& map, const std::string& entry) {
  Place start = place_of(map);
  if (at(lines, start) == '{') {
    lines[start.line].insert(start.column + 1, entry + (map.entries.empty() ? "" : ", "));
    return true;
  }
  if (map.entries.empty()) return false;
  // In a block, insert before its first key, or after it if that key is in the line of a list's dash.
  Place first = place_of(map.entries.front().key);
  size_t line = first.line;
  if (indent(lines[line]) != first.column && ++line < lines.size() && !is_blank(lines[line]) &&
      indent(lines[line]) > first.column)
    return false;
  lines.insert(lines.begin() + static_cast<long>(line), std::string(first.column, ' ') + entry + "\n");
  return true;
}

// Writes one limit into the section that has it, or into a rule that is only a host. Returns false if the text has a
// form that it cannot edit. Either the limit exists and its value is replaced, or it is added to the section, which is
// made if it is missing.
bool set_limit(std::vector<std::string>& lines, const Node& holder, const LimitEdit& edit) {
  if (holder.kind == Node::Kind::scalar) {
    size_t length = length_of(lines, holder);
    Place start = place_of(holder);
    std::string& line = lines[start.line];
    if (length)
      line.replace(start.column, length,
                   "{" + edit.quoted("host") + ": " + line.substr(start.column, length) + ", " + edit.map() + "}");
    return length > 0;
  }
  const Node* limit = holder.find("limit");
  if (!limit) return add_entry(lines, holder, edit.map());
  const Node* value = limit->kind == Node::Kind::map ? limit->find(edit.limit.name) : nullptr;
  if (!value) return limit->kind == Node::Kind::map && add_entry(lines, *limit, edit.entry());
  size_t length = value->kind == Node::Kind::scalar ? length_of(lines, *value) : 0;
  Place start = place_of(*value);
  std::string entry = edit.entry();
  if (length) lines[start.line].replace(start.column, length, entry.substr(entry.find(": ") + 2));
  return length > 0;
}

// Returns the section for the limits of a session, or the rule of a host, or null.
Node* holder_of(Node& document, const std::string& bottle, const std::string& host) {
  Node& egress =
      child(child(child(document, "bottles", Node::Kind::map), bottle, Node::Kind::map), "egress", Node::Kind::map);
  if (host.empty()) return &egress;
  for (Node& item : child(egress, "allow", Node::Kind::list).items) {
    const Node* named = item.kind == Node::Kind::map ? item.find("host") : &item;
    if (named && lower(named->text) == lower(host)) return &item;
  }
  return nullptr;
}

// Says how to limit a host for which the bottle has no rule of its own. Never proposes to add a rule for the host
// alone: rules add up, so it would allow everything that the rule of a preset or of a base forbids.
std::string other_place(const Node& document, const std::string& bottle, const std::string& host) {
  std::vector<std::string> names = {bottle};
  for (size_t i = 0; i < names.size(); ++i) {
    const Node* node = document.find("bottles")->find(names[i]);
    // A base may be in another file.
    if (!node || node->kind != Node::Kind::map) continue;
    const Node* egress = node->find("egress");
    if (const Node* presets = egress ? egress->find("presets") : nullptr)
      for (const Node& preset : presets->items)
        if (auto rules = preset_rules(preset.text);
            rules && std::ranges::any_of(*rules, [&](const AllowRule& rule) { return rule.host == lower(host); }))
          return "the rule comes from the preset " + preset.text +
                 ": limit the whole session with `--limit` and no host, or replace the preset with rules of your own "
                 "that have the limit";
    if (const Node* bases = node->find("extends"))
      for (const Node& base : bases->items)
        if (std::ranges::find(names, base.text) == names.end()) names.push_back(base.text);
    Node copy = document;
    if (i > 0 && holder_of(copy, names[i], host))
      return "the rule is in the bottle '" + names[i] + "': run the same command with `--save --bottle " + names[i] +
             "` and without a session";
  }
  return "write the rule into bottles." + bottle +
         ".egress.allow yourself, with its limit and only with the ports, methods and paths that it needs";
}

// Sets one limit in the text, and proves the result as with_rule() does.
Result<std::string> with_limit(const File& file, const std::string& bottle, const std::string& host,
                               const LimitText& limit) {
  Node document = TRY(read_with_bottle(file, bottle));
  const Node* egress = document.find("bottles")->find(bottle)->find("egress");
  if (!egress || egress->kind != Node::Kind::map) return cannot_edit(file);
  Node expected = document;
  // `expected` becomes the tree that the new text must have.
  Node* holder = holder_of(expected, bottle, host);
  if (!holder)
    return fail(Code::unavailable, "the bottle '" + bottle + "' has no rule of its own for " + host,
                other_place(document, bottle, host));
  LimitEdit edit{is_json(file), limit};
  auto lines = lines_of(file.text);
  if (!set_limit(lines, *holder, edit)) return cannot_edit(file);
  std::string text = joined(lines);
  // A rule that is only a host becomes a map with the same host.
  if (holder->kind == Node::Kind::scalar) {
    Node rule, name = *holder;
    child(rule, "host", Node::Kind::scalar).text = name.text;
    *holder = rule;
  }
  Node& to = child(child(*holder, "limit", Node::Kind::map), limit.name, Node::Kind::scalar);
  to.kind = Node::Kind::scalar;
  to.text = limit.amount;
  auto written = read_document(file.path, text);
  if (!written || !same(expected, *written)) return cannot_edit(file);
  return text;
}

}  // namespace

std::string rule_yaml(const AllowRule& rule, bool json) {
  auto quoted = [](const std::string& text) {
    std::string out = "\"";
    for (char c : text) {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
    return out + '"';
  };
  // In YAML, a star at the beginning is an alias.
  bool plain = !json && rule.host.find('*') == std::string::npos;
  std::string host = plain ? rule.host : quoted(rule.host);
  if (rule.ports.empty() && rule.methods.empty() && rule.paths.empty()) return host;
  auto key = [&](const char* name) { return (json ? quoted(name) : std::string(name)) + ": "; };
  auto list = [&](const auto& values, auto text) {
    std::string out;
    for (const auto& value : values) out += (out.empty() ? "" : ", ") + text(value);
    return "[" + out + "]";
  };
  std::string out = "{" + key("host") + host;
  if (!rule.ports.empty())
    out += ", " + key("ports") + list(rule.ports, [](uint16_t port) { return std::to_string(port); });
  if (!rule.methods.empty())
    out += ", " + key("methods") + list(rule.methods, [&](const std::string& m) { return json ? quoted(m) : m; });
  if (!rule.paths.empty()) out += ", " + key("paths") + list(rule.paths, quoted);
  return out + "}";
}

Result<AllowRule> rule_from_yaml(const std::string& item) {
  // A second line could be another key of the file around it.
  if (item.find_first_of("\r\n") != std::string::npos) return fail(Code::invalid, "a rule is one line");
  auto read = TRY(parse_guard({"rule", "egress:\n  allow:\n    - " + item + "\n"}));
  if (read.egress.allow.size() != 1) return fail(Code::invalid, "it is not one rule");
  return read.egress.allow[0];
}

namespace {

// Returns whether the bottle itself has a rule that allows the same requests. Its other keys, such as `limit`, apply to
// all rules with the same host, so the new rule would change nothing.
bool has_rule(const Node& bottle, const Node& rule) {
  const Node* egress = bottle.find("egress");
  const Node* allow = egress ? egress->find("allow") : nullptr;
  return allow && std::ranges::any_of(allow->items, [&](Node item) {
           std::erase_if(item.entries, [](const Entry& entry) {
             const std::string& key = entry.key.text;
             return key == "limit" || key == "on_secret" || key == "on_injection" || key == "inspect";
           });
           const Node* host = item.entries.size() == 1 ? item.find("host") : nullptr;
           return same(host ? *host : item, rule);
         });
}

}  // namespace

// The proof at the end makes mistakes in insert() harmless: they lead to an error and not to a wrong policy.
Result<std::string> with_rule(const File& file, const std::string& bottle, const AllowRule& rule) {
  Node document = TRY(read_with_bottle(file, bottle));
  auto item = read_document("rule", "- " + rule_yaml(rule));
  if (item && has_rule(*document.find("bottles")->find(bottle), item->items.at(0))) return file.text;
  auto lines = lines_of(file.text);
  if (!insert(lines, *document.find("bottles")->find(bottle), rule, is_json(file))) return cannot_edit(file);
  std::string text = joined(lines);

  // The expected result has one more rule, at either end of the list.
  auto written = read_document(file.path, text);
  if (!written || !item || !check(*written, "manifest")) return cannot_edit(file);
  // insert() adds to the front of a list in brackets, and to the end of one with dashes.
  for (bool front : {false, true}) {
    Node expected = document;
    Node& to = child(
        child(child(child(expected, "bottles", Node::Kind::map), bottle, Node::Kind::map), "egress", Node::Kind::map),
        "allow", Node::Kind::list);
    to.items.insert(front ? to.items.begin() : to.items.end(), item->items.at(0));
    if (same(expected, *written)) return text;
  }
  return cannot_edit(file);
}

Result<std::string> with_limits(const File& file, const std::string& bottle, const std::string& host,
                                const std::vector<LimitText>& limits) {
  File edited = file;
  // The limits are set one after the other, because each edit moves what follows it.
  for (const auto& limit : limits) edited.text = TRY(with_limit(edited, bottle, host, limit));
  // Finds mistakes in the meaning, such as a limit above the maximum. Its bases may be in files that are not here.
  Bottle alone;
  Node document = TRY(read_with_bottle(edited, bottle));
  TRY(apply_bottle(alone, *document.find("bottles")->find(bottle), edited.path));
  return std::move(edited.text);
}

}  // namespace bottle::manifest
