// Parses git's configuration files as data. Does not follow includes and does not run anything.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bottle::git {

// Stands for one setting of a configuration file. Everything in it is untrusted.
struct Setting {
  std::string name;                  // section.key or section.Subsection.key; the first and the last part are in lower
                                     // case
  std::optional<std::string> value;  // absent for a key without "=", which means true
};

// Returns all settings in the order of the file (git-config(1), "CONFIGURATION FILE"). Fails with Code::protocol, and
// names the line, for anything that git refuses too. Fails with Code::limit if there are more than 100,000 settings.
Result<std::vector<Setting>> parse_config(std::string_view text);

// Returns whether git treats the value as true, or nothing if the value is not a boolean.
std::optional<bool> as_bool(const Setting& setting);

// Returns one line of a configuration file, with its section. `name` has the form of Setting::name.
std::string config_line(const std::string& name, const std::string& value);

}  // namespace bottle::git
