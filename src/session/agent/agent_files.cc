// Everything that goes into the agent's container is one archive, because the engine starts a process for each
// archive that it unpacks. It is a stream and not a file on the disk. One thread writes the archive (the home
// directory, then the workspace from git or from the near side), and another creates the container and sends the
// archive. The writer may run ahead, so git works while the engine is still busy creating the container.
//
// A container that was made from a ready image has everything else. Then a small archive is left to the inside helper,
// and the engine starts no process. Only the size of the archive decides, so that the same files always take the same
// way.
//
// The one exception is /etc/passwd, which must first be read from the container's image.
#include "session/agent/agent_files.h"

#include <atomic>
#include <ctime>

#include "base/stream.h"
#include "base/text/words.h"
#include "session/agent/agent_home.h"
#include "session/box/containers.h"
#include "session/collect/collect.h"
#include "wire/gate/gate.h"
#include "workspace/unmoved.h"

namespace bottle::session {
namespace {

using transfer::DeliveryPoint, wire::Job;

constexpr const char* kHome = "home/agent";

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

// Writes the directories that are mounted, and bottle's own files in them. A volume has the owner that its directory
// has in the image, but an engine need not copy that.
Result<> put_ours(docker::TarWriter& tar, const Job& job) {
  const auto& plan = job.plan;
  TRY(tar.directory(kHome, 0700, plan.uid, plan.gid));
  if (plan.workspace_mode != manifest::WorkspaceMode::bind)
    TRY(tar.directory(plan.workdir.substr(1), 0755, plan.uid, plan.gid));
  return put_home(tar, job);
}

// Returns the beginning of the archive for a container that was made from the agent's image.
Result<std::string> beginning_with(const ReadyParts& parts) {
  std::string beginning;
  docker::TarWriter tar(sink_to(beginning), static_cast<uint64_t>(std::time(nullptr)));
  TRY(put_ready_parts(tar, parts));
  return beginning;
}

// Returns a source that first reads `first`, which must outlive it.
Source one_after_the_other(std::string_view first, const Source& then) {
  return [first = source_of(first), then](char* to, size_t size) -> Result<size_t> {
    size_t n = TRY(first(to, size));
    return n > 0 ? n : then(to, size);
  };
}

// Reads up to the end of the source, or a little more than `most` bytes.
Result<std::string> read_beginning(const Source& source, size_t most) {
  std::string bytes, piece(64 << 10, '\0');
  while (bytes.size() <= most) {
    size_t n = TRY(source(piece.data(), piece.size()));
    if (n == 0) break;
    bytes.append(piece, 0, n);
  }
  return bytes;
}

}  // namespace

// The inside helper runs as the agent's user, and it adds the session's authority to the system's store of
// certificates.
ReadyParts ready_parts(const plan::Plan& plan, std::string_view inside, std::string image_id) {
  ReadyParts parts{.base = plan.image.reference,
                   .base_id = std::move(image_id),
                   .inside = inside,
                   .uid = plan.uid,
                   .gid = plan.gid,
                   .directories = {{kHome, 0700}, {"etc/ssl/certs", 0755}}};
  // An image may have this directory, with another owner.
  if (plan.provider == "claude") parts.directories.push_back({std::string(kHome) + "/.claude", 0700});
  if (plan.workspace_mode != manifest::WorkspaceMode::bind) parts.directories.push_back({plan.workdir.substr(1), 0755});
  return parts;
}

// Writes git's settings in every mode, because the agent may use git even without a workspace. Checks a mounted
// workspace once more just before the engine follows the path to it.
Result<workspace::Summary> put_workspace(const Job& job, const Sink& sink, const std::stop_token& stop) {
  workspace::Outgoing outgoing = outgoing_of(job);
  outgoing.stop = stop;
  docker::TarWriter tar(sink, static_cast<uint64_t>(std::time(nullptr)));
  auto operators = git::read_operators_configuration();
  TRY(workspace::put_git_settings(tar, outgoing, operators));
  if (!sends_workspace(outgoing.mode)) {
    if (outgoing.mode == manifest::WorkspaceMode::bind) TRY(workspace::check_unmoved(outgoing.source));
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
Result<Filled> fill_agent(docker::Engine& engine, const Job& job, const Filling& filling) {
  Filled filled;
  std::atomic<bool> over = false;
  TRY(pipe_through(
      [&](const Sink& sink) -> Result<> {
        docker::TarWriter tar(sink, static_cast<uint64_t>(std::time(nullptr)));
        TRY(put_ours(tar, job));
        filled.sent = TRY(filling.put_rest(sink, [&] { return over.load(); }));
        return {};
      },
      [&](const Source& whole) -> Result<> {
        auto source = with_progress(whole, "copying the workspace into the bottle", filling.progress);
        auto done = [&]() -> Result<> {
          bool is_ready = TRY(filling.create()) == MadeFrom::ready_image;
          auto first = TRY(is_ready ? read_beginning(source, wire::kMostFiles) : beginning_with(filling.parts));
          if (!is_ready || first.size() > wire::kMostFiles)
            return engine.put_archive(filling.container, "/", one_after_the_other(first, source));
          filled.files = std::move(first);
          return {};
        }();
        if (!done) over = true;
        return done;
      },
      filling.stop));
  if (!job.plan.ssh.empty()) TRY(put_users(engine, job, filling.container));
  return filled;
}

}  // namespace bottle::session
