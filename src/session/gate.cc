#include "session/gate.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "base/files/file.h"
#include "base/os/poller.h"
#include "session/credentials/ssh_keys.h"

namespace bottle::session {
namespace {

// Returns the directory in which the agent starts.
std::string directory_of(const plan::Plan& plan) {
  return plan.start.empty() ? plan.workdir : plan.workdir + "/" + plan.start;
}

constexpr std::string_view kBegin = "\x1b]bottle;";
constexpr char kEnd = '\x07';
constexpr size_t kReportLimit = 1 << 20;
constexpr int kLookForStopMs = 100;

}  // namespace

Result<> Gate::ask() { return write_all(attached_.fd(), "\n"); }

Result<wire::Report> Gate::await_report(int timeout_ms, const std::stop_token& stop) {
  auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  docker::Demux demux;
  std::string text, complaint;
  for (;;) {
    size_t begin = text.find(kBegin);
    size_t end = begin == std::string::npos ? begin : text.find(kEnd, begin);
    if (end != std::string::npos) {
      auto told = std::string_view(text).substr(begin + kBegin.size(), end - begin - kBegin.size());
      auto report = TRY(wire::decode<wire::Report>(told, wire::From::foreign));
      early_ = text.substr(end + 1);
      while (!early_.empty() && (early_[0] == '\r' || early_[0] == '\n')) early_.erase(0, 1);
      return report;
    }
    if (text.size() > kReportLimit) return fail(Code::limit, "the self-test's report is too long");
    auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    std::string bytes = attached_.take_early();
    if (bytes.empty()) {
      bool ready = left > 0 && wait_readable(attached_.fd(), static_cast<int>(std::min<int64_t>(left, kLookForStopMs)));
      if (stop.stop_requested()) return fail(Code::canceled, "the self-test was stopped");
      if (!ready && left > 0) continue;
      if (!ready)
        return fail(Code::timed_out, "the self-test did not report within " + std::to_string(timeout_ms) + " ms");
      char buffer[65536];
      ssize_t n = ::read(attached_.fd(), buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        std::string said = folded(text + complaint, 2000);
        return fail(Code::closed,
                    "the agent's container ended before its self-test" + (said.empty() ? "" : ": " + said));
      }
      bytes.assign(buffer, static_cast<size_t>(n));
    }
    if (terminal_) text += bytes;
    else
      TRY(demux.feed(bytes,
                     [&](int stream, std::string_view chunk) { (stream == 1 ? text : complaint).append(chunk); }));
  }
}

Result<> Gate::open(const wire::Go& go) {
  std::string body = TRY(wire::encode_exactly(go));
  char length[9];
  std::snprintf(length, sizeof length, "%08zx", body.size());
  return write_all(attached_.fd(), length + body);
}

wire::Go go_message(const Job& job, const Values& values, const std::string& ca, const Subnet& subnet) {
  const auto& plan = job.plan;
  wire::Go go;
  auto& env = go.env;
  std::string proxy = "http://" + subnet.guard + ":3128";
  for (const char* name : {"http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"})
    env[name] = proxy;
  for (const char* name : {"no_proxy", "NO_PROXY"}) env[name] = "localhost,127.0.0.1,::1";
  for (const char* name : {"YARN_HTTP_PROXY", "YARN_HTTPS_PROXY"}) env[name] = proxy;
  env["NODE_USE_ENV_PROXY"] = "1";
  for (const char* name : {"NODE_EXTRA_CA_CERTS", "DENO_CERT"}) env[name] = "/run/bottle/ca.pem";
  // The last variable overrides the `cafile` of a repository's .npmrc.
  for (const char* name :
       {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT", "AWS_CA_BUNDLE",
        "CARGO_HTTP_CAINFO", "CODEX_CA_CERTIFICATE", "NIX_SSL_CERT_FILE", "BUNDLE_SSL_CA_CERT", "npm_config_cafile"})
    env[name] = "/run/bottle/ca-bundle.pem";
  // Java reads no other variable, and it uses neither the system's proxy settings nor the system's certificates.
  env["JAVA_TOOL_OPTIONS"] = "-Dhttp.proxyHost=" + subnet.guard +
                             " -Dhttp.proxyPort=3128 -Dhttps.proxyHost=" + subnet.guard +
                             " -Dhttps.proxyPort=3128 -Dhttp.nonProxyHosts=localhost|127.*|[::1]"
                             " -Djavax.net.ssl.trustStore=/run/bottle/java-trust.jks"
                             " -Djavax.net.ssl.trustStoreType=JKS";
  env["HOME"] = "/home/agent";
  env["USER"] = "agent";
  env["LANG"] = "C.UTF-8";
  env["IS_SANDBOX"] = "1";
  env["BOTTLE"] = plan.session;
  env["PATH"] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  if (!plan.headless) env["TERM"] = "xterm-256color";
  env["CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC"] = "1";
  env["DISABLE_AUTOUPDATER"] = "1";
  for (const auto& secret : plan.secrets)
    if (!secret.env.empty() && (job.tunnel || values.secrets.contains(secret.name)))
      env[secret.env] = secret.placeholder;
  for (const auto& var : plan.env)
    if (var.source.kind == plan::Source::Kind::locale) go.locale[var.name] = var.source.text;
  for (const auto& [name, value] : values.env)
    if (!go.locale.contains(name)) env[name] = value;
  // Authorities that the operator added also apply to blind tunnels, in which the agent itself checks the server.
  go.argv = plan.command;
  go.cwd = directory_of(plan);
  go.ca = ca + "\n" + job.extra_ca;
  if (plan.headless) go.stdin_text = plan.prompt;
  if (!plan.ssh.empty()) go.files = ssh_files(plan, job.ssh_keys, subnet.guard + ":3128");
  go.ssh_agent = !job.ssh_keys.empty();
  if (go.ssh_agent) env["SSH_AUTH_SOCK"] = "/run/bottle/ssh-agent.sock";
  return go;
}

namespace {

Result<> put_tree(docker::TarWriter& tar, const std::string& from, const std::string& to, const plan::Plan& plan,
                  int depth) {
  if (depth > 16) return fail(Code::limit, from + " is nested too deeply");
  TRY(tar.directory(to, 0755, plan.uid, plan.gid));
  DIR* dir = ::opendir(from.c_str());
  if (!dir) return fail_errno("opening the skill " + from);
  Result<> result;
  while (dirent* entry = ::readdir(dir)) {
    std::string name = entry->d_name, path = from + "/" + name;
    struct stat st{};
    if (name == "." || name == ".." || ::lstat(path.c_str(), &st) != 0) continue;
    if (S_ISDIR(st.st_mode)) {
      result = put_tree(tar, path, to + "/" + name, plan, depth + 1);
    } else if (S_ISREG(st.st_mode)) {
      auto text = read_file(path);
      result = text ? tar.file(to + "/" + name, st.st_mode & 0777, plan.uid, plan.gid, *text)
                    : std::unexpected(text.error());
    }
    if (!result) break;
  }
  ::closedir(dir);
  return result;
}

}  // namespace

Result<> put_home(docker::TarWriter& tar, const Job& job) {
  const auto& plan = job.plan;
  if (plan.provider == "claude") {
    TRY(tar.directory("home/agent/.claude", 0700, plan.uid, plan.gid));
    // These settings answer the first-run questions, because no operator is in the bottle to answer them.
    nlohmann::json settings = {
        {"hasCompletedOnboarding", true},
        {"bypassPermissionsModeAccepted", true},
        {"projects",
         {{directory_of(plan), {{"hasTrustDialogAccepted", true}, {"hasCompletedProjectOnboarding", true}}}}}};
    TRY(tar.file("home/agent/.claude.json", 0600, plan.uid, plan.gid, settings.dump()));
  }
  return put_skills(tar, plan);
}

Result<> put_skills(docker::TarWriter& tar, const plan::Plan& plan) {
  if (plan.skills.empty()) return {};
  std::string base = plan.provider == "codex" ? "home/agent/.codex" : "home/agent/.claude";
  if (plan.provider != "claude") TRY(tar.directory(base, 0700, plan.uid, plan.gid));
  TRY(tar.directory(base + "/skills", 0755, plan.uid, plan.gid));
  for (const auto& skill : plan.skills)
    TRY(put_tree(tar, skill, base + "/skills/" + skill.substr(skill.rfind('/') + 1), plan, 0));
  return {};
}

}  // namespace bottle::session
