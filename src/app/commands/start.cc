// A start has three parts, and an error in any of them leaves no session behind. The first part reads everything that
// depends on the terminal, the current directory and the environment, and does so only once (read_request). The
// second part decides: the place describes itself, and the plan is made and shown. The third part acts: the place is
// prepared, the values are gathered, a supervisor is started, and this process becomes one of its clients.
//
// For a known remote machine, the third part begins before the machine has described itself. If the machine turns out
// to have changed, the second and third parts run once more with its new description. This is safe, because no value
// goes to a machine before it was judged.
//
// A signal may come at any moment. Until there is a supervisor, Interruption makes it end whatever this process waits
// for; afterward, the client sends the stop to the supervisor.
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <climits>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <optional>
#include <variant>

#include "app/commands/commands.h"
#include "app/egress/candidate.h"
#include "app/output/output.h"
#include "app/output/show.h"
#include "app/place/place.h"
#include "app/place/rescue.h"
#include "app/world/interruption.h"
#include "app/world/own_directories.h"
#include "app/world/own_rules.h"
#include "app/world/sessions.h"
#include "app/world/world.h"
#include "base/ids.h"
#include "base/os/this_program.h"
#include "base/text/parse.h"
#include "base/unique_fd.h"
#include "git/repository.h"
#include "scan/credential/builtin.h"
#include "scan/credential/rule.h"
#include "session/console/client.h"
#include "session/console/terminal.h"
#include "session/credentials/ssh_keys.h"
#include "session/credentials/token.h"
#include "session/credentials/values.h"
#include "wire/frames/frames.h"
#include "wire/start/plan.h"
#include "workspace/workspace.h"

namespace bottle::app {
namespace {

struct StartOptions {
  plan::Options wanted;
  bool yes = false, dry_run = false;
  std::string workspace;  // directory; empty for the current one
  std::string really;     // directory; the operator's consent to one that would be refused otherwise
  std::string name;       // name of the session; empty for a random one
  RemoteOptions remote;
  VmOptions vm;
  std::string token_via, secrets = "remote";
  Output output;
};

// Asks which agent to start, by number or name.
Result<std::string> pick_agent(const manifest::Manifest& manifest, const std::stop_token& stop) {
  if (!::isatty(0))
    return fail(Code::invalid, "no agent was given",
                "run `bottle start AGENT`; `bottle list --agents` shows the agents");
  std::vector<std::string> names;
  std::vector<std::vector<Line>> rows;
  // The numbers of the operator's own agents must not depend on the repository.
  for (bool from_repository : {false, true})
    for (const auto& [name, agent] : manifest.agents) {
      if (agent.from_repository != from_repository) continue;
      names.push_back(name);
      rows.push_back({std::to_string(names.size()), name, "bottle " + agent.bottle + ", " + agent.provider,
                      from_repository ? "from this repository" : ""});
    }
  say(table(rows));
  std::string answer = TRY(session::ask("agent (number or name)", session::Echo::on, stop));
  // The name of an agent may begin with digits, or be a number.
  auto number = number_in<size_t>(answer);
  if (!number || manifest.agents.contains(answer)) return answer;
  return *number >= 1 && *number <= names.size() ? names[*number - 1] : answer;
}

// Refuses contradicting options, and sets options that follow from others. The parser checks only which other options
// one option needs or excludes.
Result<> resolve_options(StartOptions& o) {
  auto& token = o.remote.token;
  o.remote.secrets = o.secrets == "tunnel" ? Secrets::stay : Secrets::forwarded;
  // `here` means that the bottle runs on this machine.
  bool here = o.remote.target.empty() && o.vm.name.empty();
  if (o.remote.secrets_stay() && here)
    return fail(Code::invalid, "--secrets tunnel needs --remote or --vm",
                "add one of them, or leave out --secrets tunnel");
  if (o.remote.secrets_stay() && (!o.token_via.empty() || !token.file.empty()))
    return fail(Code::invalid,
                "--secrets tunnel and --token-via cannot be combined: the tunnel keeps the token on this machine",
                "leave out one of them");
  if (o.remote.allow_vpn && here)
    return fail(Code::invalid, "--allow-vpn needs --remote or --vm", "add one of them, or leave out --allow-vpn");
  const auto& transport = o.remote.transport;
  if (here && (transport.is_mosh() || !transport.mosh.ports.empty())) {
    std::string flag = transport.is_mosh() ? "--transport" : "--mosh-ports";
    return fail(Code::invalid, flag + " needs --remote or --vm",
                "add --remote USER@HOST or --vm NAME, or leave out " + flag);
  }
  if (o.token_via.empty() && token.file.empty()) return {};
  std::string flag = o.token_via.empty() ? "--token-file" : "--token-via";
  if (here) return fail(Code::invalid, flag + " needs --remote or --vm", "add one of them, or leave out " + flag);
  // Only a provider puts the token into a file.
  if (o.token_via.empty()) o.token_via = "provider";
  token.via = o.token_via == "sendenv"    ? wire::Token::Via::sendenv
              : o.token_via == "provider" ? wire::Token::Via::provider
                                          : wire::Token::Via::job;
  bool provider = token.via == wire::Token::Via::provider;
  if (provider && token.file.empty() && o.vm.name.empty())
    return fail(Code::invalid, "--token-via provider needs --token-file with --remote",
                "name the file on the remote machine: --token-file PATH");
  if (!provider && !token.file.empty())
    return fail(Code::invalid, "--token-file needs --token-via provider", "add it, or leave out --token-file");
  return {};
}

// Ends a session that must not continue. Blocks until its supervisor exits, which is when nothing is left, or for at
// most half a minute.
void end(int socket) {
  if (wire::send_frame(socket, wire::FrameType::stop, "")) session::await_end(socket, std::chrono::seconds(30));
}

// Returns the directory that `given` names, without links. An empty name means the current directory.
Result<std::string> find_workspace(const std::string& given) {
  char path[PATH_MAX];
  struct stat st{};
  if (!::realpath(given.empty() ? "." : given.c_str(), path)) {
    if (given.empty() && errno == ENOENT)
      return fail(Code::not_found, "the current directory no longer exists", "change to another one");
    auto failed = fail_errno("finding the workspace " + (given.empty() ? "in the current directory" : given));
    failed.error().todo = "name an existing directory with -C";
    return failed;
  }
  if (::stat(path, &st) != 0) return fail_errno("looking at the workspace " + std::string(path));
  if (!S_ISDIR(st.st_mode))
    return fail(Code::invalid, "the workspace " + std::string(path) + " is not a directory", "give -C a directory");
  return path;
}

// Returns whether stdin should be read as the prompt of a headless agent: a pipe, or a redirected file. A terminal, a
// socket or /dev/null is not read, because a service that starts bottle never closes those.
bool has_piped_input() {
  struct stat st{};
  return ::fstat(0, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISREG(st.st_mode));
}

// Reads the prompt from stdin if it should come from there.
Result<> set_prompt(plan::Options& wanted) {
  bool read = wanted.prompt == "-" || (wanted.headless && wanted.prompt.empty() && has_piped_input());
  if (!read) return {};
  if (!wanted.headless)
    return fail(Code::invalid, "--prompt - reads standard input, where the agent's input comes from",
                "add --headless, or give the prompt as an argument: --prompt TEXT");
  wanted.prompt.assign(std::istreambuf_iterator<char>(std::cin), {});
  return {};
}

// Asks whether to start. Fails with Code::canceled for any answer but yes.
Result<> confirm_start(const std::stop_token& stop) {
  auto confirmed = session::confirm("start?", "the session was not started", stop);
  if (!confirmed && confirmed.error().code == Code::unavailable)
    return fail(Code::unavailable, "there is no terminal on which to ask whether to start",
                "add --yes to start without being asked");
  return confirmed;
}

// Fails if the repository is refused, or if an environment variable names another repository or work tree.
Result<> check_repository(const std::string& workspace) {
  auto found = TRY(git::find(workspace));
  char real[PATH_MAX];
  const char* tree = std::getenv("GIT_WORK_TREE");
  if (tree && *tree) {
    std::string path = *tree == '/' ? tree : workspace + "/" + tree;
    if (!found || !::realpath(path.c_str(), real) || found->top != real)
      return fail(Code::invalid, "GIT_WORK_TREE names the work tree " + path + ", and " + workspace + " is not in it",
                  "run `unset GIT_WORK_TREE`, or start in that work tree");
  }
  const char* named = std::getenv("GIT_DIR");
  if (!named || !*named) return {};
  std::string path = *named == '/' ? named : workspace + "/" + named;
  if (found && ::realpath(path.c_str(), real) && found->git_dir == real) return {};
  return fail(Code::invalid,
              "GIT_DIR names the repository " + path + ", which is not the one that contains " + workspace,
              "run `unset GIT_DIR`, and start in a work tree of that repository");
}

// The operator's request and environment. It is read only once, because bottle may start the session a second time,
// when it has left the directory, read its input to the end, and withheld variables.
struct Request {
  StartOptions options;  // with absolute paths, an agent, and the prompt itself
  manifest::Manifest manifest;
  std::map<std::string, std::string> variables;
  std::string forgotten;  // the directories of PATH and similar variables that are not used, for people

  bool token_is_there() const { return !options.remote.token.file.empty(); }
};

// Returns whether the agent will work on the workspace itself.
bool is_bound(const Request& request) {
  const auto& wanted = request.options.wanted;
  if (!wanted.workspace_mode.empty()) return wanted.workspace_mode == "bind";
  auto agent = request.manifest.agents.find(wanted.agent);
  if (agent == request.manifest.agents.end()) return false;
  auto bottle = request.manifest.bottles.find(agent->second.bottle);
  return bottle != request.manifest.bottles.end() && bottle->second.workspace == manifest::WorkspaceMode::bind;
}

Result<Request> read_request(const StartOptions& given) {
  Request request{given, {}, environment(), {}};
  auto& options = request.options;
  // Everything that is relative to the current directory must be resolved before leave_directory().
  options.workspace = TRY(find_workspace(given.workspace));
  if (!given.really.empty()) {
    char really[PATH_MAX];
    if (!::realpath(given.really.c_str(), really)) return fail_errno("finding " + given.really);
    options.wanted.really = really;
  }
  leave_directory();
  request.manifest = TRY(load_manifest(options.workspace));
  // The values are in request.variables by now.
  if (!options.remote.target.empty()) withhold_secrets(request.manifest);
  if (request.token_is_there()) {
    // The value is already on that machine. The plan only needs to know that there is one.
    if (!request.variables.contains("ANTHROPIC_API_KEY"))
      request.variables.emplace("CLAUDE_BOTTLE_OAUTH_TOKEN", "on the other machine");
    request.variables.emplace("OPENAI_API_KEY", "on the other machine");
  }
  if (options.wanted.agent.empty()) options.wanted.agent = TRY(pick_agent(request.manifest, options.remote.stop));
  // An active Python environment or direnv adds a directory of the project to PATH. The agent could write its own git
  // or ssh there.
  if (is_bound(request))
    for (const auto& entry : forget_programs_in(options.workspace))
      request.forgotten += (request.forgotten.empty() ? "" : ", ") + entry;
  if (options.dry_run) options.wanted.if_unset = plan::Options::IfUnset::warn;
  TRY(set_prompt(options.wanted));
  return request;
}

// Returns the place that the options name. For a remote machine, this connects to it.
Result<std::unique_ptr<Place>> choose_place(const Request& request, const Progress& progress) {
  const auto& options = request.options;
  if (!options.remote.target.empty()) return remote_place(options.remote, progress);
  if (!options.vm.name.empty()) return vm_place(options.vm, options.remote, request.manifest);
  return local_place(options.output, options.remote.stop);
}

// Warns of unknown names in egress.on_secret_for. A misspelled name has no effect, and the secret that it should block
// might pass.
void warn_of_unknown_names(plan::Plan& plan, const std::vector<OwnRules>& own) {
  if (plan.egress.on_secret_for.empty()) return;
  std::vector<std::string> known;
  for (const auto& file : own)
    for (const auto& rule : file.rules) known.push_back(rule.id);
  for (const auto& secret : plan.secrets) known.push_back(secret.name);
  for (const auto& variable : plan.env)
    if (variable.secret) known.push_back(variable.name);
  for (const auto& rule : scan::parse_rules(scan::credentials_text()).value_or(std::vector<scan::Rule>()))
    known.push_back(rule.id);
  for (const auto& [name, unused] : plan.egress.on_secret_for)
    if (std::ranges::find(known, name) == known.end())
      plan.warnings.push_back("egress.on_secret_for: '" + name + "' is neither a rule nor a secret of this bottle; " +
                              manifest::suggest(name, known));
}

struct Planned {
  plan::Plan plan;
  std::vector<OwnRules> rules;  // of plan.scan.rules, read once
};

// Makes the plan of the session. Fails for everything that is refused, before the operator is asked and before
// anything is made.
Result<Planned> make_plan(const Request& request, Place& place) {
  const auto& options = request.options;
  plan::Facts facts = gather_facts(options.workspace);
  // This process's own environment may lack withheld variables by now.
  facts.environment = request.variables;
  facts.precious = precious_directories();
  facts.trusted = [] { return trusted_places(directories(), environment()); };
  if (!options.name.empty()) facts.session = TRY(new_session(options.name, options.workspace));
  TRY(place.describe(request.manifest, facts));
  plan::Plan plan = TRY(plan::make(request.manifest, options.wanted, facts));
  if (!request.forgotten.empty())
    plan.warnings.push_back(
        "ignoring these directories in PATH and similar variables, because the agent can write to them: " +
        request.forgotten);
  TRY(check_plan(plan));
  auto rules = TRY(read_own_rules(plan.scan.rules));
  warn_of_unknown_names(plan, rules);
  for (auto& warning : session::warnings_of_short_values(plan.scan.secrets))
    plan.warnings.push_back(std::move(warning));
  using manifest::WorkspaceMode;
  if (plan.workspace_mode == WorkspaceMode::clone || plan.workspace_mode == WorkspaceMode::copy)
    TRY(check_repository(options.workspace));
  // A partial clone, or a repository that borrows objects, may lack some of them, which git would notice only while it
  // clones.
  if (plan.workspace_mode == WorkspaceMode::clone) TRY(workspace::check_objects(plan.workspace, directories().cache));
  TRY(place.check(plan));
  return Planned{std::move(plan), std::move(rules)};
}

// Gathers the values that the session needs. Asks the operator for values that are not on this machine.
Result<wire::Job> make_job(const Request& request, const Planned& planned, const Progress& progress) {
  const plan::Plan& plan = planned.plan;
  auto hidden = [&](const std::string& question) {
    return session::ask(question, session::Echo::off, request.options.remote.stop);
  };
  plan::Plan asked = plan;
  if (const auto* there = request.token_is_there() ? session::sign_in_secret(plan) : nullptr)
    std::erase_if(asked.secrets, [&](const auto& each) { return each.name == there->name; });
  auto values = TRY(session::resolve(asked, request.variables, hidden));
  auto ssh_keys = TRY(session::find_ssh_keys(plan, request.variables, hidden, progress));
  std::string extra_ca = TRY(concatenated(plan.egress.extra_ca));
  auto own_rules = TRY(guard_rules(planned.rules));
  return wire::Job{.plan = plan,
                   .id = random_hex(16),
                   .values = std::move(values),
                   .ssh_keys = std::move(ssh_keys),
                   .extra_ca = std::move(extra_ca),
                   .own_rules = std::move(own_rules),
                   .directories = directories(),
                   .path_to_self = path_to_self()};
}

// Returns how this process takes part in the session.
session::ClientOptions client_of(const plan::Plan& plan, Place& place, const Output& output, const Progress& progress) {
  session::ClientOptions client;
  client.starting = true;
  using Input = session::ClientOptions::Input;
  // A headless agent gets its prompt with the go message, and no input after that.
  client.input = plan.headless ? Input::none : ::isatty(0) ? Input::terminal : Input::forwarded;
  if (client.input == Input::terminal) client.begin_typing = place.typing(plan.session, progress);
  client.on_event = [&output](const wire::Event& event) { show_event(event, output); };
  if (output.json)  // the output is one stream of JSON lines, whatever the agent writes
    client.on_diagnostic = [&output](std::string_view text) {
      show_event(wire::ErrorOutput{std::string(text)}, output);
    };
  return client;
}

// Says that the start was stopped before the agent ran. Returns the exit status, which is that of a process that the
// signal ended. `bottle stop` in another terminal counts as SIGTERM.
int report_stop(const Error& error, const StartOptions& options, const Interruption& interruption) {
  report(error, options.output.json);
  return 128 + (interruption.signal() ? interruption.signal() : SIGTERM);
}

// Says that the machine has changed, and that another start would succeed. Nothing has run, and no value was sent.
struct StartAgain {};
// An int is bottle's exit status.
using Started = std::variant<int, StartAgain>;

// Connects the terminal to the session until the session ends or the operator leaves it.
Result<Started> run_client(const Request& request, const plan::Plan& plan, Place& place, UniqueFd socket,
                           Interruption& interruption, const Progress& progress) {
  const auto& options = request.options;
  session::ClientOptions client = client_of(plan, place, options.output, progress);
  // From here on, the loop of session::follow() handles signals and passes them to the session.
  client.signals = &interruption.hand_over();
  // A signal that came while the supervisor started goes to the session, too.
  if (interruption.signal()) (void)wire::send_frame(socket.get(), wire::FrameType::stop, "");
  client.on_stop = [&](int signal) { interruption.note_signal(signal); };
  bool refused = false, changed = false;
  client.on_hello = [&](const std::optional<wire::Hello>& hello) -> Result<> {
    refused = true;
    Fit fit = TRY(place.judge(hello));
    auto* other = std::get_if<Changed>(&fit);
    changed = other != nullptr;
    if (other) return std::unexpected(std::move(other->why));
    refused = false;
    return {};
  };
  auto ended = session::follow(socket.get(), client);
  // A second start has asked the machine itself, so a further change is an error.
  bool again = !ended && changed && !options.remote.fresh;
  // The session ends by itself. Wait for its end before reporting the reason, and before starting another session with
  // its name.
  if (again ? !options.name.empty() : refused) end(socket.get());
  if (again) return StartAgain{};
  return show_ended(socket.get(), plan.session, ended, options.output, [&](const Error& error) {
    bool stopped = error.code == Code::canceled;  // otherwise it is a failure, even if a signal arrived
    return stopped ? report_stop(error, options, interruption) : report(error, options.output.json);
  });
}

// Plans one session and starts it. Returns what run_client() returns.
Result<Started> start_once(const Request& request, Interruption& interruption, const Progress& progress) {
  const auto& options = request.options;
  auto place = TRY(choose_place(request, progress));
  Planned planned = TRY(make_plan(request, *place));
  const plan::Plan& plan = planned.plan;
  if (options.dry_run) {
    if (options.output.json) print_json_text(wire::encode(plan, wire::Layout::pretty));
    else print(plan::explain(plan));
    return 0;
  }
  if (!options.output.json && !options.output.quiet) say(plan::explain(plan));
  // Nothing was made until here, on any machine.
  if (!options.yes) TRY(confirm_start(options.remote.stop));
  begin_clock();
  // Every start checks this, because a reaper may have been killed, for example by a reboot.
  check_vms(progress);
  TRY(place->prepare(plan, progress));
  // The values are asked for last, so that the operator types no passphrase for a start that fails before.
  wire::Job job = TRY(make_job(request, planned, progress));
  UniqueFd socket = TRY(place->start(std::move(job)));
  return run_client(request, plan, *place, std::move(socket), interruption, progress);
}

Result<int> start_session(const StartOptions& options, Interruption& interruption) {
  Request request = TRY(read_request(options));
  Progress progress = [&](const std::string& line) {
    if (!options.output.quiet && !options.output.json) say(dim("· " + line));
  };
  auto started = TRY(start_once(request, interruption, progress));
  if (const int* status = std::get_if<int>(&started)) return *status;
  interruption.take_back();
  if (interruption.signal()) return fail(Code::canceled, "stopped before the agent ran");
  progress("the remote machine has changed since the last time; starting again");
  request.options.remote.fresh = true;
  return std::get<int>(TRY(start_once(request, interruption, progress)));
}

}  // namespace

void add_start(Command app) {
  auto o = std::make_shared<StartOptions>();
  Command command = app.command("start");
  command.option("agent", o->wanted.agent);
  command.option("-p,--prompt", o->wanted.prompt);
  command.option("--name", o->name);
  command.flag("--headless", o->wanted.headless);
  command.flag("-y,--yes", o->yes);
  command.flag("--dry-run", o->dry_run);
  command.flag("--json", o->output.json);
  command.flag("-q,--quiet", o->output.quiet);
  command.option("-C,--directory", o->workspace);
  command.option("--workspace", o->wanted.workspace_mode);
  command.flag("--keep-ignored", o->wanted.keep_ignored);
  command.option("--yes-really", o->really);
  command.option("--runtime", o->wanted.runtime);
  command.option("--image", o->wanted.image);
  Argument remote = command.option("--remote", o->remote.target);
  command.flag("--allow-vpn", o->remote.allow_vpn);
  Argument vm = command.option("--vm", o->vm.name).excludes(remote);
  command.option("--ttl", o->vm.ttl).needs(vm);
  command.option("--idle", o->vm.idle).needs(vm);
  command.flag("--keep", o->vm.keep).needs(vm);
  command.flag("--record", o->wanted.record);
  command.option("--secrets", o->secrets).one_of({"remote", "tunnel"}, "there");
  command.option("--token-via", o->token_via).one_of({"stdin", "sendenv", "provider"});
  command.option("--token-file", o->remote.token.file);
  command.option("--transport", o->remote.transport.name);
  command.option("--mosh-ports", o->remote.transport.mosh.ports);
  command.option("args", o->wanted.agent_args);
  command.runs([o] {
    o->remote.interactive = ::isatty(0);
    Interruption interruption;
    o->remote.stop = interruption.stop();
    auto resolved = resolve_options(*o);
    auto ended = then(resolved, [&] { return start_session(*o, interruption); });
    // An error after a signal is a consequence of the signal.
    bool stopped = !ended && o->remote.stop.stop_requested();
    return stopped ? report_stop({Code::canceled, "stopped before the agent ran"}, *o, interruption)
                   : exit_status(ended, o->output.json);
  });
}

}  // namespace bottle::app
