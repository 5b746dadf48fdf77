#include "session/ledger/info.h"

#include <chrono>

#include "base/files/file.h"
#include "session/ledger/files.h"

namespace bottle::session {

void write_info(const wire::Job& job, wire::SessionState state, const std::string& machine) {
  auto now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  const auto& plan = job.plan;
  wire::SessionInfo info{plan.session, state, plan.agent, plan.bottle, plan.workspace, machine, now};
  (void)write_file_atomically(job.directories.session(plan.session) + "/" + kInfo, wire::encode(info));
}

Result<wire::SessionResult> read_result(const std::string& results) {
  return wire::decode<wire::SessionResult>(TRY(read_file(results + "/" + kResult, wire::SessionResult::kMost)),
                                           wire::From::ours);
}

}  // namespace bottle::session
