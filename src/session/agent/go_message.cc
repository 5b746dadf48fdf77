// Programs find the guard, and trust the session's root, only through variables, whose names differ: some programs
// read the lower-case form, some the upper-case one, and each runtime has its own variable for certificates.
// docs/guard.md lists which program needs which. The manifest's variables are set after these and override them.
#include "session/agent/go_message.h"

#include "session/agent/agent_home.h"
#include "session/credentials/ssh_keys.h"

namespace bottle::session {

using wire::Job, wire::Values;

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
    if (!secret.env.empty() && (job.near_share.secrets_stay || values.secrets.contains(secret.name)))
      env[secret.env] = secret.placeholder;
  for (const auto& var : plan.env)
    if (var.source.kind == plan::Source::Kind::locale) go.locale[var.name] = var.source.text;
  for (const auto& [name, value] : values.env)
    if (!go.locale.contains(name)) env[name] = value;
  // Authorities that the operator added also apply to blind tunnels, in which the agent itself checks the server.
  go.argv = plan.command;
  go.cwd = start_directory(plan);
  go.ca = ca + "\n" + job.extra_ca;
  if (plan.headless) go.stdin_text = plan.prompt;
  if (!plan.ssh.empty()) go.files = ssh_files(plan, job.ssh_keys, subnet.guard + ":3128");
  go.ssh_agent = !job.ssh_keys.empty();
  if (go.ssh_agent) env["SSH_AUTH_SOCK"] = "/run/bottle/ssh-agent.sock";
  return go;
}

}  // namespace bottle::session
