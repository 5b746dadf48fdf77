#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstring>
#include <iostream>

#include "app/commands.h"
#include "manifest/manifest.h"
#include "session/supervisor.h"

namespace bottle::app {

int report(const Error& error, bool json) {
  if (json) {
    std::cerr << nlohmann::json{{"error", {{"code", std::string(to_string(error.code))}, {"what", error.what}, {"todo", error.todo}}}}.dump() << "\n";
  } else {
    std::cerr << "bottle: " << error.what << "\n";
    if (!error.todo.empty()) std::cerr << "        " << error.todo << "\n";
  }
  return 125;
}

namespace {

int main(int argc, char** argv) {
  CLI::App app{"bottle: run coding agents without trusting them"};
  app.require_subcommand(1);
  app.set_version_flag("--version", std::string(BOTTLE_VERSION));
  int exit = 0;

  StartOptions options;
  auto* start_command = app.add_subcommand("start", "run an agent in a bottle");
  start_command->add_option("agent", options.plan.agent, "the agent's name; without one, pick from a list");
  start_command->add_option("-p,--prompt", options.plan.prompt, "what to do (- reads stdin, with --headless)");
  start_command->add_flag("--headless", options.plan.headless, "no terminal: the prompt in, the answer out, the agent's exit status");
  start_command->add_flag("-y,--yes", options.yes, "do not ask");
  start_command->add_flag("--dry-run", options.dry_run, "show the plan and stop");
  start_command->add_flag("--json", options.output.json, "events and result as JSON lines on stderr; with --dry-run the plan on stdout");
  start_command->add_flag("-q,--quiet", options.output.quiet, "only the agent's own output");
  start_command->add_option("-C,--directory", options.workspace, "the workspace (default: the current directory)");
  start_command->add_option("--workspace", options.plan.workspace_mode, "none, copy, clone or bind");
  start_command->add_option("--runtime", options.plan.runtime, "auto, runc, runsc, or any the engine lists");
  start_command->add_option("--image", options.plan.image, "an image the engine has");
  start_command->add_option("args", options.plan.agent_args, "arguments for the agent, after --");
  start_command->callback([&] { exit = start(options); });

  std::string session;
  auto* attach_command = app.add_subcommand("attach", "come back to a running session (leave again with Ctrl-P Ctrl-Q)");
  attach_command->add_option("session", session)->required();
  attach_command->callback([&] { exit = attach(session); });

  Output output;
  auto* list_command = app.add_subcommand("list", "running sessions");
  list_command->add_flag("--json", output.json);
  list_command->callback([&] { exit = list(output); });

  auto* stop_command = app.add_subcommand("stop", "end a session; its work still comes back");
  stop_command->add_option("session", session);
  stop_command->callback([&] { exit = stop(session); });

  bool egress = false;
  auto* logs_command = app.add_subcommand("logs", "what a session did");
  logs_command->add_option("session", session);
  logs_command->add_flag("--egress", egress, "the guard's decisions, one JSON object a line");
  logs_command->callback([&] { exit = logs(session, egress); });

  bool dry_run = false;
  auto* cleanup_command = app.add_subcommand("cleanup", "remove what dead sessions left");
  cleanup_command->add_flag("--dry-run", dry_run);
  cleanup_command->add_flag("--json", output.json);
  cleanup_command->callback([&] { exit = cleanup(dry_run, output); });

  auto* guard_command = app.add_subcommand("guard", "the guard alone")->require_subcommand(1);
  auto* run_command = guard_command->add_subcommand("run", "run the guard in the foreground, without Docker");
  std::vector<std::string> listen;
  std::string config, ca_out, upstream_ca, resolver, audit;
  run_command->add_option("--listen", listen, "ADDR:PORT")->required();
  run_command->add_option("--config", config, "a file with the manifest's egress: and secrets:")->required();
  run_command->add_option("--ca-out", ca_out, "write the session CA's certificate here");
  run_command->add_option("--upstream-ca", upstream_ca, "PEM of further CAs to trust upstream");
  run_command->add_option("--resolver", resolver, "ADDR:PORT of a name server");
  run_command->add_option("--audit", audit, "append decisions here (- for stdout)");
  run_command->callback([&] { exit = guard_run(listen, config, ca_out, upstream_ca, resolver, audit); });

  auto* image_command = app.add_subcommand("image", "agent images")->require_subcommand(1);
  auto* build_command = image_command->add_subcommand("build", "build a provider's image, without an image registry");
  std::string provider;
  std::vector<std::string> packages;
  build_command->add_option("provider", provider, "claude, codex or shell")->required();
  build_command->add_option("--package", packages, "a Debian package to add");
  build_command->add_flag("--json", output.json);
  build_command->callback([&] { exit = image_build(provider, packages, output); });

  auto* engine_command = app.add_subcommand("engine", "the container engine")->require_subcommand(1);
  engine_command->add_subcommand("prepare", "make the shared egress network now; prints its gateway")->callback([&] { exit = engine_prepare(); });

  app.add_subcommand("schema", "the manifest's JSON Schema")->callback([&] { std::cout << manifest::json_schema() << "\n"; });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 125;
  }
  return exit;
}

}  // namespace
}  // namespace bottle::app

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  // Not a command for people: the process that owns a session, started by `start` with a socket as its stdin.
  if (argc == 2 && std::strcmp(argv[1], "supervise") == 0) return bottle::session::supervise(0);
  return bottle::app::main(argc, argv);
}
