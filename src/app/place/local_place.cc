// Implements a bottle on this machine. As soon as the place is chosen, it connects to the engine and asks for the
// engine's description of itself, because the answer takes a while. An engine that does not answer is an error only
// when a step needs it, so that a dry run works without one.
#include <future>

#include "app/output/show.h"
#include "app/place/place.h"
#include "app/world/world.h"
#include "docker/client/http_engine.h"
#include "docker/describe.h"
#include "session/box/runtime_trial.h"
#include "session/disk/disk_watch.h"
#include "session/images/agent_image.h"
#include "session/images/build_place.h"
#include "session/supervisor.h"
#include "session/sweep/sweep.h"

namespace bottle::app {
namespace {

class LocalPlace : public Place {
 public:
  LocalPlace(const Output& output, const std::stop_token& stop) : output_(output), stop_(stop) {
    // The engine answers slowly, because it starts other programs.
    if (engine_) asked_ = std::async(std::launch::async, [this] { return docker::describe(**engine_); });
  }

  Result<> describe(const manifest::Manifest& manifest, plan::Facts& facts) override {
    if (engine_) {
      info_ = TRY(asked_.get());
      for (const auto& name : info_.runtime_names()) facts.runtimes.push_back(name);
    }
    facts.images = image_facts(manifest, info_.architecture);
    return {};
  }

  // Fails for `workspace: bind` if the users in the engine's containers differ from those of the host. With a rootless
  // engine, only root in the container is the operator, but Claude Code refuses to run as root. With userns-remap, no
  // user in a container is the operator.
  Result<> check(plan::Plan& plan) override {
    if (plan.workspace_mode != manifest::WorkspaceMode::bind || !info_.remaps_users) return {};
    if (!info_.is_rootless)
      return fail(Code::invalid,
                  "workspace: bind does not work with an engine that has userns-remap, because the agent could not use "
                  "your files",
                  "use clone or copy, for example with --workspace clone");
    return fail(Code::invalid,
                "workspace: bind does not work with a rootless engine, because the agent could not use your files",
                "use clone or copy, for example with --workspace clone");
  }

  Result<> prepare(const plan::Plan& plan, const Progress& progress) override {
    if (!engine_) return std::unexpected(engine_.error());
    // Removes what a dead owner left first, so that its subnet and names are free again.
    for (const auto& swept : session::sweep(directories(), session::find_orphans(directories()), docker::connect,
                                            std::chrono::minutes(1), session::Retry::if_room))
      show_swept(swept, output_);
    for (const auto& path : session::abandoned_builds())
      if (auto gone = session::remove_abandoned_build(path); !gone) progress(gone.error().what);
    TRY(session::ensure_runtime(**engine_, directories(), info_, directories().runtimes, plan.runtime));
    return session::ensure_agent_image(**engine_, plan.image,
                                       {.directories = directories(), .progress = progress, .stop = stop_});
  }

  Result<UniqueFd> start(wire::Job job) override {
    job.engine = (*engine_)->socket();
    job.storage = session::storage_of(info_);
    return session::start_supervisor(job);
  }

  session::BeginTyping typing(const std::string&, const Progress&) override { return {}; }

 private:
  Output output_;
  std::stop_token stop_;
  // This comes before `asked_`, whose thread uses the engine and ends first.
  Result<std::unique_ptr<docker::Engine>> engine_ = connect_engine(stop_);
  std::future<Result<docker::EngineInfo>> asked_;
  docker::EngineInfo info_;
};

}  // namespace

std::unique_ptr<Place> local_place(const Output& output, const std::stop_token& stop) {
  return std::make_unique<LocalPlace>(output, stop);
}

}  // namespace bottle::app
