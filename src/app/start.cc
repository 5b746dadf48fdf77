#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "app/commands.h"
#include "app/world.h"
#include "base/unique_fd.h"
#include "session/client.h"
#include "session/images.h"
#include "session/supervisor.h"
#include "session/teardown.h"
#include "session/terminal.h"

namespace bottle::app {
namespace {

using nlohmann::json;

bool coloured() { return ::isatty(2) && !std::getenv("NO_COLOR"); }
std::string dim(const std::string& text) { return coloured() ? "\033[2m" + text + "\033[0m" : text; }

Result<std::string> pick_agent(const manifest::Manifest& manifest) {
  if (!::isatty(0)) return fail(Code::invalid, "which agent?", "name one: bottle start AGENT (see `bottle list --agents`)");
  std::vector<std::string> names;
  for (const auto& [name, agent] : manifest.agents) {
    names.push_back(name);
    std::fprintf(stderr, "%3zu  %-20s %s\n", names.size(), name.c_str(), ("bottle " + agent.bottle + ", " + agent.provider).c_str());
  }
  std::string answer = TRY(session::ask("agent (number or name)", false));
  if (size_t n = static_cast<size_t>(std::atoi(answer.c_str())); n >= 1 && n <= names.size()) return names[n - 1];
  return answer;
}

void show_event(const json& event, const Output& output) {
  if (output.json) {
    std::cerr << event.dump() << std::endl;
    return;
  }
  if (output.quiet || !event.is_object()) return;
  std::string kind = event.value("event", "");
  std::string end = ::isatty(0) ? "\r\n" : "\n";
  if (kind == "step") std::cerr << dim("· " + event.value("step", "")) << end;
  if (kind == "running") std::cerr << dim("· self-test passed, the agent runs (session " + event.value("session", "") + ")") << end;
  if (kind == "guard-lost") std::cerr << "bottle: " << event.value("what", "") << end;
  if (kind == "guard-back") std::cerr << "bottle: the guard is back with the same policy" << end;
}

void show_result(const json& result, const Output& output) {
  if (output.json) {
    std::cerr << result.dump() << std::endl;
    return;
  }
  if (output.quiet) return;
  auto back = result.value("back", json::object());
  if (back.contains("error")) std::cerr << "bottle: the work could not be brought back: " << back.value("error", "") << "\n";
  if (std::string text = back.value("text", ""); !text.empty()) std::cerr << "\n" << text << (text.ends_with("\n") ? "" : "\n");
  auto egress = result.value("egress", json::object());
  auto denied = egress.value("denied", json::array());
  if (!denied.empty()) {
    std::cerr << "\nBlocked:\n";
    for (const auto& entry : denied)
      std::cerr << "  " << entry.value("host", "") << "  (" << entry.value("code", "") << ", " << entry.value("count", 0) << "×)\n";
    std::cerr << dim("  to allow a host, add it under egress.allow of the bottle; all decisions: bottle logs --egress " +
                     result.value("session", ""))
              << "\n";
  }
  auto receipt = result.value("receipt", json::object());
  if (receipt.value("confirmed", false)) std::cerr << dim("Gone, confirmed by the engine: container, guard, network.") << "\n";
  else
    for (const auto& left : receipt.value("left", json::array())) std::cerr << "bottle: left behind: " << left.get<std::string>() << "; run `bottle cleanup`\n";
}

Result<int> start_session(const StartOptions& options) {
  char cwd[PATH_MAX];
  if (!::realpath(options.workspace.empty() ? "." : options.workspace.c_str(), cwd)) return fail_errno("the workspace " + options.workspace);
  std::string workspace = cwd;

  manifest::Manifest manifest = TRY(load_manifest(workspace));
  plan::Options wanted = options.plan;
  if (wanted.agent.empty()) wanted.agent = TRY(pick_agent(manifest));
  if (wanted.headless && wanted.prompt == "-") {
    wanted.prompt.assign(std::istreambuf_iterator<char>(std::cin), {});
  }
  auto engine = connect_engine();
  if (!engine && !options.dry_run) return std::unexpected(engine.error());
  plan::Facts facts = TRY(gather_facts(workspace, engine ? &*engine : nullptr));
  plan::Plan plan = TRY(plan::make(manifest, wanted, facts));
  if (options.dry_run) {
    if (options.output.json) std::cout << plan::to_json(plan).dump(2) << "\n";
    else std::cout << plan::explain(plan);
    return 0;
  }
  if (!options.output.json && !options.output.quiet) std::cerr << plan::explain(plan);
  if (!options.yes) {
    std::string answer = TRY(session::ask("start? [y/N]", false));
    if (answer != "y" && answer != "Y" && answer != "yes") return fail(Code::canceled, "not started");
  }

  // What a dead owner left goes first: its subnet and names are free again.
  session::sweep(TRY(session::find_orphans(directories(), &*engine)));

  auto say = [&](const std::string& line) {
    if (!options.output.quiet && !options.output.json) std::cerr << dim("· " + line) << "\n";
  };
  TRY(session::ensure_agent_image(*engine, plan.image, say));
  auto hidden = [](const std::string& question) { return session::ask(question, true); };
  session::Job job{plan, TRY(session::resolve(plan, facts.environment, hidden)), engine->socket(), public_roots(),
                   TRY(concatenated(plan.egress.extra_ca)), directories(), path_to_self()};
  UniqueFd socket(TRY(session::start_supervisor(job)));

  session::ClientOptions client;
  client.terminal = !plan.headless && ::isatty(0);
  client.forward_input = !plan.headless;
  client.on_event = [&](const json& event) { show_event(event, options.output); };
  auto ended = TRY(session::relay(socket.get(), client));
  if (ended.detached) {
    std::cerr << "\nbottle: detached; the agent goes on. Come back: bottle attach " << plan.session << "\n";
    return 0;
  }
  show_result(ended.result, options.output);
  return ended.exit;
}

}  // namespace

int start(const StartOptions& options) {
  auto exit = start_session(options);
  return exit ? *exit : report(exit.error(), options.output.json);
}

int attach(const std::string& wanted) {
  auto d = directories();
  auto socket = session::connect_to(d.sessions + "/" + wanted + "/socket");
  if (!socket)
    return report({Code::not_found, "no running session " + wanted, "see `bottle list`"});
  UniqueFd fd(*socket);
  session::ClientOptions client;
  client.terminal = ::isatty(0);
  client.forward_input = true;
  client.on_event = [](const json& event) { show_event(event, {}); };
  auto ended = session::relay(fd.get(), client);
  if (!ended) return report(ended.error());
  if (ended->detached) {
    std::cerr << "\nbottle: detached; the agent goes on. Come back: bottle attach " << wanted << "\n";
    return 0;
  }
  show_result(ended->result, {});
  return ended->exit;
}

int image_build(const std::string& provider, const std::vector<std::string>& packages, const Output& output) {
  auto build = [&]() -> Result<std::string> {
    auto engine = TRY(connect_engine());
    plan::Image image = plan::bootstrap_image(provider, packages);
    TRY(session::ensure_agent_image(engine, image, [&](const std::string& line) {
      if (!output.quiet) std::cerr << dim("· " + line) << "\n";
    }));
    return image.reference;
  };
  auto reference = build();
  if (!reference) return report(reference.error(), output.json);
  if (output.json) std::cout << json{{"image", *reference}}.dump() << "\n";
  else std::cout << *reference << "\n";
  return 0;
}

}  // namespace bottle::app
