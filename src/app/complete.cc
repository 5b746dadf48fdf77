// A completion goes through the words as the parser would, but never fails. It remembers which command it is in,
// which options were given, and whether the next word is the value of an option. The kind of the last word then
// decides what it offers. Names of agents and sessions are read from files only, because the Tab key must not wait
// for an engine or a network.
#include "app/complete.h"

#include <algorithm>
#include <cstdlib>

#include "app/cli.h"
#include "app/commands/commands.h"
#include "app/manual/manual.h"
#include "app/output/output.h"
#include "app/world/sessions.h"
#include "app/world/world.h"
#include "base/text/words.h"
#include "machine/provider/provider.h"
#include "machine/record.h"
#include "manifest/presets.h"

namespace bottle::app {
namespace {

// Returns the subcommands that people use.
std::vector<CLI::App*> visible(CLI::App& app) {
  return app.get_subcommands(
      [](CLI::App* sub) { return !sub->get_group().empty() && !sub->get_name().starts_with("_"); });
}

// Returns the option that "--name" or "--name=value" names, or null.
CLI::Option* option_named(CLI::App& command, const std::string& word) {
  std::string name = word.substr(0, word.find('='));
  for (CLI::Option* option : command.get_options())
    if (!option->get_positional() && std::ranges::count(terms_of(*option), name)) return option;
  return nullptr;
}

bool takes_value(const CLI::Option& option) { return option.get_items_expected_max() > 0; }

// Returns TEXT for "--prompt TEXT", and for a positional argument its name.
std::string value_name(const CLI::App& command, const CLI::Option& option) {
  if (option.get_positional()) return terms_of(option).back();
  const Page* page = page_of(command);
  if (!page) return "";
  for (const auto& [term, text] : page->items(full_name(command)))
    for (const std::string& own : terms_of(option))
      if (term.starts_with(own + " ")) return term.substr(own.size() + 1);
  return "";
}

// Returns the n-th positional argument. The last one may accept all words that follow.
CLI::Option* positional(CLI::App& command, size_t n) {
  CLI::Option* last = nullptr;
  for (CLI::Option* option : command.get_options()) {
    if (!option->get_positional()) continue;
    last = option;
    if (n-- == 0) return option;
  }
  return last && last->get_items_expected_max() > 1 ? last : nullptr;
}

class Completer {
 public:
  Completer(CLI::App& parser, const Names& names) : command_(&parser), names_(names) {}

  Completion run(const std::vector<std::string>& words) {
    for (size_t i = 0; i + 1 < words.size(); ++i) consume(words[i]);
    std::string word = words.empty() ? "" : words.back();
    size_t equals = word.starts_with("--") ? word.find('=') : std::string::npos;
    if (in_unknown_command_) return {};
    // Words after "--" go to the agent's program, whose arguments are unknown here.
    if (for_the_agent_) completion_.rest = Completion::Rest::files;
    else if (awaited_option_) values(*awaited_option_, word, "");
    else if (CLI::Option* option = equals == std::string::npos ? nullptr : option_named(*command_, word))
      values(*option, word.substr(equals + 1), word.substr(0, equals + 1));
    else if (word.starts_with("-")) flags(word);
    else if (auto subs = visible(*command_); !subs.empty()) subcommands(subs, word);
    else if (CLI::Option* next = positional(*command_, positionals_)) values(*next, word, "");
    return std::move(completion_);
  }

 private:
  // Handles a word that is complete.
  void consume(const std::string& word) {
    if (for_the_agent_) return;
    if (awaited_option_) {
      awaited_option_ = nullptr;
    } else if (word == "--") {
      for_the_agent_ = true;
    } else if (word.starts_with("-") && word != "-") {
      CLI::Option* option = option_named(*command_, word);
      if (option) given_.push_back(option);
      if (option && takes_value(*option) && word.find('=') == std::string::npos) awaited_option_ = option;
    } else {
      auto subs = visible(*command_);
      // A word where a command belongs must be a command.
      in_unknown_command_ = in_unknown_command_ || !subs.empty();
      for (CLI::App* sub : subs)
        if (sub->get_name() == word) {
          in_unknown_command_ = false;
          command_ = sub;
          return;
        }
      ++positionals_;
    }
  }

  void offer(const std::string& word, std::string value, std::string about) {
    if (value.starts_with(word)) completion_.candidates.push_back({std::move(value), std::move(about)});
  }

  // Offers values for an option or argument. The name of the value in the page says what kind it is. `before` is
  // "--name=" if the value is in the same word as its option.
  void values(const CLI::Option& option, const std::string& word, const std::string& before) {
    std::string name = value_name(*command_, option);
    // A page writes a choice as "ssh|mosh".
    const std::string choices = name.find('|') == name.npos ? "" : name + '|';
    for (std::string_view choice : each_record(choices, '|')) offer(before + word, before + std::string(choice), "");
    if (name == "FILE") completion_.rest = Completion::Rest::files;
    if (name == "DIR") completion_.rest = Completion::Rest::directories;
    for (Candidate& candidate : names_(full_name(*command_), name))
      offer(before + word, before + candidate.value, std::move(candidate.about));
  }

  // Offers the long names of options that were not given yet, or that may be given again.
  void flags(const std::string& word) {
    for (CLI::Option* option : command_->get_options()) {
      if (option->get_positional()) continue;
      bool again = option->get_items_expected_max() > 1;
      if (!again && std::ranges::count(given_, option)) continue;
      for (const std::string& term : terms_of(*option)) {
        if (!term.starts_with("--")) continue;
        std::string about = description(*command_, *option);
        offer(word, term, about.empty() ? option->get_description() : about);  // the parser describes --help itself
      }
    }
  }

  void subcommands(const std::vector<CLI::App*>& subs, const std::string& word) {
    for (const CLI::App* sub : subs) offer(word, sub->get_name(), description(*sub));
  }

  CLI::App* command_;
  const Names& names_;
  Completion completion_;
  CLI::Option* awaited_option_ = nullptr;  // the option whose value comes next
  std::vector<CLI::Option*> given_;
  size_t positionals_ = 0;
  bool for_the_agent_ = false;
  bool in_unknown_command_ = false;  // the words follow a command that does not exist
};

// The commands whose SESSION has results, and those of them that need the session to have ended.
constexpr std::string_view kOfResults[] = {"bottle logs",    "bottle diff",         "bottle apply",
                                           "bottle discard", "bottle audit verify", "bottle egress replay"};
constexpr std::string_view kOfEnded[] = {"bottle diff", "bottle apply", "bottle discard"};

std::vector<Candidate> plain(const std::vector<std::string>& values) {
  std::vector<Candidate> all;
  for (const auto& value : values) all.push_back({value, ""});
  return all;
}

}  // namespace

Completion complete(CLI::App& parser, const std::vector<std::string>& words, const Names& names) {
  return Completer(parser, names).run(words);
}

std::vector<Candidate> names_here(const std::string& command, const std::string& value) {
  std::vector<Candidate> all;
  if (value == "NAME" && (command == "bottle vm create" || command == "bottle vm bake"))
    return names_here(command, "VM");
  if (value == "NAME" && command == "bottle vm destroy")
    return plain(machine::recorded(directories()).value_or(std::vector<std::string>()));
  if (value == "NAME" && command == "bottle provider test")
    return plain(machine::Provider::names(directories()).value_or(std::vector<std::string>()));
  if (value == "MODE") return plain({"none", "copy", "clone", "bind"});
  if (value == "RUNTIME") return plain({"auto", "runc", "runsc", "kata"});
  if (value == "METHOD") return plain({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"});
  if (value == "NAME" && command == "bottle egress presets") {
    for (const auto& preset : manifest::presets()) {
      std::string name(preset.name);
      all.push_back(
          {preset.argument.empty() ? name : name + ":" + std::string(preset.argument), std::string(preset.about)});
    }
    return all;
  }
  if (value == "SHELL") return plain({"bash", "zsh", "fish"});
  if (value == "PROVIDER" && command.starts_with("bottle image")) return plain({"claude", "codex", "shell", "command"});
  if (value == "COMMAND") {
    for (const Page& page : pages()) all.push_back({page.name, page.summary});
    if (command == "bottle help")
      for (auto name : documents()) all.push_back({std::string(name), "documentation"});
  } else if (value == "SESSION" && std::ranges::count(kOfResults, command) > 0) {
    for (const auto& name : shown_in(directories().results).value_or(std::vector<std::string>()))
      if (std::ranges::count(kOfEnded, command) == 0 || !runs_now(name)) all.push_back({name, ""});
  } else if (value == "SESSION") {
    for (const auto& info : sessions().value_or(std::vector<wire::SessionInfo>()))
      all.push_back({info.session, joined(std::vector<std::string>{info.agent, word_of(info.state)})});
  } else if (value == "AGENT" || value == "BOTTLE" || value == "VM") {
    // An agent's name may come from the repository in the current directory.
    auto manifest = load_manifest(current_directory());
    if (!manifest) return all;
    if (value == "AGENT")
      for (const auto& [name, agent] : manifest->agents)
        all.push_back({name, manifest::described(agent).empty() ? "bottle " + agent.bottle + ", " + agent.provider
                                                                : manifest::described(agent)});
    if (value == "BOTTLE")
      for (const auto& [name, bottle] : manifest->bottles) all.push_back({name, ""});
    if (value == "VM")
      for (const auto& [name, vm] : manifest->vms) all.push_back({name, vm.provider});
  }
  return all;
}

std::string to_lines(const Completion& completion) {
  std::string out;
  for (const auto& [value, about] : completion.candidates)
    // A value that is not safe for a terminal is left out, because a changed value would no longer name anything.
    if (!value.empty() && one_line(value) == value) out += value + "\t" + one_line(about, 120) + "\n";
  switch (completion.rest) {
    case Completion::Rest::nothing:
      return out + ":nothing\n";
    case Completion::Rest::files:
      return out + ":files\n";
    case Completion::Rest::directories:
      return out + ":directories\n";
  }
  return out;
}

int complete_main(const std::vector<std::string>& words) {
  int exit = 0;
  auto parser = make_parser(exit);
  print_page(to_lines(complete(*parser, words, names_here)));
  return 0;
}

}  // namespace bottle::app
