#include "session/ledger/info.h"

#include <chrono>

#include "base/files/durable.h"
#include "base/files/file.h"
#include "session/ledger/files.h"

namespace bottle::session {

void write_info(const wire::Job& job, wire::SessionState state, const std::string& machine) {
  auto now =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
  const auto& plan = job.plan;
  wire::SessionInfo info{plan.session, state, plan.agent, plan.bottle, plan.workspace, machine, now, plan.headless};
  (void)write_file_atomically(job.directories.session(plan.session) + "/" + kInfo, wire::encode(info));
}

void write_recorded(const wire::Job& job, const wire::SessionResult& result) {
  if (!result.egress || !result.egress->recorded) return;
  std::string text = "# What session " + job.plan.session + " reached without a rule in bottle " + job.plan.bottle +
                     ". Read these rules before you use them.\nallow:\n";
  for (const auto& rule : *result.egress->recorded) text += "  - " + rule + "\n";
  (void)write_file_atomically(job.directories.results_of(job.plan.session) + "/" + kRecorded, text);
}

Result<> write_result(const std::string& results, const wire::SessionResult& result) {
  return write_file_durably(results + "/" + kResult, wire::encode(result, wire::Layout::pretty));
}

Result<wire::SessionResult> read_result(const std::string& results) {
  return wire::decode<wire::SessionResult>(TRY(read_file(results + "/" + kResult, wire::SessionResult::kMost)),
                                           wire::From::ours);
}

}  // namespace bottle::session
