// A bottle on this machine, with its engine.
#include <future>
#include <optional>

#include "app/output/show.h"
#include "app/place/engine_cache.h"
#include "app/place/place.h"
#include "app/world/world.h"
#include "docker/answers.h"
#include "docker/client/http_engine.h"
#include "session/box/runtime_trial.h"
#include "session/disk/disk_watch.h"
#include "session/images/agent_image.h"
#include "session/supervisor.h"
#include "session/sweep/sweep.h"
#include "wire/frames/frames.h"

namespace bottle::app {
namespace {

class LocalPlace : public Place {
 public:
  LocalPlace(const Output& output, bool may_recall, const std::stop_token& stop) : output_(output), stop_(stop) {
    if (!engine_) return;
    // The engine takes its time to answer, because it starts other programs.
    asked_ = std::async(std::launch::async, [this]() -> Result<nlohmann::json> {
               auto info = facts_of(TRY((*engine_)->info()));
               remember_engine((*engine_)->socket(), info);
               return info;
             }).share();
    if (may_recall) recalled_ = recall_engine((*engine_)->socket());
  }

  Result<> describe(const manifest::Manifest& manifest, plan::Facts& facts) override {
    std::string architecture;
    if (engine_) {
      info_ = recalled_ ? *recalled_ : TRY(asked_.get());
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
    if (!recalled_) return session::start_supervisor(job);
    job.values_follow = true;
    auto values = std::exchange(job.values, {});
    UniqueFd socket(TRY(session::start_supervisor(job)));
    auto admitted = admit();
    if (!admitted) await_end(socket.get());
    TRY(admitted);
    TRY(session::send_frame(socket.get(), session::FrameType::values, TRY(wire::encode_exactly(values))));
    return socket.release();
  }

  bool was_misjudged() override {
    if (!recalled_) return false;
    const auto& info = asked_.get();
    return info && *info != *recalled_;
  }

  std::function<std::unique_ptr<session::Typing>()> typing(const std::string&, const Say&) override { return {}; }

 private:
  // Fails if the engine is not what the plan was made for.
  Result<> admit() {
    auto info = TRY(asked_.get());
    if (info != *recalled_) return fail(Code::conflict, "the engine has changed since the last start", "start again");
    return {};
  }

  Output output_;
  std::stop_token stop_;
  Result<std::unique_ptr<docker::Engine>> engine_ = connect_engine(stop_);
  bool rootless_ = false;
  std::shared_future<Result<nlohmann::json>> asked_;  // facts_of() what the engine reports about itself
  std::optional<nlohmann::json> recalled_;            // the same of the last start, if the plan is made for it
  nlohmann::json info_;                               // one of the two
};

}  // namespace

std::unique_ptr<Place> local_place(const Output& output, bool may_recall, const std::stop_token& stop) {
  return std::make_unique<LocalPlace>(output, may_recall, stop);
}

}  // namespace bottle::app
