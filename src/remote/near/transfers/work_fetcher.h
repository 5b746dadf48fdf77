// Brings the work of a far session home: checkpoints while the agent works, and everything when it has ended.
#pragma once

#include <cstdint>
#include <functional>
#include <stop_token>
#include <string>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/progress.h"
#include "base/stream.h"
#include "remote/link/far_side.h"
#include "wire/result.h"
#include "wire/start/job.h"
#include "workspace/workspace.h"

namespace bottle::remote {

using wire::Job;

// Returns the path of the largest part of a workspace that came before its machine failed, in a session's results.
inline std::string part_in(const std::string& results) { return results + "/workspace.tar.part"; }

// Returns how many bytes of a workspace are fetched, without holes. This is far above what was sent and what the agent
// may have written, with the names of many small files. What a machine sends is limited by the room of this disk, too.
uint64_t most_fetched(const Job& job);

// The work is still in its container. A new connection to the machine does not help.
struct Held {
  std::string why;
};
// Says that the work does not exist any more, according to the engine that had it.
struct Gone {};
using Fetched = std::variant<wire::WorkResult, Held, Gone>;

// Fetches the work of one session. Not safe for use by two threads at the same time.
class WorkFetcher {
 public:
  // `base` is the commit that the work began from, as the near side sent it. `room` is the number of bytes that all
  // checkpoints together may add to the operator's repository; the final fetch is not counted.
  WorkFetcher(const Job& job, std::string base, uint64_t room = 2 * workspace::Incoming().max_bytes)
      : job_(job), base_(std::move(base)), room_(room) {}

  // Reads what the far side delivers for these words, and passes it to `put`, as FarSide::fetch() does.
  using Fetch =
      std::function<Result<>(const std::vector<std::string>& words,
                             const std::function<Result<>(const std::string& name, const Source& source)>& put)>;

  // Fetches the present workspace to the session's refs. Nothing is transferred if nothing has changed. Returns whether
  // something new came. Fails with Code::limit if there is no room for more checkpoints in this session, and with
  // Code::canceled if `stop` is requested while the delivery arrives. Blocks.
  Result<bool> checkpoint(const Fetch& from);
  Result<bool> checkpoint(FarSide& far, const std::stop_token& stop) {
    auto stops = [&] { return stop.stop_requested(); };
    return checkpoint(
        [&](const auto& words, const auto& put) { return far.fetch(words, put, stops, most_fetched(job_)); });
  }

  // Fetches what the session left: the workspace, as refs and as a patch, and the guard's decisions, into the results.
  // Returns `back` of the result, or Held if the machine has the work but cannot read it. `is_gone` returns true if the
  // machine is gone and nothing more will come. If it fails in the middle of the workspace, what came stays in
  // part_in(), unless the disk of this machine is full. Calls `progress` every two seconds with how much has come.
  // `engine_id` is as in wire::Attach; without one, a machine that has no record of the session counts as holding its
  // work. Blocks.
  Result<Fetched> fetch(
      const Fetch& from, const Progress& progress = [](const std::string&) {}, const std::string& engine_id = "");
  Result<Fetched> fetch(FarSide& far, const std::string& engine_id, const std::function<bool()>& is_gone,
                        const Progress& progress) {
    auto from = [&](const auto& words, const auto& put) { return far.fetch(words, put, is_gone, most_fetched(job_)); };
    return fetch(from, progress, engine_id);
  }

 private:
  Result<wire::WorkResult> sort(const Source& source, uint64_t* room = nullptr);
  Result<> save_egress(const Source& source);
  const Job& job_;
  std::string base_, fingerprint_;
  uint64_t room_;
  bool is_incomplete_ = false;  // whether the last workspace that was sorted was incomplete
};

}  // namespace bottle::remote
