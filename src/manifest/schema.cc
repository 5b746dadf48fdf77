// Writes the table of keys in two other forms. The schema is for editors. Where JSON Schema cannot express a rule, it
// accepts more than check() does. It does not cover the guard's own file and version 1.

#include <nlohmann/json.hpp>

#include "manifest/format/keys.h"
#include "manifest/manifest.h"

namespace bottle::manifest {
namespace {

using nlohmann::ordered_json;

// Returns the schema of one value of a key, without lists and maps around it.
ordered_json value_schema(const Key& key) {
  // Sections are definitions of the schema, to which their keys refer.
  ordered_json of = {{"$ref", "#/$defs/" + std::string(key.of)}};
  if (key.type == Type::section) return of;
  if (key.type == Type::rule || key.type == Type::variable) {
    auto scalar =
        key.type == Type::rule ? ordered_json{{"type", "string"}} : ordered_json::parse(kind(Type::env_value).schema);
    return {{"anyOf", ordered_json::array({scalar, of})}};
  }
  if (key.type == Type::choice) return {{"enum", choices(key)}};
  return ordered_json::parse(kind(key.type).schema);
}

// Returns the schema of a key with the lists and maps of its shape.
ordered_json key_schema(const Key& key) {
  ordered_json value = value_schema(key), list = {{"type", "array"}, {"items", value}};
  if (key.filled) list["minItems"] = 1;
  switch (key.shape) {
    case Shape::one:
      return value;
    case Shape::list:
      return list;
    case Shape::words:
      return {{"anyOf", ordered_json::array({ordered_json{{"type", "string"}}, list})}};
    case Shape::map:
    case Shape::map_of_lists:
      break;
  }
  if (key.shape == Shape::map_of_lists) value = {{"anyOf", ordered_json::array({value, list})}};
  return {{"type", "object"},
          {"propertyNames", ordered_json::parse(kind(key.names).schema)},
          {"additionalProperties", value}};
}

// Returns the schema of a section. A section without a required key may be empty, which YAML reads as null.
ordered_json section_schema(std::string_view section) {
  ordered_json properties = ordered_json::object(), required = ordered_json::array();
  for (const Key* key : keys_of(section)) {
    properties[std::string(key->name)] = key_schema(*key);
    properties[std::string(key->name)]["description"] = key->doc;
    if (key->required) required.push_back(key->name);
  }
  ordered_json schema = {
      {"type", ordered_json::array({"object", "null"})}, {"additionalProperties", false}, {"properties", properties}};
  if (!required.empty()) schema["required"] = required, schema["type"] = "object";
  return schema;
}

// Returns the type of a key in the words of the documentation.
std::string type_text(const Key& key) {
  std::string one(kind(key.type).name);
  if (key.type == Type::choice) {
    one.clear();
    for (const auto& value : choices(key)) one += (one.empty() ? "`" : ", `") + value + "`";
  }
  switch (key.shape) {
    case Shape::one:
      return one;
    case Shape::list:
      return "list of: " + one;
    case Shape::words:
      return "list of: " + one + ", or text with commas";
    case Shape::map:
      return "map to: " + one;
    case Shape::map_of_lists:
      return "map to: " + one + ", or list";
  }
  return one;
}

}  // namespace

std::string json_schema() {
  ordered_json schema = {{"$schema", "https://json-schema.org/draft/2020-12/schema"}, {"title", "bottle.yaml"}};
  schema.update(section_schema("manifest"));
  ordered_json defs = ordered_json::object();
  for (const Section& section : sections())
    if (!section.v1 && section.name != "manifest" && section.name != "guard")
      defs[std::string(section.name)] = section_schema(section.name);
  schema["$defs"] = defs;
  return schema.dump(2);
}

std::string keys_markdown() {
  std::string text;
  for (const Section& section : sections()) {
    if (!text.empty()) text += "\n";
    text += "### " + std::string(section.title) + "\n\n| key | type | meaning |\n|---|---|---|\n";
    for (const Key* key : keys_of(section.name))
      text += "| `" + std::string(key->name) + "` | " + type_text(*key) + (key->required ? ", required" : "") + " | " +
              std::string(key->doc) + " |\n";
  }
  return text;
}

}  // namespace bottle::manifest
