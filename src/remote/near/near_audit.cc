// Writes the decisions of the broker to their own file, with the same chain of hashes as the guard's record. If the
// disk is full, the broker is told to refuse everything, because nothing may pass unrecorded.
#include "remote/near/near_audit.h"

#include <utility>

#include "base/text/path_parts.h"

namespace bottle::remote {

// More refusals than this would hide other events. The record has all of them.
constexpr int kMostTold = 50;

const std::string& NearAudit::retry_disk() {
  if (!file_) return full_;
  file_->retry();
  std::string why = file_->full();
  // Another reason for the same state is not reported.
  bool changed = why.empty() != full_.empty();
  full_ = std::move(why);
  if (changed && full_.empty()) clients_.event(wire::RecordBack{});
  else if (changed)
    clients_.event(wire::RecordFull{
        "the broker on this machine refuses everything, because its decisions cannot be recorded: " + full_});
  return full_;
}

void NearAudit::add(wire::Decision decision) {
  decision.near = true;
  // The file is made with the first decision, so that a session without a broker's decisions has no such file.
  if (!file_) file_.emplace(path_);
  file_->add(decision);
  std::string host = decision.host.empty() ? "?" : decision.host;
  // The far guard has only placeholders, so only the broker can report a value.
  if (decision.code == "secret_to_model" && !decision.secret.empty())
    clients_.event(wire::SecretToModel{decision.secret, host, decision.code, decision.reason});
  if (!decision.is_deny() || told_ == kMostTold) return;
  ++told_;
  clients_.event(wire::Denied{host, decision.code, decision.reason + " (decided on this machine)", std::nullopt});
}

std::vector<wire::AuditSeal> NearAudit::close(std::vector<wire::AuditSeal> known) {
  // This near side continued the record, so an earlier seal is out of date.
  if (file_) return {file_->close()};
  std::string_view name = name_in(path_);
  std::erase_if(known, [&](const wire::AuditSeal& each) { return each.file != name; });
  return session::seals_after_death(path_, std::move(known));
}

}  // namespace bottle::remote
