#include "remote/near/transfers/deliver.h"

#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <optional>

#include "base/files/file.h"
#include "base/ids.h"
#include "docker/tar/tar.h"
#include "session/agent/agent_home.h"
#include "session/collect/collect.h"
#include "transfer/delta.h"
#include "workspace/workspace.h"

namespace bottle::remote {

using session::DeltaWriter, session::KeptPieces, session::kept_from_bytes, session::put_skills;

namespace {

constexpr size_t kLargestIndex = 64u << 20;

// Returns a name that is unique to the workspace and the machine, or an empty string if nothing is kept, because the
// machine is destroyed with the session.
std::string name_of(const Job& job) {
  if (job.remote->vm) return "";
  Far machine = job.remote->far;
  machine.control_directory.clear();
  machine.program.clear();
  return content_hash(wire::encode(machine) + "\n" + job.plan.workspace);
}

Result<> send(const Job& job, FarSide& side, const std::string& name, const std::optional<KeptPieces>& before,
              std::optional<KeptPieces>& kept, const std::function<void(const std::string&)>& begins_from,
              const std::stop_token& stop, uint64_t time, Delivered& delivered) {
  return side.send(
      {"deliver", job.plan.session},
      [&](const Sink& sink) -> Result<> {
        DeltaWriter writer(sink, name, before);
        auto chunk = [&](std::string_view bytes) -> Result<> { return writer.data(bytes); };
        // This is the second part of an archive that the far side begins (session/agent_files.cc).
        TRY(writer.begin("/"));
        docker::TarWriter tar(chunk);
        TRY(put_skills(tar, job.plan));
        workspace::Outgoing outgoing = session::outgoing_of(job);
        outgoing.time = time;
        outgoing.stop = stop;
        TRY(workspace::put_git_settings(tar, outgoing));
        using manifest::WorkspaceMode;
        if (outgoing.mode == WorkspaceMode::copy || outgoing.mode == WorkspaceMode::clone) {
          auto sent = TRY(workspace::send(outgoing, chunk));
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

uint64_t time_in(const std::string& path) {
  uint64_t time = std::strtoull(read_file(path, 64).value_or("").c_str(), nullptr, 10);
  if (time > 0) return time;
  time = static_cast<uint64_t>(std::time(nullptr));
  if (make_directories(path.substr(0, path.rfind('/')))) (void)write_file_atomically(path, std::to_string(time));
  return time;
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
  // All files carry the time at which the workspace first went to that machine. With another time in each header, no
  // part would match what the machine already has.
  uint64_t time = name.empty() ? 0 : time_in(path + ".time");
  delivered.taken = send(job, side, name, before, kept, begins_from, stop, time, delivered);
  if (!delivered.taken && delivered.taken.error().code == Code::conflict && before) {
    ::unlink(path.c_str());  // it describes data that the machine no longer has, and would cost another round trip
    delivered.taken = send(job, side, name, std::nullopt, kept, begins_from, stop, time, delivered);
  }
  if (delivered.taken && !name.empty() && kept && make_directories(job.directories.cache + "/sent"))
    (void)write_file_atomically(path, to_bytes(*kept));
  return delivered;
}

}  // namespace bottle::remote
