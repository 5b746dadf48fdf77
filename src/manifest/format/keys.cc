#include "manifest/format/keys.h"

namespace bottle::manifest {
namespace {

constexpr bool kRequired = true, kOptional = false, kFilled = true;

constexpr Section kSections[] = {
    {"manifest", "Top level of `bottle.yaml`"},
    {"bottle", "`bottles.<name>`"},
    {"resources", "`bottles.<name>.resources`"},
    {"variable", "`bottles.<name>.env.<name>`, when more than a value"},
    {"secret", "`bottles.<name>.secrets.<name>`"},
    {"scan", "`bottles.<name>.scan`"},
    {"egress", "`bottles.<name>.egress`"},
    {"rule", "`bottles.<name>.egress.allow[]`, when more than a host"},
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
    {"manifest", "bottles", Shape::map, Type::section, "bottle", "The policies agents work under."},
    {"manifest", "agents", Shape::map, Type::section, "agent",
     "Who works, and in which bottle. Also one file each in `agents/`."},
    {"manifest", "vms", Shape::map, Type::section, "vm", "Machines made for a session, for `--vm NAME`."},

    {"bottle", "extends", Shape::list, Type::name, "",
     "Bottles to start from, in order. Maps are merged by name; `egress.allow`, `egress.presets`, `egress.lan`, "
     "`egress.extra_ca`, `egress.allowed_secrets`, `scan.secrets`, `scan.rules`, `packages` and `ssh` are joined; "
     "anything else is replaced."},
    {"bottle", "image", Shape::one, Type::text, "",
     "An image the engine has. Without `image` or `dockerfile`, one is made that holds the provider's program."},
    {"bottle", "dockerfile", Shape::one, Type::host_path, "", "A Dockerfile to build; relative to this file."},
    {"bottle", "packages", Shape::list, Type::package, "", "Debian packages to add to the image that is made."},
    {"bottle", "runtime", Shape::one, Type::name, "",
     "`auto`, `runc`, `runsc`, or any runtime the engine lists. Default `auto`: the engine's own default. Tried once "
     "before its first session."},
    {"bottle", "resources", Shape::one, Type::section, "resources", "Limits of the agent's container."},
    {"bottle", "workspace", Shape::one, Type::choice, "none|copy|clone|bind",
     "How the directory gets in. Default `clone`: committed work as a clone; results come back as refs and a patch. "
     "`copy`: all files as they are, committed or not, but no links whose target is absolute or outside the directory. "
     "`bind` lets the agent write to the directory itself; not with a rootless engine."},
    {"bottle", "include", Shape::list, Type::text, "",
     "Files that a clone takes along though they are not committed, such as `.env` or `config/*.local`: patterns as in "
     "`.gitignore`. The agent can read them. Default none."},
    {"bottle", "keep", Shape::list, Type::text, "",
     "Files that come home though git ignores them, such as `dist/`: patterns as in `.gitignore`. They go to `kept` in "
     "the session's results. Default none."},
    {"bottle", "env", Shape::map, Type::variable, "variable",
     "Variables of the agent: a literal, `${HOST_VAR}`, or `?question` to be asked at start. The agent sees these "
     "values; what it must not see is a secret. With `{value: …, secret: true}`, the value must not leave. Your time "
     "zone (`TZ`), your locale (`LANG`, `LC_*`; if the image has it, otherwise it is `C.UTF-8`) and, on a terminal, "
     "`COLORTERM` go along unless they are set here.",
     kOptional, false, Type::env_name},
    {"bottle", "secrets", Shape::map, Type::section, "secret",
     "Values the agent may use and never sees: it holds a placeholder, the guard puts in the value for the bound "
     "hosts."},
    {"bottle", "scan", Shape::one, Type::section, "scan",
     "What the guard looks for besides the secrets and the credentials that it knows by their form."},
    {"bottle", "egress", Shape::one, Type::section, "egress",
     "What the bottle may reach. Without it: the provider's own API."},
    {"bottle", "ssh", Shape::list, Type::section, "ssh",
     "ssh hosts to reach through the guard; the key stays in an ssh-agent outside."},

    {"resources", "memory", Shape::one, Type::size, "", "Memory; k, m, g, t are powers of 1024. Default `4g`."},
    {"resources", "cpus", Shape::one, Type::number, "", "Processors, fractions allowed. Default `2`."},
    {"resources", "pids", Shape::one, Type::count, "", "Processes and threads. Default `512`."},
    {"resources", "disk", Shape::one, Type::size, "",
     "What the agent may write and keep: in its home, in the workspace's copy and anywhere else in the container. Each "
     "file counts as 4k or more. An agent that exceeds this is stopped, and its work comes back. Default `20g`."},
    {"resources", "shm", Shape::one, Type::size, "",
     "The size of `/dev/shm`, which browsers need. What is in it counts as memory. Default `1g`."},

    {"variable", "value", Shape::one, Type::env_value, "",
     "The value: `${HOST_VAR}` or `?question`, or a literal if it is no secret.", kRequired},
    {"variable", "secret", Shape::one, Type::flag, "",
     "`true`: the agent sees the value, but the guard stops it on its way out, as the value of a secret."},

    {"secret", "from", Shape::one, Type::source, "",
     "Where the value comes from: `env:NAME`, `file:PATH`, `cmd:COMMAND` or `?question`.", kRequired},
    {"secret", "hosts", Shape::list, Type::pattern, "",
     "The hosts it is for. Anywhere else the value and the placeholder are refused, except on the way to the agent's "
     "model ([guard.md](guard.md)). Needed unless `expose`.",
     kOptional, kFilled},
    {"secret", "header", Shape::one, Type::header, "",
     "The header to set for these hosts, `{}` being the value. Without it, the placeholder is replaced in "
     "`Authorization`, Basic credentials included, and `ANTHROPIC_API_KEY` goes in `x-api-key`. In any other header it "
     "is "
     "refused."},
    {"secret", "in", Shape::list, Type::choice, "header|query|body",
     "Where in a request to these hosts the placeholder is replaced. Default `header`. In `query` and `body` the value "
     "is written as it must be there: percent-encoded in a query and a form, escaped in JSON.",
     kOptional, kFilled},
    {"secret", "beside", Shape::list, Type::name, "",
     "Headers with credentials of the agent's own, such as `Cookie`, that may go to these hosts together with the "
     "value. The guard removes all others.",
     kOptional, kFilled},
    {"secret", "env", Shape::one, Type::env_name, "",
     "The agent's variable that holds the placeholder. Default: NAME where `from` is `env:NAME`."},
    {"secret", "placeholder", Shape::one, Type::placeholder, "",
     "What the agent holds, where a program insists on a shape. Default: chosen per session."},
    {"secret", "expose", Shape::one, Type::flag, "",
     "`true` hands the real value to the agent, in `env`. Loudly warned about."},

    {"scan", "secrets", Shape::list, Type::host_path, "",
     "Files on this host whose values must not leave: the values of lines `NAME=VALUE` or of JSON, or else each line. "
     "See [guard.md](guard.md#files-of-secrets)."},
    {"scan", "rules", Shape::list, Type::host_path, "",
     "Files of rules for credentials of your own; see [rules.md](rules.md)."},

    {"egress", "allow", Shape::list, Type::rule, "rule",
     "Hosts that may be reached, on ports 443 and 80. A bare host means any method and path, uninspected unless a "
     "secret is bound to it."},
    {"egress", "presets", Shape::list, Type::preset, "",
     "Rules for common services, which join those of `allow`: `npm`, `pypi`, `github-read` and others (`bottle egress "
     "presets`). `npm@1` names a version, so that it stays the same."},
    {"egress", "lan", Shape::list, Type::section, "lan",
     "Single services of the local network, each under a name of the bottle's own."},
    {"egress", "on_secret", Shape::one, Type::choice, "block|redact|warn",
     "What happens to a request that carries a secret. Default `block`."},
    {"egress", "on_secret_for", Shape::map, Type::choice, "block|redact|warn",
     "The same for one rule of [rules.md](rules.md) or one secret, by its name.", kOptional, false, Type::name},
    {"egress", "allowed_secrets", Shape::list, Type::name, "",
     "Fingerprints of credentials that may leave. The audit names the fingerprint of what was refused."},
    {"egress", "on_injection", Shape::one, Type::choice, "block|warn",
     "What happens to an answer with instructions to the agent ([guard.md](guard.md#instructions-in-answers)). Default "
     "`warn`: the audit has it, and you are told."},
    {"egress", "hosts", Shape::map_of_lists, Type::address, "",
     "Fixed addresses by host: used instead of the resolver, and trusted even where they are private.", kOptional,
     false, Type::host},
    {"egress", "parent_proxy", Shape::one, Type::url, "", "A proxy that the guard itself must go through."},
    {"egress", "parent_proxy_login", Shape::one, Type::source, "",
     "Where `user:password` for the proxy comes from: `env:NAME`, `file:PATH`, `cmd:LINE` or `?question`. It is never "
     "printed, and the agent never sees it."},
    {"egress", "extra_ca", Shape::list, Type::host_path, "",
     "PEM files with further authorities the guard accepts; relative to this file."},
    {"egress", "resolver", Shape::one, Type::address, "", "The name server the guard asks. Default: the machine's."},
    {"egress", "http2", Shape::one, Type::flag, "",
     "`false`: the guard speaks only HTTP/1.1 where it inspects, to both sides. Default `true`."},

    {"rule", "host", Shape::one, Type::pattern, "",
     "`example.org` (it alone), `*.example.org` (what is below it) or `*` (every public host).", kRequired},
    {"rule", "ports", Shape::list, Type::port, "", "Ports. Default 443 and 80.", kOptional, kFilled},
    {"rule", "methods", Shape::list, Type::method, "", "HTTP methods. Default any. Makes the host inspected.",
     kOptional, kFilled},
    {"rule", "paths", Shape::list, Type::path_glob, "",
     "Path globs: `*` within a segment, `**` across; `/**` is any path. See [guard.md](guard.md#methods-and-paths) for "
     "escapes "
     "such "
     "as `%2f`. Default any. Makes the host inspected.",
     kOptional, kFilled},
    {"rule", "inspect", Shape::one, Type::inspect, "", "`true` or `full` looks into TLS to this host."},
    {"rule", "on_secret", Shape::one, Type::choice, "block|redact|warn",
     "What happens to a request to this host that carries a secret. Default: `egress.on_secret`. Makes the host "
     "inspected."},
    {"rule", "on_injection", Shape::one, Type::choice, "block|warn",
     "What happens to an answer of this host with instructions to the agent. Default: `egress.on_injection`. Makes the "
     "host inspected."},

    {"lan", "name", Shape::one, Type::host, "", "The name inside the bottle.", kRequired},
    {"lan", "to", Shape::one, Type::endpoint, "",
     "`ip:port` where it leads, seen from this host. The one private address that the guard dials for this name.",
     kRequired},
    {"lan", "tls", Shape::one, Type::flag, "",
     "`true`: the service speaks TLS, with a certificate for `name`, and is `https://NAME/` inside. Default: "
     "`http://NAME/`."},
    {"lan", "methods", Shape::list, Type::method, "", "HTTP methods. Default any.", kOptional, kFilled},
    {"lan", "paths", Shape::list, Type::path_glob, "", "Path globs. Default any.", kOptional, kFilled},

    {"ssh", "host", Shape::one, Type::host, "", "The name the agent uses.", kRequired},
    {"ssh", "hostname", Shape::one, Type::host, "", "The real name or address. Default: `host`."},
    {"ssh", "user", Shape::one, Type::name, "", "The user to log in as."},
    {"ssh", "port", Shape::one, Type::port, "", "Default 22."},
    {"ssh", "identity_file", Shape::one, Type::host_path, "", "The private key; it never enters the bottle."},
    {"ssh", "host_key", Shape::one, Type::ssh_key, "", "The server's key, which the guard checks.", kRequired},

    {"agent", "bottle", Shape::one, Type::name, "", "The bottle it works in. Default `default`."},
    {"agent", "provider", Shape::one, Type::choice, "claude|codex|shell|command", "The program. Default `claude`."},
    {"agent", "version", Shape::one, Type::version, "",
     "The version of the provider's program in the image that is made, for `claude` and `codex`. Default: the newest."},
    {"agent", "integrity", Shape::one, Type::integrity, "",
     "The integrity of the npm package that holds the program. Another one is refused. Needs `version`."},
    {"agent", "skills", Shape::words, Type::name, "",
     "Directories under `~/.config/bottle/skills` or `~/.claude/skills` to bring along."},
    {"agent", "prompt", Shape::one, Type::text, "", "Added to the provider's system prompt."},
    {"agent", "command", Shape::list, Type::text, "", "The program and its arguments, for `provider: command`."},
    {"agent", "description", Shape::one, Type::text, "", "One line for lists."},

    {"agent_file", "name", Shape::one, Type::name, "", "Default: the file's name without `.md`."},
    {"agent_file", "description", Shape::one, Type::text, "", "One line for lists."},
    {"agent_file", "bottle", Shape::one, Type::name, "", "The bottle it works in. Default `default`."},
    {"agent_file", "provider", Shape::one, Type::choice, "claude|codex|shell|command",
     "The program. Default `claude`."},
    {"agent_file", "skills", Shape::words, Type::name, "", "Skills to bring along; a list, or names with commas."},
    {"agent_file", "command", Shape::list, Type::text, "", "The program and its arguments, for `provider: command`."},
    {"agent_file", "model", Shape::one, Type::text, "", "Claude's own key: accepted, not used."},
    {"agent_file", "tools", Shape::words, Type::text, "",
     "Claude's own key: accepted, not used. The bottle is the limit."},
    {"agent_file", "color", Shape::one, Type::text, "", "Claude's own key: accepted, not used."},

    {"vm", "provider", Shape::one, Type::name, "", "A folder under `providers/`.", kRequired},
    {"vm", "ttl", Shape::one, Type::duration, "", "The longest it may live."},
    {"vm", "idle", Shape::one, Type::duration, "", "How long it may live unused."},
    {"vm", "cpus", Shape::one, Type::number, "", "Processors."},
    {"vm", "memory", Shape::one, Type::size, "", "Memory."},
    {"vm", "disk", Shape::one, Type::size, "", "Disk."},
    {"vm", "allow_vpn", Shape::one, Type::flag, "",
     "`true`: also where the VM has a VPN, or a route to a private network that you are in, as one that you reach at a "
     "private address may. As `--allow-vpn`."},
    {"vm", "options", Shape::map, Type::text, "",
     "What this provider alone knows, such as `region: here`; see [providers.md](providers.md)."},

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
