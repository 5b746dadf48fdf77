// git's configuration files as data: no include is followed, nothing is run.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bottle::git {

struct Setting {
  std::string name;                  // section.key or section.Subsection.key, the first and the last part in lower case
  std::optional<std::string> value;  // absent: a key without "=", which is a true boolean
};

// All settings in the order of the file (git-config(1), "CONFIGURATION FILE"). Code::protocol, with the line, for what
// git refuses too; Code::limit for more than 100,000 settings.
Result<std::vector<Setting>> parse_config(std::string_view text);

// Whether git takes the value for true. Absent: for neither true nor false.
std::optional<bool> as_bool(const Setting& setting);

// One line of a configuration file, with its section; the name as in Setting.
std::string config_line(const std::string& name, const std::string& value);

}  // namespace bottle::git
