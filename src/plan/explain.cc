// Shows a plan to the operator before a start, in rows of a label and its text. It leaves out a row that would only
// say that something is not used. The exception is `egress`, which then says "nothing". Every text that the
// manifest's parser has not checked goes through shown(), which makes it one harmless line.
#include <cstdio>

#include "base/text/path_parts.h"
#include "plan/plan.h"

namespace bottle::plan {
namespace {

using manifest::WorkspaceMode;

// Both limits are in bytes. A word of the command is cut earlier, because it may be a prompt of many pages.
constexpr size_t kLongestText = 200, kLongestWord = 43;

std::string shown(const std::string& text) { return one_line(text, kLongestText); }

std::string joined(const std::vector<std::string>& texts, const char* between = ", ") {
  std::string all;
  for (const auto& text : texts) all += (all.empty() ? "" : between) + shown(text);
  return all;
}

// Adds the lines of one row. Only the first line has the label. Without lines, there is no row.
void row(std::vector<Line>& out, const std::string& label, const std::vector<std::string>& lines) {
  for (size_t i = 0; i < lines.size(); ++i) {
    char head[16];
    std::snprintf(head, sizeof head, "%-11s ", i ? "" : label.c_str());
    out.push_back(head + lines[i]);
  }
}

std::string memory(uint64_t bytes) {
  char text[32];
  if (bytes >= 1ull << 30)
    std::snprintf(text, sizeof text, "%.4g GiB", static_cast<double>(bytes) / static_cast<double>(1ull << 30));
  else std::snprintf(text, sizeof text, "%.4g MiB", static_cast<double>(bytes) / static_cast<double>(1ull << 20));
  return text;
}

// Returns a remark that says where a value comes from. A literal has none, and its text is not shown, because it may
// be long.
std::string origin(const Source& source) {
  switch (source.kind) {
    case Source::Kind::literal:
      return "";
    case Source::Kind::env:
      return " (from " + shown(source.text) + ")";
    case Source::Kind::file:
      return " (from a file)";
    case Source::Kind::cmd:
      return " (from a command)";
    case Source::Kind::prompt:
      return " (bottle asks)";
    case Source::Kind::locale:
      return " (if the image has it)";
  }
  return "";
}

// Returns the lines about the workspace. They must show everything that the agent will be able to read or write.
std::vector<std::string> workspace(const Plan& plan) {
  std::string user = ", as uid " + std::to_string(plan.uid);
  if (plan.workspace_mode == WorkspaceMode::none) return {"none" + user};
  std::string what = plan.workspace_mode == WorkspaceMode::clone  ? "clone of "
                     : plan.workspace_mode == WorkspaceMode::copy ? "copy of "
                                                                  : "WRITABLE, the directory itself: ";
  std::vector<std::string> lines = {what + shown(plan.workspace) + " at " + plan.workdir + user};
  // A linked work tree sends a repository in another place, which the operator should see before it is sent.
  if (!plan.repository.empty() && plan.repository != plan.workspace + "/.git")
    lines.push_back("a work tree of the repository " + shown(plan.repository));
  if (!plan.start.empty()) lines.push_back("the agent starts in " + shown(plan.workdir + "/" + plan.start));
  if (!plan.include.empty()) {
    std::string names;
    for (const auto& pattern : plan.include) names += (names.empty() ? "" : ", ") + shown(pattern);
    lines.push_back("with files that are not committed: " + names);
  }
  return lines;
}

// Returns the amounts that are limited, in the manifest's units, or an empty text if there is no limit.
std::string limit_text(const manifest::Limit& limit) {
  std::string text;
  auto add = [&](uint64_t most, const std::string& what) {
    if (most) text += (text.empty() ? "" : ", ") + what;
  };
  add(limit.requests, std::to_string(limit.requests) + " requests");
  add(limit.bytes_up, std::to_string(limit.bytes_up) + " bytes up");
  add(limit.names, std::to_string(limit.names) + " names");
  add(limit.tokens, std::to_string(limit.tokens) + " tokens");
  add(limit.cost > 0, "an estimated cost of " + manifest::cost_text(limit.cost));
  return text;
}

// Returns a rule on one line, with only those settings that differ from the usual ones.
std::string rule_text(const manifest::AllowRule& rule) {
  std::string text = shown(rule.host) == "*" ? "* (every public host)" : shown(rule.host);
  std::vector<std::string> ports;
  for (auto port : rule.ports) ports.push_back(std::to_string(port));
  // Most rules are for port 443, so naming it would only hide the others.
  if (!ports.empty() && ports != std::vector<std::string>{"443"}) text += " :" + joined(ports);
  if (!rule.methods.empty()) text += "  " + joined(rule.methods, " ");
  if (!rule.paths.empty()) text += "  " + joined(rule.paths, " ");
  if (rule.on_secret) text.append("  secrets: ").append(word(*rule.on_secret));
  if (!rule.preset.empty()) text += "  preset " + shown(rule.preset);
  if (rule.on_injection) text.append("  instructions in answers: ").append(word(*rule.on_injection));
  if (auto limit = limit_text(rule.limit); !limit.empty()) text += "  at most " + limit;
  return text + (rule.inspect ? "  inspected" : "");
}

// Adds what happens to findings, where it is not the default.
void add_reactions(std::vector<std::string>& lines, const manifest::Egress& egress) {
  if (egress.on_secret != policy::OnSecret::block)
    lines.push_back(std::string("if a request carries a secret: ") + word(egress.on_secret));
  for (const auto& [name, what] : egress.on_secret_for)
    lines.push_back("if a request carries " + shown(name) + ": " + word(what));
  if (egress.on_injection != policy::OnInjection::warn)
    lines.push_back(std::string("if an answer instructs the agent: ") + word(egress.on_injection));
}

}  // namespace

std::vector<Line> explain(const Plan& plan) {
  std::vector<Line> out;
  char cpus[16];
  std::snprintf(cpus, sizeof cpus, "%g", plan.resources.cpus);
  std::vector<std::string> env, secrets, scan, egress, ssh, skills, words, warnings;
  for (const auto& var : plan.env)
    env.push_back(var.name + origin(var.source) + (var.secret ? " (must not leave)" : ""));
  for (const auto& file : plan.scan.secrets) scan.push_back("for the values of " + shown(file));
  for (const auto& file : plan.scan.rules) scan.push_back("by the rules of " + shown(file));
  std::string parent_login;
  // The login at the parent proxy is among the secrets, but it is shown with its proxy, where it is used.
  for (const auto& secret : plan.secrets)
    if (secret.name == kParentLogin) parent_login = " with a login" + origin(secret.source);
    else
      secrets.push_back(secret.name + " → " + joined(secret.hosts) +
                        (secret.in == std::vector<std::string>{"header"} ? "" : "  in " + joined(secret.in)) +
                        (secret.beside.empty() ? "" : "  beside the agent's own " + joined(secret.beside)) +
                        origin(secret.source));
  for (const auto& rule : plan.egress.allow) egress.push_back(rule_text(rule));
  for (const auto& route : plan.egress.lan)
    egress.push_back((route.tls ? "https://" : "http://") + route.name + " → " + shown(route.to) +
                     " of the local network" + (route.methods.empty() ? "" : "  " + joined(route.methods, " ")) +
                     (route.paths.empty() ? "" : "  " + joined(route.paths, " ")));
  if (egress.empty()) egress.push_back("nothing");
  add_reactions(egress, plan.egress);
  if (auto limit = limit_text(plan.egress.limit); !limit.empty()) egress.push_back("in all at most " + limit);
  if (!plan.egress.allowed_secrets.empty())
    egress.push_back("credentials that may leave: " + joined(plan.egress.allowed_secrets));
  if (!plan.egress.parent_proxy.empty()) egress.push_back("through " + shown(plan.egress.parent_proxy) + parent_login);
  for (const auto& host : plan.ssh) ssh.push_back(host.host + " :" + std::to_string(host.port));
  for (const auto& skill : plan.skills) skills.emplace_back(name_in(skill));
  for (const auto& word : plan.command) words.push_back(one_line(word, kLongestWord));
  for (const auto& warning : plan.warnings) warnings.push_back(shown(warning));

  row(out, "agent", {plan.agent + " (" + plan.provider + (plan.headless ? ", headless)" : ")")});
  row(out, "bottle", {plan.bottle});
  row(out, "image",
      {shown(plan.image.reference) +
       (plan.image.recipe == Image::Recipe::none ? ""
        : plan.image.recipe == Image::Recipe::dockerfile
            ? " (from " + shown(plan.image.dockerfile) + ")"
            : " (built by bottle" +
                  (plan.image.pin.version.empty() ? "" : ", version " + shown(plan.image.pin.version)) + ")")});
  row(out, "runtime", {plan.runtime});
  row(out, "workspace", workspace(plan));
  row(out, "resources",
      {memory(plan.resources.memory) + ", " + cpus + " cpus, " + std::to_string(plan.resources.pids) + " processes, " +
       memory(plan.resources.disk) + " disk, " + memory(plan.resources.shm) + " shm"});
  if (!env.empty()) row(out, "env", {joined(env)});
  row(out, "secrets", secrets);
  row(out, "scan", scan);
  row(out, "egress", egress);
  row(out, "ssh", ssh);
  if (!skills.empty()) row(out, "skills", {joined(skills)});
  row(out, "command", {joined(words, " ")});
  row(out, "warning", warnings);
  return out;
}

}  // namespace bottle::plan
