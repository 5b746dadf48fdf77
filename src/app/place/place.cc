#include "app/place/place.h"

#include <algorithm>
#include <cstdlib>
#include <future>
#include <optional>

#include "app/output/show.h"
#include "app/place/machine_cache.h"
#include "app/place/vms.h"
#include "app/world/world.h"
#include "docker/answers.h"
#include "docker/client/http_engine.h"
#include "remote/link/findings.h"
#include "remote/near/transfers/image_layers.h"
#include "session/box/runtime_trial.h"
#include "session/credentials/token.h"
#include "session/disk/disk_watch.h"
#include "session/images/agent_image.h"
#include "session/images/own_images.h"
#include "session/ledger/ledger.h"
#include "session/supervisor.h"
#include "session/sweep/sweep.h"

namespace bottle::app {
namespace {

Result<std::string> token_name(const plan::Plan& plan) {
  if (const auto* secret = session::sign_in_secret(plan)) return secret->name;
  return fail(Code::invalid, "--token-via is for an agent with a sign-in token, and this agent has none",
              "leave out --token-via");
}

// With --secrets tunnel, only the broker on this machine can sign in to the parent proxy, and only it knows the values
// of scan.secrets.
void warn_of_tunnel(plan::Plan& plan) {
  if (std::ranges::find(plan.secrets, plan::kParentLogin, &plan::Secret::name) != plan.secrets.end())
    plan.warnings.push_back(
        "egress.parent_proxy_login stays on this machine with --secrets tunnel: only requests with a secret use it");
  if (!plan.scan.secrets.empty())
    plan.warnings.push_back(
        "the values of scan.secrets stay on this machine with --secrets tunnel: the guard looks for them only in "
        "requests that go through this machine, such as those to hosts of a secret");
}

class LocalPlace : public Place {
 public:
  LocalPlace(const Output& output, const std::stop_token& stop) : output_(output), stop_(stop) {
    if (engine_)
      asked_ = std::async(std::launch::async,
                          [this] { return (*engine_)->info(); });  // the engine starts programs of its own to answer
  }

  Result<> describe(const manifest::Manifest& manifest, plan::Facts& facts) override {
    std::string architecture;
    if (engine_) {
      info_ = TRY(asked_.get());
      for (const auto& [name, unused] : docker::member(info_, "Runtimes").items()) facts.runtimes.push_back(name);
      architecture = docker::text_of(info_, "Architecture");
      rootless_ = docker::has_option(info_, "rootless");
    }
    facts.images = image_facts(manifest, architecture);
    return {};
  }

  // Fails for `workspace: bind` with a rootless engine. Its containers' users differ from those of the host, and only
  // root in the container is the operator, but Claude Code refuses to run as root.
  Result<> check(plan::Plan& plan) override {
    if (plan.workspace_mode != manifest::WorkspaceMode::bind || !rootless_) return {};
    return fail(Code::invalid,
                "workspace: bind does not work with a rootless engine, because the agent could not use your files",
                "use clone or copy, for example with --workspace clone");
  }

  Result<> prepare(const plan::Plan& plan, const Say& say) override {
    if (!engine_) return std::unexpected(engine_.error());
    // Removes what a dead owner left first, so that its subnet and names are free again.
    for (const auto& swept : session::sweep(directories(), session::find_orphans(directories()), docker::connect))
      show_swept(swept, output_);
    TRY(session::ensure_runtime(**engine_, directories(), info_, directories().runtimes, plan.runtime));
    return session::ensure_agent_image(**engine_, plan.image,
                                       {.directories = directories(), .progress = say, .stop = stop_});
  }

  Result<int> start(session::Job job) override {
    job.engine = (*engine_)->socket();
    job.storage = session::storage_of(info_);
    return session::start_supervisor(job);
  }

  std::function<std::unique_ptr<session::Typing>()> typing(const std::string&, const Say&) override { return {}; }

 private:
  Output output_;
  std::stop_token stop_;
  Result<std::unique_ptr<docker::Engine>> engine_ = connect_engine(stop_);
  bool rootless_ = false;
  std::future<Result<nlohmann::json>> asked_;
  nlohmann::json info_;  // what the engine reports about itself
};

class RemotePlace : public Place {
 public:
  // `hello` is the machine's hello, or its last known one if the hello of the channel has not arrived yet.
  RemotePlace(session::Far far, remote::FarSide side, remote::Channel channel, wire::Hello hello,
              const RemoteOptions& options)
      : far_(std::move(far)),
        side_(std::move(side)),
        channel_(std::move(channel)),
        hello_(std::move(hello)),
        options_(options) {}

  Result<> describe(const manifest::Manifest& manifest, plan::Facts& facts) override {
    facts.uid = hello_.uid;
    facts.gid = hello_.gid;
    facts.runtimes = hello_.engine.runtimes;
    facts.images = image_facts(manifest, hello_.machine);
    return {};
  }

  Result<> check(plan::Plan& plan) override {
    if (plan.workspace_mode == manifest::WorkspaceMode::bind)
      return fail(Code::invalid,
                  "workspace: bind needs this machine's own files, and they are not on " + far_.target.to_string(),
                  "use clone or copy, for example with --workspace clone");
    bool mosh = options_.transport.is_mosh();
    if (mosh && !hello_.mosh)
      return fail(Code::not_found, "mosh-server is not installed on " + far_.target.to_string(),
                  "install mosh on that machine, or leave out --transport mosh");
    if (mosh && plan.headless)
      return fail(Code::invalid, "--transport mosh needs a terminal, and --headless has none",
                  "leave out --transport mosh");
    if (options_.tunnels()) warn_of_tunnel(plan);
    for (const auto& finding : remote::remote_findings(hello_, far_.target.to_string()))
      if (finding.severity == session::Severity::warn) plan.warnings.push_back(finding.what);
    return {};
  }

  Result<> prepare(const plan::Plan& plan, const Say& say) override {
    image_ = plan.image.reference;
    if (session::is_ours(image_) && remote::has_image(hello_, image_)) return {};
    auto engine = connect_engine(options_.stop);
    auto image = engine ? session::image_identity(**engine, plan.image.reference)
                        : Result<std::string>(std::unexpected(engine.error()));
    if (image) image_ = *image;
    if (remote::has_image(hello_, image_)) return {};
    if (!engine)
      return fail(Code::not_found,
                  far_.target.to_string() + " does not have the image " + plan.image.reference +
                      ", and this machine has no engine to send it from: " + engine.error().what,
                  engine.error().todo);
    TRY(session::ensure_agent_image(**engine, plan.image,
                                    {.directories = directories(), .progress = say, .stop = options_.stop}));
    UniqueFd archive = TRY(remote::spool_image(**engine, plan.image.reference));
    TRY(remote::send_image(archive.get(), plan.image.reference, TRY((*engine)->layers(plan.image.reference)), side_,
                           say));
    image_ = TRY(session::image_identity(**engine, plan.image.reference));
    hello_.images.push_back(image_);
    remember(far_, hello_);
    return {};
  }

  Result<int> start(session::Job job) override {
    if (options_.token.via != session::Token::Via::job) TRY(hand_over_token(job));
    job.tunnel = options_.tunnels();
    job.remote.emplace();
    job.remote->far = far_;
    job.remote->image = image_;
    job.remote->roots = hello_.roots;
    job.remote->unseen = !channel_.hello;
    session::PassedChannel passed{channel_.in.get(), channel_.out.get()};
    auto socket = session::start_supervisor(job, &passed);
    channel_ = {};  // only the supervisor may hold it, so that the far side notices when the supervisor closes it
    return socket;
  }

  Result<> judge(const std::optional<wire::Hello>& hello) override {
    changed_ = !hello || !is_as_before(*hello);
    if (changed_) return fail(Code::conflict, far_.target.to_string() + " has changed since the last time");
    TRY(admit(*hello, far_, options_.allow_vpn));
    remember(far_, *hello);
    return {};
  }

  bool has_changed() const override { return changed_; }

  // Fails if something that the plan relies on may lead back to the operator, or would not work on that machine.
  static Result<> admit(const wire::Hello& hello, const session::Far& far, bool allow_vpn) {
    auto admitted = remote::admit(hello, far.target.to_string(), allow_vpn);
    if (!admitted) forget(far);
    return admitted;
  }

  std::function<std::unique_ptr<session::Typing>()> typing(const std::string& session, const Say& say) override {
    if (!options_.transport.is_mosh()) return {};
    return mosh_typing(side_, session, options_.transport, say);
  }

 private:
  // Sends the token separately from the job's other values.
  Result<> hand_over_token(session::Job& job) {
    job.token = options_.token;
    job.token.name = TRY(token_name(job.plan));
    auto value = job.values.secrets.extract(job.token.name);
    if (options_.token.via != session::Token::Via::sendenv) return {};
    if (value.empty()) return fail(Code::not_found, "secret " + job.token.name + " has no value to send");
    auto channel = TRY(side_.serve({.send_env = {{session::kTokenVariable, value.mapped()}}}));
    if (!channel.hello->token)
      return fail(Code::unavailable,
                  std::string("the token did not arrive: the sshd of ") + far_.target.to_string() +
                      " drops the variable " + session::kTokenVariable,
                  std::string("add `AcceptEnv ") + session::kTokenVariable +
                      "` to its sshd_config and reload sshd, or leave out --token-via");
    channel_ = std::move(channel);
    return {};
  }

  // Returns whether the facts that the plan and the job were made from are unchanged.
  bool is_as_before(const wire::Hello& hello) const {
    auto counts = [](const wire::Hello& h) { return std::tie(h.uid, h.gid, h.machine, h.mosh, h.engine.runtimes); };
    return counts(hello) == counts(hello_) && remote::has_image(hello, image_) &&
           (hello_.roots.empty() || hello.roots == hello_.roots);
  }

  session::Far far_;
  remote::FarSide side_;
  remote::Channel channel_;
  wire::Hello hello_;
  std::string image_;  // identity of the agent's image
  RemoteOptions options_;
  bool changed_ = false;
};

class VmPlace : public Place {
 public:
  VmPlace(session::RemoteJob remote, wire::BakedRecord baked, const RemoteOptions& way)
      : remote_(std::move(remote)),
        baked_(std::move(baked)),
        token_(way.token),
        tunnel_(way.tunnels()),
        transport_(way.transport),
        stop_(way.stop) {}

  // Describes a machine that does not exist yet: its user is the one that bottle's user-data makes, and its engine has
  // the runtimes that it will have.
  Result<> describe(const manifest::Manifest& manifest, plan::Facts& facts) override {
    facts.uid = facts.gid = 1000;
    facts.images = image_facts(manifest, "");
    return {};
  }

  Result<> check(plan::Plan& plan) override {
    if (plan.workspace_mode == manifest::WorkspaceMode::bind)
      return fail(Code::invalid, "workspace: bind needs this machine's own files, and they are not on a VM",
                  "use clone or copy, for example with --workspace clone");
    if (token_.via == session::Token::Via::provider && token_.file.empty()) {
      const auto& vm = *remote_.vm;
      TRY(TRY(machine::Provider::find(vm.vm.provider, machine::Places::from(vm.environment), vm.environment))
              .can_put_secrets());
    }
    if (transport_.is_mosh() && plan.headless)
      return fail(Code::invalid, "--transport mosh needs a terminal, and --headless has none",
                  "leave out --transport mosh");
    if (tunnel_) warn_of_tunnel(plan);
    return {};
  }

  Result<> prepare(const plan::Plan& plan, const Say& say) override {
    auto engine = connect_engine(stop_);
    if (!engine)
      return std::unexpected(std::move(engine.error()).during("sending the agent's image from this machine's engine"));
    socket_ = (*engine)->socket();
    TRY(session::ensure_agent_image(**engine, plan.image,
                                    {.directories = directories(), .progress = say, .stop = stop_}));
    remote_.image = TRY(session::image_identity(**engine, plan.image.reference));
    return {};
  }

  Result<int> start(session::Job job) override {
    job.engine = socket_;
    job.remote = remote_;
    job.tunnel = tunnel_;
    // If everything needed is on the disk, the job need not wait for the machine's hello.
    job.remote->unseen = remote_.far.program == baked_.program &&
                         std::ranges::find(baked_.agent_images, remote_.image) != baked_.agent_images.end() &&
                         token_.via == session::Token::Via::job;
    if (job.remote->unseen) job.remote->roots = baked_.roots;
    if (token_.via != session::Token::Via::job) {
      job.token = token_;
      job.token.name = TRY(token_name(job.plan));
    }
    return session::start_supervisor(job);
  }

  std::function<std::unique_ptr<session::Typing>()> typing(const std::string& session, const Say& say) override {
    if (!transport_.is_mosh()) return {};
    return recorded_typing(session, transport_, say);
  }

 private:
  session::RemoteJob remote_;
  wire::BakedRecord baked_;  // what is on the disk image that the VM starts from
  session::Token token_;
  bool tunnel_;
  Transport transport_;
  std::stop_token stop_;
  std::string socket_;
};

}  // namespace

Result<std::unique_ptr<Place>> vm_place(const VmOptions& options, const RemoteOptions& way,
                                        const manifest::Manifest& manifest) {
  TRY(check(way.transport));
  manifest::Vm wanted = TRY(vm_of(manifest, options.name));
  if (!options.ttl.empty()) wanted.ttl = TRY(manifest::duration(options.ttl));
  if (!options.idle.empty()) wanted.idle = TRY(manifest::duration(options.idle));
  session::RemoteJob remote;
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  remote.far.control_directory = TRY(ssh::control_directory(runtime ? runtime : ""));
  remote.far.program = TRY(remote::own_hash());
  // If the manifest names an image, nothing is known about it.
  wire::BakedRecord baked = manifest.vms.at(options.name).options.contains("image")
                                ? wire::BakedRecord{}
                                : baked_for(manifest.vms.at(options.name));
  wanted.allow_vpn |= way.allow_vpn;
  remote.vm = session::VmJob{.vm = std::move(wanted), .keep = options.keep, .environment = hook_environment()};
  return std::make_unique<VmPlace>(std::move(remote), std::move(baked), way);
}

std::unique_ptr<Place> local_place(const Output& output, const std::stop_token& stop) {
  return std::make_unique<LocalPlace>(output, stop);
}

Result<> check(const Transport& transport) {
  if (transport.is_mosh()) return remote::check_mosh(transport.mosh);
  if (transport.name != "ssh")
    return fail(Code::invalid, "there is no transport '" + transport.name + "'",
                "use --transport ssh or --transport mosh");
  if (!transport.mosh.ports.empty())
    return fail(Code::invalid, "--mosh-ports needs --transport mosh", "add it, or leave out --mosh-ports");
  return {};
}

std::function<std::unique_ptr<session::Typing>()> mosh_typing(remote::FarSide far, const std::string& session,
                                                              const Transport& transport, const Say& say) {
  return [far = std::move(far), session, transport, say]() mutable -> std::unique_ptr<session::Typing> {
    auto mosh = remote::start_mosh(far, session, transport.mosh);
    if (mosh) return std::move(*mosh);
    say("the terminal uses ssh: " + mosh.error().what +
        (mosh.error().todo.empty() ? "" : " (" + mosh.error().todo + ")"));
    return nullptr;
  };
}

std::function<std::unique_ptr<session::Typing>()> recorded_typing(const std::string& session,
                                                                  const Transport& transport, const Say& say) {
  return [session, transport, say]() -> std::unique_ptr<session::Typing> {
    auto side = [&]() -> Result<remote::FarSide> {
      auto view = TRY(session::read_ledger(directories(), session));
      if (!view.remote) return fail(Code::not_found, "session " + session + " runs on this machine");
      return remote::FarSide::reach(*view.remote, false);
    }();
    if (side) return mosh_typing(std::move(*side), session, transport, say)();
    say("the terminal uses ssh: " + side.error().what);
    return nullptr;
  };
}

Result<session::Far> far_to(const std::string& target) {
  session::Far far;
  far.target = TRY(ssh::parse_target(target));
  const char* runtime = std::getenv("XDG_RUNTIME_DIR");
  far.control_directory = TRY(ssh::control_directory(runtime ? runtime : ""));
  far.program = TRY(remote::own_hash());
  return far;
}

Result<std::unique_ptr<Place>> remote_place(const RemoteOptions& options, const Say& say) {
  TRY(check(options.transport));
  session::Far far = TRY(far_to(options.target));
  auto side = TRY(remote::FarSide::reach(far, options.interactive, say, options.stop));
  // Does not wait for a known machine, but makes the plan for its last hello and starts. judge() checks the new hello.
  auto known = options.fresh || options.token.via != session::Token::Via::job ? std::nullopt : recall(far);
  if (known && !RemotePlace::admit(*known, far, options.allow_vpn)) known.reset();  // the reason may be fixed by now
  remote::Channel channel = TRY(known ? side.begin_serve() : side.serve());
  wire::Hello hello = known ? *known : *channel.hello;
  TRY(RemotePlace::admit(hello, far, options.allow_vpn));
  if (!known) remember(far, hello);
  return std::make_unique<RemotePlace>(std::move(far), std::move(side), std::move(channel), std::move(hello), options);
}

}  // namespace bottle::app
