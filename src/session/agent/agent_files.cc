// Everything that goes into the agent's container is one archive, because the engine starts a process for each
// archive that it unpacks. It is a stream and not a file on the disk. One thread writes the archive (bottle's own
// files, the home directory, then the workspace from git or from the near side), and another creates the container
// and sends the archive. The writer may run ahead, so git works while the engine is still busy creating the
// container.
//
// The one exception is /etc/passwd, which must first be read from the container's image.
#include "session/agent/agent_files.h"

#include <atomic>
#include <ctime>

#include "base/stream.h"
#include "base/text/words.h"
#include "session/agent/agent_home.h"
#include "session/box/containers.h"
#include "session/box/listening_sockets.h"
#include "session/collect/collect.h"
#include "workspace/unmoved.h"

namespace bottle::session {
namespace {

using transfer::DeliveryPoint, wire::Job;

// Returns the image's /etc/passwd with a line for `uid` added, or an empty string if it already has one. The agent runs
// with the operator's uid, and ssh and other programs need a name for it. The image is not trusted, so only one entry
// of at most 1 MB is read. An image may also have no such file.
Result<std::string> users_with(docker::Engine& engine, const std::string& container, uint32_t uid, uint32_t gid) {
  std::string text;
  docker::TarReader reader({.entry = [](const docker::TarEntry&) -> Result<> { return {}; }, .data = sink_to(text)},
                           {.entries = 1, .bytes = 1 << 20});
  auto got = engine.get_archive(container, "/etc/passwd", [&](std::string_view bytes) { return reader.feed(bytes); });
  if (!got && got.error().code != Code::not_found) return std::unexpected(std::move(got.error()));
  for (std::string_view line : each_line(text)) {
    size_t second = line.find(':', line.find(':') + 1);
    if (second != std::string::npos &&
        line.substr(second + 1, line.find(':', second + 1) - second - 1) == std::to_string(uid))
      return "";
  }
  if (!text.empty() && !text.ends_with('\n')) text += '\n';
  return text + "agent:x:" + std::to_string(uid) + ":" + std::to_string(gid) + "::/home/agent:/bin/sh\n";
}

// Adds the agent's user to the container's /etc/passwd. Only sessions with ssh hosts need it.
Result<> put_users(docker::Engine& engine, const Job& job, const std::string& container) {
  std::string users = TRY(users_with(engine, container, job.plan.uid, job.plan.gid)), archive;
  if (users.empty()) return {};
  docker::TarWriter tar(sink_to(archive));
  TRY(tar.file("etc/passwd", 0644, 0, 0, users));
  TRY(tar.finish());
  return engine.put_archive(container, "/", source_of(archive));
}

// Returns whether the workspace is sent. In the other modes, it is mounted, or there is none.
bool sends_workspace(manifest::WorkspaceMode mode) {
  return mode == manifest::WorkspaceMode::copy || mode == manifest::WorkspaceMode::clone;
}

// Writes bottle's own files, which are the first part of the archive for the container's root. Everything goes into one
// archive, because each archive costs the engine a process.
Result<> put_ours(docker::TarWriter& tar, const Job& job, std::string_view inside) {
  const auto& plan = job.plan;
  TRY(tar.directory(".bottle", 0755, 0, 0));
  TRY(tar.file(".bottle/inside", 0755, 0, 0, inside));
  TRY(tar.directory("home/agent", 0700, plan.uid, plan.gid));
  // The inside helper runs as the agent's user, and it adds the session's authority to the system's store.
  TRY(tar.directory("etc/ssl/certs", 0755, plan.uid, plan.gid));
  if (plan.workspace_mode != manifest::WorkspaceMode::bind)
    TRY(tar.directory(plan.workdir.substr(1), 0755, plan.uid, plan.gid));
  return put_home(tar, job);
}

}  // namespace

// Writes git's settings in every mode, because the agent may use git even without a workspace. Checks a mounted
// workspace once more just before the engine follows the path to it.
Result<workspace::Summary> put_workspace(const Job& job, const Sink& sink, const std::stop_token& stop) {
  workspace::Outgoing outgoing = outgoing_of(job);
  outgoing.stop = stop;
  docker::TarWriter tar(sink, static_cast<uint64_t>(std::time(nullptr)));
  auto operators = git::read_operators_configuration();
  TRY(workspace::put_git_settings(tar, outgoing, operators));
  if (!sends_workspace(outgoing.mode)) {
    if (outgoing.mode == manifest::WorkspaceMode::bind) {
      TRY(workspace::check_unmoved(outgoing.source));
      TRY(check_no_service_listens(outgoing.source));
    }
    TRY(tar.finish());
    return workspace::Summary{};
  }
  return workspace::send(outgoing, operators, sink);
}

// The delivery has one archive, whose destination is "/". It is passed on without being parsed, because it comes from
// the operator's side.
Result<workspace::Summary> put_delivery(DeliveryPoint& delivery, const Sink& sink,
                                        const std::function<bool()>& is_over) {
  auto put = [&](const std::string& to, const Source& source) -> Result<> {
    if (to != "/") return fail(Code::protocol, "the delivery has an unknown destination");
    std::string chunk(256 << 10, '\0');
    for (bool taken = true;;) {
      size_t n = TRY(source(chunk.data(), chunk.size()));
      if (n == 0) return {};
      if (!taken) continue;
      auto sent = sink({chunk.data(), n});
      taken = static_cast<bool>(sent);
      // An engine may stop reading at the archive's end mark, before the padding that follows it.
      if (!taken && sent.error().code != Code::closed) return sent;
    }
  };
  TRY(delivery.receive(put, 120000, is_over));
  return workspace::Summary{};
}

// If the container cannot be made or filled, `over` tells the writer, which may be waiting for a delivery that is no
// longer needed.
Result<workspace::Summary> fill_agent(docker::Engine& engine, const Job& job, const Filling& filling) {
  workspace::Summary sent;
  std::atomic<bool> over = false;
  TRY(pipe_through(
      [&](const Sink& sink) -> Result<> {
        docker::TarWriter tar(sink, static_cast<uint64_t>(std::time(nullptr)));
        TRY(put_ours(tar, job, filling.inside));
        sent = TRY(filling.put_rest(sink, [&] { return over.load(); }));
        return {};
      },
      [&](const Source& source) -> Result<> {
        auto filled = [&]() -> Result<> {
          TRY(filling.create());
          return engine.put_archive(filling.container, "/",
                                    with_progress(source, "copying the workspace into the bottle", filling.progress));
        }();
        if (!filled) over = true;
        return filled;
      },
      filling.stop));
  if (!job.plan.ssh.empty()) TRY(put_users(engine, job, filling.container));
  return sent;
}

}  // namespace bottle::session
