#include "remote/near/near_audit.h"

namespace bottle::remote {

constexpr int kMostTold = 50;

const std::string& NearAudit::look_at_disk() {
  if (!file_) return full_;
  file_->retry();
  std::string why = file_->full();
  bool changed = why.empty() != full_.empty();
  full_ = std::move(why);
  if (changed && full_.empty()) clients_.event({{"event", "record-back"}});
  else if (changed)
    clients_.event(
        {{"event", "record-full"},
         {"what",
          "the broker on this machine refuses everything, because its decisions cannot be recorded: " + full_}});
  return full_;
}

void NearAudit::add(nlohmann::json line) {
  line["side"] = "near";
  if (!file_) file_.emplace(path_);
  file_->add(line);
  // The far guard knows placeholders only, so it cannot tell of values.
  if (line.value("code", "") == "secret_to_model")
    clients_.event({{"event", "secret"},
                    {"secret", line.value("secret", "")},
                    {"host", line.value("host", "?")},
                    {"code", "secret_to_model"},
                    {"what", line.value("reason", "")}});
  if (line.value("action", "") != "deny" || told_ == kMostTold) return;
  ++told_;
  clients_.event({{"event", "denied"},
                  {"host", line.value("host", "?")},
                  {"code", line.value("code", "")},
                  {"reason", line.value("reason", "") + " (decided on this machine)"}});
}

}  // namespace bottle::remote
