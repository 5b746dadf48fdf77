#include "session/launch.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <functional>
#include <future>

#include "base/file.h"
#include "base/stream.h"
#include "session/box/containers.h"
#include "session/box/host_routes.h"
#include "session/box/images.h"
#include "session/collect.h"
#include "session/gate.h"
#include "session/ledger/names.h"
#include "session/ledger/teardown.h"
#include "workspace/place.h"

namespace bottle::session {
namespace {

using nlohmann::json;

// ssh (and much else) wants its user to have a name, whichever uid the operator has. The image's own list with a line
// for it, or empty where it has one.
Result<std::string> users_with(docker::Engine& engine, const std::string& container, uint32_t uid, uint32_t gid) {
  std::string text;
  docker::TarReader reader({.entry = [](const docker::TarEntry&) -> Result<> { return {}; },
                            .data = [&](std::string_view bytes) -> Result<> {
                              text += bytes;
                              return {};
                            }},
                           {.entries = 1, .bytes = 1 << 20});
  auto got = engine.get_archive(container, "/etc/passwd", [&](std::string_view bytes) { return reader.feed(bytes); });
  if (!got && got.error().code != Code::not_found) return std::unexpected(std::move(got.error()));
  for (size_t at = 0; at < text.size();) {
    std::string line = text.substr(at, text.find('\n', at) - at);
    at += line.size() + 1;
    size_t second = line.find(':', line.find(':') + 1);
    if (second != std::string::npos &&
        line.substr(second + 1, line.find(':', second + 1) - second - 1) == std::to_string(uid))
      return "";
  }
  if (!text.empty() && !text.ends_with('\n')) text += '\n';
  return text + "agent:x:" + std::to_string(uid) + ":" + std::to_string(gid) + "::/home/agent:/bin/sh\n";
}

Result<> put_users(docker::Engine& engine, const Job& job, const std::string& container) {
  std::string users = TRY(users_with(engine, container, job.plan.uid, job.plan.gid)), archive;
  if (users.empty()) return {};
  docker::TarWriter tar([&](std::string_view bytes) -> Result<> {
    archive.append(bytes);
    return {};
  });
  TRY(tar.file("etc/passwd", 0644, 0, 0, users));
  TRY(tar.finish());
  size_t at = 0;
  return engine.put_archive(container, "/", [&](char* buffer, size_t size) -> Result<size_t> {
    size_t n = std::min(size, archive.size() - at);
    archive.copy(buffer, n, at);
    at += n;
    return n;
  });
}

bool needs_own_agent(const Job& job) {
  return std::ranges::any_of(job.ssh_keys, [](const SshKey& key) { return key.agent.empty(); });
}

bool sends_workspace(manifest::WorkspaceMode mode) {
  return mode == manifest::WorkspaceMode::copy || mode == manifest::WorkspaceMode::clone;
}

using Put = std::function<Result<workspace::Summary>(const Sink&)>;

// The helper, the home directory's owner, the agent's settings: the first part of the one archive that goes onto the
// container's root, since each costs the engine a process of its own.
Result<> put_ours(docker::TarWriter& tar, const Job& job) {
  const auto& plan = job.plan;
  TRY(tar.directory(".bottle", 0755, 0, 0));
  TRY(tar.file(".bottle/inside", 0755, 0, 0, inside_program()));
  TRY(tar.directory("home/agent", 0700, plan.uid, plan.gid));
  // The inside helper, which is no other user than the agent, adds the session's authority to the system's store.
  TRY(tar.directory("etc/ssl/certs", 0755, plan.uid, plan.gid));
  if (plan.workspace_mode != manifest::WorkspaceMode::bind)
    TRY(tar.directory(plan.workdir.substr(1), 0755, plan.uid, plan.gid));
  return put_home(tar, job);
}

// The rest of it, from this machine.
Result<workspace::Summary> put_workspace(const Job& job, const Sink& sink) {
  workspace::Outgoing outgoing = outgoing_of(job);
  docker::TarWriter tar(sink, static_cast<uint64_t>(std::time(nullptr)));
  TRY(workspace::put_git_settings(tar, outgoing));
  if (!sends_workspace(outgoing.mode)) {
    if (outgoing.mode == manifest::WorkspaceMode::bind) TRY(workspace::check_place(outgoing.source));
    TRY(tar.finish());
    return workspace::Summary{};
  }
  return workspace::send(outgoing, sink);
}

// Or what another machine sends: skills and workspace.
Result<workspace::Summary> put_delivery(DeliveryPoint& delivery, const Sink& sink,
                                        const std::function<bool()>& is_gone) {
  auto put = [&](const std::string& to, const Source& source) -> Result<> {
    if (to != "/") return fail(Code::protocol, "the delivery has an unknown destination");
    std::string chunk(256 << 10, '\0');
    for (bool taken = true;;) {
      size_t n = TRY(source(chunk.data(), chunk.size()));
      if (n == 0) return {};
      if (!taken) continue;
      auto sent = sink({chunk.data(), n});
      taken = static_cast<bool>(sent);
      // An engine may have enough at the archive's own end mark, before what follows it.
      if (!taken && sent.error().code != Code::closed) return sent;
    }
  };
  TRY(delivery.receive(put, 120000, is_gone));
  return workspace::Summary{};
}

// Makes the agent's container and fills it, all that can be done before there is a network. The archive is begun at
// once, so that a clone does not wait for the engine.
Result<workspace::Summary> make_agent(docker::Engine& engine, const Job& job, const std::string& container,
                                      const std::function<Result<>()>& create, const Put& put_rest,
                                      std::atomic<bool>& over, const std::function<void(const std::string&)>& show) {
  workspace::Summary sent;
  over = false;
  TRY(pipe_through(
      [&](const Sink& sink) -> Result<> {
        docker::TarWriter tar(sink, static_cast<uint64_t>(std::time(nullptr)));
        TRY(put_ours(tar, job));
        sent = TRY(put_rest(sink));
        return {};
      },
      [&](const Source& source) -> Result<> {
        auto filled = [&]() -> Result<> {
          TRY(create());
          return engine.put_archive(container, "/", told(source, "copying the workspace into the bottle", show));
        }();
        if (!filled) over = true;
        return filled;
      }));
  if (!job.plan.ssh.empty()) TRY(put_users(engine, job, container));
  return sent;
}

// The engine mounts a volume of that name that was there already, whoever made it and whatever is in it.
Result<> check_volumes(docker::Engine& engine, const Job& job, const Owner& owner) {
  Names names(job.plan.session);
  Belongings whose{job.plan.session, owner, {}};
  for (const auto& name : {names.home, names.work}) {
    if (name == names.work && job.plan.workspace_mode == manifest::WorkspaceMode::bind) continue;
    if (TRY(find_own(engine, whose, {"volume", name})).empty())
      return fail(Code::conflict, "the volume " + name + " is another session's", "start again, under another --name");
  }
  return {};
}

}  // namespace

std::vector<Thing> things_of(const Job& job) {
  Names names(job.plan.session);
  std::vector<Thing> things = names.things();
  if (needs_own_agent(job))
    things.insert(things.begin(),
                  {"ssh-agent", SessionAgent::socket_in(job.directories.sessions + "/" + job.plan.session)});
  return things;
}

Result<GuardLink> start_guard(docker::Engine& engine, const std::string& name, const json& configuration,
                              const pki::Root& root) {
  GuardLink link(TRY(engine.attach(name, false)));
  timeval patience{5, 0};
  ::setsockopt(link.fd(), SOL_SOCKET, SO_SNDTIMEO, &patience,
               sizeof patience);  // one that does not read must not hold us
  TRY(engine.start_container(name));
  TRY(link.send(configuration));
  json ready = TRY(link.await_ready(15000));
  TRY(link.send({{"type", "certificate"}, {"pem", TRY(root.certify(ready.value("csr", "")))}}));
  return link;
}

Result<Running> launch(docker::Engine& engine, const Job& job, const Owner& owner, Ledger& ledger,
                       const Arrivals& arrivals, const Audience& audience) {
  const auto& plan = job.plan;
  DeliveryPoint* delivery = arrivals.delivery;
  Names names(plan.session);
  auto labelled = [&](const char* role) {
    return labels(plan.session, owner, job.directories.sessions + "/" + plan.session, role);
  };
  auto progress = [&](const std::string& step) -> Result<> {
    if (audience.is_gone()) return fail(Code::canceled, "the launcher exited before the agent ran");
    audience.show(step);
    return {};
  };
  // From here on every name is on disk, whatever happens.
  TRY(ledger.will_make(things_of(job)));

  // What needs nothing from another begins at once. The subnet is a guess that the network makes true; the few times it
  // cannot, the agent's container, which names its addresses, is made again.
  TRY(progress("creating networks"));
  Subnet guess = likely_subnet();
  auto network = std::async(std::launch::async, [&] {
                   return make_internal_network(engine, names.network, labelled("network"), guess);
                 }).share();
  auto host = std::async(std::launch::async, [&] {
                return job.relay_all ? host_address(engine) : ensure_egress_network(engine);
              }).share();
  auto root_made = std::async(std::launch::async, [&] { return pki::Root::make(plan.session); }).share();
  auto ssh_agent = std::async(std::launch::async, [&]() -> Result<std::unique_ptr<SessionAgent>> {
    if (!needs_own_agent(job)) return nullptr;
    return SessionAgent::start(job.directories.sessions + "/" + plan.session, plan, job.ssh_keys);
  });

  struct Guard {
    GuardLink link;
    json message;
  };
  auto create_guard = [&](const std::string& image) -> Result<Subnet> {
    if (!job.relay_all) {
      TRY(host.get());
      TRY(engine.create_container(names.guard, guard_container(image, labelled("guard"))));
      Subnet subnet = TRY(network.get());
      TRY(engine.connect_network(names.network, names.guard, guard_endpoint(subnet)));
      return subnet;
    }
    auto create = [&](const Subnet& at) {
      return engine.create_container(names.guard, offline_guard_container(image, names.network, at, labelled("guard")));
    };
    auto made = create(guess);  // some engines want the network to be there first
    Subnet subnet = TRY(network.get());
    if (made && subnet != guess) TRY(engine.remove_container(names.guard));
    if (!made || subnet != guess) TRY(create(subnet));
    return subnet;
  };
  auto guard = std::async(std::launch::async, [&]() -> Result<Guard> {
    std::string reference = TRY(ensure_guard_image(engine));
    Subnet subnet = TRY(create_guard(reference));
    Values values = TRY(arrivals.values.get());
    json message = {{"type", "configure"},
                    {"config", guard_config(plan, {subnet.guard, job.ca_bundle, job.extra_ca, values.secrets, job.far,
                                                   job.tunnel, job.relay_all, host_networks()})}};
    message["config"]["ssh_agent"] = !job.ssh_keys.empty();
    auto root = TRY(root_made.get());
    GuardLink link = TRY(start_guard(engine, names.guard, message, *root));
    return Guard{std::move(link), std::move(message)};
  });
  workspace::Summary sent;
  auto agent = [&]() -> Result<Gate> {
    // On another machine nobody has looked at it before.
    TRY(refuse_forged_labels(TRY(engine.inspect_image(plan.image.reference)), plan.image.reference));
    std::string host_ip = TRY(host.get());
    Subnet tried = guess;
    auto create = [&]() -> Result<> {
      json config = agent_container(job, tried, host_ip, labelled("agent"));
      if (engine.create_container(names.agent, config)) return {};
      TRY(network.get());  // some engines want the network to be there first
      TRY(engine.create_container(names.agent, config));
      return {};
    };
    std::atomic<bool> over = false;
    auto put_rest = [&](const Sink& sink) -> Result<workspace::Summary> {
      if (!delivery) return put_workspace(job, sink);
      // It comes once: not for a container that has to be made again.
      if (TRY(network.get()) != tried) return fail(Code::conflict, "the network has an unexpected subnet");
      return put_delivery(*delivery, sink, [&] { return over || audience.is_gone(); });
    };
    auto made = make_agent(engine, job, names.agent, create, put_rest, over, audience.show);
    tried = TRY(network.get());
    TRY(progress("starting guard and agent"));
    if (tried != guess) {
      TRY(engine.remove_container(names.agent));
      made = make_agent(engine, job, names.agent, create, put_rest, over, audience.show);
    }
    sent = TRY(std::move(made));
    TRY(check_volumes(engine, job, owner));
    docker::Attached attached = TRY(engine.attach(names.agent, !plan.headless));
    // An agent that does not read its terminal must not hold the supervisor: what it leaves unread is dropped.
    timeval patience{5, 0};
    ::setsockopt(attached.fd(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    TRY(engine.start_container(names.agent));
    // The engine has followed whatever was there by now, and the gate is shut still.
    if (plan.workspace_mode == manifest::WorkspaceMode::bind) TRY(workspace::check_place(plan.workspace));
    return Gate(std::move(attached), !plan.headless);
  }();
  auto guarded = guard.get();
  Subnet subnet = TRY(network.get());  // its error is the one that explains the others
  TRY(host.get());
  if (!guarded) return std::unexpected(std::move(guarded.error()).during("starting the guard"));
  if (!agent) return std::unexpected(std::move(agent.error()).during("starting the agent's container"));

  std::unique_ptr<SessionAgent> keys = TRY(ssh_agent.get());

  TRY(progress("running the self-test"));
  if (auto work = work_of(job, sent)) TRY(ledger.will_hold(*work));
  TRY(agent->ask());
  auto report = TRY(agent->await_report(20000));
  if (!wire::is_clean(report))
    return fail(Code::denied, "the self-test from inside the bottle found a way out: " + wire::surprises(report),
                "the agent was not started; ARCHITECTURE.md (The gate) explains the probes");
  if (audience.is_gone()) return fail(Code::canceled, "the launcher exited before the agent ran");
  std::shared_ptr<const pki::Root> root = TRY(root_made.get());
  TRY(agent->open(go_message(job, TRY(arrivals.values.get()), root->pem(), subnet)));
  auto early = agent->take_early();
  return Running{agent->take_attached(), std::move(early),  std::move(guarded->link), std::move(guarded->message),
                 std::move(root),        std::move(report), std::move(keys),          subnet,
                 std::move(sent)};
}

}  // namespace bottle::session
