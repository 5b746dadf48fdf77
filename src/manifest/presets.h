// Provides sets of egress rules for common services, so that operators do not have to write them by hand. Pure.
//
// A preset has versions. A version never comes to allow more: a change that does so makes a new version. A manifest
// that names a version (`npm@1`) therefore never allows more after an upgrade of bottle.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "manifest/manifest.h"

namespace bottle::manifest {

// Describes one rule of a preset, as a row of a table.
struct PresetRule {
  std::string_view host, methods,
      paths;           // methods and paths are separated by spaces; {} stands for the preset's argument
  bool plain = false;  // also allows http://, where machines on the way can read the request and change the answer
};

// Describes a named set of rules. All views are constants of the program.
struct Preset {
  std::string_view name, argument;  // the argument follows a colon, such as "OWNER/NAME"; it may be empty
  unsigned version;
  std::string_view about;
  std::span<const PresetRule> rules;
};

// Returns the presets in the order of the documentation.
std::span<const Preset> presets();

// Returns the rules for "npm", "npm@1" or "github-repo:OWNER/NAME@1", each with its preset's name and version. Fails
// with Code::invalid if there is no such preset or version, or if the argument is missing or not valid.
Result<std::vector<AllowRule>> preset_rules(std::string_view text);

// Returns whether the hosts of a preset, such as "openai@1", are the API of a model.
bool is_of_model(std::string_view preset);

}  // namespace bottle::manifest
