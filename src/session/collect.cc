#include "session/collect.h"

#include <fcntl.h>

#include "base/file.h"
#include "base/unique_fd.h"
#include "session/names.h"
#include "session/stream.h"

namespace bottle::session {
namespace {

Result<> save_archive(docker::Engine& engine, const std::string& container, const std::string& path, const std::string& to) {
  UniqueFd fd(::open(to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd) return fail_errno("creating " + to);
  return engine.get_archive(container, path, [&](std::string_view bytes) { return write_all(fd.get(), bytes); });
}

}  // namespace

nlohmann::json collect(docker::Engine& engine, const Job& job, const workspace::Summary& sent) {
  using manifest::WorkspaceMode;
  const auto& plan = job.plan;
  if (plan.workspace_mode == WorkspaceMode::none || plan.workspace_mode == WorkspaceMode::bind) return nlohmann::json::object();
  if (job.far) {
    // Sorted where the operator's repository is, once it has been fetched.
    std::string kept = job.directories.results + "/" + plan.session + "/workspace.tar";
    auto saved = save_archive(engine, Names(plan.session).agent, plan.workdir, kept);
    if (!saved) return {{"error", saved.error().what}};
    return {{"archive", kept}};
  }
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
  if (!done) {
    // The container goes next: what cannot be sorted is kept as it is, rather than lost.
    std::string kept = incoming.results_dir + "/workspace.tar";
    auto saved = save_archive(engine, Names(plan.session).agent, plan.workdir, kept);
    if (!saved) return {{"error", done.error().what + "; nor could it be kept as an archive: " + saved.error().what}};
    return {{"error", done.error().what}, {"archive", kept}, {"text", "The workspace as the agent left it, unchecked: " + kept}};
  }
  return {{"text", back.text}, {"refs", back.refs},           {"commits", back.commits}, {"files", back.files},
          {"patch", back.patch}, {"flagged", back.flagged}, {"skipped", back.skipped}};
}

}  // namespace bottle::session
