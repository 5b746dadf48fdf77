// Implements a bottle on another machine, which is reached over ssh. For a known machine, the plan is made for the
// machine's last hello without waiting for a new one, and the job is sent immediately. A wrong guess does no harm:
// before any value is sent, judge() compares the new hello with the old one, and if they differ, the start begins again
// with the new one. The hello is judged in either case, because a machine that leads back to the operator's network
// must not get a bottle.
#include <algorithm>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "app/place/machine_cache.h"
#include "app/place/place.h"
#include "app/place/remote_secrets.h"
#include "app/world/world.h"
#include "remote/link/findings.h"
#include "remote/near/transfers/image_layers.h"
#include "session/credentials/token.h"
#include "session/images/agent_image.h"
#include "session/images/own_images.h"
#include "session/supervisor.h"

namespace bottle::app {
namespace {

std::vector<std::string> runtimes_of(const wire::Hello& hello) {
  return hello.engine ? hello.engine->runtimes : std::vector<std::string>();
}

class RemotePlace : public Place {
 public:
  // `hello` is the machine's hello, or its last known one if the hello of the channel has not arrived yet.
  RemotePlace(wire::MachineAddress address, remote::FarSide side, remote::Channel channel, wire::Hello hello,
              const RemoteOptions& options)
      : address_(std::move(address)),
        side_(std::move(side)),
        channel_(std::move(channel)),
        hello_(std::move(hello)),
        options_(options) {}

  Result<> describe(const manifest::Manifest& manifest, plan::Facts& facts) override {
    facts.uid = hello_.uid;
    facts.gid = hello_.gid;
    facts.runtimes = runtimes_of(hello_);
    facts.images = image_facts(manifest, hello_.machine);
    return {};
  }

  Result<> check(plan::Plan& plan) override {
    TRY(check_elsewhere(plan, address_.target.to_string(), options_.transport));
    if (options_.transport.is_mosh() && !hello_.mosh)
      return fail(Code::not_found, "mosh-server is not installed on " + address_.target.to_string(),
                  "install mosh on that machine, or leave out --transport mosh");
    if (options_.secrets_stay()) warn_of_values_that_stay(plan);
    for (const auto& finding : remote::remote_findings(hello_, address_.target.to_string()))
      if (finding.severity == Severity::warn) plan.warnings.push_back(finding.what);
    return {};
  }

  // Makes sure that the machine has the agent's image, in a version no older than on this machine. If the machine has
  // the image, no engine on this one is needed.
  Result<> prepare(const plan::Plan& plan, const Progress& progress) override {
    image_ = session::image_name(plan.image.reference);
    auto engine = connect_engine(options_.stop);
    auto image = then(engine, [&](const auto& own) { return session::image_identity(*own, plan.image.reference); });
    if (image) image_ = *image;
    if (remote::has_image(hello_, image_)) return {};
    if (!engine)
      return fail(Code::not_found,
                  address_.target.to_string() + " does not have the image " + plan.image.reference +
                      ", and this machine has no engine to send it from: " + engine.error().what,
                  engine.error().todo);
    TRY(session::ensure_agent_image(**engine, plan.image,
                                    {.directories = directories(), .progress = progress, .stop = options_.stop}));
    image_ = TRY(session::image_identity(**engine, plan.image.reference));
    const std::string reference = session::reference_of(image_);
    UniqueFd archive = TRY(remote::spool_image(**engine, reference));
    TRY(remote::send_image(archive.get(), image_, TRY((*engine)->layers(reference)), side_, progress));
    // The next start then finds in the hello that the machine has the image. An older image has lost its name.
    std::erase_if(hello_.images, [&](const auto& other) { return session::reference_of(other) == reference; });
    hello_.images.push_back(image_);
    remember(address_, hello_);
    return {};
  }

  Result<UniqueFd> start(wire::Job job) override {
    if (options_.token.via != wire::Token::Via::job) TRY(hand_over_token(job));
    job.near_share.secrets_stay = options_.secrets_stay();
    job.remote.emplace();
    job.remote->address = address_;
    job.remote->image = image_;
    // The machine may not know the image by the operator's name for it.
    job.plan.image.reference = session::reference_of(image_);
    job.remote->roots = hello_.roots;
    if (channel_.hello && channel_.hello->engine) job.remote->engine_id = channel_.hello->engine->id;
    if (!channel_.hello) job.remote->task = wire::RemoteJob::Task::begin_unseen;
    session::PassedChannel passed{channel_.in.get(), channel_.out.get()};
    auto socket = session::start_supervisor(job, &passed);
    channel_ = {};  // only the supervisor may hold it, so that the far side notices when the supervisor closes it
    return socket;
  }

  Result<Fit> judge(const std::optional<wire::Hello>& hello) override {
    if (!hello || !is_as_before(*hello))
      return Changed{{Code::conflict, address_.target.to_string() + " has changed since the last time"}};
    TRY(admit(*hello, address_, options_.allow_vpn));
    remember(address_, *hello);
    return Fits{};
  }

  // Fails if something that the plan relies on may lead back to the operator, or would not work on that machine.
  static Result<> admit(const wire::Hello& hello, const wire::MachineAddress& address, bool allow_vpn) {
    auto admitted = remote::admit(hello, address.target.to_string(), allow_vpn);
    // The next start asks the machine again, because the reason may be gone by then.
    if (!admitted) forget(address);
    return admitted;
  }

  session::BeginTyping typing(const std::string& session, const Progress& progress) override {
    if (!options_.transport.is_mosh()) return {};
    return mosh_typing(side_, session, options_.transport, progress);
  }

 private:
  // Sends the token separately from the job's other values.
  Result<> hand_over_token(wire::Job& job) {
    job.token = options_.token;
    job.token.name = TRY(token_name(job.plan));
    auto value = job.values.secrets.extract(job.token.name);
    if (options_.token.via != wire::Token::Via::sendenv) return {};
    if (value.empty()) return fail(Code::not_found, "secret " + job.token.name + " has no value to send");
    // SendEnv belongs to one ssh session, so this needs a new channel. The hello says whether the variable arrived.
    auto channel = TRY(side_.serve({.send_env = {{session::kTokenVariable, value.mapped()}}}));
    if (!channel.hello->token)
      return fail(Code::unavailable,
                  std::string("the token did not arrive: the sshd of ") + address_.target.to_string() +
                      " drops the variable " + session::kTokenVariable,
                  std::string("add `AcceptEnv ") + session::kTokenVariable +
                      "` to its sshd_config and reload sshd, or leave out --token-via");
    channel_ = std::move(channel);
    return {};
  }

  // Returns whether the facts that the plan and the job were made from are unchanged.
  bool is_as_before(const wire::Hello& hello) const {
    auto counts = [](const wire::Hello& h) { return std::tie(h.uid, h.gid, h.machine, h.mosh); };
    return counts(hello) == counts(hello_) && runtimes_of(hello) == runtimes_of(hello_) &&
           remote::has_image(hello, image_) && (hello_.roots.empty() || hello.roots == hello_.roots);
  }

  wire::MachineAddress address_;
  remote::FarSide side_;
  remote::Channel channel_;
  wire::Hello hello_;
  std::string image_;  // identity of the agent's image
  RemoteOptions options_;
};

}  // namespace

Result<std::unique_ptr<Place>> remote_place(const RemoteOptions& options, const Progress& progress) {
  TRY(check(options.transport));
  wire::MachineAddress address = TRY(address_of(options.target));
  auto side = TRY(remote::FarSide::reach(address, {options.interactive, progress, options.stop}));
  // Does not wait for a known machine, but makes the plan for its last hello and starts. judge() checks the new hello.
  auto known = options.fresh || options.token.via != wire::Token::Via::job ? std::nullopt : recall(address);
  if (known && !RemotePlace::admit(*known, address, options.allow_vpn))
    known.reset();  // the reason may be fixed by now
  remote::Channel channel = TRY(known ? side.begin_serve() : side.serve());
  wire::Hello hello = known ? *known : *channel.hello;
  TRY(RemotePlace::admit(hello, address, options.allow_vpn));
  if (!known) remember(address, hello);
  return std::make_unique<RemotePlace>(std::move(address), std::move(side), std::move(channel), std::move(hello),
                                       options);
}

}  // namespace bottle::app
