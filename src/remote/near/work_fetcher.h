// The work of a far session, brought here: checkpoints while the agent works, everything when it has ended.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/stream.h"
#include "remote/link/far_side.h"
#include "wire/job.h"
#include "wire/result.h"
#include "workspace/workspace.h"

namespace bottle::remote {

using session::Job;

class WorkFetcher {
 public:
  // `base`: the commit that the work began from, as the near side sent it. `room`: bytes that all checkpoints together
  // may bring into the operator's repository; what comes at the end is not counted.
  WorkFetcher(const Job& job, std::string base, uint64_t room = 2 * workspace::Incoming().max_bytes)
      : job_(job), base_(std::move(base)), room_(room) {}

  // What the far side delivers for these words, into `put`: FarSide::fetch.
  using Fetch =
      std::function<Result<>(const std::vector<std::string>& words,
                             const std::function<Result<>(const std::string& name, const Source& source)>& put)>;

  // The workspace as it is now, onto the session's refs; nothing is transferred where nothing changed. Blocking.
  // True: something new came. Code::limit: there is no room for more of them, ever.
  Result<bool> checkpoint(const Fetch& from);
  Result<bool> checkpoint(FarSide& far) {
    return checkpoint([&](const auto& words, const auto& put) { return far.fetch(words, put); });
  }

  // What the session left there: the workspace onto refs and as a patch, the guard's decisions into the results.
  // Blocking. The answer is `back` of the result. Error conflict: the machine was reached, but the work is held there,
  // in its container. `is_gone`: the machine is, nothing more will come.
  Result<wire::Back> fetch(const Fetch& from);
  Result<wire::Back> fetch(FarSide& far, const std::function<bool()>& is_gone) {
    return fetch([&](const auto& words, const auto& put) { return far.fetch(words, put, is_gone); });
  }

 private:
  Result<wire::Back> sort(const Source& source, uint64_t* room = nullptr);
  Result<> save_egress(const Source& source);
  const Job& job_;
  std::string base_, fingerprint_;
  uint64_t room_;
  bool is_incomplete_ = false;  // the last one that was sorted
};

}  // namespace bottle::remote
