// The parser's tree has names only. The descriptions of commands and options are in the commands' pages, where help and
// completion read them, so these cannot disagree. Most runs need none, so they do not parse the pages.
//
// A wrong command line is answered with the nearest word that exists. The parser (CLI11) reports errors with
// exceptions and in its own words. They are caught and reworded here and nowhere else.
#include "app/cli.h"

#include <algorithm>
#include <optional>

#include "app/commands/commands.h"
#include "app/manual/manual.h"
#include "app/output/output.h"
#include "base/text/words.h"
#include "manifest/manifest.h"

namespace bottle::app {
namespace {

// Makes an empty word an error where a value belongs. It comes from a variable that is not set, and without this,
// `--remote "$HOST"` would start the bottle on this machine. A prompt and the arguments of the agent may be empty.
void refuse_empty_values(CLI::App& command) {
  CLI::Validator not_empty([](std::string& value) { return value.empty() ? "the value is empty" : ""; }, "",
                           "not empty");
  for (CLI::Option* option : command.get_options())
    if (option->get_items_expected_max() == 1 && !option->check_lname("prompt")) option->check(not_empty);
  for (CLI::App* sub : command.get_subcommands([](CLI::App*) { return true; })) refuse_empty_values(*sub);
}

// Returns the innermost command that the command line names.
CLI::App& deepest(CLI::App& app) {
  CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  return *at;
}

// Returns the error in our words, and what to do. CLI11 says "session is required", "--ttl requires --vm", "--vm
// excludes
// --remote" and "--prompt: 1 required TEXT missing".
Error reworded(std::string what, const std::string& see) {
  auto both = [&](std::string_view between) -> std::optional<std::pair<std::string, std::string>> {
    size_t at = what.find(between);
    if (!what.starts_with("--") || at == what.npos) return {};
    return std::pair(what.substr(0, at), what.substr(at + between.size()));
  };
  constexpr std::string_view kRequired = " is required";
  if (what.starts_with("A subcommand is required")) return {Code::invalid, "no command was given", see};
  if (what.ends_with(kRequired)) {
    std::string name = what.substr(0, what.size() - kRequired.size());
    bool flag = name.starts_with("-");
    return {Code::invalid, flag ? name + " is missing" : "no " + upper(name) + " was given", see};
  }
  if (auto two = both(" requires "))
    return {Code::invalid, two->first + " needs " + two->second,
            "add " + two->second + ", or leave out " + two->first + "; " + see};
  if (auto two = both(" excludes "))
    return {Code::invalid, two->first + " and " + two->second + " cannot be combined", "leave out one of them; " + see};
  // Flags are the only arguments whose values are converted.
  constexpr std::string_view kNotConverted = "Could not convert: ";
  if (what.starts_with(kNotConverted)) {
    std::string flag = what.substr(kNotConverted.size(), what.find(" = ") - kNotConverted.size());
    return {Code::invalid, flag + " takes no value", "write only " + flag + "; " + see};
  }
  if (size_t missing = what.find(": 1 required "); missing != what.npos)
    what.replace(missing, what.npos, " needs a value");
  return {Code::invalid, std::move(what), see};
}

// Reports a word that does not exist, with the closest one that does. `json` says whether the command line contains
// --json, which the parser cannot report after an error.
int report_parse_error(CLI::App& app, const CLI::ParseError& error, bool json) {
  CLI::App& command = deepest(app);
  auto extra = app.remaining(true);
  std::string name = full_name(command), see = "see `bottle help" + (command.get_parent() ? name.substr(6) : "") + "`";
  // Names the command without "bottle", with which every error begins.
  std::string prefix = command.get_parent() ? name.substr(7) + ": " : "";
  if (extra.empty()) {
    Error own = reworded(error.what(), see);
    own.what = prefix + own.what;
    return report(own, json);
  }
  std::vector<std::string> known;
  // The first unknown word decides what kind of word was meant.
  bool flag = extra[0].starts_with("-");
  // Hidden commands have no group, and are not suggested.
  for (const CLI::App* sub : command.get_subcommands([](CLI::App* s) { return !s->get_group().empty(); }))
    if (!flag) known.push_back(sub->get_name());
  for (const CLI::Option* option : command.get_options())
    for (const std::string& term : terms_of(*option))
      if (flag && term.starts_with("--")) known.push_back(term);
  auto has_term = [&](const CLI::Option* option) { return std::ranges::count(terms_of(*option), extra[0]) > 0; };
  if (flag && std::ranges::any_of(command.get_options(), has_term))
    return report({Code::invalid, prefix + extra[0] + " stands before the command", "write it after `" + name + "`"},
                  json);
  std::string what = flag            ? "there is no option '" + extra[0] + "'"
                     : known.empty() ? "the argument '" + extra[0] + "' is not expected"
                                     : "there is no command '" + extra[0] + "'";
  std::string nearest = manifest::suggest(extra[0], known);
  return report({Code::invalid, prefix + what, nearest.starts_with("did you mean") ? nearest : see}, json);
}

}  // namespace

const Page* page_of(const CLI::App& command) {
  const CLI::App* at = &command;
  // Stops below the root, because the root is the program itself.
  while (at->get_parent() && at->get_parent()->get_parent()) at = at->get_parent();
  return find_page(at->get_parent() ? at->get_name() : "bottle");
}

std::string full_name(const CLI::App& command) {
  return command.get_parent() ? full_name(*command.get_parent()) + " " + command.get_name() : "bottle";
}

std::vector<std::string> terms_of(const CLI::Option& option) {
  std::vector<std::string> terms;
  for (const auto& name : option.get_snames()) terms.push_back("-" + name);
  for (const auto& name : option.get_lnames()) terms.push_back("--" + name);
  if (option.get_positional()) terms.push_back(upper(option.get_name(true)));
  return terms;
}

std::string description(const CLI::App& command, const CLI::Option& option) {
  const Page* page = page_of(command);
  if (!page) return "";
  for (const auto& [term, text] : page->items(full_name(command)))
    for (const std::string& own : terms_of(option))
      if (term == own || term.starts_with(own + " ")) return text;
  return "";
}

std::string description(const CLI::App& command) {
  const Page* page = page_of(command);
  return page ? page->about(full_name(command)) : "";
}

std::unique_ptr<CLI::App> make_parser(int& exit) {
  auto app = std::make_unique<CLI::App>("", "bottle");
  app->require_subcommand(1);
  app->set_version_flag("--version", std::string(BOTTLE_VERSION));
  for (const CommandEntry& command : commands()) command.add(Command(*app, exit));
  refuse_empty_values(*app);
  return app;
}

bool asks_for_json(int argc, char** argv) {
  auto end = std::find(argv, argv + argc, std::string_view("--"));
  return std::find(argv, end, std::string_view("--json")) != end;
}

namespace {

// CLI11 reports even help and the version with exceptions. None of them leaves this function.
int parse_and_run(int argc, char** argv) {
  int exit = 0;
  auto app = make_parser(exit);
  if (argc == 1) {
    print_page(overview(output_width(), has_color(1)));
    return 125;
  }
  try {
    app->parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    const CLI::App& command = deepest(*app);
    const Page* page = page_of(command);
    print_page(command.get_parent() && page ? to_terminal(*page, output_width(), has_color(1))
                                            : overview(output_width(), has_color(1)));
    return 0;
  } catch (const CLI::CallForVersion&) {
    print(BOTTLE_VERSION);
    return 0;
  } catch (const CLI::ParseError& error) {
    return report_parse_error(*app, error, asks_for_json(argc, argv));
  }
  return exit;
}

}  // namespace

int run(int argc, char** argv) {
  int exit = parse_and_run(argc, argv);
  auto written = end_output();
  return written ? exit : report(written.error(), asks_for_json(argc, argv));
}

}  // namespace bottle::app
