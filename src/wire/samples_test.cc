#include "wire/samples_test.h"

#include "wire/codec/failure.h"
#include "wire/delivery/delivery.h"
#include "wire/event.h"
#include "wire/gate/gate.h"
#include "wire/guard/control.h"
#include "wire/guard/written_count.h"
#include "wire/ledger.h"
#include "wire/machine/first_contact.h"
#include "wire/machine/passed_trials.h"
#include "wire/machine/vm_record.h"
#include "wire/metrics.h"
#include "wire/repositories/repositories.h"
#include "wire/request.h"
#include "wire/result.h"
#include "wire/start/hello.h"
#include "wire/start/job.h"
#include "wire/start/plan.h"

namespace bottle::wire {
namespace {

template <class T>
Sample sample(std::string name, T message, From from = From::ours) {
  return {std::move(name), kKind<T>.most, [message] { return encode(message, Layout::pretty); },
          [from](std::string_view text) -> Result<std::string> {
            auto read = TRY(decode<T>(text, from));
            return encode(read, Layout::pretty);
          },
          from};
}

// Makes a sample of a message that a foreign sender may send.
template <class T>
Sample foreign(std::string name, T message) {
  return sample(std::move(name), std::move(message), From::foreign);
}

Sample event(Event event) {
  std::string name = std::visit([](const auto& each) { return std::string(each.kType); }, event);
  return foreign("event-" + name, std::move(event));
}

plan::Plan plan() {
  plan::Plan p;
  p.session = "s1";
  p.agent = "reviewer";
  p.bottle = "web";
  p.provider = "claude";
  p.image = {"bottle-agent-claude:0123456789ab",
             plan::Image::Recipe::bootstrap,
             "/home/me/Dockerfile",
             "claude",
             {"git"},
             {"2.1.3", "sha512-AAAA"}};
  p.runtime = "auto";
  p.workspace = "/home/me/app";
  p.repository = "/home/me/app/.git";
  p.env = {{"STAGE", {plan::Source::Kind::literal, "dev"}, true}};
  p.scan = {{"/home/me/prod.env"}, {"/home/me/acme.rules"}};
  p.secrets = {{"github",
                {plan::Source::Kind::env, "GITHUB_TOKEN"},
                {"api.github.com"},
                "Authorization: Bearer {}",
                "placeholder",
                "GH_TOKEN",
                true,
                {"header", "query"}}};
  p.secrets[0].beside = {"Cookie"};
  p.secrets[0].exposed = true;
  p.egress.allow = {{"api.github.com", {443}, {"GET"}, {"/repos/**"}, true}};
  p.egress.lan = {{"tracker.bottle", "10.0.0.7:80", {"GET"}, {"/issues/**"}, false}};
  p.egress.allow[0].on_secret = policy::OnSecret::redact;
  p.egress.allow[0].preset = "npm@1";
  p.egress.allow[0].on_injection = policy::OnInjection::warn;
  p.egress.on_injection = policy::OnInjection::block;
  p.egress.allow[0].limit = {100, 10 << 20, 3, 1000, 0.5};
  p.egress.limit = {5000, 500 << 20, 200, 2'000'000, 20};
  p.egress.prices = {{"some-model-*", {3, 15, 0.25, 3.75}}};
  p.egress.on_secret_for = {{"jwt", policy::OnSecret::warn}};
  p.egress.allowed_secrets = {"3543c50b0cb9"};
  p.egress.hosts = {{"db.example.org", {"10.0.0.8"}}};
  p.egress.extra_ca = {"/home/me/ca.pem"};
  p.egress.parent_proxy = "http://proxy.example.org:3128";
  p.egress.resolver = "10.0.0.1:53";
  p.egress.http2 = false;
  p.ssh = {{"git.example.org", "/home/me/.ssh/id", "git.internal", "git", "ssh-ed25519 AAAA", 2222}};
  p.skills = {"/home/me/.claude/skills/review"};
  p.system_prompt = "Review only.";
  p.prompt = "Look at the last commit.";
  p.command = {"claude", "--print"};
  p.headless = true;
  p.record = true;
  p.warnings = {"bind is not isolated"};
  return p;
}

MachineAddress address() {
  return {{"me", "far.example.org", 2222, "/home/me/vm/known_hosts", "vm-s1", "/home/me/vm/id"}, "0123456789abcdef"};
}

VmJob vm() {
  return {.vm = {.name = "big",
                 .provider = "qemu",
                 .ttl = 7200,
                 .idle = 600,
                 .memory = 4ull << 30,
                 .disk = 20ull << 30,
                 .cpus = 2,
                 .allow_vpn = true,
                 .options = {{"image", "debian"}}},
          .keep = true,
          .environment = {{"PATH", "/usr/bin"}}};
}

Job job() {
  Job j;
  j.plan = plan();
  j.id = "00ff";
  j.values = {{{"STAGE", "dev"}}, {{"github", "value"}}, {{"prod.env:KEY", "value"}}};
  j.own_rules = {"[acme]\n", "00ff"};
  j.ssh_keys = {{SshKey::Holder::other, "/home/me/.ssh/id", "blob", "/run/agent", "passphrase"}};
  j.engine = "/run/docker.sock";
  j.storage = {"overlay2", "xfs", "/var/lib/docker", "6.1.0", "6CXF:BQ4D"};
  j.ca_bundle = "-----BEGIN CERTIFICATE-----\n";
  j.extra_ca = "-----BEGIN CERTIFICATE-----\n";
  j.kept_roots = "0123456789ab";
  j.directories.config = "/home/me/.config/bottle";
  j.directories.sessions = "/home/me/.local/state/bottle/sessions";
  j.directories.results = "/home/me/.local/state/bottle/results";
  j.directories.home = "/home/me";
  j.directories.cache = "/home/me/.cache/bottle";
  j.directories.vms = "/home/me/.local/state/bottle/vms";
  j.directories.runtimes = "/home/me/.local/state/bottle/runtimes.json";
  j.path_to_self = "/usr/bin/bottle";
  j.remote = {address(),
              vm(),
              "bottle-agent-claude:0123456789ab sha256:00",
              "0123456789ab",
              RemoteJob::Task::adopt_and_stop,
              false,
              "6CXF:BQ4D"};
  j.near_share = {.secrets_stay = true, .offline = true};
  j.token = {Token::Via::provider, "token", "/run/token", "cat /run/token"};
  return j;
}

Hello hello() {
  Hello h;
  h.uid = h.gid = 1000;
  h.kernel = "6.1.0";
  h.machine = "x86_64";
  h.clock_ms = 1'800'000'000'000;
  h.memory = 8ull << 30;
  h.disk_free = 50ull << 30;
  h.cpus = 4;
  h.interfaces = {{"eth0", InterfaceKind::other}};
  h.routes = {{"eth0", "203.0.113.0/24"}};
  h.images = {"bottle-agent-shell:0123456789ab", "own:1 sha256:00"};
  h.mosh = h.token = true;
  h.roots = "0123456789ab";
  h.engine_at = 1'800'000'000.5;
  h.engine = EngineHello{
      "/run/docker.sock", "1.50", "28.2.2", true, {"runc", "runsc"}, "2", "systemd", "overlay2", true, true, true, true,
      "6CXF:BQ4D"};
  return h;
}

VmReceipt destroyed() {
  VmDestruction how{"qemu", "i-1", 2, 1.5, 1'800'000'000, 1'800'000'100, {"disk d-1"}};
  return {"bottle-s1", VmGone{"status and list", how}};
}

Receipt receipt() {
  return {"s1",       {"container bottle-s1-agent"}, {"network bottle-s1: busy"}, true, "me@far.example.org", true,
          destroyed()};
}

WorkResult back() {
  ReceivedWork sorted{.refs = {"refs/bottle/s1/worktree"},
                      .commits = 1,
                      .files = 2,
                      .patch = "/home/me/changes.patch",
                      .below = {{"lib", {"refs/bottle/s1/worktree"}, 1, 2, "/home/me/below/lib/changes.patch"}},
                      .bundle = "/home/me/work.bundle",
                      .ignored = {"dist/"},
                      .kept = "/home/me/ignored",
                      .flagged = {".git/hooks/x: a hook"},
                      .all_flagged = "/home/me/look",
                      .skipped = 3};
  return {"2 files changed", std::move(sorted), "no space", "/home/me/workspace.tar", true};
}

SessionResult result() {
  return {"s1",
          "web",
          7,
          "the agent has written 21 GiB",
          "resources.disk",
          EgressResult{{{"a.example.org:443", "not_allowed", 2, "a.example.org"}},
                       {{"github", "secret_to_model", "api.example.org"}},
                       12,
                       {{"b.example.org"}},
                       {{"api.example.org", 3, 4, 5, 6, 0.25}}},
          {{"egress.jsonl", 12, "0a"}},
          back(),
          receipt()};
}

LedgerRecord record() {
  VmJob wanted = vm();
  wanted.environment.clear();
  return {"1000:7:42:boot",
          "/run/docker.sock",
          "6CXF:BQ4D",
          {{{ThingKind::container, "bottle-s1-agent"}}},
          77,
          Work{"/home/me/app", "/workspace", "0a", "/home/me/results/s1", true},
          true,
          7,
          true,
          true,
          "s1",
          address(),
          LedgerVm{"bottle-s1", "qemu", wanted},
          plan(),
          true,
          true,
          "0a",
          "00ff",
          true};
}

void add_events(std::vector<Sample>& all) {
  all.push_back(event(Swept{receipt(), back()}));
  all.back().may_be_null = "/back";
  for (Event each : std::initializer_list<Event>{
           Step{"networks"},
           VmMade{"bottle-s1", "me@192.0.2.7", 1.5, 2.5, 3.5},
           EngineAnswers{1'800'000'000.5},
           HelloCame{hello()},
           AgentRuns{"s1", {{{"metadata", true, "no route"}}}},
           ErrorOutput{"warning: x"},
           Denied{"a.example.org:443", "not_allowed", "no rule", "a.example.org"},
           SecretToModel{"github", "api.example.org", "placeholder_to_model", "the placeholder passed"},
           LimitReached{"s1", "a.example.org", "requests", 100},
           PolicyChanged{"0123456789abcdef", true, "allowed a.example.org"},
           GuardLost{"the guard died"},
           GuardBack{},
           GuardError{"no resolver"},
           RecordFull{"the disk is full"},
           RecordBack{},
           Warning{"careful"},
           CheckpointDone{},
           LinkLost{"the connection broke"},
           LinkTrying{"no route to host"},
           LinkBack{},
           Attached{1000, 20},
           OutputMissed{20},
           TypingEnded{},
           Collecting{},
           DestroyingVm{"bottle-s1"},
       })
    all.push_back(event(std::move(each)));
}

GuardConfig guard_config() {
  GuardConfig config{.listen = {"10.0.0.2:3128"},
                     .dns = "10.0.0.2:53",
                     .names = {{"guard", "10.0.0.2"}},
                     .ca_bundle = "-----BEGIN CERTIFICATE-----\n",
                     .known = {{"deploy", "value"}},
                     .own_rules = {"[acme]\n", "00ff"},
                     .models = {"api.anthropic.com"},
                     .ssh = {{"git.example.org", 22, "ssh-ed25519 AAAA"}},
                     .relay = {"api.github.com"},
                     .host_networks = {"20.30.41.0/24"},
                     .unrecorded = "the disk is full",
                     .ssh_agent = true};
  config.secrets = {{.name = "github",
                     .value = "ghp_0",
                     .exposed = true,
                     .placeholder = "placeholder",
                     .hosts = {"api.github.com"},
                     .header = "Authorization: Bearer {}",
                     .in = {"header", "query"},
                     .beside = {"Cookie"}},
                    {.name = "npm", .relayed = true, .placeholder = "other", .hosts = {"npm.example.org"}}};
  config.egress.allow = {
      {"*.example.org", {443}, {"GET"}, {"/a/**"}, true},
      {.host = "evil.example.org", .deny = true},
      {.host = "paste.example.org", .on_secret = policy::OnSecret::warn, .on_injection = policy::OnInjection::block}};
  config.egress.allow[0].limit = {{100, 10 << 20, 3, 1000, 0}};
  config.egress.allow[0].reads_usage = true;
  config.egress.limit = {{5000, 500 << 20, 200, 2'000'000, 20'000'000}};
  config.egress.prices = {{"some-model-*", 3, 15, 0.25, 3.75}};
  config.used = {{"a.example.org", 1, 2, 3, 4, 5, 6}};
  config.egress.on_injection = policy::OnInjection::block;
  config.egress.lan = {{"tracker.bottle", "10.0.0.7:80", {"GET"}, {"/issues/**"}, true}};
  config.egress.on_secret = policy::OnSecret::redact;
  config.egress.on_secret_for = {{"jwt", policy::OnSecret::warn}};
  config.egress.allowed_secrets = {"3543c50b0cb9"};
  config.egress.hosts = {{"api.example.org", {"198.51.100.7"}}};
  config.egress.parent_proxy = "http://proxy.example.org:3128";
  config.egress.parent_login = "me:password";
  config.egress.extra_ca = "-----BEGIN CERTIFICATE-----\n";
  config.egress.resolver = "127.0.0.11:53";
  config.egress.http2 = false;
  config.egress.idle_seconds = 60;
  return config;
}

Decision decision() {
  return {"2026-01-01T00:00:00.000Z",
          "7f3a",
          DecisionAction::deny,
          DecisionKind::http,
          "a.example.org",
          443,
          "GET",
          "/a",
          "not_allowed",
          "no rule",
          policy::Lacks::path,
          "github",
          "github-token",
          "3543c50b0cb9",
          Decision::Totals{1, 2},
          3,
          "2026-01-01T00:00:00.000Z",
          true,
          "12 0a"};
}

void add_guard(std::vector<Sample>& all) {
  all.push_back(sample("guard-config", guard_config()));
  all.back().tables = {"names", "hosts", "on_secret_for"};
  all.push_back(sample("guard-configure", ToGuard(Configure{guard_config()})));
  all.back().tables = {"names", "hosts", "on_secret_for"};
  all.back().elsewhere = "/config/";
  all.push_back(sample("guard-certificate", ToGuard(Certificate{"-----BEGIN CERTIFICATE-----\n"})));
  all.push_back(sample("guard-answer", ToGuard(AgentAnswer{7, std::string(3, '\0')})));
  all.push_back(sample("guard-near-side", ToGuard(NearSideUp{true})));
  all.push_back(sample("guard-shutdown", ToGuard(Shutdown{})));
  all.push_back(sample("guard-ready", FromGuard(Ready{"10.0.0.2:3128", "-----BEGIN CERTIFICATE REQUEST-----\n"})));
  all.push_back(sample("guard-audit", FromGuard(decision())));
  all.push_back(sample("guard-usage", FromGuard(Usage{{{"a.example.org", 1, 2, 3, 4, 5, 6}}})));
  all.push_back(sample("guard-limit", FromGuard(LimitHit{"*.example.org", Quantity::tokens, 1000})));
  all.push_back(sample("guard-error", FromGuard(GuardComplaint{"no resolver"})));
  all.push_back(foreign("far-guard-here", ToNearSide(FarGuardHere{})));
  all.push_back(foreign("far-guard-request", ToNearSide(AgentRequest{7, std::string(3, '\0')})));
  all.push_back(foreign("far-guard-closed", ToNearSide(AgentRequest{7, {}})));
  all.push_back(foreign("far-guard-stream", ToNearSide(StreamPart{7, StreamPart::Data{std::string(3, '\0')}})));
  all.push_back(sample("near-side-here", ToFarGuard(NearSideHere{"-----BEGIN CERTIFICATE-----\n"})));
}

void add_machine(std::vector<Sample>& all) {
  VmRecord record{.name = "vm-1",
                  .id = "i-0123",
                  .session = "s1",
                  .owner = "0a1b2c3d",
                  .provider = "qemu",
                  .second_owner = "4e5f6a7b",
                  .cpus = 2,
                  .memory_mb = 4096,
                  .disk_gb = 20,
                  .ttl = 7200,
                  .idle = 600,
                  .user_data = "/home/me/vm-1/user-data",
                  .ssh_public_key = "/home/me/vm-1/key.pub",
                  .state_dir = "/home/me/vm-1/provider",
                  .options = {{"image", "debian"}},
                  .owner_process = {71, "12345", "boot-1"},
                  .hook = {72, "12346", "boot-1"},
                  .keep = true,
                  .held = true,
                  .made = 1'800'000'000,
                  .until = 1'800'007'200,
                  .cost_per_hour = "0.005 USD"};
  all.push_back(sample("vm-record", record));
  all.back().passes_over_unknown_keys = true;
  all.back().tables = {"options"};
  all.push_back(sample("baked-record",
                       BakedRecord{"debian-baked", "0123456789ab", "ba9876543210", {"sha256:00"}, 1'800'000'000}));
  all.back().passes_over_unknown_keys = true;
  all.push_back(sample("passed-trials", PassedTrials{{{"6CXF:BQ4D runc 1.1.5", "runc"}}}));
  all.back().passes_over_unknown_keys = true;
  all.back().tables = {"passed"};
  all.push_back(foreign("vm-host-key", NewHostKey{"ssh-ed25519 AAAA"}));
  all.push_back(foreign("vm-host-key-in-use", HostKeyInUse{}));
  all.push_back(foreign("vm-engine", EngineState{"27.1", 12}));
  all.push_back(foreign("vm-disk-sealed", DiskSealed{}));
  all.push_back(foreign("written-count", WrittenCount{2'147'483'648, false}));
  all.push_back(sample(
      "changed-repositories",
      ChangedRepositories{{{"/home/me/app", "/home/me/results/s1/changes.patch", "/home/me/results/s1/filtered"}}}));
}

}  // namespace

std::vector<Sample> samples() {
  std::vector<Sample> all;
  add_events(all);
  all.push_back(foreign("failure", Error{Code::conflict, "there is a session s1 already", "take another --name"}));
  all.push_back(sample("error", ErrorReport{{Code::not_found, "no session s1", "see `bottle list`"}}));
  all.push_back(foreign("decision", decision()));
  all.push_back(sample("attach", Attach{"s1", 1000, "00ff", "6CXF:BQ4D"}));
  all.push_back(sample("resize", Resize{24, 80}));
  all.push_back(
      sample("policy-allow", PolicyChange{"7", PolicyChange::Allow{{"a.example.org", {8443}, {"GET"}, {"/a/**"}}}}));
  all.push_back(sample("policy-secret", PolicyChange{"7", PolicyChange::AllowSecret{"3543c50b0cb9"}}));
  all.push_back(sample("policy-limit", PolicyChange{"7", LimitChange{"a.example.org", {1, 2, 3, 4, 5}}}));
  all.push_back(sample("policy-deny", PolicyChange{"7", PolicyChange::Deny{"a.example.org"}}));
  all.push_back(sample("values", job().values));
  all.back().tables = {"env", "secrets", "known"};
  all.push_back(sample("plan", plan()));
  all.back().tables = {"hosts", "on_secret_for"};
  all.push_back(sample("job", job()));
  all.back().tables = {"env", "secrets", "known", "options", "environment", "hosts", "on_secret_for"};
  all.back().elsewhere = "/plan/";
  all.push_back(foreign("hello", hello()));
  all.push_back(foreign("hello-absent", Absent{"x86_64", "Linux"}));
  all.push_back(foreign("known-machine", KnownMachine{1'800'000'000'000, hello()}));
  all.push_back(foreign("image-layers", ImageLayers{{{{"sha256:00", "sha256:01"}}}}));
  all.push_back(foreign("result", result()));
  all.push_back(foreign("metrics", Metrics{true,
                                           true,
                                           1,
                                           12,
                                           {{"deny", "http", "not_allowed", 3}},
                                           {{"a.example.org", 1, 2, 3, 4}},
                                           {{"api.example.org", 3, 4, 5, 6, 0.25}}}));
  all.push_back(foreign("forgotten", Forgotten{"s1", true, receipt()}));
  all.push_back(foreign("report", Report{true, {{"metadata", true, "no route"}}}));
  all.push_back(sample("go", Go{{{"HOME", "/home/agent"}},
                                {{"LANG", "de_DE.UTF-8"}},
                                {"claude"},
                                "/workspace",
                                "-----BEGIN CERTIFICATE-----\n",
                                {{"/run/bottle/x", 0600, "text\n"}},
                                "the prompt",
                                true}));
  all.back().tables = {"env", "locale"};
  all.push_back(foreign("delivery-header", DeliveryHeader{"/"}));
  all.push_back(foreign("delivery-end", DeliveryHeader{}));
  all.push_back(sample("pieces-header", PiecesHeader{KeepDelivery{"0a1b", "2c3d"}, ReuseKept{"4e5f", "6071"}}));
  all.push_back(sample("ledger-record", record()));
  all.back().passes_over_unknown_keys = true;
  all.back().tables = {"options", "hosts", "on_secret_for"};
  all.back().open = "/plan";
  all.back().elsewhere = "/plan/";
  all.push_back(sample("session-info", SessionInfo{"s1", SessionState::running, "reviewer", "web", "/home/me/app",
                                                   "me@far.example.org", 1'800'000'000, true}));
  all.back().passes_over_unknown_keys = true;
  add_guard(all);
  add_machine(all);
  all.push_back(sample("kept-usage", KeptUsage{{{"api.example.org", 1, 3, 4096, 10, 12, 2'000'000}}}));
  all.push_back(sample("wanted-decisions", WantedDecisions{7}));
  all.push_back(foreign("latest-decisions", LatestDecisions{7, 8, {decision()}}));
  all.push_back(foreign("hello-refused", Refused{"it belongs to another machine", "use another one"}));
  Receipt other_end = receipt();
  other_end.vm->end = VmKept{"--keep"};
  all.push_back(sample("vm-kept", other_end));
  VmDestruction how{"qemu", "i-1", 2, 1.5, 1'800'000'000, 0, {"disk d-1"}};
  other_end.vm->end = VmUncertain{"slow", how};
  all.push_back(sample("vm-uncertain", other_end));
  all.push_back(foreign("far-guard-stream-open", ToNearSide(StreamPart{7, StreamPart::Open{}})));
  all.push_back(foreign("far-guard-stream-taken", ToNearSide(StreamPart{7, StreamPart::Taken{4}})));
  all.push_back(foreign("far-guard-stream-end", ToNearSide(StreamPart{7, StreamPart::End{}})));
  all.push_back(foreign("far-guard-stream-closed", ToNearSide(StreamPart{7, StreamPart::Closed{}})));
  all.push_back(foreign("far-guard-ssh-tunnels", ToNearSide(SshTunnelsFollow{})));
  all.push_back(foreign("far-guard-ssh-tunnel", ToNearSide(SshTunnel{7, std::string(64, 'a')})));
  all.push_back(sample("guard-ssh-tunnel-ended", FromGuard(SshTunnel{7, {}})));
  return all;
}

}  // namespace bottle::wire
