// A launch is a set of steps that run in parallel and wait only for the results that they use. The network, the
// host's address, the root, the ssh-agent and the guard each have a thread from the start, while the calling thread
// makes and fills the agent's container. A step takes the results of others from shared futures, so each dependency
// is visible where it is used, and there is no list of phases to maintain.
//
// Three points have a fixed order. The ledger names everything before the first thing is made. The self-test is
// requested only when the guard serves. The gate opens last, after both containers have started, the report was clean
// and the gate was claimed (launch_control.h). After an error, run() returns early, but the destructors of the
// futures wait for the threads. So when launch() returns, no thread creates anything any more, and the caller can
// tear down.
#include "session/launch.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <functional>
#include <future>

#include "base/os/system_facts.h"
#include "base/os/this_program.h"
#include "base/shutdown_on_stop.h"
#include "docker/answers.h"
#include "session/agent/agent_files.h"
#include "session/agent/gate.h"
#include "session/agent/go_message.h"
#include "session/box/containers.h"
#include "session/box/host_routes.h"
#include "session/collect/collect.h"
#include "session/credentials/ssh_keys.h"
#include "session/images/agent_image.h"
#include "session/images/guard_image.h"
#include "session/images/programs.h"
#include "session/ledger/names.h"
#include "session/ledger/teardown.h"
#include "workspace/unmoved.h"

namespace bottle::session {
namespace {

using nlohmann::json;
using transfer::DeliveryPoint, wire::Job, wire::Values;

// The longest time until the self-test reports. It takes a fraction of a second, but this machine may be very busy.
constexpr int kReportMs = 60000;

// Limits each send to five seconds, so that a peer that does not read cannot block the supervisor.
void limit_sending(int socket) {
  timeval patience{5, 0};
  ::setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

// Performs one launch, whose steps run in parallel. The order of the futures matters: the destructor of a future waits
// for its thread, and that thread uses the futures before it.
class Launch {
 public:
  Launch(docker::Engine& engine, const Job& job, const Owner& owner, Ledger& ledger, DeliveryPoint* delivery,
         LaunchControl& control)
      : engine_(engine),
        job_(job),
        owner_(owner),
        ledger_(ledger),
        delivery_(delivery),
        control_(control),
        names_(job.plan.session) {}

  Result<Running> run();

 private:
  struct Guard {
    GuardLink link;
    wire::GuardConfig config;
  };

  Result<> progress(const std::string& step);
  Labels labelled(const char* role) const;
  std::string directory() const { return job_.directories.session(job_.plan.session); }

  void begin_independent_steps();

  Result<Guard> make_guard();
  Result<Subnet> create_guard(const std::string& image);
  Result<Subnet> create_offline_guard(const std::string& image);

  Result<Gate> prepare_agent();
  Result<> start_agent();
  Result<workspace::Summary> make_agent(const Subnet& at, const std::string& host);
  Result<> create_agent(const Subnet& at, const std::string& host);
  Result<> check_volumes();

  Result<> ask_for_self_test(Gate& gate);
  Result<wire::Report> await_self_test(Gate& gate);
  Result<std::shared_ptr<const pki::Root>> open_gate(Gate& gate);

  docker::Engine& engine_;
  const Job& job_;
  const Owner& owner_;
  Ledger& ledger_;
  DeliveryPoint* delivery_;
  LaunchControl& control_;
  Names names_;
  Belongings own_{job_.plan.session, owner_, {}};
  workspace::Summary sent_;
  uint64_t image_size_ = 0;  // bytes
  std::string_view inside_;  // the inside helper for the processor of the agent's image

  Subnet guess_ = likely_subnet();
  std::shared_future<Result<Subnet>> network_;
  std::shared_future<Result<std::string>> host_;  // the host's address
  std::shared_future<Result<std::shared_ptr<const pki::Root>>> root_;
  std::future<Result<std::unique_ptr<SessionAgent>>> ssh_agent_;
  std::future<Result<Guard>> guard_;
  std::future<Result<>> agent_starts_;
};

// Starts the independent steps, and waits for each when its result is needed.
Result<Running> Launch::run() {
  TRY(progress("creating networks"));
  begin_independent_steps();
  auto gate = prepare_agent();
  if (gate) agent_starts_ = std::async(std::launch::async, [this] { return start_agent(); });
  auto made = guard_.get();
  // The helper may already run although the engine has not finished the call that starts its container.
  auto asked = gate && made ? ask_for_self_test(*gate) : Result<>();
  auto started = then(gate, [this](const auto&) { return agent_starts_.get(); });
  TRY(control_.check());
  Subnet subnet = TRY(network_.get());  // if the network failed, its error explains the others
  TRY(host_.get());
  Guard guard = TRY(during("starting the guard", std::move(made)));
  TRY(during("starting the agent's container", std::move(started)));
  auto keys = TRY(ssh_agent_.get());

  TRY(asked);
  auto report = TRY(await_self_test(*gate));
  auto disk = std::make_unique<DiskWatch>(engine_, job_, directories_of(job_.storage, mount_list()), labelled("meter"));
  auto root = TRY(open_gate(*gate));
  auto early = gate->take_early();
  return Running{gate->take_attached(), std::move(early),  std::move(guard.link), std::move(guard.config),
                 std::move(root),       std::move(report), std::move(keys),       subnet,
                 std::move(sent_),      std::move(disk)};
}

Result<> Launch::progress(const std::string& step) {
  TRY(control_.check());
  control_.show(step);
  return {};
}

Labels Launch::labelled(const char* role) const { return labels(job_.plan.session, owner_, directory(), role); }

// Starts the steps that need nothing from another step. The subnet is a guess, which creating the network confirms.
// In the rare case that the guess was wrong, the agent's container is made again, because it contains the addresses.
void Launch::begin_independent_steps() {
  network_ = std::async(std::launch::async, [this] {
               return make_internal_network(engine_, names_.network, labelled("network"), guess_);
             }).share();
  host_ = std::async(std::launch::async, [this] {
            return job_.near_share.offline ? host_address(engine_) : ensure_egress_network(engine_);
          }).share();
  root_ = std::async(std::launch::async, [this] { return pki::Root::make(job_.plan.session); }).share();
  ssh_agent_ = std::async(std::launch::async, [this]() -> Result<std::unique_ptr<SessionAgent>> {
    if (!needs_own_agent(job_.ssh_keys)) return nullptr;
    return SessionAgent::start(directory(), job_.plan, job_.ssh_keys);
  });
  guard_ = std::async(std::launch::async, [this] { return make_guard(); });
}

// -- the guard

// Makes the guard's container, and starts and configures the guard. The container is made before the values arrive,
// which may take long on a remote machine. The values are in the configuration only, which goes to the running guard.
Result<Launch::Guard> Launch::make_guard() {
  auto create = [&](const std::string& image) {
    return job_.near_share.offline ? create_offline_guard(image) : create_guard(image);
  };
  auto created = create(guard_reference());
  // Only the first start on an engine has to make the image.
  if (!created && created.error().code == Code::not_found) created = create(TRY(ensure_guard_image(engine_)));
  Subnet subnet = TRY(std::move(created));
  Values values = TRY(control_.await_values());
  auto networks = TRY(host_networks());
  auto config = guard_config(
      job_.plan, {subnet.guard, job_.ca_bundle, job_.extra_ca, values.secrets, job_.side(), job_.near_share, networks,
                  known_secrets(job_.plan, values.env, values.known), job_.own_rules});
  config.ssh_agent = !job_.ssh_keys.empty();
  auto root = TRY(root_.get());
  GuardLink link = TRY(start_guard(engine_, names_.guard, config, *root, control_.stop()));
  return Guard{std::move(link), std::move(config)};
}

// Creates the guard's container on the egress bridge and then connects it to the session's network. Engines before API
// 1.44 accept only one network in the request that creates a container.
Result<Subnet> Launch::create_guard(const std::string& image) {
  TRY(host_.get());
  TRY(engine_.create_container(names_.guard, guard_container(image, labelled("guard"))));
  Subnet subnet = TRY(network_.get());
  TRY(engine_.connect_network(names_.network, names_.guard, guard_endpoint(subnet)));
  return subnet;
}

// Creates the guard's container for a machine without a network. It is on the session's network only, so its
// addresses are in the request. If the guess of the subnet was wrong, it is therefore made again, like the agent's
// container.
Result<Subnet> Launch::create_offline_guard(const std::string& image) {
  auto create = [&](const Subnet& at) {
    return engine_.create_container(names_.guard,
                                    offline_guard_container(image, names_.network, at, labelled("guard")));
  };
  auto made = create(guess_);  // fails on engines that need the network first
  Subnet subnet = TRY(network_.get());
  if (made && subnet != guess_) TRY(engine_.remove_container(*made));
  if (!made || subnet != guess_) TRY(create(subnet));
  return subnet;
}

// -- the agent

// Makes the agent's container, fills it and attaches to it.
Result<Gate> Launch::prepare_agent() {
  const auto& plan = job_.plan;
  // On a remote machine, this image was not checked before.
  json image = TRY(engine_.inspect_image(plan.image.reference));
  TRY(refuse_forged_labels(image, plan.image.reference));
  if (const auto& size = docker::member(image, "Size"); size.is_number_unsigned()) image_size_ = size.get<uint64_t>();
  inside_ = TRY(program_for(Program::inside, docker::text_of(image, "Architecture", std::string(own_architecture())),
                            directory_of_self()));
  std::string host = TRY(host_.get());
  auto made = make_agent(guess_, host);
  Subnet subnet = TRY(network_.get());
  TRY(progress("starting guard and agent"));
  if (subnet != guess_) {
    (void)remove_own(engine_, own_, {ThingKind::container, names_.agent});  // if it stays, the next create says so
    made = make_agent(subnet, host);
  }
  sent_ = TRY(std::move(made));
  TRY(check_volumes());
  docker::Attached attached = TRY(engine_.attach(names_.agent));
  limit_sending(attached.fd());
  return Gate(std::move(attached), !plan.headless);
}

// Starts the agent's container. This runs at the same time as the start of the guard; the inside helper waits for the
// request.
Result<> Launch::start_agent() {
  TRY(engine_.start_container(names_.agent));
  // The engine has followed the path to the workspace by now, and the gate is still shut, so this check comes at the
  // right time.
  if (job_.plan.workspace_mode == manifest::WorkspaceMode::bind) return workspace::check_unmoved(job_.plan.workspace);
  return {};
}

// Creates and fills the agent's container with the addresses of the subnet `at`, which may be a guess.
Result<workspace::Summary> Launch::make_agent(const Subnet& at, const std::string& host) {
  auto put_rest = [&](const Sink& sink, const std::function<bool()>& is_over) -> Result<workspace::Summary> {
    if (!delivery_) return put_workspace(job_, sink, control_.stop());
    // A delivery comes only once, so it must not go into a container that will have to be made again.
    if (TRY(network_.get()) != at) return fail(Code::conflict, "the network has an unexpected subnet");
    return put_delivery(*delivery_, sink, [&] { return is_over() || control_.stop().stop_requested(); });
  };
  return fill_agent(engine_, job_,
                    {.container = names_.agent,
                     .inside = inside_,
                     .create = [&] { return create_agent(at, host); },
                     .put_rest = put_rest,
                     .progress = [this](const std::string& step) { control_.show(step); },
                     .stop = control_.stop()});
}

// Creates the agent's container. An engine may refuse the request because it does not support a limit for the layer
// on this disk or because the network does not exist yet, and the error does not reliably say which. The request is
// therefore repeated without the limit, and then once the network exists.
Result<> Launch::create_agent(const Subnet& at, const std::string& host) {
  json config = agent_container(job_, at, host, labelled("agent"));
  bool is_limited = limit_layer(config, job_.storage, job_.plan.resources.disk, image_size_);
  if (engine_.create_container(names_.agent, config)) return {};
  // The disk has no project quotas. The watch limits the layer, as it does the volumes.
  if (is_limited) config["HostConfig"].erase("StorageOpt");
  if (is_limited && engine_.create_container(names_.agent, config)) return {};
  TRY(network_.get());  // some engines need the network first
  TRY(engine_.create_container(names_.agent, config));
  return {};
}

// Fails if one of the session's volumes belongs to another session. If a volume with the name already existed, the
// engine mounts it, no matter who made it and what it contains.
Result<> Launch::check_volumes() {
  for (const auto& name : {names_.home, names_.work}) {
    if (name == names_.work && job_.plan.workspace_mode == manifest::WorkspaceMode::bind) continue;
    auto found = find_own(engine_, own_, {ThingKind::volume, name});
    if (found && *found) continue;
    // The engine has made the volumes by now, so one without labels is not half-made. No sweep may remove it.
    TRY(ledger_.note({.foreign = true}));
    if (!found) return std::unexpected(std::move(found.error()));
    return fail(Code::conflict, "the volume " + name + " belongs to another session",
                "start again, under another --name");
  }
  return {};
}

// -- the gate

// Asks the inside helper to run the self-test. The helper then waits for at most 30 s for the guard.
Result<> Launch::ask_for_self_test(Gate& gate) {
  TRY(progress("running the self-test"));
  return gate.ask();
}

// Waits for the report of the self-test, and fails if it is not clean. Before that, it records in the ledger which
// work to bring home, because from the moment the gate opens, a crash must leave enough to collect the agent's work.
Result<wire::Report> Launch::await_self_test(Gate& gate) {
  if (auto work = work_of(job_, sent_)) TRY(ledger_.will_hold(*work));
  auto report = TRY(gate.await_report(kReportMs, control_.stop()));
  auto is_fine = [](const wire::Probe& probe) { return probe.ok || probe.name == wire::kThreadsProbe; };
  if (!wire::is_clean(report) && !report.probes.empty() && std::ranges::all_of(report.probes, is_fine))
    return fail(Code::limit,
                "the bottle's limit of processes is too small for the self-test: " + wire::surprises(report),
                "raise resources.pids of the bottle, which is " + std::to_string(job_.plan.resources.pids) +
                    "; the agent needs some, too, and the default is 512");
  if (!wire::is_clean(report))
    return fail(Code::denied, "the self-test from inside the bottle found a way out: " + wire::surprises(report),
                "the agent was not started; " + remedy_for(report));
  return report;
}

// Opens the gate. Everything that waits or can fail comes before the claim, because after the claim a stop no longer
// ends the launch.
Result<std::shared_ptr<const pki::Root>> Launch::open_gate(Gate& gate) {
  auto root = TRY(root_.get());
  Subnet subnet = TRY(network_.get());
  auto go = go_message(job_, TRY(control_.await_values()), root->pem(), subnet);
  TRY(control_.claim_gate());
  TRY(gate.open(go));
  return root;
}

}  // namespace

std::vector<Thing> things_of(const Job& job) {
  Names names(job.plan.session);
  std::vector<Thing> things = names.things();
  if (needs_own_agent(job.ssh_keys))
    things.insert(things.begin(),
                  {ThingKind::ssh_agent, SessionAgent::socket_in(job.directories.session(job.plan.session))});
  return things;
}

// The configuration is sent in a separate thread, because it may be larger than what the channel holds, and sending
// then blocks until the guard reads. A guard that runs but does not read must not hold the supervisor, so after
// `patience`, this shuts down the channel, which ends the sending.
Result<GuardLink> start_guard(docker::Engine& engine, const std::string& name, const wire::GuardConfig& config,
                              const pki::Root& root, const std::stop_token& stop, std::chrono::milliseconds patience) {
  GuardLink link(TRY(engine.attach(name)));
  ShutdownOnStop stopped(stop, link.fd());
  // The guard may already run and read this, although the engine has not finished the call that starts its container.
  auto sending = std::async(std::launch::async, [&] { return link.send(wire::Configure{config}); });
  auto started = engine.start_container(name);
  bool is_sent = started && sending.wait_for(patience) == std::future_status::ready;
  if (!is_sent) ::shutdown(link.fd(), SHUT_RDWR);  // ends the sending
  auto sent = sending.get();
  TRY(started);
  if (!is_sent)
    return fail(Code::timed_out,
                "the guard did not read its configuration within " + std::to_string(patience.count()) + " ms");
  TRY(sent);
  limit_sending(link.fd());
  auto ready = TRY(link.await_ready(static_cast<int>(patience.count())));
  TRY(link.send(wire::Certificate{TRY(root.certify(ready.csr))}));
  return link;
}

Result<Running> launch(docker::Engine& engine, const Job& job, const Owner& owner, Ledger& ledger,
                       DeliveryPoint* delivery, LaunchControl& control) {
  return Launch(engine, job, owner, ledger, delivery, control).run();
}

}  // namespace bottle::session
