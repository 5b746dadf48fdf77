// Sends the workspace as a delta against what this machine last sent to the same place. An index of that delivery is
// in this machine's cache, under a hash of the machine and the workspace. If the index is out of date, the far side
// answers "again" before anything has reached the session, and everything is sent. Nothing is kept on a VM, because
// its disk disappears with it.
#include "remote/near/transfers/deliver.h"

#include <unistd.h>

#include <ctime>
#include <optional>

#include "base/files/file.h"
#include "base/ids.h"
#include "base/text/parse.h"
#include "base/text/path_parts.h"
#include "docker/tar/tar.h"
#include "session/agent/agent_home.h"
#include "session/collect/collect.h"
#include "workspace/workspace.h"

namespace bottle::remote {

using transfer::DeltaWriter, transfer::KeptPieces, transfer::kept_from_bytes, session::put_skills;

namespace {

// The limit is in bytes. The index of the largest delivery that is kept has about 4 MB.
constexpr size_t kLargestIndex = 64u << 20;

// Returns a name that is unique to the workspace and the machine, or an empty string if nothing is kept, because the
// machine is destroyed with the session.
std::string name_of(const Job& job) {
  if (job.remote->vm) return "";
  MachineAddress address = job.remote->address;
  address.program.clear();  // it does not change what the machine keeps
  return content_hash(wire::encode(address) + "\n" + job.plan.workspace);
}

// Returns the time in the file, which is made with the present time if it is missing.
uint64_t time_in(const std::string& path) {
  uint64_t time = number_in<uint64_t>(read_file(path, 64).value_or("")).value_or(0);
  if (time > 0) return time;
  time = static_cast<uint64_t>(std::time(nullptr));
  if (make_directories(parent_of(path))) (void)write_file_atomically(path, std::to_string(time));
  return time;
}

// Makes one delivery. It is made a second time if the machine no longer has the data on which the first one builds.
class Delivery {
 public:
  Delivery(const Job& job, FarSide& side, std::string name, uint64_t time, const std::stop_token& stop,
           uint64_t most_kept)
      : job_(job), side_(side), name_(std::move(name)), time_(time), stop_(stop), most_kept_(most_kept) {}

  // Leaves out the pieces that the machine has kept from `before`. Returns whether it still has them. Calls
  // `begins_from` as deliver() does, and sets the base and the warnings of `delivered` as soon as they are known.
  Result<FarSide::Taken> send(const std::optional<KeptPieces>& before,
                              const std::function<Result<>(const std::string& base)>& begins_from,
                              Delivered& delivered) {
    bool sent_all = false;
    auto produce = [&](const Sink& sink) -> Result<> {
      DeltaWriter writer(sink, name_, before, most_kept_);
      // This is the second part of an archive that the far side begins (session/agent/agent_files.cc).
      TRY(writer.begin("/"));
      TRY(write([&](std::string_view bytes) { return writer.data(bytes); }, begins_from, delivered));
      TRY(writer.end_archive());
      kept_ = TRY(writer.finish());
      sent_all = true;
      return {};
    };
    auto taken = TRY(side_.offer({"deliver", job_.plan.session, job_.id}, produce, stop_));
    if (taken == FarSide::Taken::yes && !sent_all)
      return fail(Code::protocol, "the machine says that it has the workspace, but it did not read all of it",
                  "check that machine; its bottle does not behave as this one expects");
    return taken;
  }

  // Returns the pieces that the machine keeps from now on, or nothing if the delivery is too large to be kept. Call it
  // after the machine has taken the delivery.
  const std::optional<KeptPieces>& kept() const { return kept_; }

 private:
  // Writes the skills and the workspace.
  Result<> write(const Sink& sink, const std::function<Result<>(const std::string&)>& begins_from,
                 Delivered& delivered) {
    using manifest::WorkspaceMode;
    docker::TarWriter tar(sink);
    TRY(put_skills(tar, job_.plan));
    workspace::Outgoing outgoing = session::outgoing_of(job_);
    outgoing.time = time_;
    outgoing.stop = stop_;
    auto operators = git::read_operators_configuration();
    TRY(workspace::put_git_settings(tar, outgoing, operators));
    if (outgoing.mode != WorkspaceMode::copy && outgoing.mode != WorkspaceMode::clone) return tar.finish();
    auto sent = TRY(workspace::send(outgoing, operators, sink));
    delivered.base = sent.base;
    TRY(begins_from(sent.base));
    delivered.warnings = sent.warnings;
    return {};
  }

  const Job& job_;
  FarSide& side_;
  std::string name_;  // as from name_of()
  uint64_t time_;     // as in Outgoing
  const std::stop_token& stop_;
  uint64_t most_kept_;  // in bytes
  std::optional<KeptPieces> kept_;
};

}  // namespace

Delivered deliver(const Job& job, FarSide side, const std::function<Result<>(const std::string&)>& begins_from,
                  const std::stop_token& stop, uint64_t most_kept) {
  std::string name = name_of(job), path = job.directories.cache + "/sent/" + name;
  std::optional<KeptPieces> before;
  // An empty text is not an index, so nothing is left out of the delivery then.
  if (auto known = name.empty() ? Result<std::string>("") : read_file(path, kLargestIndex))
    before = kept_from_bytes(*known);
  Delivered delivered;
  // All files of a clone carry the time at which the workspace first went to that machine. If the times in the headers
  // differed, no part would match what the machine already has. Files of a copy keep their own times.
  uint64_t time = name.empty() ? 0 : time_in(path + ".time");
  Delivery delivery(job, side, name, time, stop, most_kept);
  auto taken = delivery.send(before, begins_from, delivered);
  if (taken == FarSide::Taken::again && before) {
    ::unlink(path.c_str());  // it describes data that the machine no longer has, and would cost another round trip
    taken = delivery.send(std::nullopt, begins_from, delivered);
  }
  if (!taken) delivered.taken = std::unexpected(std::move(taken.error()));
  else if (*taken == FarSide::Taken::again)
    delivered.taken = fail(Code::protocol, "the machine asks for the whole workspace, which it was sent");
  else if (delivery.kept() && !name.empty() && make_directories(job.directories.cache + "/sent"))
    // The index describes what the far side has after this delivery, so it is written only now. Without it, the next
    // delivery sends everything. If nothing is kept of this delivery, the far side still has the earlier one.
    (void)write_file_atomically(path, to_bytes(*delivery.kept()));
  return delivered;
}

}  // namespace bottle::remote
