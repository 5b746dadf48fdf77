// Implements a bottle on a VM that is made for the session. The launcher makes nothing: the near supervisor creates
// the VM, so that a launcher that dies leaves no VM without an owner. The plan is therefore made for a machine that
// does not exist yet. The content of its disk is known only if the disk was baked for exactly these options.
#include <algorithm>

#include "app/place/place.h"
#include "app/place/remote_secrets.h"
#include "app/place/vms.h"
#include "app/world/world.h"
#include "session/images/agent_image.h"
#include "session/images/own_images.h"
#include "session/supervisor.h"

namespace bottle::app {
namespace {

class VmPlace : public Place {
 public:
  VmPlace(wire::RemoteJob remote, wire::BakedRecord baked, const RemoteOptions& way)
      : remote_(std::move(remote)),
        baked_(std::move(baked)),
        token_(way.token),
        secrets_stay_(way.secrets_stay()),
        transport_(way.transport),
        stop_(way.stop) {}

  // Describes a machine that does not exist yet. Its user is the one that bottle's user-data makes.
  Result<> describe(const manifest::Manifest& manifest, plan::Facts& facts) override {
    facts.uid = facts.gid = 1000;
    // The images come from this machine's engine, so the plan names those for this machine's architecture.
    facts.images = image_facts(manifest, "");
    return {};
  }

  Result<> check(plan::Plan& plan) override {
    TRY(check_elsewhere(plan, "a VM", transport_));
    if (token_.via == wire::Token::Via::provider && token_.file.empty()) {
      const auto& vm = *remote_.vm;
      TRY(TRY(machine::Provider::find(vm.vm.provider, Directories::from(vm.environment), vm.environment))
              .can_put_secrets());
    }
    if (secrets_stay_) warn_of_values_that_stay(plan);
    return {};
  }

  Result<> prepare(const plan::Plan& plan, const Progress& progress) override {
    auto engine = TRY(during("sending the agent's image from this machine's engine", connect_engine(stop_)));
    socket_ = engine->socket();
    TRY(session::ensure_agent_image(*engine, plan.image,
                                    {.directories = directories(), .progress = progress, .stop = stop_}));
    remote_.image = TRY(session::image_identity(*engine, plan.image.reference));
    return {};
  }

  Result<UniqueFd> start(wire::Job job) override {
    job.engine = socket_;
    job.remote = remote_;
    // The VM may not know the image by the operator's name for it.
    job.plan.image.reference = session::reference_of(remote_.image);
    job.near_share.secrets_stay = secrets_stay_;
    // If everything needed is on the disk, the job need not wait for the machine's hello.
    if (remote_.address.program == baked_.program &&
        std::ranges::find(baked_.agent_images, remote_.image) != baked_.agent_images.end() &&
        token_.via == wire::Token::Via::job) {
      job.remote->task = wire::RemoteJob::Task::begin_unseen;
      job.remote->roots = baked_.roots;
    }
    if (token_.via != wire::Token::Via::job) {
      job.token = token_;
      job.token.name = TRY(token_name(job.plan));
    }
    return session::start_supervisor(job);
  }

  session::BeginTyping typing(const std::string& session, const Progress& progress) override {
    if (!transport_.is_mosh()) return {};
    return recorded_typing(session, transport_, progress);
  }

 private:
  wire::RemoteJob remote_;
  wire::BakedRecord baked_;  // what is on the disk image that the VM starts from
  wire::Token token_;
  bool secrets_stay_;
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
  wire::RemoteJob remote;
  remote.address = TRY(address_without_target());
  // If the manifest names an image, nothing is known about it.
  wire::BakedRecord baked = manifest.vms.at(options.name).options.contains("image")
                                ? wire::BakedRecord{}
                                : baked_for(manifest.vms.at(options.name));
  // Either the manifest or the command line may allow it.
  wanted.allow_vpn |= way.allow_vpn;
  remote.vm = wire::VmJob{.vm = std::move(wanted), .keep = options.keep, .environment = hook_environment()};
  return std::make_unique<VmPlace>(std::move(remote), std::move(baked), way);
}

}  // namespace bottle::app
