// Has what the programs of claude and codex expect: the names of their credentials, the hosts of their APIs, and
// their options. No other file derives the agent's command from the provider's name.
//
// A credential that is taken from the operator's environment becomes a secret like any other, bound to the API's
// host. The agent gets only a placeholder. If the program checks the form of the credential before it sends it, the
// placeholder must look like the real value.
#include "plan/provider.h"

#include <algorithm>

namespace bottle::plan {
namespace {

constexpr size_t kMaxArgument = 100 << 10;  // Linux allows 128 KB per argument (MAX_ARG_STRLEN)
// The limit is in bytes. A headless prompt travels in the job, whose frame holds at most 80 MB.
constexpr size_t kMaxPrompt = 8 << 20;

constexpr std::initializer_list<const char*> kClaudeVariables = {"CLAUDE_CODE_OAUTH_TOKEN", "ANTHROPIC_API_KEY",
                                                                 "ANTHROPIC_AUTH_TOKEN"};
constexpr std::initializer_list<const char*> kCodexVariables = {"OPENAI_API_KEY", "CODEX_API_KEY"};
// These belong to programs that run as `command`.
constexpr std::initializer_list<const char*> kOtherVariables = {"GEMINI_API_KEY"};

// An empty variable counts as missing, as for a shell script that tests it with -n.
bool has(const Facts& facts, const std::string& variable) {
  auto it = facts.environment.find(variable);
  return it != facts.environment.end() && !it->second.empty();
}

// Returns "neither A nor B is set", or "… has a value" if one of them is set but empty, because the operator believes
// that it is set.
std::string is_set_or_empty(const Facts& facts, std::initializer_list<const char*> variables) {
  std::string empty;
  for (const char* each : variables)
    if (facts.environment.contains(each)) empty = each;
  return empty.empty() ? "is set" : "has a value (" + empty + " is set but empty)";
}

Secret from_env(const std::string& name, const std::string& variable, const std::string& env, const std::string& host,
                const Facts& facts) {
  return {name, {Source::Kind::env, variable}, {host}, usual_header(env), placeholder(facts.session, name), env, false};
}

}  // namespace

std::vector<std::string> api_hosts(const std::string& provider) {
  if (provider == "claude") return {"api.anthropic.com"};
  if (provider == "codex") return {"api.openai.com"};
  return {};
}

std::vector<std::string> model_hosts(const Plan& plan) {
  auto hosts = api_hosts(plan.provider);
  for (const auto& secret : plan.secrets)
    if (signs_in(secret.env))
      for (const auto& host : secret.hosts)
        if (std::ranges::find(hosts, host) == hosts.end()) hosts.push_back(host);
  return hosts;
}

std::string usual_header(const std::string& variable) {
  if (variable == "ANTHROPIC_API_KEY") return "x-api-key: {}";
  return variable == "GEMINI_API_KEY" ? "x-goog-api-key: {}" : "";
}

bool signs_in(const std::string& variable) {
  auto is = [&](const char* known) { return variable == known; };
  return std::ranges::any_of(kClaudeVariables, is) || std::ranges::any_of(kCodexVariables, is) ||
         std::ranges::any_of(kOtherVariables, is);
}

std::string placeholder(const std::string& session, const std::string& name) {
  if (name == "claude-oauth") return "sk-ant-oat01-bottle-" + session;
  if (name == "anthropic-key") return "sk-ant-api03-bottle-" + session;
  if (name == "openai-key") return "sk-bottle-" + session;
  return "bottle-placeholder-" + session + "-" + name;
}

Result<std::vector<Secret>> sign_in(const std::string& provider, const std::vector<Secret>& given, const Facts& facts) {
  std::vector<Secret> secrets;
  auto any = [&](std::initializer_list<const char*> variables) {
    return std::ranges::any_of(variables, [&](std::string_view variable) {
      return std::ranges::any_of(given, [&](const Secret& secret) { return secret.env == variable; });
    });
  };
  // The variable with the token for bottles has a different name than Claude Code's, so that operators can give an
  // agent a different login than their own shell. If both are set, it comes first.
  if (provider == "claude" && !any(kClaudeVariables)) {
    if (has(facts, "CLAUDE_BOTTLE_OAUTH_TOKEN"))
      secrets.push_back(
          from_env("claude-oauth", "CLAUDE_BOTTLE_OAUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN", "api.anthropic.com", facts));
    else if (has(facts, "ANTHROPIC_API_KEY"))
      secrets.push_back(
          from_env("anthropic-key", "ANTHROPIC_API_KEY", "ANTHROPIC_API_KEY", "api.anthropic.com", facts));
    else
      return fail(Code::not_found,
                  "claude cannot sign in: neither CLAUDE_BOTTLE_OAUTH_TOKEN nor ANTHROPIC_API_KEY " +
                      is_set_or_empty(facts, {"CLAUDE_BOTTLE_OAUTH_TOKEN", "ANTHROPIC_API_KEY"}),
                  "run `claude setup-token` on any machine that has Claude Code, then export "
                  "CLAUDE_BOTTLE_OAUTH_TOKEN=<the token it prints>; or export ANTHROPIC_API_KEY=<your key>");
  }
  if (provider == "codex" && !any(kCodexVariables)) {
    if (!has(facts, "OPENAI_API_KEY"))
      return fail(Code::not_found,
                  "codex cannot sign in: OPENAI_API_KEY " +
                      std::string(facts.environment.contains("OPENAI_API_KEY") ? "is empty" : "is not set"),
                  "export OPENAI_API_KEY=<your key>");
    secrets.push_back(from_env("openai-key", "OPENAI_API_KEY", "OPENAI_API_KEY", "api.openai.com", facts));
  }
  return secrets;
}

Result<> set_command(Plan& plan, const std::vector<std::string>& own, const std::vector<std::string>& extra) {
  auto& argv = plan.command;
  auto add = [&](const std::vector<std::string>& words) { argv.insert(argv.end(), words.begin(), words.end()); };
  if (plan.provider == "claude") {
    add({"claude", "--dangerously-skip-permissions"});
    if (!plan.system_prompt.empty()) add({"--append-system-prompt", plan.system_prompt});
    if (plan.headless) add({"-p", "--output-format", "text"});
  } else if (plan.provider == "codex") {
    add({"codex"});
    if (plan.headless) add({"exec"});
    add({"--dangerously-bypass-approvals-and-sandbox"});
  } else if (plan.provider == "shell") {
    if (plan.headless) add({"bash", "-s"});
    else if (plan.prompt.empty()) add({"bash", "-l"});
    else add({"bash", "-lc", plan.prompt});
  } else {
    add(own);
  }
  // Only these two take a prompt. A headless shell or command reads whatever comes on standard input.
  bool speaks = plan.provider == "claude" || plan.provider == "codex";
  if (plan.headless && speaks && plan.prompt.find_first_not_of(" \t\r\n") == std::string::npos)
    return fail(Code::invalid, "--headless needs a prompt",
                "add --prompt TEXT, or --prompt - to read it from standard input");
  if (!plan.system_prompt.empty() && plan.provider != "claude") {
    // Codex has no option for a system prompt, so it goes before the prompt. The others do not take one.
    if (plan.provider == "codex") plan.prompt = plan.system_prompt + (plan.prompt.empty() ? "" : "\n\n" + plan.prompt);
    else plan.warnings.push_back("the agent's prompt is not used, because provider " + plan.provider + " takes none");
  }
  // `bash -s -- WORDS` takes the words as parameters of the script that it reads from standard input.
  if (plan.provider == "shell" && plan.headless && !extra.empty()) add({"--"});
  add(extra);
  // `codex exec -` reads the prompt from standard input. claude does that without being told.
  if (plan.headless && plan.provider == "codex") add({"-"});
  if (plan.prompt.size() > kMaxPrompt) return fail(Code::limit, "the prompt is longer than 8 MB");
  // A headless agent gets the prompt on standard input, where its length does not matter.
  if (!plan.headless && !plan.prompt.empty() && plan.provider != "shell") {
    // "--" keeps a prompt that begins with a dash from being read as an option, and any prompt from becoming a value
    // of an option that takes several.
    if (speaks && (plan.prompt.starts_with("-") || !extra.empty())) add({"--"});
    add({plan.prompt});
  }
  for (const auto& word : argv) {
    if (word.size() > kMaxArgument)
      return fail(Code::limit, "the prompt is longer than 100 KB, too long for a command line",
                  "put it in a file of the workspace, or use --headless, which passes it on standard input");
    // execve(2) would cut the argument at that byte.
    if (word.find('\0') != std::string::npos)
      return fail(Code::invalid, "the prompt or an argument contains a NUL byte");
  }
  return {};
}

}  // namespace bottle::plan
