#include "remote/near/deliver.h"

#include <unistd.h>

#include <optional>

#include "base/file.h"
#include "base/ids.h"
#include "docker/tar.h"
#include "session/gate.h"
#include "transfer/delta.h"
#include "workspace/workspace.h"

namespace bottle::remote {

using session::DeltaWriter, session::KeptPieces, session::kept_from_bytes, session::put_skills;

namespace {

constexpr size_t kLargestIndex = 64u << 20;

// One name for each workspace and machine; nothing is kept on a machine that is destroyed with the session.
std::string name_of(const Job& job) {
  if (job.remote->vm) return "";
  Far machine = job.remote->far;
  machine.control_directory.clear();
  machine.program.clear();
  return content_hash(wire::encode(machine) + "\n" + job.plan.workspace);
}

Result<> send(const Job& job, FarSide& side, const std::string& name, const std::optional<KeptPieces>& before,
              std::optional<KeptPieces>& kept, const std::function<void(const std::string&)>& begins_from,
              const std::stop_token& stop, Delivered& delivered) {
  return side.send(
      {"deliver", job.plan.session},
      [&](const Sink& sink) -> Result<> {
        DeltaWriter writer(sink, name, before);
        auto chunk = [&](std::string_view bytes) -> Result<> { return writer.data(bytes); };
        // The second part of an archive that the far side begins (session/launch.cc).
        TRY(writer.begin("/"));
        docker::TarWriter tar(chunk);
        TRY(put_skills(tar, job.plan));
        using manifest::WorkspaceMode;
        if (job.plan.workspace_mode == WorkspaceMode::copy || job.plan.workspace_mode == WorkspaceMode::clone) {
          auto sent =
              TRY(workspace::send({job.plan.workspace_mode, job.plan.workspace, job.plan.uid, job.plan.gid,
                                   job.directories.sessions + "/" + job.plan.session, job.plan.workdir.substr(1) + "/"},
                                  chunk));
          delivered.base = sent.base;
          begins_from(sent.base);
          delivered.warnings = sent.warnings;
        } else {
          TRY(tar.finish());
        }
        TRY(writer.end_archive());
        kept = TRY(writer.finish());
        return {};
      },
      stop);
}

}  // namespace

Delivered deliver(const Job& job, FarSide side, const std::function<void(const std::string&)>& begins_from,
                  std::stop_token stop) {
  std::string name = name_of(job), path = job.directories.cache + "/sent/" + name;
  std::optional<KeptPieces> before;
  if (auto known = name.empty() ? Result<std::string>("") : read_file(path, kLargestIndex))
    before = kept_from_bytes(*known);
  std::optional<KeptPieces> kept;
  Delivered delivered;
  delivered.taken = send(job, side, name, before, kept, begins_from, stop, delivered);
  if (!delivered.taken && delivered.taken.error().code == Code::conflict && before) {
    ::unlink(path.c_str());  // of something that is not there; asking again costs another round
    delivered.taken = send(job, side, name, std::nullopt, kept, begins_from, stop, delivered);
  }
  if (delivered.taken && !name.empty() && kept && make_directories(job.directories.cache + "/sent"))
    (void)write_file_atomically(path, to_bytes(*kept));
  return delivered;
}

}  // namespace bottle::remote
