// Everything beyond a minimal bottle is commented out, so that the file is safe to use as it is and shows what can be
// added. A test removes the comment signs and checks the result.
#include "app/manual/starter.h"

namespace bottle::app {

const char* const kStarter =
    R"(# This file says what your agents can reach. docs/manifest.md explains all keys; `bottle schema` is for editors.
# After a change, run `bottle check`. To see what a start would create, run `bottle start AGENT --dry-run`.

bottles:
  # A bottle is the policy an agent works under. The agent can reach only its provider's API and what `allow` lists.
  work:
    workspace: clone             # none | copy | clone | bind; clone: the work comes back on refs of its own
    resources: {memory: 4g, cpus: 2, pids: 512}
    # runtime: runsc             # gVisor between agent and kernel, where the engine has it (bottle doctor says)
    # packages: [nodejs, npm]    # Debian packages to add to the agent's image
    egress:
      allow: []
      # allow:
      #   - packages.example.org                                             # a host: HTTPS and HTTP
      #   - {host: api.github.com, methods: [GET], paths: ["/repos/me/**"]}  # the guard allows only these requests
      # on_secret: block         # block | redact | warn
    # env:
    #   STAGE: dev
    #   NPM_READ: "${NPM_READ_TOKEN}"       # from your environment; the agent sees the value
    #   DB_PASS: "?Database password"       # asked for at the start
    # secrets:                              # the agent holds a placeholder; the guard adds the value for these hosts
    #   github: {from: env:GITHUB_TOKEN, hosts: [api.github.com], header: "Authorization: Bearer {}", env: GITHUB_TOKEN}

  # The same, for all files of the directory, committed or not.
  # look:
  #   extends: [work]
  #   workspace: copy

agents:
  claude: {bottle: work, provider: claude}      # export CLAUDE_BOTTLE_OAUTH_TOKEN=…, from: claude setup-token
  shell: {bottle: work, provider: shell}
  # codex: {bottle: work, provider: codex}      # export OPENAI_API_KEY=…
  # reviewer: {bottle: work, provider: claude, skills: [review], prompt: "Review only. Change nothing."}
)";

}  // namespace bottle::app
