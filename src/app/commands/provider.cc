// `list` asks every provider for the operator's VMs, because only an answer shows that the provider's program is
// installed and signed in. `test` makes a real VM, checks each hook with it, and destroys it.
#include <unistd.h>

#include <memory>

#include "app/commands/commands.h"
#include "app/output/output.h"
#include "app/world/interruption.h"
#include "app/world/world.h"
#include "base/os/this_program.h"
#include "base/text/line.h"
#include "machine/conformance/conformance.h"

namespace bottle::app {
namespace {

using nlohmann::json;

constexpr size_t kLongestReason = 120;  // the text comes from a provider's program; --json has all of it

struct ProviderOptions {
  std::string name;
  std::vector<std::string> set;
  bool no_ssh = false;
  Output output;
};

Result<int> list_providers(const ProviderOptions& o) {
  auto env = hook_environment();
  auto places = Directories::from(env);
  json all = json::array();
  std::vector<std::vector<Line>> rows = {{"PROVIDER", "STATE", "FROM", "WHY"}};
  for (const auto& name : TRY(machine::Provider::names(places))) {
    // The limits are short, because every provider is asked, and most are not set up.
    auto provider = machine::Provider::find(name, places, env, {.other = 20000, .retry = 5000});
    auto listed = then(provider, [&](const auto& found) { return found.list(machine::owner_label(places), {}, {}); });
    std::string state = listed ? "set up" : listed.error().code == Code::denied ? "no access" : "not set up";
    // The operator's provider comes before a built-in one of the same name, even if it lacks a hook.
    std::string from = places.config + "/providers/" + name;
    bool own = ::access(from.c_str(), F_OK) == 0;
    if (!own) from = provider ? provider->directory() : "";
    all.push_back({{"name", name},
                   {"state", state},
                   {"directory", from},
                   {"carried", !own},
                   {"why", listed ? "" : listed.error().what}});
    rows.push_back(
        {name, state, own ? from : "built in", listed ? "-" : one_line(listed.error().what, kLongestReason)});
  }
  if (o.output.json) print_json(all);
  else print(table(rows));
  return 0;
}

Result<int> test(const ProviderOptions& o) {
  machine::ConformanceOptions options;
  options.environment = hook_environment();
  options.directories = Directories::from(options.environment);
  options.ssh = !o.no_ssh;
  options.path_to_self = path_to_self();
  for (const auto& setting : o.set) {
    size_t equals = setting.find('=');
    if (equals == std::string::npos)
      return fail(Code::invalid, "--set " + setting + " is not KEY=VALUE",
                  "write an option of the provider with its value, such as --set user=me");
    options.options[setting.substr(0, equals)] = setting.substr(equals + 1);
  }
  auto tell = [&](const machine::Check& check) {
    if (o.output.json) return;
    char time[32];
    std::snprintf(time, sizeof time, "%6.1f s  ", check.seconds);
    print((check.ok ? "  ok   " : "  FAIL ") + (time + check.name) + (check.detail.empty() ? "" : ": " + check.detail));
    // A check may take minutes, and each line is shown when it is known.
    flush_output();
  };
  auto progress = [&](const std::string& line) { say(dim("· " + line)); };
  Interruption interruption("the VM is destroyed in the background", -1);
  options.limits.stop = interruption.stop();
  auto checks = TRY(machine::test_provider(o.name, options, tell, progress));
  json all = json::array();
  int failed = 0;
  for (const auto& check : checks) {
    failed += !check.ok;
    all.push_back({{"name", check.name}, {"ok", check.ok}, {"detail", check.detail}, {"seconds", check.seconds}});
  }
  if (o.output.json) print_json({{"provider", o.name}, {"checks", all}, {"failed", failed}});
  else
    print(std::to_string(checks.size() - static_cast<size_t>(failed)) + " passed, " + std::to_string(failed) +
          " failed");
  if (interruption.signal()) return 128 + interruption.signal();
  return failed ? 125 : 0;
}

}  // namespace

void add_provider(Command app) {
  auto o = std::make_shared<ProviderOptions>();
  Command group = app.group("provider");
  auto does = [o](Result<int> (*what)(const ProviderOptions&)) {
    return [o, what] {
      leave_directory();
      return exit_status(what(*o), o->output.json);
    };
  };
  Command list_command = group.command("list");
  list_command.flag("--json", o->output.json);
  list_command.runs(does(list_providers));
  Command test_command = group.command("test");
  test_command.option("name", o->name).required();
  test_command.option("--set", o->set);
  test_command.flag("--no-ssh", o->no_ssh);
  test_command.flag("--json", o->output.json);
  test_command.runs(does(test));
}

}  // namespace bottle::app
