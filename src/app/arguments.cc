// Passes every call on to CLI11. The commands see only arguments.h, so CLI11's large header is not compiled again
// with each of them.
#include "app/arguments.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <utility>

namespace bottle::app {

Argument Argument::required() { return Argument(option_->required()); }
Argument Argument::needs(Argument other) { return Argument(option_->needs(other.option_)); }
Argument Argument::excludes(Argument other) { return Argument(option_->excludes(other.option_)); }
Argument Argument::one_of(const std::vector<std::string>& values, const std::string& old) {
  auto judge = [values, old](const std::string& value) -> std::string {
    if (!old.empty() && value == old) return "";
    std::string list;
    for (const auto& each : values) list += (list.empty() ? "" : ", ") + each;
    return std::ranges::find(values, value) == values.end() ? "'" + value + "' is not one of " + list : "";
  };
  return Argument(option_->check(CLI::Validator([judge](std::string& value) { return judge(value); }, "", "one of")));
}
Argument Argument::one_value_each() { return Argument(option_->allow_extra_args(false)); }
Argument Argument::separated_by(char delimiter) { return Argument(option_->delimiter(delimiter)); }

Command Command::command(const std::string& name) { return {*app_->add_subcommand(name), *exit_}; }
Command Command::group(const std::string& name) { return {*app_->add_subcommand(name)->require_subcommand(1), *exit_}; }

Argument Command::option(const std::string& names, std::string& value) {
  return Argument(app_->add_option(names, value));
}
Argument Command::option(const std::string& names, std::vector<std::string>& values) {
  return Argument(app_->add_option(names, values));
}
Argument Command::flag(const std::string& names, bool& value) { return Argument(app_->add_flag(names, value)); }

void Command::runs(std::function<int()> run) {
  app_->callback([run = std::move(run), exit = exit_] { *exit = run(); });
}

}  // namespace bottle::app
