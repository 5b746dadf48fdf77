// One table replaces code for each key, so that the check, the schema and the documentation cannot disagree.
// docs/manifest.md has the texts of this table in the same order; a test compares them.

#include "manifest/format/keys.h"

namespace bottle::manifest {
namespace {

constexpr bool kRequired = true, kOptional = false, kFilled = true;

constexpr Section kSections[] = {
    {"manifest", "Top level of `bottle.yaml`"},
    {"bottle", "`bottles.<name>`"},
    {"resources", "`bottles.<name>.resources`"},
    {"variable", "`bottles.<name>.env.<name>`, as a map"},
    {"secret", "`bottles.<name>.secrets.<name>`"},
    {"scan", "`bottles.<name>.scan`"},
    {"egress", "`bottles.<name>.egress`"},
    {"rule", "`bottles.<name>.egress.allow[]`, as a map"},
    {"limit", "`bottles.<name>.egress.limit`, and `limit` of a rule"},
    {"price", "`bottles.<name>.egress.prices.<model>`"},
    {"lan", "`bottles.<name>.egress.lan[]`"},
    {"ssh", "`bottles.<name>.ssh[]`"},
    {"agent", "`agents.<name>`"},
    {"agent_file", "Front matter of `agents/*.md`"},
    {"vm", "`vms.<name>`"},
    {"guard", "The file of `bottle guard run --config`"},
    {"v1", "Version 1, `claude-bottle.json`: top level", true},
    {"v1_bottle", "Version 1: `bottles.<name>`", true},
    {"v1_egress", "Version 1: `bottles.<name>.egress`", true},
    {"v1_ssh", "Version 1: `bottles.<name>.ssh[]`", true},
    {"v1_agent", "Version 1: `agents.<name>`", true},
};

constexpr Key kKeys[] = {
    {"manifest", "bottles", Shape::map, Type::section, "bottle",
     "The sandboxes that agents work in, each with its policy."},
    {"manifest", "agents", Shape::map, Type::section, "agent",
     "The agents, and which bottle each works in. An agent can also be a file in `agents/`."},
    {"manifest", "vms", Shape::map, Type::section, "vm", "VMs that `bottle start --vm NAME` can create."},

    {"bottle", "extends", Shape::list, Type::name, "",
     "Bottles whose settings this one inherits, in order. Maps are merged by name, and `egress.limit` by key; "
     "`egress.allow`, `egress.presets`, `egress.lan`, `egress.extra_ca`, `egress.allowed_secrets`, `scan.secrets`, "
     "`scan.rules`, `packages` and `ssh` are joined; this bottle's value replaces any other."},
    {"bottle", "image", Shape::one, Type::text, "",
     "An image that the engine has. Without `image` or `dockerfile`, `bottle` builds one with the provider's program."},
    {"bottle", "dockerfile", Shape::one, Type::host_path, "",
     "A Dockerfile to build. The path is relative to this file."},
    {"bottle", "packages", Shape::list, Type::package, "", "Debian packages to add to the image that `bottle` builds."},
    {"bottle", "runtime", Shape::one, Type::name, "",
     "`auto`, `runc`, `runsc`, or any runtime that the engine lists. The default `auto` is the engine's own default. "
     "`bottle` tries a runtime once before its first session."},
    {"bottle", "resources", Shape::one, Type::section, "resources", "Limits of the agent's container."},
    {"bottle", "workspace", Shape::one, Type::choice, "none|copy|clone|bind",
     "How the directory gets into the bottle. `clone` (the default) sends what is committed, and results come back as "
     "refs and a patch. `copy` sends all files as they are, with their modification times in whole seconds, except "
     "links whose target is absolute or outside the directory. `bind` lets the agent write to the directory itself and "
     "does not work with a rootless engine or with "
     "userns-remap."},
    {"bottle", "include", Shape::list, Type::text, "",
     "Patterns, as in `.gitignore`, for files that a clone sends although they are not committed, such as `.env` or "
     "`config/*.local`. The agent can read them. Default none."},
    {"bottle", "keep", Shape::list, Type::text, "",
     "Patterns, as in `.gitignore`, for files to bring home although git ignores them, such as `dist/`. They go to "
     "`kept` in the session's results. Default none."},
    {"bottle", "env", Shape::map, Type::variable, "variable",
     "The agent's environment variables: a literal, `${HOST_VAR}`, or `?question` to ask at the start. The agent sees "
     "these values; use `secrets` for those that it must not see. The guard stops a value with `{value: …, secret: "
     "true}` on its way out; such a value needs at least 8 bytes. `bottle` also passes your time zone (`TZ`), your "
     "locale (`LANG`, `LC_*`, or `C.UTF-8` if the image lacks it) and, on a terminal, `COLORTERM`, unless they are set "
     "here.",
     kOptional, false, Type::env_name},
    {"bottle", "secrets", Shape::map, Type::section, "secret",
     "Values that the agent can use but never sees. The agent holds a placeholder, and the guard inserts the value "
     "into requests to the bound hosts. A value is 8 bytes to 16 KB of UTF-8 on one line, without control "
     "characters."},
    {"bottle", "scan", Shape::one, Type::section, "scan",
     "What the guard looks for in addition to secrets and the credentials that it recognizes by their form."},
    {"bottle", "egress", Shape::one, Type::section, "egress",
     "What the bottle can reach. Without it, only the provider's own API."},
    {"bottle", "ssh", Shape::list, Type::section, "ssh",
     "ssh hosts to reach through the guard. The key stays in an ssh-agent outside the bottle."},

    {"resources", "memory", Shape::one, Type::size, "",
     "Memory. The units k, m, g and t are powers of 1024. Default `4g`."},
    {"resources", "cpus", Shape::one, Type::number, "", "Processors. Fractions are allowed. Default `2`."},
    {"resources", "pids", Shape::one, Type::count, "", "Processes and threads. Default `512`."},
    {"resources", "disk", Shape::one, Type::size, "",
     "How much the agent can store in its home, in the workspace's copy and anywhere else in the container. Each file "
     "counts as at least 4k. An agent that exceeds this is stopped, and its work comes home. Default `20g`."},
    {"resources", "shm", Shape::one, Type::size, "",
     "The size of `/dev/shm`, which browsers need. Its content counts as memory. Default `1g`."},

    {"variable", "value", Shape::one, Type::env_value, "",
     "The value: `${HOST_VAR}` or `?question`, or a literal if it is not secret.", kRequired},
    {"variable", "secret", Shape::one, Type::flag, "",
     "If `true`, the agent sees the value, but the guard stops it on its way out like the value of a secret."},

    {"secret", "from", Shape::one, Type::source, "",
     "Where the value comes from: `env:NAME`, `file:PATH`, `cmd:COMMAND` or `?question`.", kRequired},
    {"secret", "hosts", Shape::list, Type::pattern, "",
     "The hosts that the secret is for. The guard refuses requests to other hosts that contain the value or the "
     "placeholder, except on the way to the agent's model ([guard.md](guard.md)). Required without `expose`.",
     kOptional, kFilled},
    {"secret", "header", Shape::one, Type::header, "",
     "The header to set for these hosts, with `{}` for the value. Without it, the guard replaces the placeholder in "
     "`Authorization`, even within Basic credentials, and puts `ANTHROPIC_API_KEY` in `x-api-key` and `GEMINI_API_KEY` "
     "in `x-goog-api-key`. It refuses the placeholder in any other header."},
    {"secret", "in", Shape::list, Type::choice, "header|query|body",
     "Where in a request to these hosts the guard replaces the placeholder. Default `header`. It encodes the value for "
     "its place: percent-encoded in a query and a form, escaped in JSON.",
     kOptional, kFilled},
    {"secret", "beside", Shape::list, Type::name, "",
     "Headers with the agent's own credentials, such as `Cookie`, that may go to these hosts together with the "
     "value. The guard removes all others.",
     kOptional, kFilled},
    {"secret", "env", Shape::one, Type::env_name, "",
     "The agent's variable that holds the placeholder. Default: NAME if `from` is `env:NAME`."},
    {"secret", "placeholder", Shape::one, Type::placeholder, "",
     "The placeholder, for programs that accept only values of a certain form. Default: chosen for each session."},
    {"secret", "expose", Shape::one, Type::flag, "",
     "If `true`, the agent gets the real value in `env`. Every start warns about this."},

    {"scan", "secrets", Shape::list, Type::host_path, "",
     "Files on this machine whose values must not leave: the values in lines `NAME=VALUE` or in JSON, otherwise each "
     "line. See [guard.md](guard.md#files-of-secrets)."},
    {"scan", "rules", Shape::list, Type::host_path, "",
     "Files with your own rules for credentials; see [rules.md](rules.md)."},

    {"egress", "allow", Shape::list, Type::rule, "rule",
     "Hosts that the bottle can reach, on ports 443 and 80. A host alone allows any method and path, and the guard "
     "does not inspect it unless a secret is bound to it."},
    {"egress", "presets", Shape::list, Type::preset, "",
     "Ready-made rules for common services, added to those of `allow`, such as `npm`, `pypi` or `github-read`. `bottle "
     "egress presets` lists them. `npm@1` pins a version, so that its rules never change."},
    {"egress", "lan", Shape::list, Type::section, "lan",
     "Single services of the local network, each under a name that exists only in the bottle."},
    {"egress", "on_secret", Shape::one, Type::choice, "block|redact|warn",
     "What happens to a request that carries a secret. Default `block`. An answer that contains the value of one of "
     "`secrets` is always refused, except with `expose`."},
    {"egress", "on_secret_for", Shape::map, Type::choice, "block|redact|warn",
     "The same for a single rule of [rules.md](rules.md) or a single secret, by name.", kOptional, false, Type::name},
    {"egress", "allowed_secrets", Shape::list, Type::fingerprint, "",
     "Fingerprints of credentials that may leave. The audit shows the fingerprint of each credential that it refused."},
    {"egress", "on_injection", Shape::one, Type::choice, "block|warn",
     "What happens to an answer that contains instructions to the agent "
     "([guard.md](guard.md#instructions-in-answers)). The default `warn` records it in the audit and warns you."},
    {"egress", "limit", Shape::one, Type::section, "limit",
     "The most that the session may use of all hosts together ([guard.md](guard.md#budgets))."},
    {"egress", "prices", Shape::map, Type::section, "price",
     "What models cost, by the model's name or a prefix of it followed by `*`. A limit of the cost needs this.",
     kOptional, false, Type::model},
    {"egress", "hosts", Shape::map_of_lists, Type::address, "",
     "Fixed addresses by host, used instead of the resolver's, and trusted even if they are private.", kOptional, false,
     Type::host},
    {"egress", "parent_proxy", Shape::one, Type::url, "", "A proxy through which the guard makes its connections."},
    {"egress", "parent_proxy_login", Shape::one, Type::source, "",
     "Where `user:password` for the proxy comes from: `env:NAME`, `file:PATH`, `cmd:COMMAND` or `?question`. It is "
     "never printed, and the agent never sees it. A bottle with another `parent_proxy` than its base does not inherit "
     "it."},
    {"egress", "extra_ca", Shape::list, Type::host_path, "",
     "PEM files with more certificate authorities that the guard accepts. Paths are relative to this file."},
    {"egress", "resolver", Shape::one, Type::address, "",
     "The name server that the guard uses. Default: the machine's."},
    {"egress", "http2", Shape::one, Type::flag, "",
     "If `false`, the guard speaks only HTTP/1.1, to clients and servers, where it inspects. Default `true`."},

    {"rule", "host", Shape::one, Type::pattern, "",
     "`example.org` (only this host), `*.example.org` (all hosts below it) or `*` (every public host).", kRequired},
    {"rule", "ports", Shape::list, Type::port, "", "Ports. Default 443 and 80.", kOptional, kFilled},
    {"rule", "methods", Shape::list, Type::method, "",
     "HTTP methods. Default any. If this is set, the guard inspects the host.", kOptional, kFilled},
    {"rule", "paths", Shape::list, Type::path_glob, "",
     "Path globs: `*` matches within a segment, `**` across segments, `/**` any path. See "
     "[guard.md](guard.md#methods-and-paths) for escapes such as `%2f`. Default any. If this is set, the guard "
     "inspects the host.",
     kOptional, kFilled},
    {"rule", "inspect", Shape::one, Type::inspect, "",
     "With `true` or `full`, the guard inspects TLS connections to this host."},
    {"rule", "on_secret", Shape::one, Type::choice, "block|redact|warn",
     "What happens to a request to this host that carries a secret. Default: `egress.on_secret`. An answer that "
     "contains the value of one of `secrets` is always refused, except with `expose`. If this is set, the guard "
     "inspects the host."},
    {"rule", "on_injection", Shape::one, Type::choice, "block|warn",
     "What happens to an answer from this host that contains instructions to the agent. Default: "
     "`egress.on_injection`. If this is set, the guard inspects the host."},
    {"rule", "limit", Shape::one, Type::section, "limit",
     "The most that the session may use of the hosts of this rule together. `tokens` and `cost` make the host "
     "inspected."},

    {"limit", "requests", Shape::one, Type::amount, "",
     "Requests, and tunnels that are not inspected; k, m, g, t are powers of 1000."},
    {"limit", "bytes_up", Shape::one, Type::bytes, "", "Bytes sent; k, m, g, t are powers of 1024."},
    {"limit", "names", Shape::one, Type::amount, "", "Distinct hosts, at most 4000."},
    {"limit", "tokens", Shape::one, Type::amount, "",
     "Tokens that models have read and written, as their answers say. Tokens from a cache count."},
    {"limit", "cost", Shape::one, Type::cost, "",
     "What these tokens cost according to `egress.prices`, in the same currency."},

    {"price", "input", Shape::one, Type::price, "", "The price of a million tokens that the model reads.", kRequired},
    {"price", "output", Shape::one, Type::price, "", "The price of a million tokens that it writes.", kRequired},
    {"price", "cache_read", Shape::one, Type::price, "", "The price if it reads them from a cache. Default: `input`."},
    {"price", "cache_write", Shape::one, Type::price, "",
     "The price if they are written to a cache. Default: `input`."},

    {"lan", "name", Shape::one, Type::host, "", "The name inside the bottle.", kRequired},
    {"lan", "to", Shape::one, Type::endpoint, "",
     "The `ip:port` of the service, as seen from this machine. For this name, the guard connects to no other address.",
     kRequired},
    {"lan", "tls", Shape::one, Type::flag, "",
     "If `true`, the service speaks TLS with a certificate for `name`, and its URL inside is `https://NAME/`. Default: "
     "`http://NAME/`."},
    {"lan", "methods", Shape::list, Type::method, "", "HTTP methods. Default any.", kOptional, kFilled},
    {"lan", "paths", Shape::list, Type::path_glob, "", "Path globs. Default any.", kOptional, kFilled},

    {"ssh", "host", Shape::one, Type::host, "", "The name the agent uses.", kRequired},
    {"ssh", "hostname", Shape::one, Type::host, "", "The real name or address. Default: `host`."},
    {"ssh", "user", Shape::one, Type::name, "", "The user to log in as."},
    {"ssh", "port", Shape::one, Type::port, "", "Default 22."},
    {"ssh", "identity_file", Shape::one, Type::host_path, "", "The private key. It never enters the bottle."},
    {"ssh", "host_key", Shape::one, Type::ssh_key, "", "The server's key, which the guard checks.", kRequired},

    {"agent", "bottle", Shape::one, Type::name, "", "The bottle that it works in. Default `default`."},
    {"agent", "provider", Shape::one, Type::choice, "claude|codex|shell|command", "The program. Default `claude`."},
    {"agent", "version", Shape::one, Type::version, "",
     "The version of the provider's program in the image that `bottle` builds, for `claude` and `codex`. Default: the "
     "newest."},
    {"agent", "integrity", Shape::one, Type::integrity, "",
     "The integrity of the npm package with the program. A build fails if the package has another one. Needs "
     "`version`."},
    {"agent", "skills", Shape::words, Type::name, "",
     "Directories under `~/.config/bottle/skills` or `~/.claude/skills` to copy into the bottle."},
    {"agent", "prompt", Shape::one, Type::text, "",
     "What the agent is told before your prompt. For `claude`, it becomes a part of the system prompt; for `codex`, "
     "the beginning of the prompt. It cannot be used with `shell` and `command`."},
    {"agent", "command", Shape::list, Type::text, "", "The program and its arguments, for `provider: command`."},
    {"agent", "description", Shape::one, Type::text, "", "One line of text, shown in lists."},

    {"agent_file", "name", Shape::one, Type::name, "", "Default: the file's name without `.md`."},
    {"agent_file", "description", Shape::one, Type::text, "", "One line of text, shown in lists."},
    {"agent_file", "bottle", Shape::one, Type::name, "", "The bottle that it works in. Default `default`."},
    {"agent_file", "provider", Shape::one, Type::choice, "claude|codex|shell|command",
     "The program. Default `claude`."},
    {"agent_file", "skills", Shape::words, Type::name, "",
     "Skills to copy into the bottle: a list, or names separated by commas."},
    {"agent_file", "command", Shape::list, Type::text, "", "The program and its arguments, for `provider: command`."},
    {"agent_file", "model", Shape::one, Type::text, "", "A key of Claude Code's format; ignored."},
    {"agent_file", "tools", Shape::words, Type::text, "",
     "A key of Claude Code's format; ignored, because the bottle sets the limits."},
    {"agent_file", "color", Shape::one, Type::text, "", "A key of Claude Code's format; ignored."},

    {"vm", "provider", Shape::one, Type::name, "",
     "The provider that creates the VM, such as `qemu`; see [providers.md](providers.md).", kRequired},
    {"vm", "ttl", Shape::one, Type::duration, "", "The longest time that the VM may exist. Default `8h`."},
    {"vm", "idle", Shape::one, Type::duration, "",
     "How long the VM may exist with no session and no work left to fetch. Default `1h`."},
    {"vm", "cpus", Shape::one, Type::number, "", "Processors."},
    {"vm", "memory", Shape::one, Type::size, "", "Memory."},
    {"vm", "disk", Shape::one, Type::size, "", "Disk."},
    {"vm", "allow_vpn", Shape::one, Type::flag, "",
     "If `true`, `bottle` accepts the VM even if it has a VPN, or a route to a private network that your machine is "
     "in. Same as `--allow-vpn`."},
    {"vm", "options", Shape::map, Type::text, "",
     "Options of the provider, such as `region: fsn1`; see [providers.md](providers.md)."},

    {"guard", "egress", Shape::one, Type::section, "egress", "As in a bottle."},
    {"guard", "secrets", Shape::map, Type::section, "secret", "As in a bottle."},
    {"guard", "scan", Shape::one, Type::section, "scan", "As in a bottle."},
    {"guard", "ssh", Shape::list, Type::section, "ssh", "As in a bottle."},

    {"v1", "bottles", Shape::map, Type::section, "v1_bottle", "Becomes `bottles`."},
    {"v1", "agents", Shape::map, Type::section, "v1_agent", "Becomes `agents`, with provider `claude`."},
    {"v1_bottle", "env", Shape::map, Type::env_value, "", "Becomes `env`.", kOptional, false, Type::env_name},
    {"v1_bottle", "ssh", Shape::list, Type::section, "v1_ssh", "Becomes `ssh`."},
    {"v1_bottle", "egress", Shape::one, Type::section, "v1_egress", "Becomes `egress`."},
    {"v1_egress", "allowlist", Shape::list, Type::pattern, "", "Becomes `egress.allow`."},
    {"v1_egress", "dlp_action", Shape::one, Type::choice, "block|redact|warn", "Becomes `egress.on_secret`."},
    {"v1_ssh", "Host", Shape::one, Type::host, "", "Becomes `host`.", kRequired},
    {"v1_ssh", "IdentityFile", Shape::one, Type::host_path, "", "Becomes `identity_file`."},
    {"v1_ssh", "Hostname", Shape::one, Type::host, "", "Becomes `hostname`."},
    {"v1_ssh", "User", Shape::one, Type::name, "", "Becomes `user`."},
    {"v1_ssh", "Port", Shape::one, Type::port, "", "Becomes `port`."},
    {"v1_ssh", "KnownHostKey", Shape::one, Type::ssh_key, "",
     "Becomes `host_key`. A host without one stays closed, with a warning."},
    {"v1_agent", "bottle", Shape::one, Type::name, "", "Becomes `bottle`.", kRequired},
    {"v1_agent", "skills", Shape::list, Type::name, "", "Becomes `skills`."},
    {"v1_agent", "prompt", Shape::one, Type::text, "", "Becomes `prompt`."},
};

}  // namespace

std::span<const Key> keys() { return kKeys; }
std::span<const Section> sections() { return kSections; }

std::vector<const Key*> keys_of(std::string_view section) {
  std::vector<const Key*> found;
  for (const Key& key : kKeys)
    if (key.section == section) found.push_back(&key);
  return found;
}

std::vector<std::string> choices(const Key& key) {
  std::vector<std::string> values(1);
  for (char c : key.of) {
    if (c == '|') values.emplace_back();
    else values.back() += c;
  }
  return values;
}

}  // namespace bottle::manifest
