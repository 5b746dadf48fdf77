#include "session/collect.h"

#include "session/names.h"
#include "session/stream.h"

namespace bottle::session {

nlohmann::json collect(docker::Engine& engine, const Job& job, const workspace::Summary& sent) {
  using manifest::WorkspaceMode;
  const auto& plan = job.plan;
  if (plan.workspace_mode == WorkspaceMode::none || plan.workspace_mode == WorkspaceMode::bind) return nlohmann::json::object();
  workspace::Incoming incoming;
  incoming.session = plan.session;
  incoming.source = plan.workspace;
  incoming.base = sent.base;
  incoming.results_dir = job.directories.results + "/" + plan.session;
  workspace::Back back;
  auto done = pipe_through(
      [&](const Sink& sink) { return engine.get_archive(Names(plan.session).agent, plan.workdir, sink); },
      [&](const Source& source) -> Result<> {
        back = TRY(workspace::receive(incoming, source));
        return {};
      });
  if (!done) return {{"error", done.error().what}};
  return {{"text", back.text}, {"refs", back.refs},           {"commits", back.commits}, {"files", back.files},
          {"patch", back.patch}, {"flagged", back.flagged}, {"skipped", back.skipped}};
}

}  // namespace bottle::session
